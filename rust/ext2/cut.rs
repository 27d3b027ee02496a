// SPDX-License-Identifier: GPL-2.0

//! What to give back when a file is cut short.
//!
//! C counterpart: `ext2_find_shared` and `__ext2_truncate_blocks` in
//! [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::{
    path::N_DIRECT,
    SuperBlock, //
};
use core::ops::Range;

/// Number of pointers in the inode that lead to blocks of pointers.
const N_TREES: u32 = 3;

/// Which pointers go when a file keeps only its first blocks.
///
/// The pointers of the inode fall into those that stay, at most one tree that is cut, and those
/// that go with all that is below them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The pointers of the inode, to data and to whole trees, that go.
    pub(crate) roots: Range<u32>,
    /// The tree that keeps a part; it is the one before `roots`.
    pub(crate) partial: Option<Partial>,
}

/// The way down the edge of the cut in one tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partial {
    /// The pointer of the inode that leads to the tree.
    pub(crate) root: u32,
    /// What goes in the block of pointers at each level, from the top; the first `depth` count.
    steps: [Step; 3],
    depth: usize,
}

/// The cut in one block of pointers, which itself stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// This pointer goes, and all behind it, with all that is below them.
    ///
    /// The one before it leads to the block of the next step, if there is one.
    pub(crate) from: u32,
}

impl Cut {
    /// Returns what goes when a file keeps its first `keep` blocks.
    pub(crate) fn to(keep: u64, sb: &SuperBlock) -> Self {
        let bits = sb.pointer_bits();
        let end = N_DIRECT + N_TREES;
        let mut start = u64::from(N_DIRECT);
        if keep < start {
            return Self {
                // Below `N_DIRECT`.
                roots: u32::try_from(keep).unwrap_or(0)..end,
                partial: None,
            };
        }
        for level in 0..N_TREES {
            let root = N_DIRECT + level;
            // OVERFLOW: `bits` is at most 10, the level at most 2.
            let size = 1u64 << (bits * (level + 1));
            let inside = keep - start;
            if inside == 0 {
                return Self {
                    roots: root..end,
                    partial: None,
                };
            }
            if inside < size {
                return Self {
                    roots: root + 1..end,
                    partial: Some(Partial::new(root, level, inside, bits)),
                };
            }
            start += size;
        }
        Self {
            roots: end..end,
            partial: None,
        }
    }
}

impl Partial {
    /// Cuts a tree behind its first `keep` blocks, which are neither none nor all.
    fn new(root: u32, level: u32, keep: u64, bits: u32) -> Self {
        let mut steps = [Step::default(); 3];
        let mut depth = 0;
        let mut keep = keep;
        for (step, below) in steps.iter_mut().zip((0..=level).rev()) {
            let size = 1u64 << (bits * below);
            // Of a child that is kept in part, the next one is the first that goes.
            let from = keep.div_ceil(size);
            // OVERFLOW: At most the number of pointers in a block.
            step.from = u32::try_from(from).unwrap_or(u32::MAX);
            depth += 1;
            keep %= size;
            if keep == 0 {
                break;
            }
        }
        Self { root, steps, depth }
    }

    /// The steps, from the top of the tree down.
    pub(crate) fn steps(&self) -> &[Step] {
        self.steps.get(..self.depth).unwrap_or_default()
    }
}
