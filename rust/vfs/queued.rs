// SPDX-License-Identifier: GPL-2.0

//! A direct write that goes on by itself after the call that asked for it has returned.
//!
//! C gets a copy of the request, so that its end comes to us first: the claim on the range leaves, the
//! memory is let go, and only then is whoever asked told. The copy has the real file: when
//! `iomap` drops the range at the end it finds nothing there but folios that were never filled.
//!
//! C counterpart: the pattern of `backing_aio` in [`fs/backing-file.c`](srctree/fs/backing-file.c)

use super::{
    iomap::{
        self,
        Mapper, //
    },
    pinned::PinnedSource,
};
use crate::{
    bindings,
    pagecache::Entry, //
};
use core::ptr;
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// A request in flight.
#[repr(C)]
pub(super) struct Queued {
    /// The copy that C has. First, so that a pointer to it is one to the whole.
    copy: Opaque<bindings::kiocb>,
    /// The request as it came.
    original: *mut bindings::kiocb,
    source: PinnedSource,
    entry: Entry<'static>,
}

impl Queued {
    /// Submits a write of all of `source` at the request's offset. `entry` leaves when it is done.
    ///
    /// Returns what C does: `-EIOCBQUEUED` if it goes on by itself.
    ///
    /// # Safety
    ///
    /// `original` is an asynchronous request to write to a file that `M` maps; `entry` is a claim on
    /// that file. The inode lock is held.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(super) unsafe fn submit<M: Mapper>(
        original: &mut bindings::kiocb,
        source: PinnedSource,
        entry: Entry<'_>,
    ) -> Result<isize> {
        let len = source.len();
        let request = KBox::new(
            Self {
                copy: Opaque::new(bindings::kiocb {
                    ki_filp: original.ki_filp,
                    ki_pos: original.ki_pos,
                    ki_complete: Some(Self::complete),
                    // Nobody could poll for the copy.
                    ki_flags: original.ki_flags & !bindings::COHFS_CONST_IOCB_HIPRI,
                    ki_ioprio: original.ki_ioprio,
                    ki_write_stream: original.ki_write_stream,
                    ..pin_init::zeroed()
                }),
                original,
                source,
                // SAFETY: The request keeps its file open until it is told of the end, which happens
                // after the entry has left, in `complete`.
                entry: unsafe { entry.outlive() },
            },
            GFP_KERNEL,
        )?;
        let mut iter = request.source.iter(0, len);
        let request = KBox::into_raw(request);
        // SAFETY: All are valid. C copies the iterator; the vectors behind it live until `complete`.
        let ret = unsafe {
            bindings::iomap_dio_rw(
                Opaque::cast_into(&raw const (*request).copy),
                &mut iter,
                &iomap::VTable::<M>::OPS,
                ptr::null(),
                0,
                ptr::null_mut(),
                0,
            )
        };
        if c_int::try_from(ret) != Ok(EIOCBQUEUED.to_errno()) {
            // SAFETY: C is done with it, and will not call `complete`.
            let request = unsafe { KBox::from_raw(request) };
            // SAFETY: As above.
            original.ki_pos = unsafe { (*request.copy.get()).ki_pos };
        }
        Ok(ret)
    }

    /// Ends a request.
    ///
    /// # Safety
    ///
    /// Called by C once for a copy that [`Self::submit`] queued, in any context.
    unsafe extern "C" fn complete(copy: *mut bindings::kiocb, ret: c_long) {
        // SAFETY: The copy is the first member of a box that `submit` gave away.
        let request = unsafe { KBox::from_raw(Opaque::cast_from(copy).cast_mut().cast::<Self>()) };
        let original = request.original;
        // SAFETY: C is done with the copy, and the original waits for us.
        unsafe { (*original).ki_pos = (*request.copy.get()).ki_pos };
        // Memory and claim first: who is told must find the range open.
        drop(request);
        // SAFETY: An asynchronous request has it, and it is called once.
        if let Some(complete) = unsafe { (*original).ki_complete } {
            // SAFETY: As above.
            unsafe { complete(original, ret) };
        }
    }
}
