// SPDX-License-Identifier: GPL-2.0

//! The tree of pointers that leads from a file to its blocks.
//!
//! Fifteen pointers are in the inode; below three of them there are blocks of pointers, which lie in
//! the device's page cache as buffers. `lookup.rs` follows the pointers, `grow.rs` adds blocks
//! that `alloc.rs` takes from the volume, `cut.rs` frees them.
//!
//! # Invariants
//!
//! *A block below `i_size` is reachable from the tree only once the page cache, dirty, or the device
//! holds its bytes.* What a freshly allocated block held before is seen by nobody:
//!
//! - A buffered write takes blocks for a hole ([`Reserved`]) and stores the pointers to those that
//!   a folio covers when their bytes are in that folio and it is dirty, before it is unlocked.
//! - A fault does all of that under the lock of the folio that it makes writable.
//! - A direct write beyond `i_size` stores the pointers at once. Nobody reads there: `i_size` moves
//!   when the bytes are on the device, and what failed is cut off again.
//! - Blocks of pointers and of directories are zeroed in their buffer before anything leads there.
//!
//! So writeback has nothing to allocate, and a full disk is found by the task that writes. A dirty folio
//! can cover holes all the same: what it has there is zero, or writeback fails.
//!
//! # Lookups
//!
//! A lookup takes no lock. It is allowed only under the inode lock, shared or exclusive, the mapping's
//! `invalidate_lock`, or the lock of a folio that covers the block: pointers are cleared only under
//! the first two, held exclusively, and after the folios over their blocks were removed from the
//! page cache, which takes the lock of each ([`cut`]). An inode that is evicted has no other user.
//! Pointers are otherwise only stored where there was none.
//!
//! That is about the block itself. A block of pointers that leads to holes only can be freed although
//! some of the holes stay, and be somebody else's at once. So a lookup that ran beside a cut is
//! done again under the tree's lock ([`Tree::uncut`]), before it says anything.
//!
//! # Lock order
//!
//! `i_rwsem` → `invalidate_lock` → folio lock → [`Tree::lock`] → the locks of [`super::space`] →
//! buffer lock. Nothing that is allocated under the tree's lock makes the kernel write out or evict
//! anything of a file system ([`NofsGuard`]): that takes locks of trees and of folios as well.
//!
//! C counterpart: [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

mod alloc;
mod cut;
mod grow;
mod known;
mod lookup;

pub(super) use self::cut::{
    clear,
    cut,
    punch, //
};
pub(super) use self::grow::{
    append_block,
    reserve,
    Reserved,
    ReservedHoles,
    Space, //
};
pub(super) use self::lookup::{
    layout,
    run,
    Layout,
    Run, //
};

use self::known::Known;
use super::Inode;
use crate::{
    ext2::{
        DiskBlock,
        FileBlock,
        N_BLOCKS, //
    },
    vfs::{
        BufferHead,
        NofsGuard, //
    },
};
use core::ops::{
    Deref,
    DerefMut,
    Range, //
};
use kernel::{
    new_mutex,
    num::casts::u32_as_usize,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed, //
        },
        lock::mutex::MutexBackend,
        Mutex, //
    },
};
use pin_init::pin_data;

/// The tree of one file.
#[pin_data]
pub(super) struct Tree {
    /// The pointers in the inode. Changed under the lock.
    pointers: [Atomic<u32>; N_BLOCKS],
    /// Moves when what somebody else was told of the tree may no longer be so; odd while the tree is
    /// being cut. See [`Self::changes`].
    changes: Atomic<u64>,
    known: Known,
    /// There is something in [`State::pending`]. Changed with it, under the lock.
    has_pending: Atomic<bool>,
    #[pin]
    state: Mutex<State>,
}

/// What the tree's lock protects, besides the tree.
pub(super) struct State {
    /// What the buffered write in progress took for a hole. There is at most one: who writes holds
    /// the inode lock exclusively.
    pending: Option<Reserved>,
    /// The last block that was given to the file, and where it is.
    last: Option<(FileBlock, DiskBlock)>,
}

/// The tree's lock, held.
#[must_use = "the lock is released when the guard is dropped"]
pub(super) struct LockedTree<'a> {
    tree: &'a Tree,
    state: kernel::sync::lock::Guard<'a, State, MutexBackend>,
    _nofs: NofsGuard,
}

