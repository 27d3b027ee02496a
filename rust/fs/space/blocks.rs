// SPDX-License-Identifier: GPL-2.0

//! Blocks: taking runs of them, near to where they are wanted, and giving them back.
//!
//! C counterparts: `ext2_new_blocks`, `ext2_try_to_allocate` and `ext2_free_blocks` in
//! [`fs/ext2/balloc.c`](srctree/fs/ext2/balloc.c)

use super::{
    super::{
        error,
        Inode,
        SuperBlock, //
    },
    group::{
        bitmap_changed,
        Group, //
    },
};
use crate::{
    ext2::{
        Corrupt,
        DiskBlock,
        GroupCount, //
    },
    vfs::{
        cred,
        BufferHead,
        NofsGuard, //
    },
};
use core::{
    cmp::Ordering,
    ops::Range, //
};
use kernel::prelude::*;

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
    search(sb, goal, max.max(1))?.ok_or(ENOSPC)
}

/// Says whether there is a block that this task may take: the last ones are reserved.
fn has_free_blocks(sb: &SuperBlock) -> bool {
    let data = sb.data();
    let disk = &data.disk;
    let (user, group) = (u32::from(disk.def_resuid()), u32::from(disk.def_resgid()));
    data.space
        .free_blocks
        .compare(u64::from(disk.reserved_blocks()))
        == Ordering::Greater
        || cred::capable_sys_resource()
        || cred::is_fsuid(user)
        || (group != 0 && cred::in_group(group))
}

/// Looks for free blocks in all groups, and takes them.
///
/// The group of the goal comes first, from the goal on; last it comes again, from its start.
fn search(sb: &SuperBlock, goal: DiskBlock, want: u32) -> Result<Option<BlockRun>> {
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
        if group.count(GroupCount::FreeBlocks) == 0 {
            continue;
        }
        let Some(bitmap) = group.block_bitmap(sb)? else {
            continue;
        };
        let (first, last) = disk.group_blocks(number);
        // OVERFLOW: The goal is in the group. A group has at most 2^15 blocks.
        let range = 0..last.get() - first.get() + 1;
        let goal = goal.map(|goal| goal.get() - first.get());
        let goal = goal.or_else(|| find_usable(&bitmap, &range));
        let Some((bit, len)) = goal.and_then(|goal| take(&bitmap, goal..range.end, want)) else {
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

/// Takes the first free blocks of `range` that follow one another, `want` at most.
///
/// Returns the first and how many they are.
fn take(bitmap: &BufferHead, range: Range<u32>, want: u32) -> Option<(u32, u32)> {
    let Range { mut start, end } = range;
    loop {
        start = bitmap.find_next_zero_bit(start, end)?;
        // OVERFLOW: A group has at most 2^15 blocks.
        let bits = (start..end.min(start.saturating_add(want))).into_iter();
        let taken = bits.take_while(|&bit| bitmap.test_and_set_bit(bit)).count();
        if taken > 0 {
            return Some((start, u32::try_from(taken).ok()?));
        }
        // Somebody else was faster.
    }
}

/// Returns where in `range` blocks are best taken from if no place is better than another: in the
/// next few, else where eight lie together, else anywhere.
fn find_usable(bitmap: &BufferHead, range: &Range<u32>) -> Option<u32> {
    /// How far, at most, the start of a free stretch is looked for backwards.
    const BACK: u32 = 7;
    /// Blocks that count as the next few, aligned.
    const NEAR: u32 = 64;

    let &Range { start, end } = range;
    if start > 0 {
        let near = end.min(start.next_multiple_of(NEAR));
        if let Some(bit) = bitmap.find_next_zero_bit(start, near) {
            return Some(bit);
        }
    }
    let byte = bitmap.find_next_zero_byte(start, end);
    let bit = match byte.filter(|bit| range.contains(bit)) {
        Some(bit) => bit,
        None => bitmap.find_next_zero_bit(start, end)?,
    };
    let back = (start.max(bit.saturating_sub(BACK))..bit).rev();
    let free = back.take_while(|&bit| bitmap.find_next_zero_bit(bit, bit + 1).is_some());
    Some(free.last().unwrap_or(bit))
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
