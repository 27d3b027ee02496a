// SPDX-License-Identifier: GPL-2.0

//! Direct reads and writes: moving bytes between user memory and the device.
//!
//! C header: [`include/linux/iomap.h`](srctree/include/linux/iomap.h)

use super::{
    file::count,
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
    queued::Queued,
    FileSystem,
    Kiocb, //
};
use crate::{
    bindings,
    pagecache::{
        Entry,
        InodeLocked,
        InodeSharedGuard, //
    },
};
use core::{
    mem,
    ptr, //
};
use kernel::{
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    prelude::*, //
};

/// Flags of a request that [`Kiocb::transfer_direct`] does not hand on.
const NOT_FOR_TRANSFER: c_int = bindings::COHFS_CONST_IOCB_DSYNC
    | bindings::COHFS_CONST_IOCB_SYNC
    | bindings::COHFS_CONST_IOCB_NOWAIT
    | bindings::COHFS_CONST_IOCB_HIPRI
    | bindings::COHFS_CONST_IOCB_ATOMIC;

impl<T: FileSystem> Kiocb<'_, T> {
    /// Writes all of `source` directly, and goes on by itself: `gate` opens, and whoever asked is
    /// told, when the device is done. With a `piece` as [`Self::transfer_piece`], else as
    /// [`Self::transfer_direct`] when it is exact.
    ///
    /// # Errors
    ///
    /// [`EIOCBQUEUED`] if it goes on; else that of the mapper or the device.
    pub(crate) fn queue_direct<M: Mapper<Fs = T>>(
        &mut self,
        source: PinnedSource,
        gate: Entry<'_>,
        piece: Option<&Extent>,
        _lock: &InodeSharedGuard<'_>,
    ) -> Result<usize> {
        let stand_in = self.stand_in();
        // SAFETY: Asynchronous, as the caller found; the claim is on this file.
        count(unsafe { Queued::write::<M>(self.raw, stand_in, source, gate, piece) }?)
    }

    /// Reads from the device. What is dirty in the page cache is written out first.
    ///
    /// # Errors
    ///
    /// As `iomap_dio_rw` says; `EIOCBQUEUED` if it goes on by itself.
    pub(crate) fn read_direct<M: Mapper<Fs = T>>(
        &mut self,
        to: &mut IovIterDest<'_>,
        _lock: &InodeSharedGuard<'_>,
    ) -> Result<usize> {
        // SAFETY: All are valid.
        count(unsafe {
            bindings::iomap_dio_rw(
                self.raw,
                to.as_raw(),
                &iomap::VTable::<M>::OPS,
                ptr::null(),
                0,
                ptr::null_mut(),
                0,
            )
        })
    }

    /// As [`Self::read_direct`], but it writes nothing out: the caller did.
    ///
    /// # Errors
    ///
    /// As [`Self::read_direct`].
    pub(crate) fn read_device<M: Mapper<Fs = T>>(
        &mut self,
        to: &mut IovIterDest<'_>,
        _lock: &InodeSharedGuard<'_>,
    ) -> Result<usize> {
        let mut stand_in = self.stand_in();
        if self.is_async() {
            // SAFETY: Asynchronous, as just found; the iterator is valid.
            return count(unsafe { Queued::read::<M>(self.raw, stand_in, to.as_raw()) }?);
        }
        let file = mem::replace(&mut self.raw.ki_filp, &mut stand_in);
        // SAFETY: All are valid, and C is done with them when it returns, see `stand_in.rs`.
        let read = count(unsafe {
            bindings::iomap_dio_rw(
                self.raw,
                to.as_raw(),
                &iomap::VTable::<M>::OPS,
                ptr::null(),
                0,
                ptr::null_mut(),
                0,
            )
        });
        self.raw.ki_filp = file;
        read
    }

    /// Returns what stands for the file where its page cache is to be left alone.
    fn stand_in(&self) -> bindings::file {
        let mapping = self.file().inode().sb().registration().empty_mapping();
        // SAFETY: The request keeps its file open until C is done with it.
        unsafe { mapping.stand_for(self.raw.ki_filp) }
    }

    /// Moves the bytes of a direct write to the device, waits for them, and touches no page cache.
    ///
    /// Returns the number of bytes that are known to be on the device, and moves the offset past
    /// them: with `exact` also when a part of them failed. `O_SYNC` and `O_DSYNC` are the caller's affair, [`Self::write_sync`].
    ///
    /// How the page cache is left alone: [`super::stand_in`].
    ///
    /// # Errors
    ///
    /// Those of the mapper and of the device; if not `exact`, how much was written is not known then.
    pub(crate) fn transfer_direct<M: Mapper<Fs = T>>(
        &mut self,
        from: &mut IovIterSource<'_>,
        exact: bool,
        _lock: &impl InodeLocked,
    ) -> Result<usize> {
        let progress = exact.then(Progress::new);
        let ops: *const _ = match progress {
            Some(_) => &Progress::OPS,
            None => ptr::null(),
        };
        let map = &iomap::VTable::<M>::OPS;
        // SAFETY: The progress is what its operations work on, and lives until C returns.
        let written = unsafe { self.transfer(from, map, ops, private(progress.as_ref())) };
        let written = written.or_else(|error| {
            let known = progress.map_or(0, |progress| progress.known(self.pos()));
            match usize::try_from(known) {
                Ok(known) if known > 0 => Ok(known),
                _ => Err(error),
            }
        })?;
        self.raw.ki_pos += i64::try_from(written)?;
        Ok(written)
    }

    /// As [`Self::transfer_direct`], of bytes that lie in one `extent`, from its start on, in the memory of
    /// a [`PinnedSource`]. They are one bio, `bio_iov_iter_set` in
    /// [`block/bio.c`](srctree/block/bio.c), so that nothing has to be noted to be exact: if it fails,
    /// none of them is known to be on the device.
    ///
    /// # Errors
    ///
    /// As [`Self::transfer_direct`].
    pub(crate) fn transfer_piece(
        &mut self,
        from: &mut IovIterSource<'_>,
        extent: &Extent,
        _lock: &impl InodeLocked,
    ) -> Result<usize> {
        let extent = ptr::from_ref(extent).cast_mut().cast();
        // SAFETY: The extent is what these operations work on; it lives until C returns.
        let written = unsafe { self.transfer(from, &Piece::<T>::OPS, ptr::null(), extent) }?;
        self.raw.ki_pos += i64::try_from(written)?;
        Ok(written)
    }

    /// Has C move the bytes of a direct write to the device and wait for them; the offset stays.
    ///
    /// # Safety
    ///
    /// `private` is valid for `map` and for `ops` until this returns.
    unsafe fn transfer(
        &mut self,
        from: &mut IovIterSource<'_>,
        map: &'static bindings::iomap_ops,
        ops: *const bindings::iomap_dio_ops,
        private: *mut c_void,
    ) -> Result<usize> {
        let mut stand_in = self.stand_in();
        let mut request = bindings::kiocb {
            ki_filp: &mut stand_in,
            ki_pos: self.raw.ki_pos,
            ki_flags: self.raw.ki_flags & !NOT_FOR_TRANSFER,
            ki_ioprio: self.raw.ki_ioprio,
            ki_write_stream: self.raw.ki_write_stream,
            ..pin_init::zeroed()
        };
        // SAFETY: All are valid, and C is done with them when it returns, see `stand_in.rs`.
        count(unsafe {
            bindings::iomap_dio_rw(
                &mut request,
                from.as_raw(),
                map,
                ops,
                bindings::IOMAP_DIO_FORCE_WAIT | bindings::IOMAP_DIO_PARTIAL,
                private,
                0,
            )
        })
    }
}
