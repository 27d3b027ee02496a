// SPDX-License-Identifier: GPL-2.0

//! In which group a new inode goes: Grigoriy Orlov's rule for directories, and that for the rest.
//!
//! Directories at the top are spread, for what is in different ones seldom has to do with each
//! other. Those below stay with their parent, unless its group is fuller than most. All else stays
//! with its directory if it can.
//!
//! C counterparts: `find_group_orlov` and `find_group_other` in
//! [`fs/ext2/ialloc.c`](srctree/fs/ext2/ialloc.c)

use super::{
    Ino,
    SuperBlock, //
};
use core::iter;

/// What is free and used in a group, or in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Free inodes.
    pub(crate) free_inodes: u64,
    /// Free blocks.
    pub(crate) free_blocks: u64,
    /// Directories.
    pub(crate) dirs: u64,
    /// Directories that were made in the group of late, less the other inodes. Not known of all
    /// groups together.
    pub(crate) debt: u64,
}

/// Blocks that a directory and what is in it take, at least, for the reckoning of debts.
const BLOCK_COST: u64 = 256;

/// Inodes of the same.
const INODE_COST: u64 = 64;

/// Greatest debt there is.
const MAX_DEBT: u64 = 255;

/// Returns the group for a new directory, or nothing if there is no free inode.
///
/// `total` is the usage of all groups together, as far as it is known; `usage` that of one.
/// `start` is the first group to look at: the parent's, or, for a directory at the top (`spread`),
/// one by chance.
pub(crate) fn group_of_directory(
    sb: &SuperBlock,
    total: Usage,
    usage: impl Fn(u32) -> Usage,
    start: u32,
    spread: bool,
) -> Option<u32> {
    let count = sb.groups_count();
    let average = Usage {
        free_inodes: total.free_inodes / u64::from(count),
        free_blocks: total.free_blocks / u64::from(count),
        dirs: total.dirs / u64::from(count),
        debt: 0,
    };
    let around = || (start..count).chain(0..start.min(count));
    let with_room = |least_inodes: u64| {
        around()
            .map(|group| (group, usage(group)))
            .filter(move |(_, usage)| usage.free_inodes >= least_inodes.max(1))
    };

    let best = if spread {
        with_room(average.free_inodes)
            .filter(|(_, usage)| usage.free_blocks >= average.free_blocks)
            .min_by_key(|(_, usage)| usage.dirs)
    } else {
        let inodes = u64::from(sb.inodes_per_group());
        let blocks = u64::from(sb.blocks_per_group());
        let least = Usage {
            free_inodes: average.free_inodes.saturating_sub(inodes / 4),
            free_blocks: average.free_blocks.saturating_sub(blocks / 4),
            dirs: average.dirs + inodes / 16,
            debt: max_debt(sb, total),
        };
        with_room(least.free_inodes).find(|(_, usage)| {
            usage.free_blocks >= least.free_blocks
                && usage.dirs < least.dirs
                && usage.debt < least.debt
        })
    };
    best.or_else(|| with_room(average.free_inodes).next())
        // The totals are not exact, and on a small volume that can leave no group.
        .or_else(|| with_room(1).next())
        .map(|(group, _)| group)
}

/// Returns the group for a new file that is no directory, or nothing if there is no free inode.
///
/// `usage` is that of a group; `dir` is the directory, an inode of group `parent`.
///
/// If that group is full, files of one directory are to meet in another, and those of a directory
/// that is in the same group as this one, in yet another. So the search starts at a place of the
/// directory's own and goes on by steps that double; last comes any group with a free inode,
/// without a block for it.
pub(crate) fn group_of_file(
    sb: &SuperBlock,
    usage: impl Fn(u32) -> Usage,
    parent: u32,
    dir: Ino,
) -> Option<u32> {
    let count = sb.groups_count();
    let suits = |&group: &u32| {
        let usage = usage(group);
        usage.free_inodes > 0 && usage.free_blocks > 0
    };
    // OVERFLOW: Sums, of 64 bits, of numbers of 32. A step is less than the number of groups, which
    // is less than 2^30, before it doubles.
    let place = u64::from(parent) + u64::from(dir.get());
    let steps = iter::successors(Some(1u32), |step| Some(step << 1));
    let hashed = steps
        .take_while(|&step| step < count)
        .scan(place, |at, step| {
            *at = (*at + u64::from(step)) % u64::from(count);
            u32::try_from(*at).ok()
        });
    let mut near = iter::once(parent).chain(hashed);
    near.find(suits).or_else(|| {
        let behind = parent.saturating_add(1).min(count);
        let mut others = (behind..count).chain(0..behind);
        others.find(|&group| usage(group).free_inodes > 0)
    })
}

/// Returns how far directories may get ahead of the files that are to be in them: as many as fill
/// a group, if each comes to hold what those there are do.
fn max_debt(sb: &SuperBlock, total: Usage) -> u64 {
    let used = u64::from(sb.blocks_count()).saturating_sub(total.free_blocks);
    let blocks_of_each = (used / total.dirs.max(1)).max(BLOCK_COST);
    let by_blocks = u64::from(sb.blocks_per_group()) / blocks_of_each;
    let by_inodes = u64::from(sb.inodes_per_group()) / INODE_COST;
    by_blocks.min(by_inodes).clamp(1, MAX_DEBT)
}
