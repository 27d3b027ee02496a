// SPDX-License-Identifier: GPL-2.0

//! The inode of a new file.
//!
//! C counterpart: `ext2_new_inode` in [`fs/ext2/ialloc.c`](srctree/fs/ext2/ialloc.c)

use super::{
    attr::Attr,
    error,
    inode::{
        self,
        Private, //
    },
    space,
    Dentry,
    Inode, //
};
use crate::{
    ext2::{
        self,
        Corrupt,
        Ino,
        Kind, //
    },
    fs::Cohfs,
    vfs::{
        Device,
        FreshInode, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

/// What a new file is made with, besides its mode.
pub(super) enum Content<'a> {
    /// Nothing.
    Empty,
    /// The target of a symbolic link, if it is short; else nothing.
    Target(&'a [u8]),
    /// The number of a device. Named pipes and sockets have none that counts.
    Device(Device),
}

/// Makes an inode for a file that is to be in the directory `dir`, as `name` if it is to have one.
///
/// It has one link, is owned and labelled as the VFS says, and goes when it is dropped.
///
/// # Errors
///
/// [`ENOENT`] if the directory was removed, [`ENOSPC`] if all inodes are in use, [`EUCLEAN`] if
/// the bitmap of inodes is wrong, [`EIO`] or [`ENOMEM`]; those of inheriting access control lists and of
/// writing labels.
pub(super) fn new_inode(
    dir: &Inode,
    name: Option<&Dentry>,
    mode: u16,
    content: &Content<'_>,
) -> Result<FreshInode<Cohfs>> {
    if dir.nlink() == 0 {
        return Err(ENOENT);
    }
    let sb = dir.sb();
    let mut disk = ext2::Inode::new(
        Kind::from_mode(mode).ok_or(EINVAL)?,
        dir.data().flags.load(Relaxed),
    );
    match content {
        Content::Empty => {}
        Content::Target(target) => _ = disk.store_target(target),
        Content::Device(device) => match disk.kind {
            Kind::CharDevice | Kind::BlockDevice => {
                disk.store_device(device.to_old(), device.to_new());
            }
            _ => {}
        },
    }
    let is_dir = disk.kind == Kind::Directory;
    let (ino, _) = space::alloc_inode(dir, is_dir)?;
    let fresh = fill(dir, mode, ino, &disk).inspect_err(|&error| {
        // Its number stays taken if it is somebody else's.
        if error != EUCLEAN {
            space::free_inode(sb, ino, is_dir);
        }
    })?;
    fresh.inherit_acls::<Attr>(dir)?;
    fresh.init_security(dir, name)?;
    Ok(fresh)
}

/// Makes inode `ino`, and its place on disk all zero until it is written.
fn fill(dir: &Inode, mode: u16, ino: Ino, disk: &ext2::Inode) -> Result<FreshInode<Cohfs>> {
    let sb = dir.sb();
    let bsd_groups = sb.data().options().bsd_groups;
    let new = sb
        .new_inode(dir, mode, u64::from(ino.get()), bsd_groups)
        .map_err(|error| match error {
            EBUSY => error::corrupt(sb, &Corrupt::InUse(ino)),
            other => other,
        })?;
    inode::clear(sb, ino)?;
    let fresh = new.complete(Private::new(disk), |new| inode::set_kind(new, disk))?;
    fresh.set_size(disk.size);
    fresh.mark_dirty();
    Ok(fresh)
}
