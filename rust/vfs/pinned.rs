// SPDX-License-Identifier: GPL-2.0

//! The memory that a direct write takes its bytes from, held in place.
//!
//! All faults happen when it is pinned. Whoever moves the bytes later touches no page table and no
//! `mmap_lock`, so it may hold what faults wait for.
//!
//! C headers: [`include/linux/uio.h`](srctree/include/linux/uio.h),
//! [`include/linux/bvec.h`](srctree/include/linux/bvec.h)

use crate::bindings;
use core::mem::MaybeUninit;
use kernel::{
    iov::IovIterSource,
    num::casts::{
        u32_as_usize,
        usize_as_u64, //
    },
    page::{
        PAGE_SHIFT,
        PAGE_SIZE, //
    },
    prelude::*, //
};

/// The pages of a write's source, in the order of its bytes.
///
/// # Invariants
///
/// `vecs` are the first `len` bytes of the source. If `pinned`, we own a pin on each of their pages;
/// else the pages are the kernel's, and whoever asked for the write keeps them.
pub(crate) struct PinnedSource {
    vecs: KVVec<bindings::bio_vec>,
    len: usize,
    pinned: bool,
}

// SAFETY: Pins belong to nobody in particular.
unsafe impl Send for PinnedSource {}

impl PinnedSource {
    /// Pins all that `from` still has, and leaves it where it is.
    ///
    /// # Context
    ///
    /// May sleep and fault: no lock is held that a fault takes.
    ///
    /// # Errors
    ///
    /// [`EFAULT`] if some of it is not there, [`ENOMEM`].
    pub(crate) fn new(from: &mut IovIterSource<'_>) -> Result<Self> {
        let iter = from.as_raw();
        let wanted = from.len();
        // SAFETY: Valid, by the type invariants of the iterator.
        let pages = unsafe { bindings::iov_iter_npages(iter, c_int::MAX) };
        let mut source = Self {
            vecs: KVVec::with_capacity(usize::try_from(pages)?, GFP_KERNEL)?,
            len: 0,
            // SAFETY: As above.
            pinned: unsafe { bindings::cohfs_iov_iter_extract_will_pin(iter) },
        };
        let mut pinned = Ok(());
        while pinned.is_ok() && source.len < wanted {
            pinned = source.extract(iter, wanted - source.len);
        }
        // SAFETY: Advanced by as much.
        unsafe { bindings::iov_iter_revert(iter, source.len) };
        pinned.map(|()| source)
    }

    /// Adds some of the next `most` bytes of `iter`.
    fn extract(&mut self, iter: *mut bindings::iov_iter, most: usize) -> Result {
        let room = self.vecs.spare_capacity_mut();
        let max = u16::try_from(room.len()).unwrap_or(u16::MAX);
        let mut count = 0;
        // SAFETY: `room` has place for `max` of them.
        let got = unsafe {
            bindings::iov_iter_extract_bvecs(
                iter,
                room.as_mut_ptr().cast(),
                most,
                &mut count,
                max,
                0,
                0,
            )
        };
        let got = usize::try_from(got).map_err(|_| EFAULT)?;
        // SAFETY: C filled in as many.
        // INVARIANT: The next bytes, and pinned if such memory is.
        unsafe { self.vecs.inc_len(usize::from(count)) };
        self.len += got;
        if got == 0 {
            // The memory grew while we looked: somebody else's threads play with the iterator.
            return Err(EFAULT);
        }
        Ok(())
    }

    /// Calls `take` with an iterator over the first `len` bytes from `offset` on.
    pub(crate) fn with_iter<R>(
        &self,
        offset: usize,
        len: usize,
        take: impl FnOnce(&mut IovIterSource<'_>) -> R,
    ) -> R {
        let mut iter = self.iter(offset, len);
        // SAFETY: Valid for this call, and a source.
        take(unsafe { IovIterSource::from_raw(&mut iter) })
    }

    /// Returns an iterator over `len` bytes from `offset` on, valid as long as `self` is.
    pub(super) fn iter(&self, offset: usize, len: usize) -> bindings::iov_iter {
        let mut iter = MaybeUninit::uninit();
        // SAFETY: C fills the iterator in. `vecs` hold `self.len` bytes, by the type invariants, and all
        // is within them.
        unsafe {
            bindings::iov_iter_bvec(
                iter.as_mut_ptr(),
                bindings::ITER_SOURCE,
                self.vecs.as_ptr(),
                self.vecs.len(),
                self.len,
            );
            bindings::iov_iter_advance(iter.as_mut_ptr(), offset.min(self.len));
            bindings::cohfs_iov_iter_truncate(iter.as_mut_ptr(), usize_as_u64(len));
            iter.assume_init()
        }
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }
}

impl Drop for PinnedSource {
    fn drop(&mut self) {
        if !self.pinned {
            return;
        }
        for vec in &self.vecs {
            // OVERFLOW: A piece lies within one folio.
            let bytes = u32_as_usize(vec.bv_offset) + u32_as_usize(vec.bv_len);
            let pages = (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
            // SAFETY: We own a pin on each, by the type invariants. They were only read from.
            unsafe { bindings::unpin_user_page_range_dirty_lock(vec.bv_page, pages, false) };
        }
    }
}
