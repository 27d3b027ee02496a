// SPDX-License-Identifier: GPL-2.0

//! The super block: whether there is a file system we can mount, and what it says of itself.
//!
//! [`SuperBlock::parse`] holds an image to all that `fs/ext2` asks of it at mount, and to some
//! more where `fs/ext2` would divide by, or index with, what it read. Where things lie follows
//! from the numbers kept here; that is in `geometry.rs`.
//!
//! C counterpart: `ext2_fill_super` in [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use super::{
    raw::{
        RawSuper,
        DESC_BITS,
        GOOD_OLD_INODE_SIZE, //
    },
    Compat,
    DiskBlock,
    FeatureNames,
    Incompat,
    Refusal,
    SUPER_SIZE, //
};
use core::num::NonZeroU32;
use zerocopy::FromBytes;

const MAGIC: u16 = 0xef53;

/// Revision 0 has fixed inode sizes and first inode, and says nothing of either.
pub(super) const GOOD_OLD_REV: u32 = 0;
pub(super) const DYNAMIC_REV: u32 = 1;
pub(super) const GOOD_OLD_FIRST_INO: u32 = 11;

/// Blocks are 1024 bytes shifted by at most this much. The format allows 6; beyond 2 is more
/// than a page, which cohfs does not do.
const MAX_LOG_BLOCK_SIZE: u32 = 2;

/// A super block that was checked.
///
/// # Invariants
///
/// - `block_bits` is 10 to 12, and `inode_bits` is 7 to `block_bits`.
/// - `blocks_count` is larger than `first_data_block` and `metadata_end`.
/// - `groups_count` is positive; `groups_count * inodes_per_group` is `inodes_count`; the first
///   block of every group is below `blocks_count`.
/// - A bitmap of `blocks_per_group`, or of `inodes_per_group`, fits a block.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SuperBlock {
    pub(super) blocks_count: u32,
    pub(super) inodes_count: u32,
    pub(super) first_data_block: u32,
    pub(super) block_bits: u32,
    pub(super) inode_bits: u32,
    pub(super) blocks_per_group: NonZeroU32,
    pub(super) inodes_per_group: NonZeroU32,
    pub(super) groups_count: u32,
    /// Blocks of the inode table of a group.
    pub(super) itable_blocks: u32,
    /// Blocks of descriptors behind the super block: all there are, without `meta_bg`.
    pub(super) desc_blocks_together: u32,
    /// Blocks behind them that `resize_inode` keeps.
    pub(super) reserved_desc_blocks: u32,
    /// The block that it was read from, with its descriptors behind it.
    pub(super) own_block: u32,
    /// One past the super block and descriptors of the first group.
    pub(super) metadata_end: u32,
    /// The groups with backups if `sparse_super2` is set.
    pub(super) backup_groups: [u32; 2],
    pub(super) first_ino: u32,
    pub(super) compat: u32,
    pub(super) ro_compat: u32,
    pub(super) incompat: u32,
    reserved_blocks: u32,
    def_resuid: u16,
    def_resgid: u16,
    pub(super) state: u16,
    pub(super) errors: u16,
    pub(super) default_mount_opts: u32,
    pub(super) mnt_count: u16,
    pub(super) max_mnt_count: u16,
    pub(super) lastcheck: u32,
    pub(super) checkinterval: u32,
    uuid: [u8; 16],
}

