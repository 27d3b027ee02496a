// SPDX-License-Identifier: GPL-2.0

//! Where things lie: groups, descriptors, inodes, and where data may.
//!
//! C counterparts: `descriptor_loc` in [`fs/ext2/super.c`](srctree/fs/ext2/super.c),
//! `ext2_get_inode` in [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c), `ext2_bg_has_super` and
//! `ext2_data_block_valid` in [`fs/ext2/balloc.c`](srctree/fs/ext2/balloc.c)

use super::{
    raw::DESC_BITS,
    BlockFault,
    Compat,
    Corrupt,
    DiskBlock,
    GroupDesc,
    Ino,
    RoCompat,
    SuperBlock,
    ROOT_INO, //
};

impl SuperBlock {
    /// Size of a block, in bytes.
    pub(crate) fn block_size(&self) -> u32 {
        1 << self.block_bits
    }

    /// log2 of the size of a block.
    pub(crate) fn block_bits(&self) -> u32 {
        self.block_bits
    }

    /// Size of an inode, in bytes.
    pub(crate) fn inode_size(&self) -> u32 {
        1 << self.inode_bits
    }

    /// Number of blocks, the unused ones before [`Self::first_data_block`] included.
    pub(crate) fn blocks_count(&self) -> u32 {
        self.blocks_count
    }

    /// The block of the super block, with which the first group starts.
    pub(crate) fn first_data_block(&self) -> u32 {
        self.first_data_block
    }

    /// Number of groups.
    pub(crate) fn groups_count(&self) -> u32 {
        self.groups_count
    }

    /// Number of blocks of a group; the last may have fewer.
    pub(crate) fn blocks_per_group(&self) -> u32 {
        self.blocks_per_group.get()
    }

    /// Number of inodes of a group.
    pub(crate) fn inodes_per_group(&self) -> u32 {
        self.inodes_per_group.get()
    }

    /// log2 of the number of block pointers in a block.
    pub(crate) fn pointer_bits(&self) -> u32 {
        // OVERFLOW: By the type invariants.
        self.block_bits - 2
    }

    /// Returns the first and the last block of a group.
    ///
    /// Of a group that does not exist the last is below the first.
    pub(crate) fn group_blocks(&self, group: u32) -> (DiskBlock, DiskBlock) {
        let per_group = self.blocks_per_group.get();
        let first = group
            .saturating_mul(per_group)
            .saturating_add(self.first_data_block);
        // OVERFLOW: Both counts are positive by the type invariants.
        let last = first
            .saturating_add(per_group - 1)
            .min(self.blocks_count - 1);
        (DiskBlock(first), DiskBlock(last))
    }

    /// Returns the group that `block` is in.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Block`] if it is in none.
    pub(crate) fn group_of(&self, block: DiskBlock) -> Result<u32, Corrupt> {
        match block.get().checked_sub(self.first_data_block) {
            Some(index) if block.get() < self.blocks_count => Ok(index / self.blocks_per_group),
            Some(_) => Err(no_data(block, BlockFault::BeyondEnd)),
            None => Err(no_data(block, BlockFault::SuperBlock)),
        }
    }

    /// Returns whether a group starts with a copy of the super block.
    pub(crate) fn has_super(&self, group: u32) -> bool {
        if group == 0 {
            true
        } else if self.has_compat(Compat::SPARSE_SUPER2) {
            self.backup_groups.contains(&group)
        } else if group == 1 || !self.has_ro_compat(RoCompat::SPARSE_SUPER) {
            true
        } else {
            [3, 5, 7].into_iter().any(|base| is_power_of(group, base))
        }
    }

    /// Returns how many blocks of a group hold descriptors, those kept for more not included.
    fn group_descs(&self, group: u32) -> u32 {
        let per_block_bits = self.block_bits - DESC_BITS;
        if group >> per_block_bits < self.desc_blocks_together {
            return u32::from(self.has_super(group)) * self.desc_blocks_together;
        }
        // The descriptors of as many groups as fit a block are in the first of these groups, with
        // copies in the second and in the last.
        let last = (1 << per_block_bits) - 1;
        u32::from([0, 1, last].contains(&(group & last)))
    }

    /// Returns how many blocks at the start of a group hold no data: super block, descriptors,
    /// and what is kept for more of them.
    pub(super) fn group_overhead(&self, group: u32) -> u32 {
        // OVERFLOW: `metadata_end` is larger, and fits.
        let super_block = u32::from(self.has_super(group));
        super_block + self.group_descs(group) + super_block * self.reserved_desc_blocks
    }

    /// Returns how many blocks can never hold data, as `ext2_statfs` counts them: what is kept for
    /// more descriptors is not among them. Takes a step for each group.
    pub(crate) fn overhead(&self) -> u32 {
        let groups = (0..self.groups_count).map(|group| {
            let shared = self.group_descs(group).saturating_add(self.itable_blocks);
            shared.saturating_add(u32::from(self.has_super(group)) + 2)
        });
        groups.fold(self.first_data_block, u32::saturating_add)
    }

    /// Returns where the descriptor of a group is: the block, and the offset in it in bytes.
    ///
    /// `group` is less than [`Self::groups_count`].
    pub(crate) fn desc_location(&self, group: u32) -> (DiskBlock, usize) {
        let per_block_bits = self.block_bits - DESC_BITS;
        let nr = group >> per_block_bits;
        let block = if nr < self.desc_blocks_together {
            // Of a copy that is at the end of the volume none can be read.
            self.own_block.saturating_add(1 + nr)
        } else {
            let holder = nr << per_block_bits;
            let (first, _) = self.group_blocks(holder);
            first
                .get()
                .saturating_add(u32::from(self.has_super(holder)))
        };
        let index = group & ((1 << per_block_bits) - 1);
        (DiskBlock(block), offset(index << DESC_BITS))
    }

