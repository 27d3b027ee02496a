// SPDX-License-Identifier: GPL-2.0

//! Reads an ext2 image the way the module does.
//!
//! Everything that is decided about the disk format is decided by the room `ext2`, the module's
//! own; what is here is what `rust/fs` does around it, on a slice instead of a block device. So a
//! test that compares a tree read here with the tree that went into the image tests the module,
//! and one that feeds it rubbish does so too.

mod map;
mod survey;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;

pub use self::map::Extent;
pub use self::survey::Survey;
use crate::ext2::{
    self, dir, xattr::Attributes, Corrupt, DiskBlock, FileBlock, GroupDesc, Ino, Inode, Kind,
    SuperBlock,
};

/// Steps that reading one image may take: a run of blocks or a directory block each.
const BUDGET: u32 = 1 << 18;

/// Why something of an image could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The super block was refused.
    Refused {
        /// The line for the log.
        why: String,
        /// Whether that is `EUCLEAN`, not `EINVAL`.
        corrupt: bool,
    },
    /// A structure contradicts the format; the line for the log.
    Corrupt(String),
    /// It takes more steps than any good image of this test suite.
    TooMuch,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused { why, .. } | Self::Corrupt(why) => f.write_str(why),
            Self::TooMuch => f.write_str("takes too many steps to read"),
        }
    }
}

impl std::error::Error for Fault {}

impl From<Corrupt> for Fault {
    fn from(found: Corrupt) -> Self {
        Self::Corrupt(found.to_string())
    }
}

/// What the inode of a file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Number of the inode.
    pub ino: u32,
    /// Mode, as `stat(2)` gives it.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Number of names.
    pub links: u16,
    /// Blocks in use, in 512-byte sectors.
    pub sectors: u32,
    /// Time of the last change, in seconds since 1970.
    pub mtime: i64,
    /// Block of the extended attributes, or zero.
    pub file_acl: u32,
    /// Flags, as `lsattr` shows them.
    pub flags: u32,
}

/// An entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The name.
    pub name: Vec<u8>,
    /// Number of the inode.
    pub ino: u32,
    /// What the entry says that the inode is, in the bits of a mode.
    pub kind: Option<u16>,
}

/// An image whose super block and descriptors are good.
pub struct Image<'a> {
    bytes: &'a [u8],
    sb: SuperBlock,
    groups: Vec<GroupDesc>,
    steps: Cell<u32>,
}

impl<'a> Image<'a> {
    /// Checks what is checked at mount, the root directory excepted.
    ///
    /// # Errors
    ///
    /// Why it would not be mounted.
    pub fn open(bytes: &'a [u8]) -> Result<Self, Fault> {
        let start = to_usize(ext2::SUPER_OFFSET);
        let raw = bytes.get(start..).unwrap_or_default();
        let sb =
            SuperBlock::parse(raw, bytes.len().try_into().expect("64 bits")).map_err(|why| {
                Fault::Refused {
                    why: why.to_string(),
                    corrupt: why.is_corrupt(),
                }
            })?;
        let mut image = Self {
            bytes,
            sb,
            groups: Vec::new(),
            steps: Cell::new(0),
        };
        for group in 0..sb.groups_count() {
            let (block, offset) = sb.desc_location(group);
            let raw = image.block(block.get())?;
            let raw = raw.get(offset..).unwrap_or_default();
            image.groups.push(GroupDesc::parse(raw, &sb, group)?);
        }
        Ok(image)
    }

    /// Returns what was checked.
    pub(crate) fn into_parts(self) -> (SuperBlock, Vec<GroupDesc>) {
        (self.sb, self.groups)
    }

    /// Features because of which it would only be mounted read-only.
    pub fn read_only_features(&self) -> Option<String> {
        self.sb.read_only_features().map(|names| names.to_string())
    }

