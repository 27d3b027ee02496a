// SPDX-License-Identifier: GPL-2.0

//! Blocks for a new branch of the tree: where they are best, and their way into it.
//!
//! C counterparts: `ext2_find_goal` and `ext2_alloc_branch` in
//! [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::{
    lookup::Branch,
    Node,
    State, //
};
use crate::{
    ext2::{
        self,
        DiskBlock,
        FileBlock,
        Ino,
        Path, //
    },
    fs::{
        space::{
            self,
            BlockRun, //
        },
        Inode, //
    },
    vfs, //
};
use core::mem;
use kernel::{
    num::casts::u32_as_usize,
    prelude::*,
    sync::barrier::{
        smp_mb,
        Write, //
    },
};

/// Most blocks of pointers that lead to a block of data.
const MAX_BELOW: usize = 3;

/// How many places in a group new files begin at, by the process that writes them.
const COLOURS: u32 = 16;

/// Returns where the block is best put: behind the one before it in the file, or else near to
/// what leads to it, or else in the inode's group, in a place that not every process begins at.
pub(super) fn goal(inode: &Inode, state: &State, block: FileBlock, branch: &Branch) -> DiskBlock {
    let behind = |(last, at): (FileBlock, DiskBlock)| {
        (last.checked_add(1) == Some(block)).then_some(at.checked_add(1))
    };
    if let Some(Some(goal)) = state.last.map(behind).flatten() {
        return goal;
    }
    let before = (0..branch.index).rev();
    let neighbour = before
        .filter_map(|index| branch.node.get(inode, index).ok())
        .find(|&pointer| pointer != 0);
    if let Some(pointer) = neighbour {
        return DiskBlock(pointer);
    }
    if let Node::Block(buffer) = &branch.node {
        // A block number has 32 bits.
        return DiskBlock(u32::try_from(buffer.block()).unwrap_or(0));
    }
    let disk = &inode.sb().data().disk;
    let ino = u32::try_from(inode.ino()).map_or(ext2::ROOT_INO, Ino);
    let (start, _) = disk.group_blocks(disk.inode_group(ino).unwrap_or(0));
    let colour = vfs::current_pid() % COLOURS * (disk.blocks_per_group() / COLOURS);
    start.checked_add(colour).unwrap_or(start)
}

/// Blocks for a branch of the tree, before they are in it.
pub(super) struct Taken {
    /// For pointers, from the top; as many as are needed, then zeroes.
    pointers: [u32; MAX_BELOW],
    /// For data.
    pub(super) data: BlockRun,
}

impl Taken {
    /// Takes `below` blocks for pointers and one to `max` for data.
    ///
    /// # Errors
    ///
    /// [`ENOSPC`] if there are not that many; none is taken then.
    pub(super) fn take(inode: &Inode, goal: DiskBlock, below: usize, max: u32) -> Result<Self> {
        let mut pointers = [0; MAX_BELOW];
        let mut goal = goal;
        let mut have = 0;
        loop {
            // OVERFLOW: Small numbers.
            let missing = u32::try_from(below - have)?;
            let run = space::alloc_blocks(inode, goal, missing + max).inspect_err(|_| {
                release_pointers(inode, &pointers);
            })?;
            let BlockRun { first, len } = run;
            let lead = len.min(missing);
            let places = pointers.iter_mut().skip(have);
            for (place, block) in places.zip(first.get()..).take(u32_as_usize(lead)) {
                *place = block;
            }
            have += u32_as_usize(lead);
            // OVERFLOW: The run is in the volume.
            goal = DiskBlock(first.get() + lead);
            if len > lead {
                let data = BlockRun {
                    first: goal,
                    len: len - lead,
                };
                return Ok(Self { pointers, data });
            }
        }
    }

    /// Puts the blocks of pointers into the tree, where `branch` ends. Returns what is to hold the
    /// pointers to the data, and the index of the first.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`]; the tree is as it was then.
    pub(super) fn link(&self, inode: &Inode, branch: Branch, path: &Path) -> Result<(Node, u32)> {
        let mut buffers = [const { None }; MAX_BELOW];
        let new = self.pointers.iter().take(branch.below);
        for (buffer, &block) in buffers.iter_mut().zip(new) {
            *buffer = Some(inode.sb().getblk_new(u64::from(block))?);
        }
        let mut end = (branch.node, branch.index);
        let mut top = None;
        let offsets = path.offsets();
        let below = offsets
            .iter()
            .skip(offsets.len().saturating_sub(branch.below));
        for ((buffer, &block), &offset) in
            buffers.into_iter().flatten().zip(&self.pointers).zip(below)
        {
            let above = mem::replace(&mut end, (Node::Block(buffer), offset));
            match top {
                // Nothing leads there until all is in place.
                None => top = Some((above, block)),
                Some(_) => above.0.set(inode, above.1, block)?,
            }
            end.0.mark_dirty(inode);
        }
        if let Some(((node, index), block)) = top {
            smp_mb(Write);
            node.set(inode, index, block)?;
            inode.add_blocks(u32::try_from(branch.below)?);
            node.mark_dirty(inode);
        }
        Ok(end)
    }

    /// Gives all of it back.
    pub(super) fn release(self, inode: &Inode) {
        release_pointers(inode, &self.pointers);
        space::free_blocks(inode.sb(), self.data.first, self.data.len);
    }
}

/// Gives blocks that were taken for pointers back.
fn release_pointers(inode: &Inode, pointers: &[u32]) {
    for &block in pointers.iter().filter(|&&block| block != 0) {
        space::free_blocks(inode.sb(), DiskBlock(block), 1);
    }
}