impl SuperBlock {
    /// Checks the super block of a device.
    ///
    /// `raw` are the bytes at [`SUPER_OFFSET`](super::SUPER_OFFSET), at least [`SUPER_SIZE`];
    /// `device_bytes` is the size of the whole device. Features that only forbid writing are no
    /// reason to refuse: see [`Self::read_only_features`].
    ///
    /// # Errors
    ///
    /// Why it cannot be mounted. The magic number comes first and then the features, since with
    /// unknown ones the rest may mean something else.
    pub(crate) fn parse(raw: &[u8], device_bytes: u64) -> Result<Self, Refusal> {
        let Ok((es, _)) = RawSuper::ref_from_prefix(raw) else {
            return Err(Refusal::Truncated {
                need: bytes(super::SUPER_OFFSET, SUPER_SIZE),
                have: device_bytes,
            });
        };
        let magic = es.magic.get();
        if magic != MAGIC {
            return Err(Refusal::BadMagic(magic));
        }
        let rev_level = es.rev_level.get();
        if rev_level > DYNAMIC_REV {
            return Err(Refusal::Revision(rev_level));
        }
        // Whatever the revision: there have been drivers that set flags and did not raise it.
        let incompat = es.feature_incompat.get();
        let unknown = incompat & !Incompat::SUPPORTED;
        if unknown != 0 {
            return Err(Refusal::UnknownIncompat(FeatureNames::incompat(unknown)));
        }
        let (block_bits, inode_bits) = sizes(es)?;
        let block_size = 1u32 << block_bits;
        let bits_per_block = block_size << 3;

        let first_data_block = es.first_data_block.get();
        let expected = u32::from(block_bits == 10);
        if first_data_block != expected {
            return Err(geometry(
                "s_first_data_block does not suit the block size",
                first_data_block,
                expected,
            ));
        }
        let blocks_count = es.blocks_count.get();
        if blocks_count <= first_data_block {
            return Err(geometry(
                "s_blocks_count is too small",
                blocks_count,
                first_data_block,
            ));
        }
        let need = u64::from(blocks_count) << block_bits;
        if need > device_bytes {
            return Err(Refusal::Truncated {
                need,
                have: device_bytes,
            });
        }

        let inodes_per_group = es.inodes_per_group.get();
        // A table that does not fill its last block has that block all the same.
        let itable_blocks = ceil_shift(inodes_per_group, block_bits - inode_bits);
        let inodes_per_group = match NonZeroU32::new(inodes_per_group) {
            Some(count) if count.get() <= bits_per_block => count,
            _ => {
                return Err(geometry(
                    "s_inodes_per_group is 0 or more than a bitmap has bits",
                    inodes_per_group,
                    bits_per_block,
                ))
            }
        };
        let blocks_per_group = es.blocks_per_group.get();
        let blocks_per_group = match NonZeroU32::new(blocks_per_group) {
            // OVERFLOW: With at most 2^15 inodes a group there are fewer blocks of them.
            Some(count) if count.get() > itable_blocks + 3 => count,
            _ => {
                return Err(geometry(
                    "s_blocks_per_group leaves no room beside bitmaps and inode table",
                    blocks_per_group,
                    itable_blocks,
                ))
            }
        };
        if blocks_per_group.get() > bits_per_block {
            return Err(geometry(
                "s_blocks_per_group is more than a bitmap has bits",
                blocks_per_group.get(),
                bits_per_block,
            ));
        }
        // OVERFLOW: `blocks_count` is larger than `first_data_block`.
        let groups_count = (blocks_count - first_data_block - 1) / blocks_per_group + 1;
        let inodes_count = es.inodes_count.get();
        let computed = u64::from(groups_count) * u64::from(inodes_per_group.get());
        if computed != u64::from(inodes_count) {
            return Err(Refusal::Geometry {
                what: "s_inodes_count is not s_inodes_per_group times the number of groups",
                found: u64::from(inodes_count),
                against: computed,
            });
        }

        let first_ino = match rev_level {
            GOOD_OLD_REV => GOOD_OLD_FIRST_INO,
            _ => es.first_ino.get(),
        };
        if first_ino < GOOD_OLD_FIRST_INO || first_ino > inodes_count {
            return Err(geometry(
                "s_first_ino is below 11 or above s_inodes_count",
                first_ino,
                inodes_count,
            ));
        }

        let compat = es.feature_compat.get();
        let desc_blocks = ceil_shift(groups_count, block_bits - DESC_BITS);
        let desc_blocks_together = if incompat & Incompat::META_BG != 0 {
            es.first_meta_bg.get()
        } else {
            desc_blocks
        };
        if desc_blocks_together > desc_blocks {
            return Err(geometry(
                "s_first_meta_bg is more than there are blocks of descriptors",
                desc_blocks_together,
                desc_blocks,
            ));
        }
        let reserved_desc_blocks = if compat & Compat::RESIZE_INODE != 0 {
            u32::from(es.reserved_gdt_blocks.get())
        } else {
            0
        };
        // The resize inode lists them in one block of pointers.
        if reserved_desc_blocks > block_size >> 2 {
            return Err(geometry(
                "s_reserved_gdt_blocks is more than a block has pointers",
                reserved_desc_blocks,
                block_size >> 2,
            ));
        }
        // OVERFLOW: At most 2^25 blocks of descriptors and 2^10 reserved.
        let metadata_end = first_data_block + 1 + desc_blocks_together + reserved_desc_blocks;
        if metadata_end >= blocks_count {
            return Err(geometry(
                "the descriptors do not fit s_blocks_count",
                metadata_end,
                blocks_count,
            ));
        }

        // INVARIANT: All checked above.
        Ok(Self {
            blocks_count,
            inodes_count,
            first_data_block,
            block_bits,
            inode_bits,
            blocks_per_group,
            inodes_per_group,
            groups_count,
            itable_blocks,
            desc_blocks_together,
            reserved_desc_blocks,
            own_block: first_data_block,
            metadata_end,
            backup_groups: es.backup_bgs.map(|group| group.get()),
            first_ino,
            compat,
            ro_compat: es.feature_ro_compat.get(),
            incompat,
            reserved_blocks: es.r_blocks_count.get(),
            def_resuid: es.def_resuid.get(),
            def_resgid: es.def_resgid.get(),
            state: es.state.get(),
            errors: es.errors.get(),
            default_mount_opts: es.default_mount_opts.get(),
            mnt_count: es.mnt_count.get(),
            max_mnt_count: es.max_mnt_count.get(),
            lastcheck: es.lastcheck.get(),
            checkinterval: es.checkinterval.get(),
            uuid: es.uuid,
        })
    }