    /// The super block's own account, by the names that `dumpe2fs -h` uses.
    pub fn account(&self) -> BTreeMap<&'static str, String> {
        let sb = &self.sb;
        BTreeMap::from([
            ("Inode count", sb.inodes_count().to_string()),
            ("Block count", sb.blocks_count().to_string()),
            ("Reserved block count", sb.reserved_blocks().to_string()),
            ("First block", sb.first_data_block().to_string()),
            ("Block size", sb.block_size().to_string()),
            ("Blocks per group", sb.blocks_per_group().to_string()),
            ("Inodes per group", sb.inodes_per_group().to_string()),
            ("First inode", sb.first_ino().to_string()),
            ("Inode size", sb.inode_size().to_string()),
        ])
    }

    /// Where block bitmap, inode bitmap and inode table of each group are.
    pub fn group_places(&self) -> Vec<[u32; 3]> {
        let places = |desc: &GroupDesc| {
            [desc.block_bitmap(), desc.inode_bitmap(), desc.inode_table()].map(DiskBlock::get)
        };
        self.groups.iter().map(places).collect()
    }

    /// Size of a block, in bytes.
    pub fn block_size(&self) -> u32 {
        self.sb.block_size()
    }

    /// The largest size that a file can grow to, in bytes.
    pub fn max_file_size(&self) -> u64 {
        ext2::max_file_size(&self.sb)
    }

    /// Returns a block of the image.
    ///
    /// # Errors
    ///
    /// [`Fault::Corrupt`] if the device has no such block.
    pub fn block(&self, block: u32) -> Result<&'a [u8], Fault> {
        let size = to_usize(u64::from(self.block_size()));
        let start = to_usize(u64::from(block)).checked_mul(size);
        start
            .and_then(|start| self.bytes.get(start..)?.get(..size))
            .ok_or_else(|| Fault::Corrupt(format!("no block {block} on the device")))
    }

    /// Returns what inode `ino` says.
    ///
    /// # Errors
    ///
    /// [`Fault::Corrupt`] if it is damaged.
    pub fn stat(&self, ino: u32) -> Result<Stat, Fault> {
        let inode = self.inode(Ino(ino))?;
        Ok(Stat {
            ino,
            mode: inode.mode(),
            uid: inode.uid,
            gid: inode.gid,
            size: inode.size,
            links: inode.links,
            sectors: inode.sectors,
            mtime: inode.mtime,
            file_acl: inode.file_acl.get(),
            flags: inode.flags,
        })
    }

    /// Returns the entries of directory `ino`, in their order.
    ///
    /// # Errors
    ///
    /// [`Fault::Corrupt`] if anything on the way is damaged.
    pub fn list(&self, ino: u32) -> Result<Vec<Name>, Fault> {
        let mut names = Vec::new();
        self.each_dir_block(Ino(ino), |block| {
            for entry in dir::entries(block, &self.sb, Ino(ino)) {
                let entry = entry?;
                names.push(Name {
                    name: entry.name.to_vec(),
                    ino: entry.ino.get(),
                    kind: entry.kind.map(Kind::mode_bits),
                });
            }
            Ok(())
        })?;
        Ok(names)
    }

    /// Returns the inode that `name` stands for in directory `ino`, if there is one.
    ///
    /// # Errors
    ///
    /// [`Fault::Corrupt`] if anything on the way is damaged.
    pub fn lookup(&self, ino: u32, name: &[u8]) -> Result<Option<u32>, Fault> {
        let mut found = None;
        self.each_dir_block(Ino(ino), |block| {
            if found.is_none() {
                let entry = dir::find(block, &self.sb, Ino(ino), name)?;
                found = entry.map(|entry| entry.ino.get());
            }
            Ok(())
        })?;
        Ok(found)
    }

    /// Returns the target of the symbolic link `ino`.
    ///
    /// # Errors
    ///
    /// [`Fault::Corrupt`] if anything on the way is damaged.
    pub fn target(&self, ino: u32) -> Result<Vec<u8>, Fault> {
        let inode = self.inode(Ino(ino))?;
        if let Some(target) = inode.fast_symlink() {
            return Ok(target.to_vec());
        }
        let (Some(first), _) = self.run(&inode, FileBlock(0), 1)? else {
            return Err(Fault::Corrupt(format!("inode {ino}: no target")));
        };
        let target = self.block(first.get())?.get(..to_usize(inode.size));
        Ok(target.unwrap_or_default().to_vec())
    }

    /// Returns the names of the extended attributes of inode `ino`, each after the number of its
    /// namespace.
    ///
    /// # Errors
    ///
    /// [`Fault::Corrupt`] if anything on the way is damaged.
    pub fn attributes(&self, ino: u32) -> Result<Vec<(u8, Vec<u8>)>, Fault> {
        let block = self.inode(Ino(ino))?.file_acl;
        if block.get() == 0 {
            return Ok(Vec::new());
        }
        let found = Attributes::parse(self.block(block.get())?, block)?;
        let names = found.iter().map(|one| (one.index, one.name.to_vec()));
        Ok(names.collect())
    }

    fn inode(&self, ino: Ino) -> Result<Inode, Fault> {
        let group = self.sb.inode_group(ino)?;
        let desc = &self.groups[to_usize(u64::from(group))];
        let (block, offset) = self.sb.inode_location(ino, desc)?;
        let raw = self.block(block.get())?;
        Ok(Inode::parse(
            raw.get(offset..).unwrap_or_default(),
            ino,
            &self.sb,
        )?)
    }

    /// Hands over each block of a directory.
    fn each_dir_block(
        &self,
        ino: Ino,
        mut take: impl FnMut(&'a [u8]) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut next = 0;
        let hole = |at| Err(Corrupt::Hole(FileBlock(at)).into());
        for extent in self.extents(ino.get())? {
            if extent.file_block != next {
                return hole(next);
            }
            next += extent.len;
            for block in extent.disk_block..extent.disk_block + extent.len {
                self.step()?;
                take(self.block(block)?)?;
            }
        }
        let size = self.inode(ino)?.size;
        if u64::from(next) << self.sb.block_bits() < size {
            return hole(next);
        }
        Ok(())
    }

    fn step(&self) -> Result<(), Fault> {
        self.steps.set(self.steps.get() + 1);
        if self.steps.get() > BUDGET {
            return Err(Fault::TooMuch);
        }
        Ok(())
    }
}

fn to_usize(n: u64) -> usize {
    n.try_into().expect("64 bits")
}
