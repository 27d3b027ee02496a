// SPDX-License-Identifier: GPL-2.0

//! Changes an ext2 image the way the module does.
//!
//! As in [`image`](crate::image), what is decided about the format is decided by the room `ext2`:
//! where an entry goes, which group an inode is from, what goes when a file is cut. What is here is
//! the least that makes file operations of it; blocks are simply the first free ones. So an image
//! that `e2fsck` finds clean after many changes says that these decisions are right.

mod names;
mod tree;

use std::fmt;

use crate::ext2::{
    self, group_of_directory, group_of_file, Corrupt, DiskBlock, GroupCount, GroupDesc, Ino, Inode,
    SuperBlock, Usage, ROOT_INO,
};
use crate::image::{Fault, Image};

/// Why a change could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is no free block, or no free inode.
    NoSpace,
    /// There is such a name already.
    Exists,
    /// There is no such name, or no such block of the file.
    NotFound,
    /// The directory has something in it.
    NotEmpty,
    /// The image is damaged.
    Damaged(Fault),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSpace => f.write_str("no space"),
            Self::Exists => f.write_str("the name exists"),
            Self::NotFound => f.write_str("not found"),
            Self::NotEmpty => f.write_str("not empty"),
            Self::Damaged(fault) => fault.fmt(f),
        }
    }
}

impl std::error::Error for Failure {}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Damaged(fault)
    }
}

impl From<Corrupt> for Failure {
    fn from(found: Corrupt) -> Self {
        Self::Damaged(found.into())
    }
}

/// An image that is being changed.
pub struct Volume {
    bytes: Vec<u8>,
    sb: SuperBlock,
    groups: Vec<GroupDesc>,
    /// The time of all that happens, in seconds since 1970.
    now: u32,
}

impl Volume {
    /// Takes an image that would be mounted.
    ///
    /// # Errors
    ///
    /// Why it would not be.
    pub fn open(bytes: Vec<u8>, now: u32) -> Result<Self, Fault> {
        let image = Image::open(&bytes)?;
        let (sb, groups) = image.into_parts();
        Ok(Self {
            bytes,
            sb,
            groups,
            now,
        })
    }

