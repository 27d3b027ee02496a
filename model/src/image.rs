// SPDX-License-Identifier: GPL-2.0

//! Reads an ext2 image the way the module does.
//!
//! Everything that is decided about the disk format is decided by the room `ext2`, the module's
//! own; what is here is what `rust/fs` does around it, on a slice instead of a block device. So a
//! test that compares a tree read here with the tree that went into the image tests the module,
//! and one that feeds it rubbish does so too.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use zerocopy::IntoBytes as _;

use crate::ext2::{
    self, dir, run_length, Corrupt, DiskBlock, FileBlock, GroupDesc, Ino, Inode, Kind, Path,
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

/// Consecutive blocks of a file that lie one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first, counted from the start of the file.
    pub file_block: u32,
    /// Where it is.
    pub disk_block: u32,
    /// How many there are.
    pub len: u32,
}

/// All files of an image.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// By path, without a slash in front; the root is the empty one.
    pub files: BTreeMap<Vec<u8>, Stat>,
    /// What could not be read, with the path.
    pub faults: Vec<(Vec<u8>, Fault)>,
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

    /// Features because of which it would only be mounted read-only.
    pub fn read_only_features(&self) -> Option<String> {
        self.sb.read_only_features().map(|names| names.to_string())
    }

    /// The super block's own account, by the names that `dumpe2fs -h` uses.
    pub fn account(&self) -> BTreeMap<&'static str, String> {
        let sb = &self.sb;
        let label = String::from_utf8_lossy(sb.label()).into_owned();
        BTreeMap::from([
            ("Inode count", sb.inodes_count().to_string()),
            ("Block count", sb.blocks_count().to_string()),
            ("Reserved block count", sb.reserved_blocks().to_string()),
            ("Free blocks", sb.free_blocks().to_string()),
            ("Free inodes", sb.free_inodes().to_string()),
            ("First block", sb.first_data_block().to_string()),
            ("Block size", sb.block_size().to_string()),
            ("Blocks per group", sb.blocks_per_group().to_string()),
            ("Inodes per group", sb.inodes_per_group().to_string()),
            ("Mount count", sb.mnt_count().to_string()),
            ("First inode", sb.first_ino().to_string()),
            ("Inode size", sb.inode_size().to_string()),
            ("Filesystem volume name", label),
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

    /// Returns where the blocks of inode `ino` are. What is in between is holes.
    ///
    /// # Errors
    ///
    /// [`Fault::Corrupt`] if anything on the way is damaged; [`Fault::TooMuch`].
    pub fn extents(&self, ino: u32) -> Result<Vec<Extent>, Fault> {
        let inode = self.inode(Ino(ino))?;
        if !has_blocks(&inode) {
            return Ok(Vec::new());
        }
        // OVERFLOW: A size is at most what can be mapped.
        let size = u64::from(self.block_size());
        let end = u32::try_from(inode.size.div_ceil(size)).expect("in reach of the pointers");
        let mut extents: Vec<Extent> = Vec::new();
        let mut at = 0;
        while at < end {
            let (first, len) = self.run(&inode, FileBlock(at), end - at)?;
            if let Some(first) = first {
                extents.push(Extent {
                    file_block: at,
                    disk_block: first.get(),
                    len,
                });
            }
            at += len;
        }
        Ok(extents)
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

    /// Reads every inode, directory, symbolic link and map that a name leads to.
    pub fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        let mut seen = BTreeSet::new();
        let mut todo = vec![(Vec::new(), ext2::ROOT_INO.get())];
        while let Some((path, ino)) = todo.pop() {
            if let Err(fault) = self.visit(&path, ino, &mut survey, &mut seen, &mut todo) {
                let enough = fault == Fault::TooMuch;
                survey.faults.push((path, fault));
                if enough {
                    break;
                }
            }
        }
        survey
    }

    fn visit(
        &self,
        path: &[u8],
        ino: u32,
        survey: &mut Survey,
        seen: &mut BTreeSet<u32>,
        todo: &mut Vec<(Vec<u8>, u32)>,
    ) -> Result<(), Fault> {
        self.step()?;
        let stat = self.stat(ino)?;
        survey.files.insert(path.to_vec(), stat);
        // Another name of a file, or a directory that is in itself.
        if !seen.insert(ino) {
            return Ok(());
        }
        self.extents(ino)?;
        match self.inode(Ino(ino))?.kind {
            Kind::Directory => {
                for Name { name, ino, .. } in self.list(ino)? {
                    if name != b"." && name != b".." {
                        let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
                        todo.push(([path, slash, name.as_slice()].concat(), ino));
                    }
                }
            }
            Kind::Symlink => drop(self.target(ino)?),
            _ => {}
        }
        Ok(())
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

    /// Returns where a block of a file is, and how many after it follow, up to `max` in all; as
    /// `fs::map::run`.
    fn run(
        &self,
        inode: &Inode,
        block: FileBlock,
        max: u32,
    ) -> Result<(Option<DiskBlock>, u32), Fault> {
        self.step()?;
        let path = Path::to(block, &self.sb)?;
        let max = max.clamp(1, path.boundary + 1);
        let (&last, above) = path.offsets().split_last().expect("a path has a pointer");
        // A block of pointers and those of an inode look the same.
        let (mut pointers, _) = inode.block.as_bytes().as_chunks();
        for &offset in above {
            let below = DiskBlock(u32::from_le_bytes(pointers[to_usize(u64::from(offset))]));
            if below.get() == 0 {
                return Ok((None, max));
            }
            self.check_run(below, 1)?;
            (pointers, _) = self.block(below.get())?.as_chunks();
        }
        let rest = &pointers[to_usize(u64::from(last))..];
        let mut rest = rest.iter().map(|pointer| u32::from_le_bytes(*pointer));
        let first = DiskBlock(rest.next().expect("the pointer itself"));
        if first.get() == 0 {
            let rest = rest.take(to_usize(u64::from(max - 1)));
            let holes = rest.take_while(|pointer| *pointer == 0).count();
            return Ok((None, 1 + u32::try_from(holes).expect("less than `max`")));
        }
        let len = run_length(rest, first, max);
        self.check_run(first, len)?;
        Ok((Some(first), len))
    }

    /// As `fs::Super::check_run`.
    fn check_run(&self, first: DiskBlock, len: u32) -> Result<(), Fault> {
        self.sb.check_data_run(first, len)?;
        let last = DiskBlock(first.get() + (len - 1));
        for group in self.sb.group_of(first)?..=self.sb.group_of(last)? {
            let desc = &self.groups[to_usize(u64::from(group))];
            self.sb.check_against(first, len, desc)?;
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

/// Whether the pointers of an inode are pointers.
fn has_blocks(inode: &Inode) -> bool {
    match inode.kind {
        Kind::Regular | Kind::Directory => true,
        Kind::Symlink => inode.fast_symlink().is_none(),
        Kind::CharDevice | Kind::BlockDevice | Kind::Fifo | Kind::Socket => false,
    }
}

fn to_usize(n: u64) -> usize {
    n.try_into().expect("64 bits")
}
