// SPDX-License-Identifier: GPL-2.0

//! Inodes.
//!
//! C counterparts: `ext2_iget` and `ext2_write_inode` in
//! [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::{
    flag,
    path::map_blocks,
    raw::{
        RawInode,
        N_BLOCKS, //
    },
    Corrupt,
    DiskBlock,
    Ino,
    InodeFault,
    SuperBlock, //
};
use core::mem::size_of;
use zerocopy::{
    little_endian::{
        U16,
        U32, //
    },
    FromBytes,
    IntoBytes, //
};

/// Flags that say the pointers are something else, with features that are refused at mount:
/// extents and inline data.
const FOREIGN_MAP_FLAGS: u32 = 0x0008_0000 | 0x1000_0000;

/// The mask of the kind of file in a mode, and of the rest.
const KIND_MASK: u16 = 0o170000;
const PERM_MASK: u16 = 0o7777;

/// What an inode is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A named pipe.
    Fifo,
    /// A character device.
    CharDevice,
    /// A directory.
    Directory,
    /// A block device.
    BlockDevice,
    /// A regular file.
    Regular,
    /// A symbolic link.
    Symlink,
    /// A socket.
    Socket,
}

impl Kind {
    /// All kinds, each with its bits in a mode and its number in a directory entry.
    const ALL: [(Self, u16, u8); 7] = [
        (Self::Regular, 0o100000, 1),
        (Self::Directory, 0o040000, 2),
        (Self::CharDevice, 0o020000, 3),
        (Self::BlockDevice, 0o060000, 4),
        (Self::Fifo, 0o010000, 5),
        (Self::Socket, 0o140000, 6),
        (Self::Symlink, 0o120000, 7),
    ];

    /// Returns the kind that a mode is of.
    pub(crate) fn from_mode(mode: u16) -> Option<Self> {
        let bits = mode & KIND_MASK;
        Self::ALL
            .into_iter()
            .find(|kind| kind.1 == bits)
            .map(|kind| kind.0)
    }

    /// Returns the kind that a directory entry gives as `number`.
    pub(crate) fn from_file_type(number: u8) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.2 == number)
            .map(|kind| kind.0)
    }

    /// The number that a directory entry gives.
    pub(crate) fn file_type(self) -> u8 {
        match self {
            Self::Regular => 1,
            Self::Directory => 2,
            Self::CharDevice => 3,
            Self::BlockDevice => 4,
            Self::Fifo => 5,
            Self::Socket => 6,
            Self::Symlink => 7,
        }
    }

    /// The bits in a mode. Shifted right by twelve, they are the kind as `readdir` gives it.
    pub(crate) fn mode_bits(self) -> u16 {
        match self {
            Self::Regular => 0o100000,
            Self::Directory => 0o040000,
            Self::CharDevice => 0o020000,
            Self::BlockDevice => 0o060000,
            Self::Fifo => 0o010000,
            Self::Socket => 0o140000,
            Self::Symlink => 0o120000,
        }
    }
}

/// An inode that was checked.
///
/// What a change here means on disk is for [`Inode::store`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inode {
    /// What it is.
    pub(crate) kind: Kind,
    /// The lower twelve bits of the mode.
    pub(crate) perm: u16,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Size in bytes; at most what the pointers can reach.
    pub(crate) size: u64,
    /// Time of the last access, in seconds since 1970.
    pub(crate) atime: i64,
    /// Time of the last change of the inode, in seconds since 1970.
    pub(crate) ctime: i64,
    /// Time of the last change of the data, in seconds since 1970.
    pub(crate) mtime: i64,
    /// Time of deletion, in seconds since 1970; zero unless deleted.
    pub(crate) dtime: u32,
    /// Number of names.
    pub(crate) links: u16,
    /// Blocks in use, indirect ones and that of the attributes included, in 512-byte sectors.
    pub(crate) sectors: u32,
    /// Flags, as `FS_IOC_GETFLAGS` gives them.
    pub(crate) flags: u32,
    /// Tells apart the files that had this number in turn.
    pub(crate) generation: u32,
    /// Pointers to blocks; the target of a short symbolic link; the number of a device.
    pub(crate) block: [U32; N_BLOCKS],
    /// Block of the extended attributes, or zero.
    pub(crate) file_acl: DiskBlock,
    /// Whether `block` holds the target of a symbolic link.
    fast_symlink: bool,
}

