// SPDX-License-Identifier: GPL-2.0

//! In which group a new directory goes: Grigoriy Orlov's rule.
//!
//! Directories at the top are spread, for what is in different ones seldom has to do with each
//! other. Those below stay with their parent, unless its group is fuller than most.
//!
//! C counterpart: `find_group_orlov` in [`fs/ext2/ialloc.c`](srctree/fs/ext2/ialloc.c)

use super::SuperBlock;

/// What is free and used in a group, or in all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Free inodes.
    pub(crate) free_inodes: u64,
    /// Free blocks.
    pub(crate) free_blocks: u64,
    /// Directories.
    pub(crate) dirs: u64,
}

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
        };
        with_room(least.free_inodes)
            .find(|(_, usage)| usage.free_blocks >= least.free_blocks && usage.dirs < least.dirs)
    };
    best.or_else(|| with_room(average.free_inodes).next())
        // The totals are not exact, and on a small volume that can leave no group.
        .or_else(|| with_room(1).next())
        .map(|(group, _)| group)
}
