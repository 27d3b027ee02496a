// SPDX-License-Identifier: GPL-2.0

//! What makes, finds and removes names.
//!
//! A file is made before its name, and its name removed before the file: whatever fails in between,
//! no name leads to an inode that is not there. What fails is undone. The VFS holds the locks of the
//! directories and of what is unlinked or moved, see [`inode_ops::Operations`].
//!
//! C counterpart: [`fs/ext2/namei.c`](srctree/fs/ext2/namei.c)

use super::{
    acl,
    attr,
    dir::{
        self,
        Editor, //
    },
    error,
    inode,
    new_inode::{
        new_inode,
        Content, //
    },
    rename,
    super_block::NAME_LEN,
    symlink,
    xattr,
    Cohfs,
    Dentry,
    Inode, //
};
use crate::{
    ext2::Corrupt,
    vfs::{
        inode_ops,
        AclType,
        Device,
        FreshInode,
        Room,
        SetAttr,
        Stat, //
    },
};
use kernel::{
    num::casts::u32_as_usize,
    prelude::*,
    sync::aref::ARef, //
};

/// Links that a directory has by itself: its name and its `.`.
const OWN_LINKS: u32 = 2;

/// Directories, as inodes.
pub(super) struct Dir;

#[vtable]
impl inode_ops::Operations for Dir {
    type Fs = Cohfs;

    fn lookup(dir: &Inode, dentry: &Dentry) -> Result<Option<ARef<Inode>>> {
        let name = dentry.name();
        if name.len() > u32_as_usize(NAME_LEN) {
            return Err(ENAMETOOLONG);
        }
        let Some(entry) = dir::find(dir, name)? else {
            return Ok(None);
        };
        let ino = entry.ino;
        inode::iget(dir.sb(), ino).map(Some).map_err(|error| {
            if error == ESTALE {
                return error::corrupt_in(dir, &Corrupt::Deleted(ino));
            }
            error
        })
    }

    fn create(dir: &Inode, dentry: &Dentry, mode: u16) -> Result<FreshInode<Cohfs>> {
        make(
            dir,
            dentry,
            new_inode(dir, Some(dentry), mode, &Content::Empty)?,
        )
    }

    fn tmpfile(dir: &Inode, mode: u16) -> Result<FreshInode<Cohfs>> {
        new_inode(dir, None, mode, &Content::Empty)
    }

    fn mknod(dir: &Inode, dentry: &Dentry, mode: u16, device: Device) -> Result<FreshInode<Cohfs>> {
        let content = Content::Device(device);
        make(dir, dentry, new_inode(dir, Some(dentry), mode, &content)?)
    }

    fn symlink(dir: &Inode, dentry: &Dentry, target: &CStr) -> Result<FreshInode<Cohfs>> {
        make(dir, dentry, symlink::new(dir, dentry, target.to_bytes())?)
    }

    fn mkdir(dir: &Inode, dentry: &Dentry, mode: u16) -> Result<FreshInode<Cohfs>> {
        let made = new_inode(dir, Some(dentry), mode, &Content::Empty)?;
        made.inc_link_count();
        Editor::new(dir)?.make_empty(&made, dir)?;
        // The `..` of the new one.
        dir.inc_link_count();
        make(dir, dentry, made).inspect_err(|_| dir.dec_link_count())
    }

    fn link(inode: &Inode, dir: &Inode, dentry: &Dentry) -> Result {
        inode.touch_ctime();
        inode.inc_link_count();
        add_name(dir, dentry, inode).inspect_err(|_| inode.dec_link_count())
    }

    fn unlink(dir: &Inode, dentry: &Dentry) -> Result {
        let inode = dentry.inode().ok_or(ENOENT)?;
        remove_name(dir, dentry, inode)?;
        inode.dec_link_count();
        sync_removed(dir, dentry)
    }

    fn rmdir(dir: &Inode, dentry: &Dentry) -> Result {
        let inode = dentry.inode().ok_or(ENOENT)?;
        if !dir::is_empty(inode)? {
            return Err(ENOTEMPTY);
        }
        remove_name(dir, dentry, inode)?;
        inode.set_size(0);
        inode.clear_link_count();
        drop_subdir(dir);
        sync_removed(dir, dentry)
    }

    fn rename(from_dir: &Inode, from: &Dentry, to_dir: &Inode, to: &Dentry, flags: u32) -> Result {
        rename::rename(from_dir, from, to_dir, to, flags)
    }

    fn setattr(inode: &Inode, change: &mut SetAttr<'_>) -> Result {
        attr::setattr(inode, change)
    }

    fn getattr(inode: &Inode, stat: &mut Stat<'_>) -> Result {
        attr::getattr(inode, stat)
    }

    fn fileattr_get(inode: &Inode) -> u32 {
        attr::fileattr_get(inode)
    }

    fn fileattr_set(inode: &Inode, flags: u32) -> Result {
        attr::fileattr_set(inode, flags)
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

/// Gives a new inode its name, and returns it.
fn make(dir: &Inode, dentry: &Dentry, made: FreshInode<Cohfs>) -> Result<FreshInode<Cohfs>> {
    add_name(dir, dentry, &made)?;
    Ok(made)
}

/// Gives `inode` a name. If both are to be on the device when this returns and cannot, the name is
/// removed again.
fn add_name(dir: &Inode, dentry: &Dentry, inode: &Inode) -> Result {
    let mut editor = Editor::new(dir)?;
    let entry = editor.add_link(dir, dentry.name(), inode)?;
    if !dir.is_dirsync() {
        return Ok(());
    }
    let synced = inode.sync_now().and_then(|()| dir.sync_now());
    if synced.is_err() {
        editor.delete_entry(dir, &entry)?;
    }
    synced
}

/// Removes a name of `inode`.
///
/// # Errors
///
/// [`ENOENT`] if it is no name of that inode: then somebody changed the device.
fn remove_name(dir: &Inode, dentry: &Dentry, inode: &Inode) -> Result {
    let mut editor = Editor::new(dir)?;
    let entry = dir::find_of(dir, dentry, inode)?;
    editor.delete_entry(dir, &entry)?;
    inode.touch_ctime();
    Ok(())
}

/// Waits until the device has what a directory has, if it is to. If that fails, the name is gone
/// nevertheless: who looks for it is to look there, not in memory.
fn sync_removed(dir: &Inode, dentry: &Dentry) -> Result {
    if !dir.is_dirsync() {
        return Ok(());
    }
    dir.sync_now().inspect_err(|_| dentry.unhash())
}

/// Counts one subdirectory less.
///
/// The directory itself stays, whatever its count says: if it was too low, the damage is noted.
pub(super) fn drop_subdir(dir: &Inode) {
    if dir.nlink() > OWN_LINKS {
        dir.dec_link_count();
        return;
    }
    // The subdirectory is gone already, so this is nobody's error.
    let _ = error::corrupt_in(dir, &Corrupt::Links(dir.nlink()));
}
