// SPDX-License-Identifier: GPL-2.0

//! The run of blocks that was found last: who asks for a part of it follows no pointers.
//!
//! What a lookup finds stays so until the tree is cut ([`super`], *Lookups*), for a pointer is stored
//! only where there is none. So a run is remembered with the number that [`Tree::changes`] had when it
//! was found, and is good as long as it has that one.
//!
//! [`Tree::changes`]: super::Tree::changes

use super::lookup::Run;
use crate::ext2::{
    DiskBlock,
    FileBlock, //
};
use kernel::sync::{
    atomic::{
        Acquire,
        Atomic,
        Full,
        Relaxed,
        Release, //
    },
    barrier::{
        smp_mb,
        Read, //
    },
};

/// A run of blocks that a file has, or nothing. Read and written by anybody, without a lock.
pub(super) struct Known {
    /// Odd while somebody writes the rest, and another after he did.
    turn: Atomic<u32>,
    /// The tree when this was found.
    changes: Atomic<u64>,
    block: Atomic<u32>,
    first: Atomic<u32>,
    /// Number of blocks.
    len: Atomic<u32>,
}

impl Known {
    /// Knows nothing.
    pub(super) fn new() -> Self {
        Self {
            turn: Atomic::new(0),
            changes: Atomic::new(0),
            block: Atomic::new(0),
            first: Atomic::new(0),
            len: Atomic::new(0),
        }
    }

    /// Returns where block `block` of the file and all that follow are, `max` in all, in a tree with
    /// that number of `changes`; nothing if that is not known of all of them.
    pub(super) fn get(&self, block: FileBlock, max: u32, changes: u64) -> Option<Run> {
        let turn = self.turn.load(Acquire);
        let into = block.get().checked_sub(self.block.load(Relaxed))?;
        let left = self.len.load(Relaxed).checked_sub(into)?;
        let first = self.first.load(Relaxed);
        let found = self.changes.load(Relaxed);
        // Whoever wrote any of it has changed the turn before; pairs with `note`.
        smp_mb(Read);
        let whole = turn & 1 == 0 && self.turn.load(Relaxed) == turn;
        if !whole || found != changes || left < max {
            return None;
        }
        Some(Run {
            first: DiskBlock(first).checked_add(into),
            len: max,
        })
    }

    /// Says whether the run ends right before block `block`; perhaps, if somebody writes it now. Of nothing,
    /// which is known at first, the file's first block goes on.
    pub(super) fn ends_before(&self, block: FileBlock) -> bool {
        let end = self
            .block
            .load(Relaxed)
            .wrapping_add(self.len.load(Relaxed));
        end == block.get()
    }

    /// Remembers that blocks from `block` on are `run`, in a tree with that number of `changes`.
    pub(super) fn note(&self, block: FileBlock, run: &Run, changes: u64) {
        let Some(first) = run.first else {
            return;
        };
        let turn = self.turn.load(Relaxed);
        // Somebody else's run is as good.
        if turn & 1 != 0 || self.turn.cmpxchg(turn, turn.wrapping_add(1), Full).is_err() {
            return;
        }
        self.changes.store(changes, Relaxed);
        self.block.store(block.get(), Relaxed);
        self.first.store(first.get(), Relaxed);
        self.len.store(run.len, Relaxed);
        self.turn.store(turn.wrapping_add(2), Release);
    }
}
