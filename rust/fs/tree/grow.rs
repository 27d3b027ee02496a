// SPDX-License-Identifier: GPL-2.0

//! Giving blocks to a file, in two steps: they are taken from the volume for a hole, and later, when
//! their bytes are where everybody finds them, the tree shows them.
//!
//! C counterparts: `ext2_get_blocks` and `ext2_splice_branch` in
//! [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::{
    alloc::{
        goal,
        Taken, //
    },
    lookup::{
        self,
        Run, //
    },
    LockedTree,
    Node,
    State, //
};
use crate::{
    ext2::{
        DiskBlock,
        FileBlock,
        Path, //
    },
    fs::{
        space::{
            self,
            BlockRun, //
        },
        Inode, //
    },
    vfs::BufferHead,
};
use kernel::{
    prelude::*,
    sync::barrier::{
        smp_mb,
        Write, //
    },
};

/// Blocks that were taken for a hole of a file, and that its tree does not show yet.
///
/// The blocks of pointers above them are in the tree already.
#[must_use = "blocks that are neither stored nor released are lost until `e2fsck`"]
pub(in crate::fs) struct Reserved {
    /// The first block of the file that they are for.
    block: FileBlock,
    run: BlockRun,
    /// What is to hold the pointers to them.
    node: Node,
    /// The index there of the first.
    index: u32,
}

/// What is at a place in a file where somebody wants to write.
pub(in crate::fs) enum Space {
    /// Blocks that were there.
    Data(Run),
    /// Blocks that were just taken.
    New(Reserved),
}

impl Space {
    /// Returns where it is.
    pub(in crate::fs) fn run(&self) -> Run {
        match self {
            Self::Data(run) => *run,
            Self::New(new) => new.run(),
        }
    }
}

impl Reserved {
    /// Returns what the tree will show.
    pub(in crate::fs) fn run(&self) -> Run {
        Run {
            first: Some(self.run.first),
            len: self.run.len,
        }
    }

    /// Stores the pointers to the blocks up to block `last` of the file. Returns what is left.
    ///
    /// # Context
    ///
    /// Does not sleep. The tree is locked, as `state` shows, and the first lines of [`super`] hold for
    /// the blocks.
    ///
    /// # Errors
    ///
    /// [`EUCLEAN`] if the pointers have no place, which [`reserve`] saw to; the blocks are lost.
    pub(in crate::fs) fn store(
        self,
        inode: &Inode,
        state: &mut State,
        last: FileBlock,
    ) -> Result<Option<Self>> {
        let Self {
            block,
            run: BlockRun { first, len },
            node,
            index,
        } = self;
        let count = match last.get().checked_sub(block.get()) {
            None => 0,
            // OVERFLOW: `len` is not zero.
            Some(more) => more.min(len - 1) + 1,
        };
        // The bytes are there before the pointer is: pairs with `lookup::run`.
        smp_mb(Write);
        for nr in 0..count {
            // OVERFLOW: The run is in the volume, and its pointers are in one block.
            node.set(inode, index + nr, first.get() + nr)?;
        }
        if count > 0 {
            inode.add_blocks(count);
            node.mark_dirty(inode);
            // OVERFLOW: As above.
            let stored = count - 1;
            state.last = block.checked_add(stored).zip(first.checked_add(stored));
        }
        if count == len {
            return Ok(None);
        }
        // OVERFLOW: As above.
        Ok(Some(Self {
            block: FileBlock(block.get() + count),
            run: BlockRun {
                first: DiskBlock(first.get() + count),
                len: len - count,
            },
            node,
            index: index + count,
        }))
    }

    /// Stores the pointers to all of the blocks.
    ///
    /// # Context
    ///
    /// As [`Self::store`].
    ///
    /// # Errors
    ///
    /// As [`Self::store`].
    pub(in crate::fs) fn store_all(self, inode: &Inode, state: &mut State) -> Result {
        self.store(inode, state, FileBlock(u32::MAX)).map(|_| ())
    }

    /// Gives the blocks back.
    pub(in crate::fs) fn release(self, inode: &Inode) {
        space::free_blocks(inode.sb(), self.run.first, self.run.len);
    }
}

/// Returns what is at block `block` of the file; takes blocks if it is a hole: `max` at most, of this
/// hole and below one block of pointers.
///
/// # Context
///
/// May sleep. The tree is locked, as `state` shows.
///
/// # Errors
///
/// [`ENOSPC`], and then the file is as it was; [`EFBIG`] if no pointer can lead there; those of
/// [`lookup::run`].
pub(in crate::fs) fn reserve(
    inode: &Inode,
    state: &State,
    block: FileBlock,
    max: u32,
) -> Result<Space> {
    let data = inode.sb().data();
    let path = Path::to(block, &data.disk).map_err(|_| EFBIG)?;
    let branch = lookup::branch(inode, &path).map_err(|failure| failure.report(inode))?;
    if branch.pointer != 0 {
        let found = lookup::find(inode, block, max).map_err(|failure| failure.report(inode));
        return found.map(|run| Space::Data(run.at_most(max)));
    }
    // OVERFLOW: The number of pointers in a block is small.
    let max = max.clamp(1, path.boundary + 1);
    let max = match branch.below {
        0 => branch.holes(inode, max),
        _ => max,
    };
    let goal = goal(inode, state, block, &branch);
    let taken = Taken::take(inode, goal, branch.below, max)?;
    let (node, index) = match taken.link(inode, branch, &path) {
        Ok(end) => end,
        Err(error) => {
            taken.release(inode);
            return Err(error);
        }
    };
    inode
        .sb()
        .clean_bdev_aliases(u64::from(taken.data.first.get()), u64::from(taken.data.len));
    Ok(Space::New(Reserved {
        block,
        run: taken.data,
        node,
        index,
    }))
}

