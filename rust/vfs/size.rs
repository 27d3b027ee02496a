// SPDX-License-Identifier: GPL-2.0

//! The size of a file, the blocks that it has, and what is cached beyond its end.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/iomap.h`](srctree/include/linux/iomap.h)

use super::{
    iomap::{
        self,
        Mapper, //
    },
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    pagecache::{
        ByteRange,
        InodeLockGuard,
        InvalidateGuard, //
    },
};
use core::ptr;
use kernel::{
    error::to_result,
    prelude::*, //
};

impl<T: FileSystem> Inode<T> {
    /// Counts `count` blocks more that the file has.
    pub(crate) fn add_blocks(&self, count: u32) {
        let bytes = i64::from(count) << self.sb().block_bits();
        // SAFETY: Valid by the type invariants; C takes the inode's spin lock.
        unsafe { bindings::inode_add_bytes(self.as_raw(), bytes) };
    }

    /// Counts `count` blocks less; none if the count was wrong.
    ///
    /// The caller keeps others from counting at the same time.
    pub(crate) fn sub_blocks(&self, count: u32) {
        let sectors = u64::from(count) << (self.sb().block_bits() - 9);
        // SAFETY: Valid by the type invariants.
        let sectors =
            sectors.min(unsafe { (&raw const (*self.as_raw()).i_blocks).read_volatile() });
        // OVERFLOW: At most 2^32 blocks.
        let bytes = i64::try_from(sectors << 9).unwrap_or(0);
        // SAFETY: As in `add_blocks`.
        unsafe { bindings::inode_sub_bytes(self.as_raw(), bytes) };
    }

    /// Makes the file reach to the end of `range`, which is on the device, if it is smaller.
    ///
    /// What is cached between its old end and the range is zeroed, and a store there faults again, so
    /// that it gets a block.
    ///
    /// # Context
    ///
    /// May sleep. Takes a folio lock.
    pub(crate) fn extend_to(&self, range: ByteRange, _lock: &InodeLockGuard<'_>) {
        let end = self.size();
        if range.end() <= end {
            return;
        }
        self.set_size(range.end());
        // No file is larger than `s_maxbytes`.
        if let (Ok(from), Ok(to)) = (i64::try_from(end), i64::try_from(range.pos())) {
            // SAFETY: Valid by the type invariants; nothing is done unless `from` is less than `to`.
            unsafe { bindings::pagecache_isize_extended(self.as_raw(), from, to) };
        }
        self.mark_dirty();
    }

