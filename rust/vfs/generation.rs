// SPDX-License-Identifier: GPL-2.0

//! The generation of an inode, and who may set it.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    pagecache::InodeLockGuard, //
};

impl<T: FileSystem> Inode<T> {
    /// Says whether this task owns the file, or may do as if it did.
    pub(crate) fn is_owner_or_capable(&self) -> bool {
        // SAFETY: Valid by the type invariants. The type of file system does not take part in mapped
        // mounts.
        unsafe { bindings::inode_owner_or_capable(&raw mut bindings::nop_mnt_idmap, self.as_raw()) }
    }

    /// Sets what tells the file apart from those that had its number before.
    pub(crate) fn set_generation(&self, generation: u32, _lock: &InodeLockGuard<'_>) {
        // SAFETY: Valid by the type invariants; C reads and writes the word without more than the
        // inode lock (`ext2_ioctl`).
        unsafe { (&raw mut (*self.as_raw()).i_generation).write_volatile(generation) };
        self.note_changed();
    }
}
