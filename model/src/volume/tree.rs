// SPDX-License-Identifier: GPL-2.0

//! The blocks of a file, as `rust/fs/tree`.

use super::{to_usize, Failure, Volume};
use crate::ext2::{Cut, DiskBlock, FileBlock, GroupCount, Ino, Path, Step};

/// Where the pointers are in an inode, in bytes.
const POINTERS: usize = 40;

/// Where a pointer is, in bytes.
#[derive(Clone, Copy)]
struct Pointer(usize);

impl Volume {
    /// Fills block `block` of a file with a byte. The file is as long as it has blocks, at least.
    ///
    /// # Errors
    ///
    /// [`Failure::NoSpace`]; [`Failure::Damaged`].
    pub fn write(&mut self, ino: u32, block: u32, byte: u8) -> Result<(), Failure> {
        let ino = Ino(ino);
        let data = self.make_block(ino, FileBlock(block))?;
        self.block_mut(data)?.fill(byte);
        let end = u64::from(block + 1) << self.sb.block_bits();
        self.change_inode(ino, |inode| inode.size = inode.size.max(end))
    }

    /// Cuts a file to its first blocks.
    ///
    /// # Errors
    ///
    /// [`Failure::Damaged`].
    pub fn cut(&mut self, ino: u32, blocks: u32) -> Result<(), Failure> {
        let ino = Ino(ino);
        let size = u64::from(blocks) << self.sb.block_bits();
        self.change_inode(ino, |inode| inode.size = inode.size.min(size))?;
        self.free_behind(ino, blocks)
    }

    /// Frees all blocks of a file but the first `keep`.
    pub(super) fn free_behind(&mut self, ino: Ino, keep: u32) -> Result<(), Failure> {
        let before = self.free_blocks();
        let cut = Cut::to(keep.into(), &self.sb);
        if let Some(partial) = &cut.partial {
            let root = self.root(ino, partial.root)?;
            self.free_part(root, partial.root - 12, partial.steps())?;
        }
        for index in cut.roots {
            let root = self.root(ino, index)?;
            self.free_whole(root, index.saturating_sub(11))?;
        }
        let freed = (self.free_blocks() - before) * self.sectors_per_block();
        self.change_inode(ino, |inode| inode.sectors -= freed)
    }

    /// Returns a block of a file, which is there afterwards.
    pub(super) fn make_block(&mut self, ino: Ino, block: FileBlock) -> Result<DiskBlock, Failure> {
        let before = self.free_blocks();
        let made = self.make_path(ino, &Path::to(block, &self.sb)?);
        // Without room for all of it, a part is there all the same.
        let taken = (before - self.free_blocks()) * self.sectors_per_block();
        self.change_inode(ino, |inode| inode.sectors += taken)?;
        made
    }

    /// Makes what is missing of the way to a block, and the block. Returns where it is.
    fn make_path(&mut self, ino: Ino, path: &Path) -> Result<DiskBlock, Failure> {
        let group = self.sb.inode_group(ino)?;
        let mut at = DiskBlock(0);
        for (depth, &index) in path.offsets().iter().enumerate() {
            let pointer = match depth {
                0 => self.root(ino, index)?,
                _ => self.child(at, index),
            };
            at = self.get(pointer);
            if at.get() == 0 {
                at = self.alloc_block(group)?;
                self.set(pointer, at);
            }
            self.sb.check_data_block(at)?;
        }
        Ok(at)
    }

    fn free_blocks(&self) -> u32 {
        let groups = 0..self.sb.groups_count();
        let count = |group| u32::from(self.count(group, GroupCount::FreeBlocks));
        groups.map(count).sum()
    }

    /// Frees what `steps` say of the tree under a pointer, with `below` levels under its first block.
    fn free_part(&mut self, pointer: Pointer, below: u32, steps: &[Step]) -> Result<(), Failure> {
        let (Some((step, deeper)), block) = (steps.split_first(), self.get(pointer)) else {
            return Ok(());
        };
        if block.get() == 0 {
            return Ok(());
        }
        if !deeper.is_empty() {
            let last = self.child(block, step.from - 1);
            self.free_part(last, below - 1, deeper)?;
        }
        for index in step.from..self.per_block() {
            self.free_whole(self.child(block, index), below)?;
        }
        let mut kept = (0..step.from).map(|index| self.get(self.child(block, index)));
        if kept.all(|block| block.get() == 0) {
            self.set(pointer, DiskBlock(0));
            self.free_block(block)?;
        }
        Ok(())
    }

    /// Frees all under a pointer, with `below` levels of pointers under it.
    fn free_whole(&mut self, pointer: Pointer, below: u32) -> Result<(), Failure> {
        let block = self.get(pointer);
        if block.get() == 0 {
            return Ok(());
        }
        if below > 0 {
            for index in 0..self.per_block() {
                self.free_whole(self.child(block, index), below - 1)?;
            }
        }
        self.set(pointer, DiskBlock(0));
        self.free_block(block)
    }

    fn root(&self, ino: Ino, index: u32) -> Result<Pointer, Failure> {
        let start = self.inode_place(ino)? + POINTERS;
        Ok(Pointer(start + 4 * to_usize(index)))
    }

    fn child(&self, block: DiskBlock, index: u32) -> Pointer {
        Pointer(self.place(block).0 + 4 * to_usize(index))
    }

    fn get(&self, Pointer(at): Pointer) -> DiskBlock {
        let bytes = self.bytes[at..at + 4].try_into();
        DiskBlock(u32::from_le_bytes(bytes.expect("four bytes")))
    }

    fn set(&mut self, Pointer(at): Pointer, block: DiskBlock) {
        self.bytes[at..at + 4].copy_from_slice(&block.get().to_le_bytes());
    }
}
