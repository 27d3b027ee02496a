// SPDX-License-Identifier: GPL-2.0

//! What `stat` shows and `chmod`, `chown` and `utimes` change.
//!
//! C counterparts: `ext2_getattr` and `ext2_setattr` in
//! [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::{
    acl,
    size,
    xattr,
    Cohfs,
    Inode, //
};
use crate::{
    ext2::flag,
    vfs::{
        inode_ops,
        AclType,
        Flags,
        Room,
        SetAttr,
        Stat, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

/// `STATX_ATTR_COMPRESSED`, `STATX_ATTR_IMMUTABLE`, `STATX_ATTR_APPEND` and `STATX_ATTR_NODUMP`, whose
/// bits are those of the flags on disk.
const STATX_FLAGS: u32 = flag::COMPR | flag::IMMUTABLE | flag::APPEND | flag::NODUMP;

/// `STATX_ATTR_ENCRYPTED`, which `ext2_getattr` knows of as well, and no file has.
const STATX_NEVER: u32 = 0x800;

/// Inodes that are not directories.
pub(super) struct Attr;

#[vtable]
impl inode_ops::Operations for Attr {
    type Fs = Cohfs;

    fn setattr(inode: &Inode, change: &mut SetAttr<'_>) -> Result {
        setattr(inode, change)
    }

    fn getattr(inode: &Inode, stat: &mut Stat<'_>) -> Result {
        getattr(inode, stat)
    }

    fn fileattr_get(inode: &Inode) -> u32 {
        fileattr_get(inode)
    }

    fn fileattr_set(inode: &Inode, flags: u32) -> Result {
        fileattr_set(inode, flags)
    }

    fn listxattr(inode: &Inode, names: &mut Room<'_>) -> Result {
        xattr::list(inode, names)
    }

    fn read_acl(inode: &Inode, kind: AclType) -> Result<Option<KVec<u8>>> {
        acl::read(inode, kind)
    }

    fn write_acl(inode: &Inode, kind: AclType, list: Option<&[u8]>) -> Result {
        acl::write(inode, kind, list)
    }
}

/// Changes size, owner, permissions and times, and the access control list with the permissions.
///
/// # Errors
///
/// [`EPERM`] and others if the caller may not; those of [`size::set`] and of changing the list.
pub(super) fn setattr(inode: &Inode, change: &mut SetAttr<'_>) -> Result {
    inode.sb().check_up()?;
    change.prepare()?;
    if let Some(size) = change.size().filter(|&size| size != inode.size()) {
        size::set(inode, size, change.lock())?;
    }
    change.apply(inode)
}

/// Adds the flags that the disk has, and how direct I/O is to be aligned.
pub(super) fn getattr(inode: &Inode, stat: &mut Stat<'_>) -> Result {
    let flags = inode.data().flags.load(Relaxed) & STATX_FLAGS;
    stat.set_attributes(u64::from(STATX_FLAGS | STATX_NEVER), u64::from(flags));
    if stat.wants_dio_alignment() && inode.is_regular() {
        let sb = inode.sb();
        stat.set_dio_alignment(
            sb.dma_alignment_mask().saturating_add(1),
            sb.logical_block_size(),
        );
    }
    Ok(())
}

/// Returns the flags that anybody may see.
pub(super) fn fileattr_get(inode: &Inode) -> u32 {
    inode.data().flags.load(Relaxed) & flag::USER_VISIBLE
}

/// Changes the flags that anybody may change, and does what they say from now on.
pub(super) fn fileattr_set(inode: &Inode, flags: u32) -> Result {
    let kept = inode.data().flags.load(Relaxed) & !flag::USER_MODIFIABLE;
    let flags = kept | (flags & flag::USER_MODIFIABLE);
    // LOCKING: Only changed here, under the inode lock.
    inode.data().flags.store(flags, Relaxed);
    inode.set_flags(vfs_flags(flags));
    inode.note_changed();
    Ok(())
}

/// Returns what the VFS acts on of the flags of an inode.
pub(super) fn vfs_flags(flags: u32) -> Flags {
    Flags {
        sync: flags & flag::SYNC != 0,
        append: flags & flag::APPEND != 0,
        immutable: flags & flag::IMMUTABLE != 0,
        noatime: flags & flag::NOATIME != 0,
        dirsync: flags & flag::DIRSYNC != 0,
    }
}
