// SPDX-License-Identifier: GPL-2.0

//! One group: its counts, and whether its bitmap of blocks is to be believed.
//!
//! The counts are kept in the descriptor itself, in the device's page cache, and nowhere else, so
//! there are no two that could differ.
//!
//! C counterparts: `ext2_valid_block_bitmap`, `read_block_bitmap` and `group_adjust_blocks` in
//! [`fs/ext2/balloc.c`](srctree/fs/ext2/balloc.c)

use super::{
    super::{
        error,
        SuperBlock, //
    },
    window::Windows, //
};
use crate::{
    ext2::{
        self,
        Corrupt,
        DiskBlock,
        GroupCount,
        GroupDesc,
        Usage, //
    },
    vfs::BufferHead,
};
use kernel::{
    new_spinlock,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        SpinLock,
        SpinLockGuard, //
    },
};
use pin_init::pin_data;

/// A group of blocks and inodes.
#[pin_data]
pub(in crate::fs) struct Group {
    desc: GroupDesc,
    /// The block of descriptors in which its own starts at byte `offset`.
    descs: BufferHead,
    offset: usize,
    /// The bitmap of blocks was looked at.
    checked: Atomic<bool>,
    /// The bitmap of blocks contradicts the descriptor: nothing is taken from the group, nor given
    /// back to it.
    damaged: Atomic<bool>,
    #[pin]
    state: SpinLock<State>,
}

/// What a group's spin lock protects, besides the counts in the descriptor.
pub(super) struct State {
    /// What files that are written keep others' hands off.
    pub(super) windows: Windows,
    /// Directories made here of late, less the other inodes; see `find_group_orlov`.
    debt: u8,
}

impl Group {
    /// Makes a group of a checked descriptor, which starts at byte `offset` of `descs`.
    pub(in crate::fs) fn new(
        desc: GroupDesc,
        descs: BufferHead,
        offset: usize,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            desc,
            descs,
            offset,
            checked: Atomic::new(false),
            damaged: Atomic::new(false),
            state <- new_spinlock!(State {
                windows: Windows::new(),
                debt: 0,
            }),
        })
    }

    /// Returns where the group's metadata lies.
    pub(super) fn desc(&self) -> &GroupDesc {
        &self.desc
    }

    /// Takes the group's spin lock. Nothing sleeps under it.
    pub(super) fn lock(&self) -> SpinLockGuard<'_, State> {
        self.state.lock()
    }

    /// Returns one of the counts, as it is now.
    pub(super) fn count(&self, which: GroupCount) -> u16 {
        // BOUNDS: A descriptor is within its block, so there is always a count.
        let count = self.descs.le16(self.offset + which.offset());
        count.unwrap_or_default()
    }

    /// Returns how full the group is.
    pub(super) fn usage(&self) -> Usage {
        let locked = self.lock();
        Usage {
            free_inodes: u64::from(self.count(GroupCount::FreeInodes)),
            free_blocks: u64::from(self.count(GroupCount::FreeBlocks)),
            dirs: u64::from(self.count(GroupCount::UsedDirs)),
            debt: u64::from(locked.debt),
        }
    }

    /// Adds to one of the counts, modulo what the disk can hold, as C does: who takes a bit that was
    /// just given back may count before the giver, and both must come out even.
    fn add(&self, _locked: &mut State, which: GroupCount, change: i32) {
        // CAST: Modulo 2^16.
        let count = self.count(which).wrapping_add(change as u16);
        // BOUNDS: As in `count`, so this does not fail.
        let _ = self.descs.set_le16(self.offset + which.offset(), count);
    }

    /// Notes that blocks were freed, or taken if `change` is negative.
    pub(super) fn add_free_blocks(&self, change: i32) {
        self.add(&mut self.lock(), GroupCount::FreeBlocks, change);
        self.descs.mark_dirty();
    }

    /// Notes that an inode was taken.
    pub(super) fn take_inode(&self, is_dir: bool) {
        let mut state = self.lock();
        self.add(&mut state, GroupCount::FreeInodes, -1);
        if is_dir {
            self.add(&mut state, GroupCount::UsedDirs, 1);
            state.debt = state.debt.saturating_add(1);
        } else {
            state.debt = state.debt.saturating_sub(1);
        }
        drop(state);
        self.descs.mark_dirty();
    }

    /// Notes that an inode was freed.
    pub(super) fn give_inode(&self, is_dir: bool) {
        let mut state = self.lock();
        self.add(&mut state, GroupCount::FreeInodes, 1);
        if is_dir {
            self.add(&mut state, GroupCount::UsedDirs, -1);
        }
        drop(state);
        self.descs.mark_dirty();
    }

    /// Returns the bitmap of blocks; nothing if it is not to be believed.
    ///
    /// # Context
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// [`EIO`] if it cannot be read.
    pub(super) fn block_bitmap(&self, sb: &SuperBlock) -> Result<Option<BufferHead>> {
        if self.damaged.load(Relaxed) {
            return Ok(None);
        }
        let bitmap = sb.bread(u64::from(self.desc.block_bitmap().get()))?;
        if !self.checked.load(Relaxed) {
            if let Err(found) = self.check(&sb.data().disk, &bitmap) {
                self.damage(sb, &found);
                return Ok(None);
            }
            self.checked.store(true, Relaxed);
        }
        Ok(Some(bitmap))
    }

    /// Takes the group out of use, since its bitmap was found to be wrong.
    pub(super) fn damage(&self, sb: &SuperBlock, found: &Corrupt) {
        if !self.damaged.xchg(true, Relaxed) {
            // Whoever looks for space goes on elsewhere.
            let _ = error::corrupt(sb, found);
        }
    }

    /// Checks that the bitmap has as taken what the group keeps for itself.
    fn check(&self, disk: &ext2::SuperBlock, bitmap: &BufferHead) -> Result<(), Corrupt> {
        let group = self.desc.group();
        let (first, _) = disk.group_blocks(group);
        for (start, len, fault) in disk.group_metadata(&self.desc) {
            // OVERFLOW: All of it lies in the group.
            let from = start.get() - first.get();
            if let Some(bit) = bitmap.find_next_zero_bit(from, from + len) {
                return Err(Corrupt::Bitmap {
                    group,
                    block: DiskBlock(first.get() + bit),
                    fault,
                });
            }
        }
        Ok(())
    }

    /// Returns the bitmap of inodes.
    ///
    /// # Errors
    ///
    /// [`EIO`] if it cannot be read.
    pub(super) fn inode_bitmap(&self, sb: &SuperBlock) -> Result<BufferHead> {
        sb.bread(u64::from(self.desc.inode_bitmap().get()))
    }
}

/// Notes that a bitmap was changed; waits for it on a volume mounted `-o sync`.
pub(super) fn bitmap_changed(sb: &SuperBlock, bitmap: &BufferHead) {
    bitmap.mark_dirty();
    if sb.is_sync() {
        // An error is not ours alone: the device's mapping keeps it, and `syncfs` returns it.
        let _ = bitmap.sync();
    }
}
