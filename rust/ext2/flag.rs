// SPDX-License-Identifier: GPL-2.0

//! Flags of an inode, as `FS_IOC_GETFLAGS` gives them.
//!
//! C header: [`include/uapi/linux/fs.h`](srctree/include/uapi/linux/fs.h)

/// The file is compressed, which nobody does.
pub(crate) const COMPR: u32 = 0x4;
/// Changes of the file are synchronous.
pub(crate) const SYNC: u32 = 0x8;
/// Nothing may be changed.
pub(crate) const IMMUTABLE: u32 = 0x10;
/// Writes go to the end only.
pub(crate) const APPEND: u32 = 0x20;
/// Not to be backed up.
pub(crate) const NODUMP: u32 = 0x40;
/// The time of access is not kept.
pub(crate) const NOATIME: u32 = 0x80;
/// A directory has a hash tree in entries that are not in use (`dir_index`).
pub(crate) const INDEX: u32 = 0x1000;
/// Changes of a directory are synchronous.
pub(crate) const DIRSYNC: u32 = 0x1_0000;
/// A directory whose subdirectories are spread over the volume.
pub(crate) const TOPDIR: u32 = 0x2_0000;

/// What a new file has of its directory's flags, if it suits: those above that say how data is
/// treated, and those of secure deletion, undeletion, compression, journalled data and tails,
/// which nobody acts on.
pub(crate) const INHERITED: u32 =
    SYNC | NODUMP | NOATIME | DIRSYNC | 0x1 | 0x2 | 0x4 | 0x200 | 0x400 | 0x4000 | 0x8000;

/// What anybody may see: the flags that `FS_IOC_GETFLAGS` has had from the start.
pub(crate) const USER_VISIBLE: u32 = 0x3_dfff;

/// What anybody may change, as far as it suits the file: not what the format keeps for itself.
pub(crate) const USER_MODIFIABLE: u32 = 0x3_80ff;