    /// Returns the group of an inode that a directory may name.
    ///
    /// # Errors
    ///
    /// [`Corrupt::InodeNumber`] if it is zero, reserved and not the root, or larger than there
    /// are.
    pub(crate) fn inode_group(&self, ino: Ino) -> Result<u32, Corrupt> {
        let reserved = ino != ROOT_INO && ino.get() < self.first_ino;
        match ino.get().checked_sub(1) {
            Some(index) if !reserved && index < self.inodes_count => {
                Ok(index / self.inodes_per_group)
            }
            _ => Err(Corrupt::InodeNumber(ino)),
        }
    }

    /// Returns where an inode is: the block, and the offset in it in bytes.
    ///
    /// `desc` is the descriptor of its [group](Self::inode_group).
    ///
    /// # Errors
    ///
    /// [`Corrupt::InodeNumber`] if there is no such inode, or not in this group.
    pub(crate) fn inode_location(
        &self,
        ino: Ino,
        desc: &GroupDesc,
    ) -> Result<(DiskBlock, usize), Corrupt> {
        if self.inode_group(ino)? != desc.group() {
            return Err(Corrupt::InodeNumber(ino));
        }
        // OVERFLOW: The inode is in this group, so its number is at least that of the first; a
        // group has at most 2^15 inodes of at most 2^12 bytes, and the table is in the file
        // system by the type invariants of `GroupDesc`.
        let index = ino.get() - 1 - desc.group() * self.inodes_per_group.get();
        let byte = index << self.inode_bits;
        let block = desc.inode_table().get() + (byte >> self.block_bits);
        Ok((DiskBlock(block), offset(byte & (self.block_size() - 1))))
    }

    /// Checks that data can be at `block`: it is in the file system, and not the super block or
    /// the descriptors. Bitmaps and inode tables are for [`Self::check_against`].
    ///
    /// # Errors
    ///
    /// [`Corrupt::Block`] if not.
    pub(crate) fn check_data_block(&self, block: DiskBlock) -> Result<DiskBlock, Corrupt> {
        self.check_data_run(block, 1)
    }

    /// Does [`Self::check_data_block`] for `len` blocks from `first`; returns `first`.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Block`] with the first block of the run if any of it cannot hold data.
    pub(crate) fn check_data_run(&self, first: DiskBlock, len: u32) -> Result<DiskBlock, Corrupt> {
        if first.get() < self.metadata_end {
            return Err(no_data(first, BlockFault::SuperBlock));
        }
        match first.checked_add(len) {
            Some(end) if end.get() <= self.blocks_count => Ok(first),
            _ => Err(no_data(first, BlockFault::BeyondEnd)),
        }
    }

    /// Returns what a group keeps for itself: first block, number of blocks and what is there.
    ///
    /// All lies within the group; the first has no blocks where there is no copy of the super
    /// block and descriptors.
    pub(crate) fn group_metadata(&self, desc: &GroupDesc) -> [(DiskBlock, u32, BlockFault); 4] {
        let (first, _) = self.group_blocks(desc.group());
        let overhead = self.group_overhead(desc.group());
        [
            (first, overhead, BlockFault::SuperBlock),
            (desc.block_bitmap(), 1, BlockFault::BlockBitmap),
            (desc.inode_bitmap(), 1, BlockFault::InodeBitmap),
            (
                desc.inode_table(),
                self.itable_blocks,
                BlockFault::InodeTable,
            ),
        ]
    }

    /// Checks that `len` blocks from `first` hold nothing of what `desc` says its group holds,
    /// nor the copy of the super block and descriptors at its start.
    ///
    /// Blocks of other groups pass.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Block`] with the first block of the run, and what it would overwrite.
    pub(crate) fn check_against(
        &self,
        first: DiskBlock,
        len: u32,
        desc: &GroupDesc,
    ) -> Result<(), Corrupt> {
        if first >= desc.behind() {
            return Ok(());
        }
        let zones = self.group_metadata(desc);
        match zones
            .into_iter()
            .find(|(start, count, _)| overlap(first, len, *start, *count))
        {
            Some((_, _, fault)) => Err(no_data(first, fault)),
            None => Ok(()),
        }
    }
}

/// Returns whether `a_len` blocks from `a` and `b_len` blocks from `b` have one in common.
pub(super) fn overlap(a: DiskBlock, a_len: u32, b: DiskBlock, b_len: u32) -> bool {
    let (a, b) = (u64::from(a.get()), u64::from(b.get()));
    a_len != 0 && b_len != 0 && a < b + u64::from(b_len) && b < a + u64::from(a_len)
}

/// Returns whether `n` is `base` to the power of one or more.
fn is_power_of(n: u32, base: u32) -> bool {
    let mut power = base;
    while power < n {
        let Some(next) = power.checked_mul(base) else {
            return false;
        };
        power = next;
    }
    power == n
}

/// Returns an offset in a block as an index.
fn offset(bytes: u32) -> usize {
    // CAST: Less than the size of a block, so the default is never taken.
    usize::try_from(bytes).unwrap_or_default()
}

fn no_data(block: DiskBlock, fault: BlockFault) -> Corrupt {
    Corrupt::Block { block, fault }
}
