// SPDX-License-Identifier: GPL-2.0

//! Images that must be refused, and what is to be said of them.
//!
//! Each is a good image with one thing changed. The tests here hold the parser to the list; a
//! virtual machine can hold the whole module to it: mount the image, compare the error and the
//! log, and see that the image is what it was before. Two things to mind there: a mount that asks
//! for silence (`MS_SILENT`, as busybox does) gets no line for a wrong magic number, and lines about
//! damage are limited to some a second.

mod fields;
mod list;

pub use list::bad_images;

/// What mounting a bad image must lead to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// `mount` fails with `EINVAL`: not an image of ours, or not all of it.
    Einval,
    /// `mount` fails with `EUCLEAN`: it is damaged.
    Euclean,
    /// `mount` fails for writing; read-only it works.
    RoOnly,
    /// `mount` works; reading the root directory fails with `EUCLEAN`.
    EucleanOnList,
}

/// A way to make a good image bad.
#[derive(Clone, Copy)]
pub struct BadImage {
    /// Its name, fit for a file name. No two have the same.
    pub name: &'static str,
    /// What must happen.
    pub expect: Expect,
    /// Part of the line that must appear in the log.
    pub needle: &'static str,
    make: fn(&mut fields::Fields<'_>),
}

impl BadImage {
    /// Makes a good image bad.
    ///
    /// `image` is as `mke2fs -t ext2` leaves it, of any block and inode size. It may become
    /// shorter, by whole blocks.
    pub fn apply(&self, image: &mut Vec<u8>) {
        (self.make)(&mut fields::Fields::new(image));
    }
}
