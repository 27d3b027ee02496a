// SPDX-License-Identifier: GPL-2.0

//! The file system: the ext2 format on the VFS and the coherency protocol.
//!
//! Policy only. Mechanism is in the rooms below: [`crate::vfs`] has what the kernel wants to be
//! asked, [`crate::ext2`] what the bytes on disk mean, [`crate::coherency`] what a direct write
//! does to the page cache. To find one's way: `mount.rs` is where a volume begins, `inode.rs`
//! where a file does, `namei.rs` gives it its name, `tree` leads from it to its blocks, `file.rs` reads
//! and writes.
//!
//! C counterpart: [`fs/ext2`](srctree/fs/ext2)

mod acl;
mod attr;
mod debugfs;
mod dir;
mod direct;
mod error;
mod export;
mod fallocate;
mod file;
mod inode;
mod ioctl;
mod label;
mod map;
mod mount;
mod namei;
mod new_inode;
mod options;
mod rename;
mod shutdown;
mod size;
mod space;
mod state;
mod super_block;
mod symlink;
mod tree;
mod trim;
mod xattr;

use crate::vfs::{
    self,
    FileSystem, //
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

/// The file system type `cohfs`.
pub(crate) struct Cohfs;

impl FileSystem for Cohfs {
    const NAME: &'static CStr = c"cohfs";
    const INODE_CACHE: &'static CStr = c"cohfs_inode_cache";

    type Registered = Registered;
    type Super = super_block::Super;
    type Inode = inode::Private;

    fn is_shut_down(data: &super_block::Super) -> bool {
        data.is_down.load(Relaxed)
    }
}

/// What is there once for all mounts.
pub(crate) struct Registered {
    /// `/sys/kernel/debug/cohfs`.
    debugfs: vfs::debugfs::Dir,
}

impl Registered {
    /// Makes it.
    pub(crate) fn new() -> Self {
        Self {
            debugfs: vfs::debugfs::Dir::new(Cohfs::NAME, None),
        }
    }
}

type SuperBlock = vfs::SuperBlock<Cohfs>;
type Inode = vfs::Inode<Cohfs>;
type Dentry = vfs::Dentry<Cohfs>;
