// SPDX-License-Identifier: GPL-2.0

//! The seam of the pure rooms: all that `coherency` and `pagecache::range` use besides `pagecache`.
//!
//! In the kernel these are the kernel crate's own types. The `model` crate has a module of
//! the same name and contents over the standard library, so that the very same files of
//! `coherency` build and run on the host.

pub(crate) use kernel::error::{
    code::EIO,
    Result, //
};
pub(crate) use kernel::page::PAGE_SHIFT;

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// A statistic: counts up, never orders anything.
pub(crate) struct Counter(Atomic<u64>);

impl Default for Counter {
    fn default() -> Self {
        Self(Atomic::new(0))
    }
}

impl Counter {
    /// Adds `n`; zero at no cost.
    pub(crate) fn add(&self, n: u64) {
        if n > 0 {
            self.0.add(n, Relaxed);
        }
    }

    /// Returns what was counted so far.
    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}