impl Deref for LockedTree<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for LockedTree<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl LockedTree<'_> {
    /// Takes what the buffered write in progress took for a hole.
    pub(super) fn take_pending(&mut self) -> Option<Reserved> {
        self.tree.has_pending.store(false, Relaxed);
        self.state.pending.take()
    }

    /// Keeps what the buffered write in progress took for a hole, or has left of it.
    pub(super) fn set_pending(&mut self, pending: Option<Reserved>) {
        self.tree.has_pending.store(pending.is_some(), Relaxed);
        self.state.pending = pending;
    }
}

impl Tree {
    /// Makes the tree with the pointers that an inode on disk has.
    pub(super) fn new(pointers: [u32; N_BLOCKS]) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            pointers: pointers.map(Atomic::new),
            changes: Atomic::new(0),
            known: Known::new(),
            has_pending: Atomic::new(false),
            state <- new_mutex!(State {
                pending: None,
                last: None,
            }, "cohfs_tree"),
        })
    }

    /// Returns the pointers as the inode on disk is to have them.
    pub(super) fn pointers(&self) -> [u32; N_BLOCKS] {
        self.pointers
            .each_ref()
            .map(|pointer| pointer.load(Relaxed))
    }

    /// Locks the tree against all other changes.
    ///
    /// # Context
    ///
    /// May sleep.
    pub(super) fn lock(&self) -> LockedTree<'_> {
        LockedTree {
            tree: self,
            _nofs: NofsGuard::new(),
            state: self.state.lock(),
        }
    }

    /// Says whether the buffered write in progress took something for a hole. Its own task asks.
    pub(super) fn has_pending(&self) -> bool {
        self.has_pending.load(Relaxed)
    }

    /// Returns a number that moves when pointers are cleared, or stored by a fault.
    ///
    /// Who looked something up and uses it later under the lock of a folio can find out whether it
    /// still holds for the blocks of that folio: nobody changes these meanwhile.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Acquire)
    }

    /// Returns the number that [`Self::changes`] does, unless the tree is being cut.
    fn uncut(&self) -> Option<u64> {
        Some(self.changes()).filter(|changes| changes & 1 == 0)
    }

    /// Notes that pointers were stored where somebody may have seen a hole. The tree is locked.
    fn note_stored(&self) {
        self.changes.fetch_add(2, Full);
    }

    /// Notes that the tree is being cut from now on, or no longer. It is locked.
    fn note_cut(&self) {
        self.changes.fetch_add(1, Full);
    }
}

/// Where pointers are: in the inode, or in a block of them.
enum Node {
    Inode,
    Block(BufferHead),
}

impl Node {
    /// Returns the pointer with that index.
    ///
    /// # Errors
    ///
    /// [`EUCLEAN`] if there is none.
    fn get(&self, inode: &Inode, index: u32) -> Result<u32> {
        let index = u32_as_usize(index);
        match self {
            Self::Inode => {
                let pointer = inode.data().tree.pointers.get(index).ok_or(EUCLEAN)?;
                Ok(pointer.load(Relaxed))
            }
            // OVERFLOW: An index is at most 2^32.
            Self::Block(buffer) => buffer.le32(index * size_of::<u32>()).map_err(|_| EUCLEAN),
        }
    }

    /// Returns the index of the first pointer of `range` that is not zero.
    fn next(&self, inode: &Inode, range: Range<u32>) -> Option<u32> {
        match self {
            Self::Inode => range
                .into_iter()
                .find(|&index| self.get(inode, index).is_ok_and(|pointer| pointer != 0)),
            Self::Block(buffer) => {
                let (from, end) = (u32_as_usize(range.start), u32_as_usize(range.end));
                let found = buffer.find_next_set_le32(from, end)?;
                u32::try_from(found).ok()
            }
        }
    }

    /// Stores the pointer with that index. The tree is locked; [`Self::mark_dirty`] follows.
    ///
    /// # Errors
    ///
    /// As [`Self::get`].
    fn set(&self, inode: &Inode, index: u32, pointer: u32) -> Result {
        let index = u32_as_usize(index);
        match self {
            Self::Inode => {
                let place = inode.data().tree.pointers.get(index).ok_or(EUCLEAN)?;
                place.store(pointer, Relaxed);
                Ok(())
            }
            // OVERFLOW: As above.
            Self::Block(buffer) => buffer
                .set_le32(index * size_of::<u32>(), pointer)
                .map_err(|_| EUCLEAN),
        }
    }

    /// Marks what holds the pointers dirty, and the inode, whose `fsync` is to write them.
    fn mark_dirty(&self, inode: &Inode) {
        if let Self::Block(buffer) = self {
            inode.mark_metadata_dirty(buffer);
        }
        inode.mark_dirty();
    }
}
