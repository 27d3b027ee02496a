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
    Cohfs,
    Inode, //
};
use crate::vfs::{
    inode_ops,
    SetAttr,
    Stat, //
};
use kernel::{
    num::casts::arch::u64_as_usize,
    prelude::*, //
};

/// Symbolic links, as inodes.
pub(super) struct Symlink;

#[vtable]
impl inode_ops::Operations for Symlink {
    type Fs = Cohfs;

    fn read_link(inode: &Inode) -> Result<KVec<u8>> {
        let mut target = dir::block_buffer(inode)?;
        dir::read_block(inode, 0, &mut target)?;
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
}
