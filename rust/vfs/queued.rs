// SPDX-License-Identifier: GPL-2.0

//! A direct read or write that goes on by itself after the call that asked for it has returned.
//!
//! C gets a copy of the request, so that its end comes to us first: a claim on the range leaves, memory
//! is let go, and only then is whoever asked told.
//!
//! The copy of a read has a [stand-in](super::stand_in) for its file, so that what is dirty is
//! written out as we want it. That of a write has the real one, for C may have to sync it; what
//! C drops from the page cache at the end are folios that were never filled.
//!
//! C counterpart: the pattern of `backing_aio` in [`fs/backing-file.c`](srctree/fs/backing-file.c)

use super::{
    iomap::{
        self,
        Mapper, //
    },
    pinned::PinnedSource,
    progress::{
        private,
        Progress, //
    },
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
    /// What a read has for a file.
    stand_in: Opaque<bindings::file>,
    write: Option<Write>,
}

/// What a write needs besides.
struct Write {
    source: PinnedSource,
    /// Leaves when this is dropped, after the memory was let go.
    _entry: Entry<'static>,
    progress: Progress,
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
    pub(super) unsafe fn write<M: Mapper>(
        original: &mut bindings::kiocb,
        source: PinnedSource,
        entry: Entry<'_>,
    ) -> Result<isize> {
        let len = source.len();
        let write = Write {
            source,
            // SAFETY: The request keeps its file open until it is told of the end, which happens
            // after the entry has left, in `complete`.
            _entry: unsafe { entry.outlive() },
            progress: Progress::new(),
        };
        let request = Self::new(original, pin_init::zeroed(), Some(write))?;
        let mut iter = match &request.write {
            Some(write) => write.source.iter(0, len),
            None => return Err(EINVAL),
        };
        // SAFETY: By our requirements; the vectors behind the iterator live as long as the request.
        Ok(unsafe { Self::submit::<M>(request, original, &mut iter) })
    }

    /// Submits a read into `to`, on a file that `stand_in` stands for.
    ///
    /// # Safety
    ///
    /// `original` is an asynchronous request to read a file that `M` maps. The inode lock is held.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(super) unsafe fn read<M: Mapper>(
        original: &mut bindings::kiocb,
        stand_in: bindings::file,
        to: *mut bindings::iov_iter,
    ) -> Result<isize> {
        let request = Self::new(original, stand_in, None)?;
        // SAFETY: By our requirements.
        Ok(unsafe { Self::submit::<M>(request, original, to) })
    }

    fn new(
        original: &mut bindings::kiocb,
        stand_in: bindings::file,
        write: Option<Write>,
    ) -> Result<KBox<Self>> {
        let copy = bindings::kiocb {
            ki_filp: original.ki_filp,
            ki_pos: original.ki_pos,
            ki_complete: Some(Self::complete),
            // Nobody could poll for the copy.
            ki_flags: original.ki_flags & !bindings::COHFS_CONST_IOCB_HIPRI,
            ki_ioprio: original.ki_ioprio,
            ki_write_stream: original.ki_write_stream,
            ..pin_init::zeroed()
        };
        let request = KBox::new(
            Self {
                copy: Opaque::new(copy),
                original,
                stand_in: Opaque::new(stand_in),
                write,
            },
            GFP_KERNEL,
        )?;
        if request.write.is_none() {
            // SAFETY: Nobody else knows of the request.
            unsafe { (*request.copy.get()).ki_filp = request.stand_in.get() };
        }
        Ok(request)
    }

    /// # Safety
    ///
    /// As [`Self::read`] and [`Self::write`].
    unsafe fn submit<M: Mapper>(
        request: KBox<Self>,
        original: &mut bindings::kiocb,
        iter: *mut bindings::iov_iter,
    ) -> isize {
        let progress = private(request.write.as_ref().map(|write| &write.progress));
        let ops: *const _ = match request.write {
            Some(_) => &Progress::OPS,
            None => ptr::null(),
        };
        let request = KBox::into_raw(request);
        // SAFETY: All are valid, and live until `complete`.
        let ret = unsafe {
            bindings::iomap_dio_rw(
                Opaque::cast_into(&raw const (*request).copy),
                iter,
                &iomap::VTable::<M>::OPS,
                ops,
                0,
                progress,
                0,
            )
        };
        if c_int::try_from(ret) == Ok(EIOCBQUEUED.to_errno()) {
            return ret;
        }
        // SAFETY: C is done with it, and will not call `complete`.
        unsafe { KBox::from_raw(request) }.end(original, ret)
    }

    /// Ends a request with the result `ret`. Returns the count, if a part is known to be written.
    fn end(self: KBox<Self>, original: &mut bindings::kiocb, ret: isize) -> isize {
        // SAFETY: C is done with the copy.
        let copy = unsafe { &mut *self.copy.get() };
        let synced = bindings::COHFS_CONST_IOCB_DSYNC | bindings::COHFS_CONST_IOCB_SYNC;
        let pos = original.ki_pos;
        original.ki_pos = copy.ki_pos;
        match &self.write {
            // Of a write that is to be durable, what is known to be written is not enough.
            Some(write) if ret < 0 && copy.ki_flags & synced == 0 => {
                let known = write.progress.known(pos.unsigned_abs());
                match isize::try_from(known) {
                    Ok(known) if known > 0 => {
                        original.ki_pos = pos + known as i64; // CAST: Both have 64 bits.
                        known
                    }
                    _ => ret,
                }
            }
            _ => ret,
        }
    }

    /// Ends a request that went on by itself.
    ///
    /// # Safety
    ///
    /// Called by C once for a copy that [`Self::submit`] queued, in any context.
    unsafe extern "C" fn complete(copy: *mut bindings::kiocb, ret: c_long) {
        // SAFETY: The copy is the first member of a box that `submit` gave away.
        let request = unsafe { KBox::from_raw(Opaque::cast_from(copy).cast_mut().cast::<Self>()) };
        // SAFETY: Whoever asked waits for us, and leaves it alone.
        let original = unsafe { &mut *{ request.original } };
        // Memory and claim go with the request: who is told must find the range open.
        let ret = request.end(original, ret);
        // An asynchronous request has it.
        if let Some(complete) = original.ki_complete {
            // SAFETY: It is called once.
            unsafe { complete(original, ret) };
        }
    }
}
