// SPDX-License-Identifier: GPL-2.0

//! The seam of the pure rooms, over the standard library.
//!
//! Same names and contents as `rust/prelude.rs`, which is the one that the kernel module has.

use std::cell::Cell;

/// log2 of the size of a page in bytes.
pub(crate) const PAGE_SHIFT: usize = 12;

/// An error number, as the kernel crate's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Error(i32);

/// I/O error.
pub(crate) const EIO: Error = Error(-5);
/// Device or resource busy.
pub(crate) const EBUSY: Error = Error(-16);

/// A result whose error is an error number.
pub(crate) type Result<T = (), E = Error> = core::result::Result<T, E>;

/// A statistic: counts up, never orders anything.
///
/// Not atomic: the tasks of a model run take turns on one thread.
#[derive(Default)]
pub(crate) struct Counter(Cell<u64>);

impl Counter {
    /// Adds `n`.
    pub(crate) fn add(&self, n: u64) {
        self.0.set(self.0.get() + n);
    }

    /// Returns what was counted so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.get()
    }
}
