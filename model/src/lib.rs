// SPDX-License-Identifier: GPL-2.0

//! The module's pure rooms on the host.
//!
//! The rooms of the kernel module that know nothing of the kernel are compiled here from the very
//! same files, and tested: on real images, on mutated ones, on arbitrary bytes, and (`explore`) in
//! every interleaving with a page cache and a disk of the model's own.

#[allow(dead_code, reason = "the file system uses more of it than the model")]
#[allow(unused_imports, reason = "as above")]
#[forbid(unsafe_code)]
#[path = "../../rust/ext2/mod.rs"]
mod ext2;

pub mod bad_images;
pub mod exercise;
pub mod image;
pub mod volume;

#[cfg(test)]
#[allow(dead_code, reason = "the file system uses more of it than the model")]
#[allow(unused_imports, reason = "as above")]
#[forbid(unsafe_code)]
#[path = "../../rust/coherency/mod.rs"]
mod coherency;
#[cfg(test)]
mod explore;
#[cfg(test)]
mod pagecache;
#[cfg(test)]
mod prelude;