    /// Returns it as the copy that was read from `block`, which goes with copies of the descriptors.
    pub(crate) fn read_from(self, block: DiskBlock) -> Self {
        Self {
            own_block: block.get(),
            ..self
        }
    }

    /// Number of inodes that may name a file: all.
    pub(crate) fn inodes_count(&self) -> u32 {
        self.inodes_count
    }

    /// Lowest inode number that is not reserved.
    pub(crate) fn first_ino(&self) -> u32 {
        self.first_ino
    }

    /// Blocks that only [`Self::def_resuid`] and [`Self::def_resgid`] may use.
    pub(crate) fn reserved_blocks(&self) -> u32 {
        self.reserved_blocks
    }

    /// User that may use the reserved blocks.
    pub(crate) fn def_resuid(&self) -> u16 {
        self.def_resuid
    }

    /// Group that may use the reserved blocks.
    pub(crate) fn def_resgid(&self) -> u16 {
        self.def_resgid
    }

    /// Unique number of the file system.
    pub(crate) fn uuid(&self) -> [u8; 16] {
        self.uuid
    }
}

/// Returns log2 of the sizes of a block and of an inode.
fn sizes(es: &RawSuper) -> Result<(u32, u32), Refusal> {
    let log = es.log_block_size.get();
    if log > MAX_LOG_BLOCK_SIZE {
        return Err(Refusal::BlockSize(log));
    }
    if es.log_frag_size.get() != log {
        return Err(geometry(
            "s_log_frag_size is not s_log_block_size",
            es.log_frag_size.get(),
            log,
        ));
    }
    let block_bits = 10 + log;
    let inode_size = match es.rev_level.get() {
        GOOD_OLD_REV => u32::from(GOOD_OLD_INODE_SIZE),
        _ => u32::from(es.inode_size.get()),
    };
    if inode_size < u32::from(GOOD_OLD_INODE_SIZE)
        || !inode_size.is_power_of_two()
        || inode_size > 1 << block_bits
    {
        return Err(Refusal::InodeSize(inode_size));
    }
    Ok((block_bits, inode_size.trailing_zeros()))
}

/// Returns `n` divided by two to the power of `bits`, rounded up.
fn ceil_shift(n: u32, bits: u32) -> u32 {
    // OVERFLOW: Rounding up the quotient instead of the dividend; it is zero if `bits` is.
    (n >> bits) + u32::from(n & ((1 << bits) - 1) != 0)
}

fn geometry(what: &'static str, found: u32, against: u32) -> Refusal {
    Refusal::Geometry {
        what,
        found: u64::from(found),
        against: u64::from(against),
    }
}

fn bytes(offset: u64, len: usize) -> u64 {
    u64::try_from(len).map_or(u64::MAX, |len| offset.saturating_add(len))
}
