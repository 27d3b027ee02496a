// SPDX-License-Identifier: GPL-2.0

//! Taking blocks away from a file.
//!
//! C counterpart: `__ext2_truncate_blocks` in [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::Node;
use crate::{
    ext2::{
        self,
        Cut,
        DiskBlock,
        Step, //
    },
    fs::{
        error,
        space,
        Inode, //
    },
    pagecache::{
        ByteRange,
        InvalidateGuard, //
    },
    vfs::{
        self,
        BufferHead, //
    },
};
use core::ops::Range;
use kernel::prelude::*;

/// Frees what lies beyond `size` bytes of the file: its blocks, and the blocks of pointers that lead
/// to nothing else. What cannot be read is lost, and that is said.
///
/// # Context
///
/// May sleep. No folio beyond `size` is in the page cache, `i_size` is `size` or less, and no direct
/// read is in flight.
pub(in crate::fs) fn cut(inode: &Inode, size: u64, _lock: &InvalidateGuard<'_>) {
    keep(inode, size.div_ceil(1 << inode.sb().block_bits()));
}

/// Frees all blocks of an inode that is evicted.
///
/// # Context
///
/// May sleep. Nobody else uses the inode.
pub(in crate::fs) fn clear(inode: &Inode) {
    keep(inode, 0);
}

/// Frees the blocks of `range`, which are whole, and the blocks of pointers that lead to nothing else.
///
/// # Context
///
/// May sleep. No folio over `range` is in the page cache, and no direct read is in flight.
///
/// # Errors
///
/// [`EIO`] if a block of pointers cannot be read, [`EUCLEAN`] if one cannot be there; the rest is
/// freed.
pub(in crate::fs) fn punch(inode: &Inode, range: ByteRange, _lock: &InvalidateGuard<'_>) -> Result {
    let bits = inode.sb().block_bits();
    let blocks = range.pos() >> bits..range.end() >> bits;
    let tree = &inode.data().tree;
    let mut state = tree.lock();
    tree.note_cut();
    let mut cutter = Cutter::new(inode);
    let mut result = Ok(());
    let mut start = 0;
    for index in (0..).take(ext2::N_BLOCKS) {
        let level = level(index);
        result = result.and(cutter.hole(&Node::Inode, index, level, start, &blocks));
        // OVERFLOW: Three levels of at most 2^10 pointers.
        start += cutter.reach(level);
    }
    cutter.flush();
    tree.note_cut();
    inode.mark_dirty();
    state.last = None;
    result
}

/// Frees all but the first `blocks` blocks.
fn keep(inode: &Inode, blocks: u64) {
    let tree = &inode.data().tree;
    let mut state = tree.lock();
    tree.note_cut();
    let cut = Cut::to(blocks, &inode.sb().data().disk);
    let mut cutter = Cutter::new(inode);
    let root = Node::Inode;
    let edge = match &cut.partial {
        Some(partial) => cutter.edge(&root, partial.root, level(partial.root), partial.steps()),
        None => Ok(()),
    };
    let rest = cut.roots.fold(Ok(()), |done, index| {
        done.and(cutter.whole(&root, index, level(index), After::Stays))
    });
    cutter.flush();
    tree.note_cut();
    if let Err(error) = edge.and(rest) {
        inode.sb().err(format_args!(
            "inode {}: cannot free all of its blocks: {error:?}; run e2fsck",
            inode.ino()
        ));
    }
    inode.mark_dirty();
    state.last = None;
    space::discard_window(inode);
}

/// Returns how many levels of pointers are below a pointer of the inode.
fn level(root: u32) -> u32 {
    // The pointers to data come first.
    root.saturating_sub(ext2::N_DIRECT - 1)
}

/// What becomes of what holds a pointer that is cut.
#[derive(Clone, Copy, PartialEq, Eq)]
enum After {
    /// It stays, and is to be written.
    Stays,
    /// It is freed as well, and need not be.
    Goes,
}

/// One cut.
struct Cutter<'a> {
    inode: &'a Inode,
    /// Blocks that lie one behind the other and are to be freed together.
    run: Option<(DiskBlock, u32)>,
    /// How many blocks may still be freed: a damaged tree can lead to the same ones again and again.
    budget: u32,
}

impl<'a> Cutter<'a> {
    fn new(inode: &'a Inode) -> Self {
        Self {
            inode,
            run: None,
            budget: inode.sb().data().disk.blocks_count(),
        }
    }

    /// Returns how many blocks of data a pointer leads to that has `level` levels of pointers below.
    fn reach(&self, level: u32) -> u64 {
        // OVERFLOW: As many bits as the number of a block of a file has, and a few.
        1 << (self.inode.sb().data().disk.pointer_bits() * level)
    }

    /// Returns how many pointers are in a block of them.
    fn count(&self) -> u32 {
        1 << self.inode.sb().data().disk.pointer_bits()
    }

    /// Reads the block of pointers that pointer `index` of `node` leads to; nothing if it is zero.
    fn child(&self, node: &Node, index: u32) -> Result<Option<(DiskBlock, BufferHead)>> {
        vfs::cond_resched();
        let block = DiskBlock(node.get(self.inode, index)?);
        if block.get() == 0 {
            return Ok(None);
        }
        let buffer = self.inode.sb().bread(u64::from(block.get()))?;
        Ok(Some((block, buffer)))
    }

