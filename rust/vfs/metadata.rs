// SPDX-License-Identifier: GPL-2.0

//! The buffers that belong to an inode: its blocks of pointers, and a directory's blocks.
//!
//! They lie in the device's page cache. The inode keeps a list of those that are dirty, so that an
//! `fsync` finds them.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)

use super::{
    inode_cache::InodeInfo,
    BufferHead,
    FileSystem,
    Inode, //
};
use crate::bindings;
use kernel::{
    error::to_result,
    prelude::*, //
};

impl<T: FileSystem> Inode<T> {
    /// Marks a buffer dirty that belongs to the inode.
    ///
    /// # Context
    ///
    /// Does not sleep.
    pub(crate) fn mark_metadata_dirty(&self, buffer: &BufferHead) {
        // SAFETY: The buffer is referenced and up to date, by its invariants; the list is one, by
        // those of `InodeInfo`.
        unsafe { bindings::mmb_mark_buffer_dirty(buffer.as_raw(), (*self.info()).metadata.get()) };
    }

    /// Writes the inode's dirty buffers to the device and waits for them.
    ///
    /// # Errors
    ///
    /// [`EIO`] if one could not be written.
    pub(crate) fn sync_metadata(&self) -> Result {
        // SAFETY: As above.
        to_result(unsafe { bindings::mmb_sync((*self.info()).metadata.get()) })
    }
}

/// Takes leave of the buffers of an inode that is evicted; writes them if it `stays` on disk.
///
/// # Safety
///
/// `info` is that of an inode which nobody else uses any more.
pub(super) unsafe fn evict<T: FileSystem>(info: *mut InodeInfo<T>, stays: bool) {
    // SAFETY: Made by the constructor. An error stays with the buffer, and the device's own
    // writeback has marked its mapping.
    unsafe {
        let metadata = (*info).metadata.get();
        if stays {
            bindings::mmb_sync(metadata);
        }
        bindings::mmb_invalidate(metadata);
    }
}
