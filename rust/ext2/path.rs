// SPDX-License-Identifier: GPL-2.0

//! The way from an inode to the blocks of its file.
//!
//! An inode has fifteen pointers: twelve to the first blocks of the file, then one to a block of
//! pointers, one to a block of pointers to such blocks, and one with yet another level. A pointer
//! of zero is a hole, at any level.
//!
//! C counterparts: `ext2_block_to_path` and `ext2_get_blocks` in
//! [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c), `ext2_max_size` in
//! [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use super::{
    Corrupt,
    DiskBlock,
    FileBlock,
    SuperBlock, //
};

/// Number of pointers to data in the inode, and the index of the first of the others.
pub(crate) const N_DIRECT: u32 = 12;

/// Which pointers lead to a block of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// Number of pointers to follow: 1 to 4.
    pub(crate) depth: usize,
    /// Index of each pointer, the first in the inode, the others in the block that the one
    /// before leads to. Only the first `depth` mean something.
    pub(crate) offsets: [u32; 4],
    /// How many pointers to data follow the last one, in the inode or in its block.
    pub(crate) boundary: u32,
}

impl Path {
    /// Returns the path to block `block` of any file.
    ///
    /// # Errors
    ///
    /// [`Corrupt::BeyondMap`] if the pointers do not reach that far.
    pub(crate) fn to(block: FileBlock, sb: &SuperBlock) -> Result<Self, Corrupt> {
        let bits = sb.pointer_bits();
        let per_block = 1u32 << bits;
        let mask = per_block - 1;
        let beyond = Corrupt::BeyondMap(block);

        let n = block.get();
        if n < N_DIRECT {
            return Ok(Self {
                depth: 1,
                offsets: [n, 0, 0, 0],
                boundary: N_DIRECT - 1 - n,
            });
        }
        let n = n - N_DIRECT;
        let (depth, offsets, last) = if n < per_block {
            (2, [N_DIRECT, n, 0, 0], n)
        } else {
            let n = n - per_block;
            let last = n & mask;
            if n >> bits < per_block {
                (3, [N_DIRECT + 1, n >> bits, last, 0], last)
            } else {
                // OVERFLOW: `n` is at least 2^(2 * bits) here, and `bits` at most 10.
                let n = n - (1 << (2 * bits));
                let top = n >> (2 * bits);
                if top >= per_block {
                    return Err(beyond);
                }
                (
                    4,
                    [N_DIRECT + 2, top, (n >> bits) & mask, n & mask],
                    n & mask,
                )
            }
        };
        Ok(Self {
            depth,
            offsets,
            boundary: mask - last,
        })
    }

    /// Returns the index of each pointer to follow.
    pub(crate) fn offsets(&self) -> &[u32] {
        self.offsets.get(..self.depth).unwrap_or_default()
    }
}

/// Returns how many blocks lie one behind the other from `first` on, `first` included.
///
/// `next` are the pointers that follow the one to `first`. At most `max`, at least one.
pub(crate) fn run_length(next: impl IntoIterator<Item = u32>, first: DiskBlock, max: u32) -> u32 {
    let mut len = 1u32;
    for pointer in next {
        if len >= max || first.checked_add(len) != Some(DiskBlock(pointer)) {
            break;
        }
        // OVERFLOW: Less than `max`.
        len += 1;
    }
    len
}

/// Returns the number of blocks that the pointers of one inode can reach.
pub(super) fn map_blocks(sb: &SuperBlock) -> u64 {
    let bits = sb.pointer_bits();
    // OVERFLOW: `bits` is at most 10.
    u64::from(N_DIRECT) + (1 << bits) + (1 << (2 * bits)) + (1 << (3 * bits))
}

/// Returns the size of the largest file, in bytes.
///
/// Two things limit it: what the pointers can reach, and that all blocks of a file without holes,
/// those of pointers included, are counted in 512-byte sectors with 32 bits. The latter limit is
/// the one `fs/ext2` has, to the byte: it is a little lower than it could be.
pub(crate) fn max_file_size(sb: &SuperBlock) -> u64 {
    let bits = sb.pointer_bits();
    let per_block = 1u64 << bits;
    let round_up = |n: u64, bits: u32| (n + (1 << bits) - 1) >> bits;

    // OVERFLOW: All of this is below 2^33, by the limit of `bits`.
    let reach = map_blocks(sb);
    let full_tree = 1 + (1 + per_block) + (1 + per_block + (1 << (2 * bits)));
    let countable = u64::from(u32::MAX) >> (sb.block_bits() - 9);
    if reach + full_tree <= countable {
        return reach << sb.block_bits();
    }
    // The pointers that `countable` blocks of data would need.
    let rest = countable - u64::from(N_DIRECT) - per_block;
    let double = 1u64 << (2 * bits);
    let tree = if rest < double {
        1 + 1 + round_up(rest, bits)
    } else {
        let rest = rest - double;
        1 + (1 + per_block) + (1 + round_up(rest, bits) + round_up(rest, 2 * bits))
    };
    (countable - tree) << sb.block_bits()
}