    /// Frees what `steps` say of the tree that pointer `index` of `node` leads to; all of it, if
    /// nothing else was in it.
    ///
    /// # Errors
    ///
    /// [`EIO`] if a block of pointers cannot be read; the tree is as it was, from there down.
    fn edge(&mut self, node: &Node, index: u32, level: u32, steps: &[Step]) -> Result {
        let inode = self.inode;
        let Some((step, deeper)) = steps.split_first() else {
            return Ok(());
        };
        if node.get(inode, index)? == 0 {
            return Ok(());
        }
        self.check(node, index)?;
        let Some((block, buffer)) = self.child(node, index)? else {
            return Ok(());
        };
        let child = Node::Block(buffer.clone());
        // OVERFLOW: There are as many steps as levels, at most; the first that goes has one before
        // it where there is another step.
        let mut result = match deeper {
            [] => Ok(()),
            _ => self.edge(&child, step.from - 1, level - 1, deeper),
        };
        let mut next = step.from;
        while let Some(index) = child.next(inode, next..self.count()) {
            result = result.and(self.whole(&child, index, level - 1, After::Stays));
            next = index + 1;
        }
        result.and(self.drop_empty(node, index, block, buffer))
    }

    /// Frees what lies in `blocks` of the tree that pointer `index` of `node` leads to, and which
    /// begins with block `start` of the file; all of it, if nothing else was in it.
    ///
    /// # Errors
    ///
    /// As [`Self::edge`], [`Self::whole`].
    fn hole(
        &mut self,
        node: &Node,
        index: u32,
        level: u32,
        start: u64,
        blocks: &Range<u64>,
    ) -> Result {
        // OVERFLOW: Beyond what a file can have by the reach of a pointer at most.
        let end = start + self.reach(level);
        if end <= blocks.start || blocks.end <= start || node.get(self.inode, index)? == 0 {
            return Ok(());
        }
        if blocks.start <= start && end <= blocks.end {
            return self.whole(node, index, level, After::Stays);
        }
        self.check(node, index)?;
        let Some((block, buffer)) = self.child(node, index)? else {
            return Ok(());
        };
        let child = Node::Block(buffer.clone());
        let mut result = Ok(());
        for index in 0..self.count() {
            // OVERFLOW: A pointer to data is in the range or not, so there is a level below.
            let start = start + u64::from(index) * self.reach(level - 1);
            result = result.and(self.hole(&child, index, level - 1, start, blocks));
        }
        result.and(self.drop_empty(node, index, block, buffer))
    }

    /// Frees a block of pointers that pointer `index` of `node` leads to, if all of them are zero.
    fn drop_empty(
        &mut self,
        node: &Node,
        index: u32,
        block: DiskBlock,
        buffer: BufferHead,
    ) -> Result {
        let inode = self.inode;
        let child = Node::Block(buffer);
        if child.next(inode, 0..self.count()).is_some() {
            child.mark_dirty(inode);
            return Ok(());
        }
        node.set(inode, index, 0)?;
        node.mark_dirty(inode);
        if let Node::Block(buffer) = child {
            buffer.forget();
        }
        self.free(block);
        Ok(())
    }

    /// Frees all that pointer `index` of `node` leads to.
    ///
    /// The pointer is zero afterwards, also if it leads to where nothing can be read: what it led to
    /// must not come back when the file grows.
    ///
    /// # Errors
    ///
    /// [`EIO`] if a block of pointers cannot be read, [`EUCLEAN`] if one cannot be there; what is
    /// below it stays in use.
    fn whole(&mut self, node: &Node, index: u32, level: u32, after: After) -> Result {
        let inode = self.inode;
        let block = DiskBlock(node.get(inode, index)?);
        if block.get() == 0 || self.budget == 0 {
            return Ok(());
        }
        let checked = self.check(node, index);
        let child = match level {
            0 => Ok(None),
            _ => checked.and_then(|()| self.child(node, index)),
        };
        // Also in what goes: a damaged tree can lead there once more.
        node.set(inode, index, 0)?;
        if after == After::Stays {
            node.mark_dirty(inode);
        }
        checked?;
        let mut result = Ok(());
        if let Some((_, buffer)) = child? {
            let child = Node::Block(buffer.clone());
            let mut next = 0;
            while let Some(index) = child.next(inode, next..self.count()) {
                // OVERFLOW: Only what is above other levels has a child; an index is small.
                result = result.and(self.whole(&child, index, level - 1, After::Goes));
                next = index + 1;
            }
            buffer.forget();
        }
        self.free(block);
        result
    }

    /// Checks that a block of the file can be where pointer `index` of `node` leads.
    fn check(&self, node: &Node, index: u32) -> Result {
        let block = DiskBlock(node.get(self.inode, index)?);
        let checked = self.inode.sb().data().check_run(block, 1);
        checked.map_err(|found| error::corrupt_in(self.inode, &found))
    }

    /// Frees a block, together with those that it continues.
    fn free(&mut self, block: DiskBlock) {
        self.budget = self.budget.saturating_sub(1);
        self.run = match self.run {
            Some((first, len)) if first.checked_add(len) == Some(block) => Some((first, len + 1)),
            _ => {
                self.flush();
                Some((block, 1))
            }
        };
    }

    /// Frees what was put together.
    ///
    /// The blocks of directories and of symbolic links are buffers that belong to the inode. They
    /// leave it before anybody else can take the blocks, and need not be written any more.
    fn flush(&mut self) {
        if let Some((first, len)) = self.run.take() {
            if !self.inode.is_regular() {
                for block in (0..len).filter_map(|next| first.checked_add(next)) {
                    self.inode.sb().forget(u64::from(block.get()));
                }
            }
            self.inode.sub_blocks(len);
            space::free_blocks(self.inode.sb(), first, len);
        }
    }
}