    /// Makes the file as large as `size` bytes, without regard for its blocks or the page cache.
    ///
    /// The inode lock is held exclusively, or nobody else uses the inode.
    pub(crate) fn set_size(&self, size: u64) {
        // No file is larger than `s_maxbytes`.
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::cohfs_i_size_write(self.as_raw(), size) };
    }

    /// Makes the file as large as `size` bytes and drops what is cached beyond that; what is left of
    /// the last page is zero.
    ///
    /// # Context
    ///
    /// May sleep: waits for writeback of what is dropped.
    pub(crate) fn truncate_setsize(&self, size: u64, _lock: &InvalidateGuard<'_>) {
        // No file is larger than `s_maxbytes`.
        let size = i64::try_from(size).unwrap_or(i64::MAX);
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::truncate_setsize(self.as_raw(), size) };
    }

    /// Drops what is cached beyond the end of the file, as [`Self::truncate_setsize`] does.
    ///
    /// # Context
    ///
    /// As [`Self::truncate_setsize`].
    pub(crate) fn drop_beyond_end(&self, _lock: &InodeLockGuard<'_>) {
        // SAFETY: Valid by the type invariants; the size changes under the inode lock.
        unsafe { bindings::truncate_pagecache(self.as_raw(), (*self.as_raw()).i_size) };
    }

    /// Zeroes `range` in the page cache, where the file is no hole.
    ///
    /// # Context
    ///
    /// May sleep. Takes folio locks.
    ///
    /// # Errors
    ///
    /// Those of the mapper, and of reading what is zeroed in part.
    pub(crate) fn zero_range<M: Mapper<Fs = T>>(
        &self,
        range: ByteRange,
        _lock: &InodeLockGuard<'_>,
    ) -> Result {
        self.zero_by::<M>(range, &iomap::VTable::<M>::OPS)
    }

    /// As [`Self::zero_range`], and fills holes with zeros.
    ///
    /// # Context
    ///
    /// As [`Self::zero_range`]. The range ends within the file.
    ///
    /// # Errors
    ///
    /// As [`Self::zero_range`]; a part may be done then.
    pub(crate) fn fill_range<M: Mapper<Fs = T>>(
        &self,
        range: ByteRange,
        _lock: &InodeLockGuard<'_>,
    ) -> Result {
        self.zero_by::<M>(range, &iomap::VTable::<M>::FILL_OPS)
    }

    /// Zeroes what `ops` finds in `range`, in the cache.
    fn zero_by<M: Mapper<Fs = T>>(
        &self,
        range: ByteRange,
        ops: &'static bindings::iomap_ops,
    ) -> Result {
        let (pos, len) = (i64::try_from(range.pos())?, i64::try_from(range.len())?);
        // SAFETY: All are valid.
        to_result(unsafe {
            bindings::iomap_zero_range(
                self.as_raw(),
                pos,
                len,
                ptr::null_mut(),
                ops,
                &iomap::VTable::<M>::WRITE_OPS,
                ptr::null_mut(),
            )
        })
    }

    /// Drops what is cached of `range`, dirty or not. Where a page is in it in part, that part becomes
    /// zero, and the page stays; so may a large folio, that cannot be split.
    ///
    /// # Context
    ///
    /// May sleep: waits for writeback of what is dropped.
    pub(crate) fn truncate_range(&self, range: ByteRange, _lock: &InvalidateGuard<'_>) {
        // At most `i64::MAX`, by the invariants of `ByteRange`.
        let (first, last) = (range.pos().cast_signed(), (range.end() - 1).cast_signed());
        // SAFETY: Valid by the type invariants; C's range includes its last byte.
        unsafe { bindings::truncate_pagecache_range(self.as_raw(), first, last) };
    }

    /// Checks that the file may become as large as `size` bytes.
    ///
    /// # Errors
    ///
    /// [`EFBIG`] beyond the limit of the task or of the file system.
    pub(crate) fn newsize_ok(&self, size: u64, _lock: &InodeLockGuard<'_>) -> Result {
        let size = i64::try_from(size)?;
        // SAFETY: Valid by the type invariants.
        to_result(unsafe { bindings::inode_newsize_ok(self.as_raw(), size) })
    }

    /// Sets the times of a change of the data to now, and marks the inode dirty.
    pub(crate) fn note_modified(&self) {
        // SAFETY: Valid by the type invariants.
        unsafe {
            let now = bindings::inode_set_ctime_current(self.as_raw());
            bindings::cohfs_inode_set_mtime_to_ts(self.as_raw(), now);
        }
        self.mark_dirty();
    }

    /// Sets the time of a change of the inode to now, and marks the inode dirty.
    pub(crate) fn note_changed(&self) {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::inode_set_ctime_current(self.as_raw()) };
        self.mark_dirty();
    }

    /// Waits for the direct reads and writes in flight; none begins under the inode lock.
    pub(crate) fn dio_wait(&self, _lock: &InodeLockGuard<'_>) {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::inode_dio_wait(self.as_raw()) };
    }

    /// Says whether the size may not be changed but by appending.
    pub(crate) fn has_fixed_size(&self) -> bool {
        // SAFETY: Valid by the type invariants; C reads the word without a lock as well.
        let flags = unsafe { (&raw const (*self.as_raw()).i_flags).read_volatile() };
        flags & (bindings::S_APPEND | bindings::S_IMMUTABLE) != 0
    }
}
