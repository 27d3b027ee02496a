// SPDX-License-Identifier: GPL-2.0

//! Whether what leads to a file's bytes would survive the loss of power.
//!
//! The state of an inode does not say: it is clean as soon as its block is on its way, and the cache of
//! the device is flushed after that. So changes are counted, and how many of them there were when a
//! sync began that came to its end.

use super::{
    FileSystem,
    Inode, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
};

/// The changes of an inode and of what leads to its blocks.
pub(super) struct Changes {
    /// How many there were, each counted after the inode or a buffer of its was marked dirty.
    made: Atomic<u64>,
    /// How many of them are on the device, whatever becomes of its power.
    flushed: Atomic<u64>,
}

impl Changes {
    /// Makes the counts of an inode that comes into memory. Who had it there before may have left his
    /// changes in the cache of the device, which is one that nobody has flushed.
    pub(super) fn new() -> Self {
        Self {
            made: Atomic::new(1),
            flushed: Atomic::new(0),
        }
    }
}

impl<T: FileSystem> Inode<T> {
    fn changes(&self) -> &Changes {
        // SAFETY: Embedded in an `InodeInfo<T>`, by the type invariants, and written when that was
        // allocated.
        unsafe { &(*self.info()).changes }
    }

    /// Counts a change. The inode, or the buffer that was changed, is marked dirty.
    pub(super) fn count_change(&self) {
        // Whoever begins a sync and counts this one finds the mark as well.
        // OVERFLOW: 2^64 changes take centuries.
        self.changes().made.fetch_add(1, Release);
    }

    /// Says whether every change is on the device, whatever becomes of its power.
    ///
    /// # Context
    ///
    /// The caller keeps off those whose changes he asks about, by the inode lock or by that of a folio.
    pub(crate) fn is_flushed(&self) -> bool {
        let changes = self.changes();
        changes.made.load(Acquire) == changes.flushed.load(Relaxed)
    }

    /// Does `sync`, which writes out what is marked dirty and flushes the device, and notes that it did.
    pub(super) fn flush(&self, sync: impl FnOnce() -> Result) -> Result {
        let changes = self.changes();
        let made = changes.made.load(Acquire);
        sync()?;
        // Two at a time may leave the smaller number, and somebody syncs once more.
        changes.flushed.store(made, Relaxed);
        Ok(())
    }
}
