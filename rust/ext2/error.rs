// SPDX-License-Identifier: GPL-2.0

//! What was wrong with a structure on disk.
//!
//! C counterpart: the calls of `ext2_error` throughout [`fs/ext2`](srctree/fs/ext2)

use super::{
    DiskBlock,
    FileBlock,
    Ino, //
};
use core::fmt;

/// A structure on disk that contradicts the format. Displays as one line with its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corrupt {
    /// A descriptor puts a structure of its group where it cannot be.
    Group {
        /// The group, counted from zero.
        group: u32,
        /// Which structure.
        what: &'static str,
        /// Where it is said to be.
        block: DiskBlock,
    },
    /// An inode number that no directory may name: reserved, or larger than there are.
    InodeNumber(Ino),
    /// An inode that is in use, and that its bitmap has as free.
    InUse(Ino),
    /// A directory that has fewer links than itself and its subdirectories need.
    Links(u32),
    /// An inode that is deleted. Not damage by itself; who names it may be.
    Deleted(Ino),
    /// A field of an inode.
    Inode {
        /// The inode.
        ino: Ino,
        /// Which field, and its value.
        fault: InodeFault,
    },
    /// A block of a file beyond what its pointers can reach.
    BeyondMap(FileBlock),
    /// A block of a directory that is a hole.
    Hole(FileBlock),
    /// A pointer to where no data can be.
    Block {
        /// The block pointed to.
        block: DiskBlock,
        /// What is there instead.
        fault: BlockFault,
    },
    /// A bitmap has a block as free that is not.
    Bitmap {
        /// The group, counted from zero.
        group: u32,
        /// The block.
        block: DiskBlock,
        /// What is there.
        fault: BlockFault,
    },
    /// A block is to be freed that is free already.
    FreeBlock {
        /// Its group, counted from zero.
        group: u32,
        /// The block.
        block: DiskBlock,
    },
    /// An inode is to be freed that is free already.
    FreeInode {
        /// Its group, counted from zero.
        group: u32,
        /// The inode.
        ino: Ino,
    },
    /// A block that is not one of extended attributes, or that nobody is said to use.
    Xattr(DiskBlock),
    /// An entry of a block of extended attributes that reaches out of it, or says that its value
    /// is elsewhere.
    XattrEntry {
        /// The block.
        block: DiskBlock,
        /// Where the entry starts in the block, in bytes.
        offset: u32,
    },
    /// An access control list that is none. Of which kind it is.
    Acl(&'static str),
    /// A directory entry.
    Dir {
        /// The directory.
        dir: Ino,
        /// Where the entry starts in its block, in bytes.
        offset: u32,
        /// What is wrong.
        fault: DirFault,
    },
    /// Fewer bytes than the structure has. The caller read too little: not the disk's fault.
    Short {
        /// Which structure.
        what: &'static str,
        /// Its size in bytes.
        need: usize,
        /// Bytes given.
        have: usize,
    },
}

/// What can be wrong with an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum InodeFault {
    /// No directory names it, yet it is not deleted; this is the mode.
    NoLinks(u16),
    /// The mode is of no kind of file.
    Mode(u16),
    /// The size is beyond what the pointers can reach, in bytes.
    Size(u64),
    /// The size of a directory is not a positive multiple of the block size, in bytes.
    DirSize(u64),
    /// A directory of this size, in bytes, has fewer blocks: there are holes in it.
    DirHole(u64),
    /// The flags have the blocks mapped in a way whose feature is not there.
    Flags(u32),
    /// The block of extended attributes is where none can be.
    FileAcl(DiskBlock),
    /// A symbolic link is empty, longer than its place, or has a zero byte; this is its length.
    Symlink(u64),
}

/// Why a block can hold no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BlockFault {
    /// It is beyond the end of the file system.
    BeyondEnd,
    /// The super block, a descriptor or the boot block.
    SuperBlock,
    /// The bitmap of blocks.
    BlockBitmap,
    /// The bitmap of inodes.
    InodeBitmap,
    /// The inode table.
    InodeTable,
}

/// What can be wrong with a directory entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DirFault {
    /// Shorter than the shortest entry; this is `rec_len`.
    TooShort(u16),
    /// Not a multiple of four bytes; this is `rec_len`.
    Unaligned(u16),
    /// Too short for its name; this is the length of the name.
    NameTooLong(u8),
    /// Reaches into the next block; this is `rec_len`.
    CrossesBlock(u16),
    /// Fewer bytes are left in the block than the shortest entry has.
    NoRoom,
    /// Names an inode that does not exist.
    Inode(Ino),
    /// The name is empty, or has a slash or a zero byte.
    Name,
    /// It was there a moment ago.
    Gone,
    /// The second entry is not `..`, or there is none.
    NoDotDot,
}

