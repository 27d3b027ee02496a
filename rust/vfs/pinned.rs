// SPDX-License-Identifier: GPL-2.0

//! The memory that a direct write takes its bytes from, held in place.
//!
//! All faults happen when it is pinned. Whoever moves the bytes later touches no page table and no
//! `mmap_lock`, so it may hold what faults wait for.
//!
//! C headers: [`include/linux/uio.h`](srctree/include/linux/uio.h),
//! [`include/linux/bvec.h`](srctree/include/linux/bvec.h)

use crate::bindings;
use core::{
    mem::{
        self,
        MaybeUninit, //
    },
    ops::Deref, //
};
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
/// `pieces` are the first `len` bytes of the source. If `pinned`, we own a pin on each of their pages;
/// else the pages are the kernel's, and whoever asked for the write keeps them.
pub(crate) struct PinnedSource {
    pieces: Pieces,
    len: usize,
    pinned: bool,
}

/// As many pieces as a small write has are kept in place.
const FEW: usize = 2;

/// Pieces of memory.
enum Pieces {
    /// The first `count` of these.
    Few {
        vecs: [bindings::bio_vec; FEW],
        count: usize,
    },
    Many(KVVec<bindings::bio_vec>),
}

impl Pieces {
    /// Makes room for `max` pieces.
    fn with_room_for(max: usize) -> Result<Self> {
        match max <= FEW {
            true => Ok(Self::Few {
                vecs: pin_init::zeroed(),
                count: 0,
            }),
            false => Ok(Self::Many(KVVec::with_capacity(max, GFP_KERNEL)?)),
        }
    }

    /// Returns the room for more: its start, and for how many it is.
    fn room(&mut self) -> (*mut bindings::bio_vec, usize) {
        match self {
            Self::Few { vecs, count } => {
                let room = vecs.get_mut(*count..).unwrap_or_default();
                (room.as_mut_ptr(), room.len())
            }
            Self::Many(vecs) => {
                let room = vecs.spare_capacity_mut();
                (room.as_mut_ptr().cast(), room.len())
            }
        }
    }

    /// Notes that there are `more` pieces.
    ///
    /// # Safety
    ///
    /// They are in the room.
    unsafe fn add(&mut self, more: usize) {
        match self {
            // OVERFLOW: Not more than there is room for.
            Self::Few { count, .. } => *count += more,
            // SAFETY: By our requirements.
            Self::Many(vecs) => unsafe { vecs.inc_len(more) },
        }
    }
}

impl Deref for Pieces {
    type Target = [bindings::bio_vec];

    fn deref(&self) -> &Self::Target {
        match self {
            Self::Few { vecs, count } => vecs.get(..*count).unwrap_or_default(),
            Self::Many(vecs) => vecs,
        }
    }
}

// SAFETY: Pins belong to nobody in particular.
unsafe impl Send for PinnedSource {}

impl PinnedSource {
    /// Makes one of no bytes.
    pub(crate) fn nothing() -> Self {
        Self {
            pieces: Pieces::Few {
                vecs: pin_init::zeroed(),
                count: 0,
            },
            len: 0,
            pinned: false,
        }
    }

    /// Pins all that `from` still has, and leaves it where it is. There was nothing in it.
    ///
    /// # Context
    ///
    /// May sleep and fault: no lock is held that a fault takes.
    ///
    /// # Errors
    ///
    /// [`EFAULT`] if some of it is not there, [`ENOMEM`].
    pub(crate) fn pin(&mut self, from: &mut IovIterSource<'_>) -> Result {
        let iter = from.as_raw();
        let wanted = from.len();
        // SAFETY: Valid, by the type invariants of the iterator.
        let (pages, pinned) = unsafe {
            (
                bindings::iov_iter_npages(iter, c_int::MAX),
                bindings::cohfs_iov_iter_extract_will_pin(iter),
            )
        };
        self.pieces = Pieces::with_room_for(usize::try_from(pages)?)?;
        // INVARIANT: There are no pages yet.
        self.pinned = pinned;
        let mut done = Ok(());
        while done.is_ok() && self.len < wanted {
            done = self.extract(iter, wanted - self.len);
        }
        // SAFETY: Advanced by as much.
        unsafe { bindings::iov_iter_revert(iter, self.len) };
        done
    }

    /// Adds some of the next `most` bytes of `iter`.
    fn extract(&mut self, iter: *mut bindings::iov_iter, most: usize) -> Result {
        let (room, max) = self.pieces.room();
        let max = u16::try_from(max).unwrap_or(u16::MAX);
        let mut count = 0;
        // SAFETY: `room` has place for `max` of them.
        let got =
            unsafe { bindings::iov_iter_extract_bvecs(iter, room, most, &mut count, max, 0, 0) };
        let got = usize::try_from(got).map_err(|_| EFAULT)?;
        // SAFETY: C filled in as many.
        // INVARIANT: The next bytes, and pinned if such memory is.
        unsafe { self.pieces.add(usize::from(count)) };
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

    /// Returns an iterator over `len` bytes from `offset` on, valid as long as `self` is and stays
    /// where it is; the device as well may look at the pieces until it is done.
    pub(super) fn iter(&self, offset: usize, len: usize) -> bindings::iov_iter {
        let mut iter = MaybeUninit::uninit();
        // SAFETY: C fills the iterator in. `pieces` hold `self.len` bytes, by the type invariants, and all
        // is within them.
        unsafe {
            bindings::iov_iter_bvec(
                iter.as_mut_ptr(),
                bindings::ITER_SOURCE,
                self.pieces.as_ptr(),
                self.pieces.len(),
                self.len,
            );
            bindings::iov_iter_advance(iter.as_mut_ptr(), offset.min(self.len));
            bindings::cohfs_iov_iter_truncate(iter.as_mut_ptr(), usize_as_u64(len));
            iter.assume_init()
        }
    }

    /// Takes all of it, and leaves nothing.
    pub(crate) fn take(&mut self) -> Self {
        mem::replace(self, Self::nothing())
    }

    /// Number of bytes.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether it can be dropped in any context. What lies in `vmalloc` memory, as a long list does
    /// if memory is in small pieces, can be freed in a task that may sleep, or in an interrupt, but
    /// not in a task under RCU, where a device may tell of its end.
    ///
    /// C source: `vfree` in [`mm/vmalloc.c`](srctree/mm/vmalloc.c)
    pub(crate) fn can_go_anywhere(&self) -> bool {
        match &self.pieces {
            Pieces::Few { .. } => true,
            // SAFETY: It looks at the number only.
            Pieces::Many(vecs) => !unsafe { bindings::is_vmalloc_addr(vecs.as_ptr().cast()) },
        }
    }
}

impl Drop for PinnedSource {
    fn drop(&mut self) {
        if !self.pinned {
            return;
        }
        for vec in &*self.pieces {
            // OVERFLOW: A piece lies within one folio.
            let bytes = u32_as_usize(vec.bv_offset) + u32_as_usize(vec.bv_len);
            let pages = (bytes + PAGE_SIZE - 1) >> PAGE_SHIFT;
            // SAFETY: We own a pin on each, by the type invariants. They were only read from.
            unsafe { bindings::unpin_user_page_range_dirty_lock(vec.bv_page, pages, false) };
        }
    }
}
