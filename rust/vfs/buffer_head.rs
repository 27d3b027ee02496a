// SPDX-License-Identifier: GPL-2.0

//! One cached block of the device.
//!
//! Whoever may write to the device can change a cached block at any moment, so there is never a
//! Rust reference to its bytes: they are copied out, and copied in under the buffer's lock.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)

use crate::bindings;
use core::ptr::{
    self,
    NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*, //
};

/// Owns one reference to a `struct buffer_head` that was read from the device.
///
/// # Invariants
///
/// The buffer is referenced, and `b_data` points to `b_size` bytes; neither changes while a
/// reference exists.
pub(crate) struct BufferHead(NonNull<bindings::buffer_head>);

// SAFETY: The reference count is atomic and the bytes are only touched as the file's head says.
unsafe impl Send for BufferHead {}
// SAFETY: As above.
unsafe impl Sync for BufferHead {}

impl BufferHead {
    /// Reads one block of the file system's size.
    ///
    /// # Safety
    ///
    /// `sb` is a valid super block whose block size is set.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the device could not read it.
    pub(super) unsafe fn read(sb: *mut bindings::super_block, block: u64) -> Result<Self> {
        // SAFETY: By our requirements.
        let bh = unsafe { bindings::cohfs_sb_bread(sb, block) };
        // INVARIANT: `sb_bread` returns a referenced buffer that is up to date, or NULL.
        NonNull::new(bh).map(Self).ok_or(EIO)
    }

    /// Returns the C buffer.
    pub(super) fn as_raw(&self) -> *mut bindings::buffer_head {
        self.0.as_ptr()
    }

    /// Returns the size of the block in bytes.
    pub(crate) fn size(&self) -> usize {
        // SAFETY: Valid by the type invariants.
        unsafe { (*self.0.as_ptr()).b_size }
    }

    /// Returns the address of `len` bytes from `offset` on, if they are within the block.
    fn bytes(&self, offset: usize, len: usize) -> Result<*mut u8> {
        if offset.checked_add(len).is_none_or(|end| end > self.size()) {
            return Err(EINVAL);
        }
        // SAFETY: Valid by the type invariants, and in bounds as just checked.
        Ok(unsafe { (*self.0.as_ptr()).b_data.add(offset) })
    }

    /// Copies the bytes from `offset` on into all of `out`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if they are not all within the block.
    pub(crate) fn copy_to(&self, offset: usize, out: &mut [u8]) -> Result {
        let from = self.bytes(offset, out.len())?;
        // SAFETY: `from` is valid for the length, by `bytes`; `out` is ours alone. A writer at the
        // same time can tear the copy, which is the parser's to find out; as elsewhere in the
        // kernel, `memcpy` is taken to do nothing worse than that.
        unsafe { ptr::copy_nonoverlapping(from, out.as_mut_ptr(), out.len()) };
        Ok(())
    }

    /// Returns the little-endian word at byte `offset`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it is not within the block.
    pub(crate) fn le32(&self, offset: usize) -> Result<u32> {
        let mut word = [0; 4];
        self.copy_to(offset, &mut word)?;
        Ok(u32::from_le_bytes(word))
    }

    /// Replaces the bytes from `offset` on and marks the block dirty.
    ///
    /// # Context
    ///
    /// May sleep: waits for a write of the block that is in flight.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if they are not all within the block.
    pub(crate) fn copy_from(&self, offset: usize, from: &[u8]) -> Result {
        let to = self.bytes(offset, from.len())?;
        // LOCKING: The buffer's lock keeps a half-changed block from being written out.
        // SAFETY: Referenced, by the type invariants.
        unsafe { bindings::cohfs_lock_buffer(self.0.as_ptr()) };
        // SAFETY: `to` is valid for the length, by `bytes`, and `from` is a Rust slice, so not it.
        unsafe { ptr::copy_nonoverlapping(from.as_ptr(), to, from.len()) };
        // A write that failed left the buffer "not up to date", although its bytes are what they
        // should be; this is the next attempt.
        // SAFETY: Locked above.
        unsafe {
            bindings::cohfs_clear_buffer_write_io_error(self.0.as_ptr());
            bindings::cohfs_set_buffer_uptodate(self.0.as_ptr());
            bindings::unlock_buffer(self.0.as_ptr());
        }
        // SAFETY: Referenced and up to date, by the type invariants.
        unsafe { bindings::mark_buffer_dirty(self.0.as_ptr()) };
        Ok(())
    }

    /// Writes the block out if it is dirty, and waits for it.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the device could not write it, now or the last time.
    pub(crate) fn sync(&self) -> Result {
        // SAFETY: Referenced, by the type invariants.
        to_result(unsafe { bindings::sync_dirty_buffer(self.0.as_ptr()) })?;
        // SAFETY: As above.
        if unsafe { bindings::cohfs_buffer_write_io_error(self.0.as_ptr()) } {
            return Err(EIO);
        }
        Ok(())
    }
}

impl Drop for BufferHead {
    fn drop(&mut self) {
        // SAFETY: We own a reference, by the type invariants.
        unsafe { bindings::__brelse(self.0.as_ptr()) };
    }
}
