// SPDX-License-Identifier: GPL-2.0

//! Direct writes and the page cache: who may hold which bytes, and when.
//!
//! Read [`invalidate`](invalidate::invalidate) first: how folios leave the page cache without
//! losing a byte. Then [`direct_write`](direct_io::direct_write): what each policy does before and
//! after the transfer. The I/O itself comes in as a closure, so that the protocol can be read from
//! top to bottom, and so that the `model` crate can run these very files against a page cache and
//! a disk of its own.
//!
//! `Documentation/coherency.rst` holds the rules, the lock order and the argument.

mod counters;
mod direct_io;
pub(crate) mod gates;
mod invalidate;
mod policy;
pub(crate) mod strict;
pub(crate) mod turns;

pub(crate) use self::counters::Counters;
pub(crate) use self::direct_io::direct_write;
pub(crate) use self::gates::{
    Gate,
    Inside, //
};
pub(crate) use self::invalidate::{
    invalidate,
    OnBusy,
    Report, //
};
pub(crate) use self::policy::{
    Policy,
    Walker, //
};

use crate::pagecache::{
    AddressSpace,
    InodeLockGuard,
    PageRange, //
};

/// A locked file, and how its mount wants it treated.
#[derive(Clone, Copy)]
pub(crate) struct Target<'a> {
    /// Proof that no other write, truncate or direct I/O runs on the file.
    pub(crate) lock: &'a InodeLockGuard<'a>,
    /// What to promise.
    pub(crate) policy: Policy,
    /// What removes a folio.
    pub(crate) walker: Walker,
    /// Where to count it.
    pub(crate) counters: &'a Counters,
}

impl<'a> Target<'a> {
    /// Returns the page cache of the file.
    fn mapping(&self) -> &'a AddressSpace {
        self.lock.mapping()
    }

    /// Removes `range` from the page cache, see [`invalidate()`], and keeps new folios out of
    /// the file meanwhile.
    ///
    /// # Context
    ///
    /// May sleep. Takes `invalidate_lock` under the inode lock, so user memory must not be touched.
    pub(crate) fn invalidate(&self, range: PageRange, on_busy: OnBusy) -> Report {
        let guard = self.lock.invalidate_lock();
        invalidate(&guard, self.walker, range, on_busy, self.counters)
    }
}
