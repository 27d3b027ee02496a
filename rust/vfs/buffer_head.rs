// SPDX-License-Identifier: GPL-2.0

//! One cached block of the device.
//!
//! Whoever may write to the device can change a cached block at any moment, so there is never a
//! Rust reference to its bytes. There are three ways to them:
//!
//! - Structures are copied out, changed, and copied in under the buffer's lock, so that no half of
//!   a change is written out. Who changes the same bytes is kept apart by the caller.
//! - Single words, such as pointers to blocks and counts, are loaded and stored whole, without the
//!   lock: nobody sees half of one, the device included.
//! - Bits of a bitmap are taken and given back atomically, also without the lock.
//!
//! C header: [`include/linux/buffer_head.h`](srctree/include/linux/buffer_head.h)

use crate::bindings;
use core::{
    mem::ManuallyDrop,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    error::to_result,
    num::casts::u32_as_usize,
    prelude::*, //
};

/// Owns one reference to a `struct buffer_head` that was read from the device, or zeroed.
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

    /// Returns a zeroed block of the file system's size, without reading it from the device.
    ///
    /// # Safety
    ///
    /// `sb` is a valid super block whose block size is set.
    pub(super) unsafe fn zeroed(sb: *mut bindings::super_block, block: u64) -> Result<Self> {
        // SAFETY: By our requirements.
        let bh = unsafe { bindings::cohfs_sb_getblk(sb, block) };
        let bh = NonNull::new(bh).ok_or(ENOMEM)?;
        // LOCKING: Who reads the block at the same moment, through the device, sees it as it was
        // or as zeroes.
        // SAFETY: We own a reference, so `b_data` is valid for `b_size` bytes.
        // INVARIANT: Up to date from here on.
        unsafe {
            bindings::cohfs_lock_buffer(bh.as_ptr());
            (*bh.as_ptr()).b_data.write_bytes(0, (*bh.as_ptr()).b_size);
            bindings::cohfs_clear_buffer_write_io_error(bh.as_ptr());
            bindings::cohfs_set_buffer_uptodate(bh.as_ptr());
            bindings::unlock_buffer(bh.as_ptr());
        }
        Ok(Self(bh))
    }

    /// Returns the C buffer.
    pub(super) fn as_raw(&self) -> *mut bindings::buffer_head {
        self.0.as_ptr()
    }

    /// Returns the number of the block on the device.
    pub(crate) fn block(&self) -> u64 {
        // SAFETY: Valid by the type invariants; constant while referenced.
        unsafe { (*self.as_raw()).b_blocknr }
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

    /// Makes `copy` a copy of the whole block.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`], if it has no room for a block yet.
    pub(crate) fn copy_whole(&self, copy: &mut KVec<u8>) -> Result {
        let len = self.size();
        let from = self.bytes(0, len)?;
        copy.clear();
        copy.reserve(len, GFP_KERNEL)?;
        let room = copy.spare_capacity_mut().as_mut_ptr().cast();
        // SAFETY: As in `copy_to`; there is room for as many, which are then filled in.
        unsafe {
            ptr::copy_nonoverlapping(from, room, len);
            copy.inc_len(len);
        }
        Ok(())
    }

    /// Says whether the bytes from `offset` on are `other`.
    pub(crate) fn has(&self, offset: usize, other: &[u8]) -> bool {
        let Some(&last) = other.last() else {
            return true;
        };
        self.bytes(offset, other.len()).is_ok_and(|at| {
            // The last byte first: names in a directory are alike at their start more than at their end.
            // SAFETY: Both are valid for the length, `at` by `bytes`. As in `copy_to`, a writer at the
            // same time does nothing worse than to spoil the answer.
            unsafe {
                at.add(other.len() - 1).read_volatile() == last
                    && bindings::memcmp(at.cast(), other.as_ptr().cast(), other.len()) == 0
            }
        })
    }

    /// Returns the address of the word of type `W` at byte `offset`.
    fn word<W>(&self, offset: usize) -> Result<*mut W> {
        // Blocks are aligned to their size, so their words are if the offset is.
        if offset % size_of::<W>() != 0 {
            return Err(EINVAL);
        }
        self.bytes(offset, size_of::<W>()).map(|at| at.cast())
    }

    /// Returns the little-endian word of 16 bits at byte `offset`.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it is not within the block, or not aligned.
    pub(crate) fn le16(&self, offset: usize) -> Result<u16> {
        // SAFETY: Valid and aligned, by `word`; volatile, since it may change at any moment.
        let word = unsafe { self.word::<u16>(offset)?.read_volatile() };
        Ok(u16::from_le(word))
    }

    /// Returns the little-endian word of 32 bits at byte `offset`.
    ///
    /// # Errors
    ///
    /// As [`Self::le16`].
    pub(crate) fn le32(&self, offset: usize) -> Result<u32> {
        // SAFETY: As in `le16`.
        let word = unsafe { self.word::<u32>(offset)?.read_volatile() };
        Ok(u32::from_le(word))
    }

    /// Returns the index of the first word of 32 bits that is not zero, of those from `from` to `end`,
    /// `end` not included, that the block has.
    pub(crate) fn find_next_set_le32(&self, from: usize, end: usize) -> Option<usize> {
        let end = end.min(self.size() / size_of::<u32>());
        let start = self.bytes(0, self.size()).ok()?.cast::<u32>();
        // SAFETY: `end` words are within the block, which is aligned to its size. As in `le16`.
        (from..end).find(|&index| unsafe { start.add(index).read_volatile() } != 0)
    }

    /// Stores a little-endian word of 16 bits at byte `offset`. The block is to be
    /// [marked dirty](Self::mark_dirty) afterwards.
    ///
    /// # Context
    ///
    /// Does not sleep. Two stores of one word are kept apart by the caller.
    ///
    /// # Errors
    ///
    /// As [`Self::le16`].
    pub(crate) fn set_le16(&self, offset: usize, value: u16) -> Result {
        // SAFETY: As in `le16`.
        unsafe { self.word::<u16>(offset)?.write_volatile(value.to_le()) };
        Ok(())
    }

    /// Stores a little-endian word of 32 bits, as [`Self::set_le16`] does one of 16.
    ///
    /// # Errors
    ///
    /// As [`Self::le16`].
    pub(crate) fn set_le32(&self, offset: usize, value: u32) -> Result {
        // SAFETY: As in `le16`.
        unsafe { self.word::<u32>(offset)?.write_volatile(value.to_le()) };
        Ok(())
    }

    /// Returns the first clear bit of `from..end`, bit 0 being the lowest of the first byte.
    pub(crate) fn find_next_zero_bit(&self, from: u32, end: u32) -> Option<u32> {
        let end = end.min(self.bits());
        // SAFETY: `end` bits are within the block. `b_data` is aligned to the size of a block, so
        // the words that C reads are within it as well.
        let bit = unsafe {
            bindings::cohfs_find_next_zero_bit_le(
                (*self.as_raw()).b_data.cast(),
                u32_as_usize(end),
                u32_as_usize(from),
            )
        };
        // C returns `end` if there is none, and never more than that.
        u32::try_from(bit).ok().filter(|&bit| bit < end)
    }

    /// Returns the first bit of the first byte that has no bit set, of those bytes that `from..end`
    /// begins or lies in.
    pub(crate) fn find_next_zero_byte(&self, from: u32, end: u32) -> Option<u32> {
        let (from, end) = (from >> 3, end.min(self.bits()).div_ceil(8));
        let len = u32_as_usize(end.checked_sub(from)?);
        let start = self.bytes(u32_as_usize(from), len).ok()?;
        // SAFETY: `len` bytes from `start` on are within the block, by `bytes`. C returns where the
        // byte is, or the end.
        let skipped =
            unsafe { bindings::cohfs_memscan(start.cast(), 0, len) }.addr() - start.addr();
        // OVERFLOW: Both are within the block.
        let byte = from + u32::try_from(skipped).ok()?;
        (byte < end).then_some(byte << 3)
    }

    /// Sets a bit; says whether it was clear. A bit beyond the block is not.
    pub(crate) fn test_and_set_bit(&self, bit: u32) -> bool {
        // SAFETY: Within the block, as just checked, and aligned as above. C does it atomically.
        bit < self.bits()
            && !unsafe { bindings::cohfs_test_and_set_bit_le(bit, (*self.as_raw()).b_data.cast()) }
    }

    /// Clears a bit; says whether it was set. A bit beyond the block is not.
    pub(crate) fn test_and_clear_bit(&self, bit: u32) -> bool {
        // SAFETY: As in `test_and_set_bit`.
        bit < self.bits()
            && unsafe { bindings::cohfs_test_and_clear_bit_le(bit, (*self.as_raw()).b_data.cast()) }
    }

    /// Returns how many bits the block has.
    fn bits(&self) -> u32 {
        // OVERFLOW: A block is no larger than a page.
        u32::try_from(self.size()).map_or(0, |bytes| bytes << 3)
    }

    /// Marks the block dirty, to be written some time later.
    ///
    /// # Context
    ///
    /// Does not sleep.
    pub(crate) fn mark_dirty(&self) {
        // A write that failed left the buffer "not up to date", although its bytes are what they
        // should be; this is the next attempt.
        // SAFETY: Referenced, by the type invariants.
        unsafe {
            bindings::cohfs_set_buffer_uptodate(self.as_raw());
            bindings::mark_buffer_dirty(self.as_raw());
        }
    }

    /// Drops the block, which was freed: what is dirty of it need not be written any more.
    pub(crate) fn forget(self) {
        let bh = ManuallyDrop::new(self);
        // SAFETY: The reference that we own goes to C.
        unsafe { bindings::__bforget(bh.as_raw()) };
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
        // SAFETY: Locked above.
        unsafe {
            bindings::cohfs_clear_buffer_write_io_error(self.0.as_ptr());
            bindings::unlock_buffer(self.0.as_ptr());
        }
        self.mark_dirty();
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

impl Clone for BufferHead {
    fn clone(&self) -> Self {
        // SAFETY: We own a reference, by the type invariants.
        unsafe { bindings::cohfs_get_bh(self.as_raw()) };
        // INVARIANT: A reference of its own, to the same buffer.
        Self(self.0)
    }
}

impl Drop for BufferHead {
    fn drop(&mut self) {
        // SAFETY: We own a reference, by the type invariants.
        unsafe { bindings::__brelse(self.0.as_ptr()) };
    }
}