impl Corrupt {
    /// Whether this is a deleted inode that somebody still had the number of (`ESTALE`), rather
    /// than damage (`EUCLEAN`).
    pub(crate) fn is_stale(&self) -> bool {
        matches!(self, Self::Deleted(_))
    }
}

impl fmt::Display for Corrupt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group { group, what, block } => {
                write!(f, "group {group}: {what} at block {block} is misplaced")
            }
            Self::InodeNumber(ino) => write!(f, "inode {ino}: number is reserved or too large"),
            Self::InUse(ino) => write!(f, "inode {ino}: in use, but free in the bitmap"),
            Self::Links(links) => write!(f, "{links} links are too few for its subdirectories"),
            Self::Deleted(ino) => write!(f, "inode {ino}: deleted"),
            Self::Inode { ino, fault } => write!(f, "inode {ino}: {fault}"),
            Self::BeyondMap(block) => {
                write!(f, "file block {block} is beyond what an inode can map")
            }
            Self::Xattr(block) => {
                write!(f, "block {block}: no extended attributes that are in use")
            }
            Self::XattrEntry { block, offset } => write!(
                f,
                "block {block}: extended attribute at byte {offset} reaches out of it"
            ),
            Self::Acl(which) => write!(f, "{which} access control list is malformed"),
            Self::Hole(block) => write!(f, "file block {block} is a hole in a directory"),
            Self::Block { block, fault } => write!(f, "block {block} cannot hold data: {fault}"),
            Self::Bitmap {
                group,
                block,
                fault,
            } => {
                write!(
                    f,
                    "group {group}: block bitmap has block {block} as free: {fault}"
                )
            }
            Self::FreeBlock { group, block } => {
                write!(
                    f,
                    "group {group}: block {block} to be freed is free already"
                )
            }
            Self::FreeInode { group, ino } => {
                write!(f, "group {group}: inode {ino} to be freed is free already")
            }
            Self::Dir { dir, offset, fault } => {
                write!(
                    f,
                    "directory inode {dir}, entry at byte {offset} of its block: {fault}"
                )
            }
            Self::Short { what, need, have } => {
                write!(f, "{what} needs {need} bytes, only {have} were read")
            }
        }
    }
}

impl fmt::Display for InodeFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLinks(mode) => write!(
                f,
                "i_links_count is 0, but i_mode is {mode:#o} and i_dtime 0"
            ),
            Self::Mode(mode) => write!(f, "i_mode {mode:#o} is no kind of file"),
            Self::Size(size) => write!(f, "i_size {size} is beyond what its blocks can reach"),
            Self::DirSize(size) => {
                write!(
                    f,
                    "i_size {size} of a directory is not a positive multiple of the block size"
                )
            }
            Self::DirHole(size) => {
                write!(
                    f,
                    "i_blocks is too small for a directory with i_size {size}"
                )
            }
            Self::Flags(flags) => {
                write!(
                    f,
                    "i_flags {flags:#x} want extents or inline data, which are not enabled"
                )
            }
            Self::FileAcl(block) => write!(f, "i_file_acl {block} is no place for attributes"),
            Self::Symlink(len) => write!(f, "symbolic link of {len} bytes is malformed"),
        }
    }
}

impl fmt::Display for BlockFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeyondEnd => "beyond the end of the file system",
            Self::SuperBlock => "super block or descriptors",
            Self::BlockBitmap => "block bitmap",
            Self::InodeBitmap => "inode bitmap",
            Self::InodeTable => "inode table",
        })
    }
}

impl fmt::Display for DirFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort(len) => write!(f, "rec_len {len} is below the minimum of 12"),
            Self::Unaligned(len) => write!(f, "rec_len {len} is not a multiple of 4"),
            Self::NameTooLong(len) => write!(f, "rec_len is too short for name_len {len}"),
            Self::CrossesBlock(len) => write!(f, "rec_len {len} reaches beyond the block"),
            Self::NoRoom => f.write_str("too few bytes are left in the block"),
            Self::Inode(ino) => write!(f, "inode {ino} does not exist"),
            Self::Gone => f.write_str("gone, though nobody removed it"),
            Self::NoDotDot => f.write_str("not .., as the second one must be"),
            Self::Name => f.write_str("name is empty or has a slash or a zero byte"),
        }
    }
}
