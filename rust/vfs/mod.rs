// SPDX-License-Identifier: GPL-2.0

//! The VFS, seen from a file system: safe types, and one trait for each table of C operations.
//!
//! | C | trait | table |
//! |---|---|---|
//! | `fs_context_operations` | [`mount::Operations`] | `mount.rs` |
//! | `super_operations` | [`super_ops::Operations`] | `super_ops.rs` |
//! | `export_operations` | [`export::Operations`] | `export.rs` |
//! | `inode_operations` | [`inode_ops::Operations`] | `inode_ops.rs` |
//! | `file_operations` | [`file_ops::Operations`] | `file_ops.rs` |
//! | `iomap_ops`, `iomap_writeback_ops` | [`iomap::Mapper`] | `iomap.rs` |
//! | `address_space_operations` | [`iomap::Mapper`] | `aops.rs` |
//! | `vm_operations_struct` | [`fault::Operations`] | `fault.rs` |
//! | `xattr_handler` | [`xattr::Operations`] | `xattr.rs` |
//!
//! A trait's methods are what the file system decides; its table's trampolines convert and call.
//! Everything is generic over one [`FileSystem`], which names the types that belong together.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

mod acl;
mod aops;
mod attr;
mod buffer_head;
mod changes;
mod complaints;
mod dentry;
mod device;
mod dir;
mod direct;
mod extents;
mod file;
mod fs_type;
mod generation;
mod inode;
mod inode_cache;
mod inode_kind;
mod inode_table;
mod links;
mod metadata;
mod new_inode;
mod nofs;
mod percpu_counter;
mod piece;
mod pinned;
mod progress;
mod queued;
mod registration;
mod size;
mod stand_in;
mod super_block;
mod symlink;
mod task;
mod zero;

pub(crate) mod cred;
pub(crate) mod debugfs;
pub(crate) mod export;
pub(crate) mod fault;
pub(crate) mod file_ops;
pub(crate) mod inode_ops;
pub(crate) mod iomap;
pub(crate) mod mount;
pub(crate) mod super_ops;
pub(crate) mod xattr;

pub(crate) use self::acl::AclType;
pub(crate) use self::attr::{
    SetAttr,
    Stat, //
};
pub(crate) use self::buffer_head::BufferHead;
pub(crate) use self::complaints::{
    may_complain,
    Complaints, //
};
pub(crate) use self::dentry::Dentry;
pub(crate) use self::dir::{
    DirContext,
    FileType, //
};
pub(crate) use self::file::{
    alignment,
    dest_alignment,
    File,
    Kiocb,
    Opening, //
};
pub(crate) use self::inode::{
    Attributes,
    Inode, //
};
pub(crate) use self::inode_kind::{
    Device,
    Flags, //
};
pub(crate) use self::new_inode::{
    FreshInode,
    Get,
    NewInode, //
};
pub(crate) use self::nofs::NofsGuard;
pub(crate) use self::percpu_counter::PerCpuCounter;
pub(crate) use self::pinned::PinnedSource;
pub(crate) use self::registration::Registration;
pub(crate) use self::super_block::{
    Limits,
    NewSuperBlock,
    SuperBlock, //
};

pub(crate) use self::task::{
    cond_resched,
    current_pid, //
};
pub(crate) use self::xattr::Room;

use crate::bindings;
use kernel::prelude::*;

/// The types of one file system.
pub(crate) trait FileSystem: Sized + Send + Sync + 'static {
    /// The name of the type, as `mount -t` takes it.
    const NAME: &'static CStr;

    /// The name of the slab cache of its inodes.
    const INODE_CACHE: &'static CStr;

    /// What it keeps once for all mounts.
    type Registered: Send + Sync;

    /// What it keeps for each mount.
    type Super: Send + Sync;

    /// What it keeps for each inode, pinned. Dropping it must not sleep.
    type Inode: Send + Sync;

    /// Says whether the volume is given up: nothing is read or written any more.
    fn is_shut_down(data: &Self::Super) -> bool;
}

/// Returns the time of day in seconds.
pub(crate) fn real_seconds() -> i64 {
    // SAFETY: No requirements.
    unsafe { bindings::ktime_get_real_seconds() }
}

/// Returns a random number below `bound`, which is positive.
pub(crate) fn random_below(bound: u32) -> u32 {
    // SAFETY: No requirements.
    unsafe { bindings::cohfs_get_random_u32_below(bound) }
}

/// Ends a walk that an image can make as long as it likes, if the task is being killed.
///
/// # Errors
///
/// [`EINTR`] if it is.
pub(crate) fn check_killed() -> Result {
    // SAFETY: No requirements; both are about the task that calls.
    let killed = unsafe {
        bindings::cohfs_cond_resched();
        bindings::cohfs_fatal_signal_pending()
    };
    if killed {
        return Err(EINTR);
    }
    Ok(())
}
