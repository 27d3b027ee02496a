// SPDX-License-Identifier: GPL-2.0

//! Blocks: taking runs of them, near to where they are wanted, and giving them back.
//!
//! C counterparts: `ext2_new_blocks`, `ext2_try_to_allocate` and `ext2_free_blocks` in
//! [`fs/ext2/balloc.c`](srctree/fs/ext2/balloc.c)

use super::{
    super::{
        error,
        super_block::Super,
        Inode,
        SuperBlock, //
    },
    bits::{
        find_usable,
        take, //
    },
    group::{
        bitmap_changed,
        Group, //
    },
    window::Window, //
};
use crate::{
    ext2::{
        self,
        Corrupt,
        DiskBlock,
        GroupCount,
        Ino, //
    },
    vfs::{
        cred,
        NofsGuard, //
    },
};
use core::cmp::Ordering;
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

/// Consecutive blocks that were free, and are the caller's.
#[derive(Clone, Copy, Debug)]
#[must_use = "blocks that are in no file are lost"]
pub(in crate::fs) struct BlockRun {
    /// The first of them.
    pub(in crate::fs) first: DiskBlock,
    /// How many there are; at least one.
    pub(in crate::fs) len: u32,
}

/// Takes up to `max` consecutive free blocks for `inode`, at `goal` if that is free, else not far
/// behind it.
///
/// A regular file has them from its reservation window, and the window moves on if need be; not so
/// with `-o noreservation`.
///
/// # Context
///
/// May sleep. The caller holds the inode's tree lock.
///
/// # Errors
///
/// [`ENOSPC`] if there is none that the caller may have, [`EIO`] if a bitmap cannot be read.
pub(in crate::fs) fn alloc_blocks(inode: &Inode, goal: DiskBlock, max: u32) -> Result<BlockRun> {
    let sb = inode.sb();
    if !has_free_blocks(sb) {
        return Err(ENOSPC);
    }
    let _nofs = NofsGuard::new();
    let want = max.max(1);
    if inode.is_regular() && sb.data().space.reservation.load(Relaxed) {
        let mut window = inode.data().reservation.lock();
        if let Some(run) = search(sb, goal, want, Some(&mut window))? {
            return Ok(run);
        }
        // All that is free may be in the windows of others, who do not use it yet.
    }
    if let Some(run) = search(sb, goal, want, None)? {
        return Ok(run);
    }
    sb.data().space.wait_for_trim();
    search(sb, goal, want, None)?.ok_or(ENOSPC)
}

/// Takes a free block in the group of `inode`, or not far from there, for what is not its data.
///
/// # Context
///
/// May sleep.
///
/// # Errors
///
/// As [`alloc_blocks`].
pub(in crate::fs) fn alloc_block(inode: &Inode) -> Result<DiskBlock> {
    let sb = inode.sb();
    if !has_free_blocks(sb) {
        return Err(ENOSPC);
    }
    let _nofs = NofsGuard::new();
    let disk = &sb.data().disk;
    let ino = u32::try_from(inode.ino()).map_or(ext2::ROOT_INO, Ino);
    let (goal, _) = disk.group_blocks(disk.inode_group(ino).unwrap_or(0));
    if let Some(run) = search(sb, goal, 1, None)? {
        return Ok(run.first);
    }
    // What is being discarded comes back.
    sb.data().space.wait_for_trim();
    let run = search(sb, goal, 1, None)?.ok_or(ENOSPC)?;
    Ok(run.first)
}

/// Says whether there is a block that this task may take: the last ones are reserved.
fn has_free_blocks(sb: &SuperBlock) -> bool {
    let data = sb.data();
    let reserved = u64::from(data.disk.reserved_blocks());
    data.space.free_blocks.compare(reserved) == Ordering::Greater || may_use_reserved(data)
}

fn may_use_reserved(data: &Super) -> bool {
    let options = data.options();
    let user = options.resuid.unwrap_or(data.disk.def_resuid().into());
    let group = options.resgid.unwrap_or(data.disk.def_resgid().into());
    // Many are in group 0 for other reasons.
    cred::capable_sys_resource() || cred::is_fsuid(user) || (group != 0 && cred::in_group(group))
}