    /// Returns the image, after the totals have been written down.
    ///
    /// # Panics
    ///
    /// Never: what was opened has a super block.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let total = |which| {
            let counts = (0..).zip(&self.groups);
            counts
                .map(|(group, _)| u32::from(self.count(group, which)))
                .sum()
        };
        let (blocks, inodes) = (total(GroupCount::FreeBlocks), total(GroupCount::FreeInodes));
        let raw = &mut self.bytes[to_usize(ext2::SUPER_OFFSET)..];
        SuperBlock::store_free(raw, blocks, inodes, self.now).expect("long enough");
        self.bytes
    }

    /// Number of pointers in a block of them.
    fn per_block(&self) -> u32 {
        1 << self.sb.pointer_bits()
    }

    /// Sectors of 512 bytes in a block.
    fn sectors_per_block(&self) -> u32 {
        self.sb.block_size() >> 9
    }

    fn block(&self, block: DiskBlock) -> Result<&[u8], Failure> {
        let (start, size) = self.place(block);
        self.bytes.get(start..start + size).ok_or(Failure::NotFound)
    }

    fn block_mut(&mut self, block: DiskBlock) -> Result<&mut [u8], Failure> {
        let (start, size) = self.place(block);
        self.bytes
            .get_mut(start..start + size)
            .ok_or(Failure::NotFound)
    }

    /// Where a block starts, and its size, in bytes.
    fn place(&self, block: DiskBlock) -> (usize, usize) {
        let start = u64::from(block.get()) << self.sb.block_bits();
        (to_usize(start), 1 << self.sb.block_bits())
    }

    fn desc(&self, group: u32) -> &GroupDesc {
        &self.groups[to_usize(group)]
    }

    /// Where a count of a group is, in bytes.
    fn count_place(&self, group: u32, which: GroupCount) -> usize {
        let (block, offset) = self.sb.desc_location(group);
        self.place(block).0 + offset + which.offset()
    }

    fn count(&self, group: u32, which: GroupCount) -> u16 {
        let at = self.count_place(group, which);
        u16::from_le_bytes([self.bytes[at], self.bytes[at + 1]])
    }

    fn add(&mut self, group: u32, which: GroupCount, change: i16) {
        let count = self.count(group, which).wrapping_add_signed(change);
        let at = self.count_place(group, which);
        self.bytes[at..at + 2].copy_from_slice(&count.to_le_bytes());
    }

    /// Takes the first free bit of `range` in a bitmap.
    fn take_bit(&mut self, bitmap: DiskBlock, range: std::ops::Range<u32>) -> Option<u32> {
        let bits = self.block_mut(bitmap).ok()?;
        let mut range = range;
        let bit = range.find(|bit| bits[to_usize(bit / 8)] & 1 << (bit % 8) == 0)?;
        bits[to_usize(bit / 8)] |= 1 << (bit % 8);
        Some(bit)
    }

    /// Gives back a bit that is set.
    fn clear_bit(&mut self, bitmap: DiskBlock, bit: u32) -> Result<(), Failure> {
        let byte = &mut self.block_mut(bitmap)?[to_usize(bit / 8)];
        if *byte & 1 << (bit % 8) == 0 {
            return Err(Failure::NotFound);
        }
        *byte &= !(1 << (bit % 8));
        Ok(())
    }

    /// Takes a block, from `group` if it has one, and fills it with zeros.
    fn alloc_block(&mut self, group: u32) -> Result<DiskBlock, Failure> {
        for group in (group..self.sb.groups_count()).chain(0..group) {
            let (first, last) = self.sb.group_blocks(group);
            let bitmap = self.desc(group).block_bitmap();
            let Some(bit) = self.take_bit(bitmap, 0..last.get() - first.get() + 1) else {
                continue;
            };
            let block = DiskBlock(first.get() + bit);
            self.sb.check_data_block(block)?;
            self.sb.check_against(block, 1, self.desc(group))?;
            self.add(group, GroupCount::FreeBlocks, -1);
            self.block_mut(block)?.fill(0);
            return Ok(block);
        }
        Err(Failure::NoSpace)
    }

    fn free_block(&mut self, block: DiskBlock) -> Result<(), Failure> {
        self.sb.check_data_block(block)?;
        let group = self.sb.group_of(block)?;
        let (first, _) = self.sb.group_blocks(group);
        self.sb.check_against(block, 1, self.desc(group))?;
        self.clear_bit(self.desc(group).block_bitmap(), block.get() - first.get())?;
        self.add(group, GroupCount::FreeBlocks, 1);
        Ok(())
    }

    /// Takes an inode for a file in `dir`, and fills it with zeros.
    fn alloc_inode(&mut self, dir: Ino, is_dir: bool) -> Result<Ino, Failure> {
        let parent = self.sb.inode_group(dir)?;
        let usage = |group| Usage {
            free_inodes: self.count(group, GroupCount::FreeInodes).into(),
            free_blocks: self.count(group, GroupCount::FreeBlocks).into(),
            dirs: self.count(group, GroupCount::UsedDirs).into(),
            debt: 0,
        };
        let total = (0..self.sb.groups_count())
            .map(usage)
            .reduce(|a, b| Usage {
                free_inodes: a.free_inodes + b.free_inodes,
                free_blocks: a.free_blocks + b.free_blocks,
                dirs: a.dirs + b.dirs,
                debt: 0,
            })
            .expect("there is a group");
        let group = match is_dir {
            true => group_of_directory(&self.sb, total, usage, parent, dir == ROOT_INO),
            false => group_of_file(&self.sb, usage, parent, dir),
        };
        let group = group.ok_or(Failure::NoSpace)?;
        let per_group = self.sb.inodes_per_group();
        let bitmap = self.desc(group).inode_bitmap();
        let bit = self.take_bit(bitmap, 0..per_group);
        let ino = Ino(group * per_group + bit.ok_or(Failure::NoSpace)? + 1);
        self.add(group, GroupCount::FreeInodes, -1);
        self.add(group, GroupCount::UsedDirs, is_dir.into());
        let at = self.inode_place(ino)?;
        self.bytes[at..][..to_usize(self.sb.inode_size())].fill(0);
        Ok(ino)
    }

    fn free_inode(&mut self, ino: Ino, is_dir: bool) -> Result<(), Failure> {
        let group = self.sb.inode_group(ino)?;
        let bit = (ino.get() - 1) % self.sb.inodes_per_group();
        self.clear_bit(self.desc(group).inode_bitmap(), bit)?;
        self.add(group, GroupCount::FreeInodes, 1);
        self.add(group, GroupCount::UsedDirs, -i16::from(is_dir));
        Ok(())
    }

    /// Where an inode starts, in bytes.
    fn inode_place(&self, ino: Ino) -> Result<usize, Failure> {
        let desc = self.desc(self.sb.inode_group(ino)?);
        let (block, offset) = self.sb.inode_location(ino, desc)?;
        Ok(self.place(block).0 + offset)
    }

    fn inode(&self, ino: Ino) -> Result<Inode, Failure> {
        let at = self.inode_place(ino)?;
        Ok(Inode::parse(&self.bytes[at..], ino, &self.sb)?)
    }

    fn store_inode(&mut self, ino: Ino, inode: &Inode) -> Result<(), Failure> {
        let at = self.inode_place(ino)?;
        Ok(inode.store(&mut self.bytes[at..])?)
    }

    fn change_inode(&mut self, ino: Ino, change: impl FnOnce(&mut Inode)) -> Result<(), Failure> {
        let mut inode = self.inode(ino)?;
        change(&mut inode);
        self.store_inode(ino, &inode)
    }
}

fn to_usize(n: impl TryInto<usize, Error: fmt::Debug>) -> usize {
    n.try_into().expect("64 bits")
}