impl Inode {
    /// Checks the inode `ino`; `raw` starts with it.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Deleted`] if it is; [`Corrupt::Inode`] with the first field that is wrong.
    pub(crate) fn parse(raw: &[u8], ino: Ino, sb: &SuperBlock) -> Result<Self, Corrupt> {
        let Ok((raw, _)) = RawInode::ref_from_prefix(raw) else {
            return Err(short(raw.len()));
        };
        let fail = |fault| Err(Corrupt::Inode { ino, fault });
        let mode = raw.mode.get();
        let links = raw.links_count.get();
        if links == 0 {
            // The test for a deleted inode that e2fsck has as well.
            return if mode == 0 || raw.dtime.get() != 0 {
                Err(Corrupt::Deleted(ino))
            } else {
                fail(InodeFault::NoLinks(mode))
            };
        }
        let Some(kind) = Kind::from_mode(mode) else {
            return fail(InodeFault::Mode(mode));
        };
        let flags = raw.flags.get();
        if flags & FOREIGN_MAP_FLAGS != 0 {
            return fail(InodeFault::Flags(flags));
        }
        let file_acl = DiskBlock(raw.file_acl.get());
        if file_acl.get() != 0 && sb.check_data_block(file_acl).is_err() {
            return fail(InodeFault::FileAcl(file_acl));
        }
        let mut size = u64::from(raw.size.get());
        if kind == Kind::Regular {
            size |= u64::from(raw.size_high.get()) << 32;
        }
        if size > map_blocks(sb) << sb.block_bits() {
            return fail(InodeFault::Size(size));
        }
        let sectors = raw.blocks.get();
        let block_mask = u64::from(sb.block_size() - 1);
        let acl_sectors = match file_acl.get() {
            0 => 0,
            _ => sb.block_size() >> 9,
        };
        let fast_symlink = kind == Kind::Symlink && sectors == acl_sectors;
        match kind {
            Kind::Directory if size == 0 || size & block_mask != 0 => {
                return fail(InodeFault::DirSize(size));
            }
            Kind::Directory if size >> 9 > u64::from(sectors) => {
                return fail(InodeFault::DirHole(size));
            }
            Kind::Symlink if fast_symlink && target(raw.block.as_bytes(), size).is_none() => {
                return fail(InodeFault::Symlink(size));
            }
            // The target and a zero byte behind it are in one block.
            Kind::Symlink if !fast_symlink && (size == 0 || size > block_mask) => {
                return fail(InodeFault::Symlink(size));
            }
            _ => {}
        }
        Ok(Self {
            kind,
            perm: mode & PERM_MASK,
            uid: join(raw.uid.get(), raw.uid_high.get()),
            gid: join(raw.gid.get(), raw.gid_high.get()),
            size,
            atime: seconds(raw.atime),
            ctime: seconds(raw.ctime),
            mtime: seconds(raw.mtime),
            dtime: raw.dtime.get(),
            links,
            sectors,
            flags,
            generation: raw.generation.get(),
            block: raw.block,
            file_acl,
            fast_symlink,
        })
    }

    /// Says whether the inode that `raw` starts with, if it is whole, has links.
    pub(crate) fn has_links(raw: &[u8]) -> bool {
        RawInode::ref_from_prefix(raw).is_ok_and(|(raw, _)| raw.links_count.get() != 0)
    }

    /// Returns the inode of a new, empty file in a directory with the flags `dir_flags`.
    ///
    /// Owner, permissions, times and links are the caller's to set.
    pub(crate) fn new(kind: Kind, dir_flags: u32) -> Self {
        let suitable = match kind {
            Kind::Directory => u32::MAX,
            Kind::Regular => !(flag::DIRSYNC | flag::TOPDIR),
            _ => flag::NODUMP | flag::NOATIME,
        };
        Self {
            kind,
            perm: 0,
            uid: 0,
            gid: 0,
            size: 0,
            atime: 0,
            ctime: 0,
            mtime: 0,
            dtime: 0,
            links: 1,
            sectors: 0,
            flags: dir_flags & flag::INHERITED & suitable,
            generation: 0,
            block: [U32::ZERO; N_BLOCKS],
            file_acl: DiskBlock(0),
            fast_symlink: false,
        }
    }