/// Blocks for the holes that a folio has, and the tree's lock, held until its pointers are stored.
///
/// LOCKING: The lock is held all the while, because the inode lock is not: a cut further on in the
/// file would else free a block of pointers that has nothing but holes yet.
#[must_use = "blocks that are not stored are lost until `e2fsck`"]
pub(in crate::fs) struct ReservedHoles<'a> {
    inode: &'a Inode,
    reserved: KVec<Reserved>,
    /// Nothing if there is no hole.
    locked: Option<LockedTree<'a>>,
}

impl<'a> ReservedHoles<'a> {
    /// Takes blocks for all holes from block `first` to `last` of the file, or for none.
    ///
    /// # Context
    ///
    /// May sleep. The lock of the folio that they are of is held, until [`Self::store`].
    ///
    /// # Errors
    ///
    /// As [`reserve`], or [`ENOMEM`].
    pub(in crate::fs) fn take(inode: &'a Inode, first: FileBlock, last: FileBlock) -> Result<Self> {
        let mut holes = Self {
            inode,
            reserved: KVec::new(),
            locked: None,
        };
        if !lookup::has_hole_within(inode, first, last)? {
            return Ok(holes);
        }
        holes.locked = Some(inode.data().tree.lock());
        let mut next = Some(first);
        while let Some(block) = next.filter(|&block| block <= last) {
            // OVERFLOW: Not beyond the last.
            let max = (last.get() - block.get()).saturating_add(1);
            match holes.take_next(block, max) {
                Ok(len) => next = block.checked_add(len),
                Err(error) => {
                    let taken = holes.reserved.into_iter();
                    taken.for_each(|new| new.release(inode));
                    return Err(error);
                }
            }
        }
        Ok(holes)
    }

    /// Goes over the blocks from `block` on, `max` at most; returns how many they are.
    fn take_next(&mut self, block: FileBlock, max: u32) -> Result<u32> {
        self.reserved.reserve(1, GFP_KERNEL)?;
        let state = self.locked.as_deref().ok_or(EINVAL)?;
        match reserve(self.inode, state, block, max)? {
            Space::Data(run) => Ok(run.len),
            Space::New(new) => {
                let len = new.run.len;
                // There is room.
                self.reserved.push(new, GFP_KERNEL)?;
                Ok(len)
            }
        }
    }

    /// Stores the pointers to the blocks.
    ///
    /// # Context
    ///
    /// Does not sleep. The folio is still locked, and dirty.
    ///
    /// # Errors
    ///
    /// As [`Reserved::store`].
    pub(in crate::fs) fn store(self) -> Result {
        let Self {
            inode,
            reserved,
            locked,
        } = self;
        let Some(mut locked) = locked.filter(|_| !reserved.is_empty()) else {
            return Ok(());
        };
        // Who has taken blocks for the same hole, and waits for the lock of the folio, looks anew.
        inode.data().tree.note_stored();
        let store = |done: Result, new: Reserved| done.and(new.store_all(inode, &mut locked));
        reserved.into_iter().fold(Ok(()), store)
    }
}

/// Adds a block to the end of a directory, or to a symbolic link that has none. Returns it, zeroed.
///
/// `block` is its number in the file. The pointer to it is stored already; until the caller moves
/// `i_size`, nobody looks there. The caller marks it dirty, with `Inode::mark_metadata_dirty`, when
/// its bytes are what they are to be. If nothing comes of it, [`cut`](super::cut) takes it away.
///
/// # Context
///
/// May sleep. The inode lock is held exclusively, or nobody else knows of the inode.
///
/// # Errors
///
/// Those of [`reserve`].
pub(in crate::fs) fn append_block(inode: &Inode, block: FileBlock) -> Result<BufferHead> {
    let mut state = inode.data().tree.lock();
    let space = reserve(inode, &state, block, 1)?;
    // A block that is there all the same was left by a crash; it is as good.
    let first = space.run().first.ok_or(EUCLEAN)?;
    let buffer = inode.sb().getblk_new(u64::from(first.get()));
    match (space, buffer) {
        (Space::Data(_), buffer) => buffer,
        (Space::New(new), Ok(buffer)) => new.store_all(inode, &mut state).map(|()| buffer),
        (Space::New(new), Err(error)) => {
            new.release(inode);
            Err(error)
        }
    }
}
