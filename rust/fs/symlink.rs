// SPDX-License-Identifier: GPL-2.0

//! Symbolic links.
//!
//! A short target is in the inode, where the pointers to blocks are in other files; a longer one is
//! in a block of its own. Like a directory's, that block lies in the device's page cache.
//!
//! C counterpart: [`fs/ext2/symlink.c`](srctree/fs/ext2/symlink.c)

use super::{
    attr,
    dir,
    new_inode::{
        new_inode,
        Content, //
    },
    tree,
    xattr,
    Cohfs,
    Dentry,
    Inode, //
};
use crate::{
    ext2::FileBlock,
    vfs::{
        inode_ops,
        FreshInode,
        Room,
        SetAttr,
        Stat, //
    },
};
use kernel::{
    num::casts::{
        arch::u64_as_usize,
        u32_as_usize,
        usize_as_u64, //
    },
    prelude::*,
};

/// The mode of every symbolic link.
const MODE: u16 = 0o120777;

/// Symbolic links, as inodes.
pub(super) struct Symlink;

#[vtable]
impl inode_ops::Operations for Symlink {
    type Fs = Cohfs;

    fn read_link(inode: &Inode) -> Result<KVec<u8>> {
        let mut target = dir::room_for_block(inode)?;
        dir::read_block(inode, 0)?.copy_whole(&mut target)?;
        // Less than a block, by `ext2::Inode`.
        target.truncate(u64_as_usize(inode.size()));
        Ok(target)
    }

    fn setattr(inode: &Inode, change: &mut SetAttr<'_>) -> Result {
        attr::setattr(inode, change)
    }

    fn getattr(inode: &Inode, stat: &mut Stat<'_>) -> Result {
        attr::getattr(inode, stat)
    }

    fn listxattr(inode: &Inode, names: &mut Room<'_>) -> Result {
        xattr::list(inode, names)
    }
}

/// Makes the inode of a symbolic link in the directory `dir`.
///
/// # Errors
///
/// [`ENAMETOOLONG`] if the target, with the zero byte behind it, is larger than a block; those of
/// [`new_inode`].
pub(super) fn new(dir: &Inode, name: &Dentry, target: &[u8]) -> Result<FreshInode<Cohfs>> {
    if target.len() >= u32_as_usize(dir.sb().data().disk.block_size()) {
        return Err(ENAMETOOLONG);
    }
    let link = new_inode(dir, Some(name), MODE, &Content::Target(target))?;
    if link.size() == 0 {
        let buffer = tree::append_block(&link, FileBlock(0))?;
        buffer.copy_from(0, target)?;
        link.mark_metadata_dirty(&buffer);
        link.set_size(usize_as_u64(target.len()));
        link.mark_dirty();
    }
    Ok(link)
}