    /// Stores the target of a new symbolic link in the inode itself, if it is short enough.
    ///
    /// Returns whether it is.
    pub(crate) fn store_target(&mut self, target: &[u8]) -> bool {
        let room = self.block.as_mut_bytes();
        // A zero byte follows.
        if target.is_empty() || target.len() >= room.len() {
            return false;
        }
        let (to, rest) = room.split_at_mut(target.len());
        to.copy_from_slice(target);
        rest.fill(0);
        // It is less than 60.
        self.size = u64::try_from(target.len()).unwrap_or(0);
        self.fast_symlink = true;
        true
    }

    /// Stores the number of a device: its form of 16 bits, if it has one, and that of 32.
    pub(crate) fn store_device(&mut self, old: Option<u16>, new: u32) {
        let [first, second, ..] = &mut self.block;
        match old {
            Some(old) => first.set(u32::from(old)),
            None => second.set(new),
        }
    }

    /// Writes the inode to where it was read from; `raw` starts with it.
    ///
    /// What is not a field here keeps its bytes: fragments, the operating system's word, and all
    /// that a larger inode has behind the first 128 bytes. Times outside of what 32 bits can say
    /// become the nearest that they can.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Short`] if `raw` is not a whole inode.
    pub(crate) fn store(&self, raw: &mut [u8]) -> Result<(), Corrupt> {
        let have = raw.len();
        let Ok((raw, _)) = RawInode::mut_from_prefix(raw) else {
            return Err(short(have));
        };
        raw.mode.set(self.mode());
        (raw.uid, raw.uid_high) = split(self.uid);
        (raw.gid, raw.gid_high) = split(self.gid);
        let [a, b, c, d, e, f, g, h] = self.size.to_le_bytes();
        raw.size = U32::from_bytes([a, b, c, d]);
        if self.kind == Kind::Regular {
            raw.size_high = U32::from_bytes([e, f, g, h]);
        }
        raw.atime = stored_seconds(self.atime);
        raw.ctime = stored_seconds(self.ctime);
        raw.mtime = stored_seconds(self.mtime);
        raw.dtime.set(self.dtime);
        raw.links_count.set(self.links);
        raw.blocks.set(self.sectors);
        raw.flags.set(self.flags);
        raw.generation.set(self.generation);
        raw.block = self.block;
        raw.file_acl.set(self.file_acl.get());
        Ok(())
    }

    /// Says whether a driver without the feature `large_file` would take it for shorter than it is,
    /// or its size for negative.
    pub(crate) fn is_large_file(&self) -> bool {
        self.kind == Kind::Regular && self.size > u64::from(i32::MAX.unsigned_abs())
    }

    /// The mode, as `stat` gives it.
    pub(crate) fn mode(&self) -> u16 {
        self.kind.mode_bits() | (self.perm & PERM_MASK)
    }

    /// The pointers to blocks; of a file that has none, whatever is in their place.
    pub(crate) fn pointers(&self) -> [u32; N_BLOCKS] {
        self.block.map(U32::get)
    }

    /// Replaces what [`Self::pointers`] returns.
    pub(crate) fn set_pointers(&mut self, pointers: [u32; N_BLOCKS]) {
        self.block = pointers.map(U32::new);
    }

    /// Returns the target of a symbolic link that is short enough to be in the inode; without
    /// a zero byte at its end.
    pub(crate) fn fast_symlink(&self) -> Option<&[u8]> {
        if !self.fast_symlink {
            return None;
        }
        target(self.block.as_bytes(), self.size)
    }
}

/// Returns the first `len` bytes of `bytes`, which a zero byte could follow.
fn target(bytes: &[u8], len: u64) -> Option<&[u8]> {
    let len = usize::try_from(len).ok()?;
    if len == 0 || len >= bytes.len() {
        return None;
    }
    bytes.get(..len).filter(|target| !target.contains(&0))
}

fn join(low: u16, high: u16) -> u32 {
    u32::from(low) | u32::from(high) << 16
}

fn split(id: u32) -> (U16, U16) {
    let [a, b, c, d] = id.to_le_bytes();
    (U16::from_bytes([a, b]), U16::from_bytes([c, d]))
}

/// Times are signed on disk.
fn seconds(raw: U32) -> i64 {
    i64::from(i32::from_le_bytes(raw.to_bytes()))
}

fn stored_seconds(time: i64) -> U32 {
    let nearest = if time < 0 { i32::MIN } else { i32::MAX };
    U32::from_bytes(i32::try_from(time).unwrap_or(nearest).to_le_bytes())
}

fn short(have: usize) -> Corrupt {
    Corrupt::Short {
        what: "inode",
        need: size_of::<RawInode>(),
        have,
    }
}
