// SPDX-License-Identifier: GPL-2.0

//! Group descriptors.
//!
//! C counterpart: `ext2_check_descriptors` in [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use super::{
    geometry::overlap,
    raw::RawGroupDesc,
    Corrupt,
    DiskBlock,
    SuperBlock, //
};
use core::mem::{
    offset_of,
    size_of, //
};
use zerocopy::FromBytes;

/// Where a group keeps its own, from a descriptor that was checked. The [counts](GroupCount) in it
/// change all the time, and are read where they are.
///
/// # Invariants
///
/// The group exists. The two bitmaps and the inode table lie in it, behind its copy of the super
/// block and descriptors if it has one, and do not overlap. All of these lie below `behind`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct GroupDesc {
    group: u32,
    block_bitmap: DiskBlock,
    inode_bitmap: DiskBlock,
    inode_table: DiskBlock,
    behind: DiskBlock,
}

impl GroupDesc {
    /// Checks the descriptor of `group`; `raw` starts with it.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Group`] if a structure is outside of the group or overlaps another.
    pub(crate) fn parse(raw: &[u8], sb: &SuperBlock, group: u32) -> Result<Self, Corrupt> {
        let Ok((desc, _)) = RawGroupDesc::ref_from_prefix(raw) else {
            return Err(Corrupt::Short {
                what: "group descriptor",
                need: size_of::<RawGroupDesc>(),
                have: raw.len(),
            });
        };
        let block_bitmap = DiskBlock(desc.block_bitmap.get());
        let inode_bitmap = DiskBlock(desc.inode_bitmap.get());
        let inode_table = DiskBlock(desc.inode_table.get());
        let table_len = sb.itable_blocks;
        let misplaced = |what, block| Err(Corrupt::Group { group, what, block });

        let (first, last) = sb.group_blocks(group);
        let first = u64::from(first.get()) + u64::from(sb.group_overhead(group));
        let end = u64::from(last.get()) + 1;
        let inside = |start: DiskBlock, len: u32| {
            let start = u64::from(start.get());
            start >= first && start + u64::from(len) <= end
        };
        if !inside(block_bitmap, 1) {
            return misplaced("block bitmap", block_bitmap);
        }
        if !inside(inode_bitmap, 1) || inode_bitmap == block_bitmap {
            return misplaced("inode bitmap", inode_bitmap);
        }
        if !inside(inode_table, table_len)
            || overlap(inode_table, table_len, block_bitmap, 1)
            || overlap(inode_table, table_len, inode_bitmap, 1)
        {
            return misplaced("inode table", inode_table);
        }
        // OVERFLOW: The table is inside, so that it ends where a block number can be.
        let table_end = inode_table.get() + table_len;
        // OVERFLOW: So do the bitmaps, and what lies before all of these.
        let ends = [block_bitmap.get() + 1, inode_bitmap.get() + 1, table_end];
        let behind = DiskBlock(ends.into_iter().fold(0, u32::max));
        // INVARIANT: All checked above. Of a group that does not exist nothing is inside.
        Ok(Self {
            group,
            block_bitmap,
            inode_bitmap,
            inode_table,
            behind,
        })
    }

    /// A block behind all that the group keeps for itself, which mostly lies at its start.
    pub(super) fn behind(&self) -> DiskBlock {
        self.behind
    }

    /// The group, counted from zero.
    pub(crate) fn group(&self) -> u32 {
        self.group
    }

    /// The block with a bit for each block of the group.
    pub(crate) fn block_bitmap(&self) -> DiskBlock {
        self.block_bitmap
    }

    /// The block with a bit for each inode of the group.
    pub(crate) fn inode_bitmap(&self) -> DiskBlock {
        self.inode_bitmap
    }

    /// The first block of the inodes of the group.
    pub(crate) fn inode_table(&self) -> DiskBlock {
        self.inode_table
    }
}

/// A count in a descriptor, a word of 16 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GroupCount {
    /// Blocks that the bitmap has as free.
    FreeBlocks,
    /// Inodes that the bitmap has as free.
    FreeInodes,
    /// Inodes that are directories.
    UsedDirs,
}

impl GroupCount {
    /// Returns where the word is in the descriptor, in bytes.
    pub(crate) fn offset(self) -> usize {
        match self {
            Self::FreeBlocks => offset_of!(RawGroupDesc, free_blocks_count),
            Self::FreeInodes => offset_of!(RawGroupDesc, free_inodes_count),
            Self::UsedDirs => offset_of!(RawGroupDesc, used_dirs_count),
        }
    }
}
