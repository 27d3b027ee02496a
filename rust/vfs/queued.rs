// SPDX-License-Identifier: GPL-2.0

//! A direct read or write that goes on by itself after the call that asked for it has returned.
//!
//! C gets a copy of the request, so that its end comes to us first: a claim on the range leaves, memory
//! is let go, and only then is whoever asked told.
//!
//! The copy has a [stand-in](super::stand_in) for its file, so that C leaves the page cache alone: what
//! is dirty is written out as we want it, and an error of an earlier writeback is not taken for one of
//! this request. A write that is to be durable is synced by C, which finds the real file behind the
//! stand-in.
//!
//! C counterpart: the pattern of `backing_aio` in [`fs/backing-file.c`](srctree/fs/backing-file.c)

use super::{
    iomap::{
        self,
        Extent,
        Mapper, //
    },
    piece::Piece,
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
    /// The file of the copy.
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
    /// Submits a write of all of `source` at the request's offset, to a file that `stand_in` stands for.
    /// `entry` leaves when it is done. All of it lies in `piece`, from its start on, if that is given.
    ///
    /// Returns what C does: `-EIOCBQUEUED` if it goes on by itself.
    ///
    /// # Safety
    ///
    /// `original` is an asynchronous request to write to a file that `M` maps; `entry` is a claim on
    /// that file. The inode lock is held. Nobody else uses `original` before this returns.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(super) unsafe fn write<M: Mapper>(
        original: *mut bindings::kiocb,
        stand_in: bindings::file,
        source: PinnedSource,
        entry: Entry<'_>,
        piece: Option<&Extent>,
    ) -> Result<isize> {
        let len = source.len();
        let write = Write {
            source,
            // SAFETY: The request keeps its file open until it is told of the end, which happens
            // after the entry has left, in `complete`.
            _entry: unsafe { entry.outlive() },
            progress: Progress::new(),
        };
        // SAFETY: By our requirements.
        let request = unsafe { Self::new(original, stand_in, Some(write)) }?;
        let mut iter = match &request.write {
            Some(write) => write.source.iter(0, len),
            None => return Err(EINVAL),
        };
        // SAFETY: By our requirements; the vectors behind the iterator live as long as the request.
        Ok(unsafe { Self::submit::<M>(request, &mut iter, piece) })
    }

    /// Submits a read into `to`, on a file that `stand_in` stands for.
    ///
    /// # Safety
    ///
    /// `original` is an asynchronous request to read a file that `M` maps. The inode lock is held.
    /// Nobody else uses `original` before this returns.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(super) unsafe fn read<M: Mapper>(
        original: *mut bindings::kiocb,
        stand_in: bindings::file,
        to: *mut bindings::iov_iter,
    ) -> Result<isize> {
        // SAFETY: By our requirements.
        let request = unsafe { Self::new(original, stand_in, None) }?;
        // SAFETY: By our requirements.
        Ok(unsafe { Self::submit::<M>(request, to, None) })
    }

    /// # Safety
    ///
    /// `original` is valid, and nobody else uses it.
    unsafe fn new(
        original: *mut bindings::kiocb,
        stand_in: bindings::file,
        write: Option<Write>,
    ) -> Result<KBox<Self>> {
        // SAFETY: By our requirements.
        let (asked, durable) = unsafe { (&*original, bindings::cohfs_iocb_is_dsync(original)) };
        let durable = match durable {
            // The file may say so, or the mount, which the stand-in does not know.
            true => bindings::COHFS_CONST_IOCB_DSYNC,
            false => 0,
        };
        let copy = bindings::kiocb {
            ki_pos: asked.ki_pos,
            ki_complete: Some(Self::complete),
            // Nobody could poll for the copy.
            ki_flags: (asked.ki_flags & !bindings::COHFS_CONST_IOCB_HIPRI) | durable,
            ki_ioprio: asked.ki_ioprio,
            ki_write_stream: asked.ki_write_stream,
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
        // SAFETY: Nobody else knows of the request.
        unsafe { (*request.copy.get()).ki_filp = request.stand_in.get() };
        Ok(request)
    }

    /// # Safety
    ///
    /// As [`Self::read`] and [`Self::write`].
    unsafe fn submit<M: Mapper>(
        request: KBox<Self>,
        iter: *mut bindings::iov_iter,
        piece: Option<&Extent>,
    ) -> isize {
        let map = &iomap::VTable::<M>::OPS;
        let (map, ops, private): (_, *const _, _) = match (piece, &request.write) {
            // C asks for the extent before it returns.
            (Some(extent), _) => {
                let extent = ptr::from_ref(extent).cast_mut();
                (&Piece::<M::Fs>::OPS, ptr::null(), extent.cast())
            }
            (None, Some(write)) => (map, &Progress::OPS, private(Some(&write.progress))),
            (None, None) => (map, ptr::null(), ptr::null_mut()),
        };
        let request = KBox::into_raw(request);
        // SAFETY: All are valid, and live until `complete`.
        let ret = unsafe {
            bindings::iomap_dio_rw(
                Opaque::cast_into(&raw const (*request).copy),
                iter,
                map,
                ops,
                0,
                private,
                0,
            )
        };
        if c_int::try_from(ret) == Ok(EIOCBQUEUED.to_errno()) {
            return ret;
        }
        // SAFETY: C is done with it, and will not call `complete`. By our requirements.
        unsafe { KBox::from_raw(request).end(ret) }
    }

    /// Ends a request with the result `ret`. Returns the count, if a part is known to be written.
    ///
    /// # Safety
    ///
    /// C is done with the copy. Nobody else uses the original.
    unsafe fn end(self: KBox<Self>, ret: isize) -> isize {
        let original = self.original;
        // SAFETY: By our requirements.
        let (copy, original) = unsafe { (&*self.copy.get(), &mut *original) };
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
        let original = request.original;
        // Memory and claim go with the request: who is told must find the range open.
        // SAFETY: C is done with the copy; whoever asked waits for us, and leaves the original alone.
        let ret = unsafe { request.end(ret) };
        // SAFETY: It is there until it is told of its end, once. An asynchronous one has what to call.
        unsafe {
            if let Some(complete) = (*original).ki_complete {
                complete(original, ret);
            }
        }
    }
}
