// SPDX-License-Identifier: GPL-2.0

//! Links and times of an inode, as the operations that change names change them.
//!
//! The VFS holds the locks of the inodes concerned (`Documentation/filesystems/locking.rst`): of the
//! directories, and of what is linked, unlinked or moved. [`Dentry`](super::Dentry)s stand for the
//! former.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    FileSystem,
    Inode, //
};
use crate::bindings;
use kernel::{
    error::to_result,
    prelude::*, //
};

impl<T: FileSystem> Inode<T> {
    /// Returns the number of links.
    pub(crate) fn nlink(&self) -> u32 {
        // SAFETY: Valid by the type invariants; C reads the word without a lock as well.
        unsafe { (&raw const (*self.as_raw()).__bindgen_anon_1.i_nlink).read_volatile() }
    }

    /// Counts one link more, and marks the inode dirty.
    pub(crate) fn inc_link_count(&self) {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::inc_nlink(self.as_raw()) };
        self.mark_dirty();
    }

    /// Counts one link less, and marks the inode dirty.
    ///
    /// Nothing happens if there are none: then the volume has more names than links.
    pub(crate) fn dec_link_count(&self) {
        if self.nlink() > 0 {
            // SAFETY: Valid by the type invariants.
            unsafe { bindings::drop_nlink(self.as_raw()) };
            self.mark_dirty();
        }
    }

    /// Takes all links away, and marks the inode dirty.
    pub(crate) fn clear_link_count(&self) {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::clear_nlink(self.as_raw()) };
        self.mark_dirty();
    }

    /// Says whether changes of the directory are to be on the device when they return.
    pub(crate) fn is_dirsync(&self) -> bool {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::cohfs_is_dirsync(self.as_raw()) }
    }

    /// Says whether changes of the file are to be on the device when they return.
    pub(crate) fn is_sync(&self) -> bool {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::cohfs_is_sync(self.as_raw()) }
    }

    /// Writes the inode and its metadata to the device, and waits for it.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the device could not write it.
    pub(crate) fn sync_now(&self) -> Result {
        // SAFETY: Valid by the type invariants.
        to_result(unsafe { bindings::sync_inode_metadata(self.as_raw(), 1) })
    }

    /// Notes that the inode changed now, and marks it dirty.
    pub(crate) fn touch_ctime(&self) {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::inode_set_ctime_current(self.as_raw()) };
        self.mark_dirty();
    }

    /// Notes that the inode and its data changed now, and marks it dirty.
    pub(crate) fn touch_mtime(&self) {
        // SAFETY: Valid by the type invariants.
        unsafe {
            let now = bindings::inode_set_ctime_current(self.as_raw());
            bindings::cohfs_inode_set_mtime_to_ts(self.as_raw(), now);
        }
        self.mark_dirty();
    }
}