/// Looks for free blocks in all groups, and takes them.
///
/// The group of the goal comes first, from the goal on; last it comes again, from its start.
fn search(
    sb: &SuperBlock,
    goal: DiskBlock,
    want: u32,
    mut window: Option<&mut Window>,
) -> Result<Option<BlockRun>> {
    let data = sb.data();
    let disk = &data.disk;
    let (start, goal) = match disk.group_of(goal) {
        Ok(group) => (group, goal),
        Err(_) => (0, DiskBlock(disk.first_data_block())),
    };
    let mut goal = Some(goal);
    for number in data.space.round(start) {
        let goal = goal.take();
        let group = data.space.group(number)?;
        let free = u32::from(group.count(GroupCount::FreeBlocks));
        if free == 0 {
            continue;
        }
        if window
            .as_ref()
            .is_some_and(|w| !w.suits(free, goal.is_some()))
        {
            if goal.is_none() {
                continue;
            }
            window = None;
        }
        let Some(bitmap) = group.block_bitmap(sb)? else {
            continue;
        };
        let (first, last) = disk.group_blocks(number);
        // OVERFLOW: The goal is in the group. A group has at most 2^15 blocks.
        let goal = goal.map(|goal| goal.get() - first.get());
        let end = last.get() - first.get() + 1;
        let taken = match &mut window {
            Some(window) => window.take(&data.space, group, &bitmap, goal, end, want),
            None => goal
                .or_else(|| find_usable(&bitmap, &(0..end)))
                .and_then(|goal| take(&bitmap, goal..end, want)),
        };
        let Some((bit, len)) = taken else {
            continue;
        };
        bitmap_changed(sb, &bitmap);
        // OVERFLOW: In the group.
        let first = DiskBlock(first.get() + bit);
        if let Err(found) = data.check_run(first, len) {
            // The bits stay set, as they should have been.
            group.damage(sb, &found);
            continue;
        }
        // OVERFLOW: At most 2^15.
        group.add_free_blocks(-len.cast_signed());
        data.space.free_blocks.add(-i64::from(len));
        return Ok(Some(BlockRun { first, len }));
    }
    Ok(None)
}

/// Gives back `len` blocks from `first` on.
///
/// Blocks that are free already, or can be nobody's, are damage: that is noted, and they are left
/// out.
///
/// # Context
///
/// May sleep.
pub(in crate::fs) fn free_blocks(sb: &SuperBlock, first: DiskBlock, len: u32) {
    let data = sb.data();
    if let Err(found) = data.check_run(first, len) {
        // Who frees cannot do anything about it.
        let _ = error::corrupt(sb, &found);
        return;
    }
    let _nofs = NofsGuard::new();
    let (mut at, mut left) = (first, len);
    while left > 0 {
        // A run that was checked is in groups.
        let Ok(number) = data.disk.group_of(at) else {
            return;
        };
        let (_, last) = data.disk.group_blocks(number);
        // OVERFLOW: The block is in this group, and the run in the volume, as checked.
        let count = left.min(last.get() - at.get() + 1);
        if let Ok(group) = data.space.group(number) {
            free_in_group(sb, group, at, count);
        }
        at = DiskBlock(at.get() + count);
        left -= count;
    }
}

/// Gives back `len` blocks from `first` on, which are all of `group`.
fn free_in_group(sb: &SuperBlock, group: &Group, first: DiskBlock, len: u32) {
    let data = sb.data();
    let number = group.desc().group();
    let bitmap = match group.block_bitmap(sb) {
        Ok(Some(bitmap)) => bitmap,
        Ok(None) => return,
        Err(error) => {
            sb.err(format_args!(
                "group {number}: cannot read the block bitmap: {error:?}; blocks are lost"
            ));
            data.state().note_error(sb);
            return;
        }
    };
    let (group_first, _) = data.disk.group_blocks(number);
    let mut freed = 0;
    let mut free_already = None;
    for n in 0..len {
        // OVERFLOW: In the group.
        let block = DiskBlock(first.get() + n);
        if bitmap.test_and_clear_bit(block.get() - group_first.get()) {
            freed += 1;
        } else {
            free_already = free_already.or(Some(block));
        }
    }
    bitmap_changed(sb, &bitmap);
    group.add_free_blocks(freed);
    data.space.free_blocks.add(i64::from(freed));
    if let Some(block) = free_already {
        let found = Corrupt::FreeBlock {
            group: number,
            block,
        };
        // Who frees cannot do anything about it.
        let _ = error::corrupt(sb, &found);
    }
}
