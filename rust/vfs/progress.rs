// SPDX-License-Identifier: GPL-2.0

//! How far a direct write has come, bio by bio.
//!
//! `iomap` forgets what is on the device when a part of a request fails: its error takes the place of
//! the count (`iomap_dio_complete`). So each bio notes where it failed before `iomap` hears of it.
//!
//! C header: [`include/linux/iomap.h`](srctree/include/linux/iomap.h), `struct iomap_dio_ops`

use crate::bindings;
use core::ptr;
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

/// The progress of one request. It stays where it is until C is done with the request.
pub(super) struct Progress {
    /// One past the last byte of the file that was submitted.
    end: Atomic<u64>,
    /// The first byte of the file that may not be on the device.
    failed: Atomic<u64>,
    /// For the first bio, which is the only one of most requests.
    room: Opaque<Tracked>,
    room_taken: Atomic<bool>,
}

/// What belongs to a bio in flight, besides what `iomap` knows of it.
struct Tracked {
    progress: *const Progress,
    /// Offset in the file of the bio's first byte.
    offset: u64,
    end_io: bindings::bio_end_io_t,
    private: *mut c_void,
    /// It is in a [`KBox`] of its own.
    boxed: bool,
}

impl Progress {
    /// For `iomap_dio_rw`, with the progress as the request's `private`.
    pub(super) const OPS: bindings::iomap_dio_ops = bindings::iomap_dio_ops {
        submit_io: Some(Self::submit_io),
        ..pin_init::zeroed()
    };

    /// Returns the progress of a request that was not submitted.
    pub(super) fn new() -> Self {
        Self {
            end: Atomic::new(0),
            failed: Atomic::new(u64::MAX),
            room: Opaque::uninit(),
            room_taken: Atomic::new(false),
        }
    }

    /// Returns how many bytes from `pos` on are on the device, once C is done with the request.
    pub(super) fn known(&self, pos: u64) -> u64 {
        let end = self.end.load(Relaxed).min(self.failed.load(Relaxed));
        end.saturating_sub(pos)
    }

    /// Notes that what begins at `offset` may not be on the device.
    fn fail(&self, offset: u64) {
        let mut known = self.failed.load(Relaxed);
        while offset < known {
            match self.failed.cmpxchg(known, offset, Relaxed) {
                Ok(_) => return,
                Err(other) => known = other,
            }
        }
    }

    /// Puts `tracked` where it stays until its bio is done; returns where, unless there is no memory.
    ///
    /// Only called by the submitter.
    fn keep(&self, tracked: Tracked) -> Option<*mut Tracked> {
        if self.room_taken.load(Relaxed) {
            let boxed = Tracked {
                boxed: true,
                ..tracked
            };
            return KBox::new(boxed, GFP_KERNEL).ok().map(KBox::into_raw);
        }
        self.room_taken.store(true, Relaxed);
        // SAFETY: Nobody else uses the room: it was not taken.
        unsafe { self.room.get().write(tracked) };
        Some(self.room.get())
    }

    /// # Safety
    ///
    /// Called by `iomap` with a bio to submit, for a request whose `private` is a progress.
    unsafe extern "C" fn submit_io(
        iter: *const bindings::iomap_iter,
        bio: *mut bindings::bio,
        offset: bindings::loff_t,
    ) {
        // SAFETY: By our requirements; the bio is not submitted yet.
        let (progress, bio_ref) = unsafe { (&*(*iter).private.cast::<Self>(), &mut *bio) };
        // C gives no negative offset.
        let offset = offset.unsigned_abs();
        // OVERFLOW: No file reaches to 2^63. Only the submitter writes it.
        let end = offset + u64::from(bio_ref.bi_iter.bi_size);
        progress
            .end
            .store(progress.end.load(Relaxed).max(end), Relaxed);
        let tracked = progress.keep(Tracked {
            progress,
            offset,
            end_io: bio_ref.bi_end_io,
            private: bio_ref.bi_private,
            boxed: false,
        });
        match tracked {
            Some(tracked) => {
                bio_ref.bi_private = tracked.cast();
                bio_ref.bi_end_io = Some(Self::end_io);
            }
            // It is written all the same, but nobody will know.
            None => progress.fail(offset),
        }
        // SAFETY: By our requirements.
        unsafe { bindings::cohfs_blk_crypto_submit_bio(bio) };
    }

    /// # Safety
    ///
    /// Called by the block layer once for a bio of [`Self::submit_io`], in any context.
    unsafe extern "C" fn end_io(bio: *mut bindings::bio) {
        // SAFETY: The bio is ours until it is handed on.
        let bio_ref = unsafe { &mut *bio };
        let place = bio_ref.bi_private.cast::<Tracked>();
        // SAFETY: Set by `submit_io`; the request is not over until `iomap` has heard of all its bios.
        let tracked = unsafe { place.read() };
        if bio_ref.bi_status != 0 {
            // SAFETY: As above.
            unsafe { &*tracked.progress }.fail(tracked.offset);
        }
        let end_io = tracked.end_io;
        bio_ref.bi_private = tracked.private;
        bio_ref.bi_end_io = end_io;
        if tracked.boxed {
            // SAFETY: From a box, and only here given back.
            drop(unsafe { KBox::from_raw(place) });
        }
        if let Some(end_io) = end_io {
            // SAFETY: As it was before.
            unsafe { end_io(bio) };
        }
    }
}

/// Returns the progress as C takes it.
pub(super) fn private(progress: Option<&Progress>) -> *mut c_void {
    progress.map_or(ptr::null_mut(), |progress| {
        ptr::from_ref(progress).cast_mut().cast()
    })
}
