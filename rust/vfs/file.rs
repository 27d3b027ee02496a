// SPDX-License-Identifier: GPL-2.0

//! An open file, and one read or write of it.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/uio.h`](srctree/include/linux/uio.h)

use super::{
    iomap::{
        self,
        Mapper, //
    },
    pinned::PinnedSource,
    queued::Queued,
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    pagecache::{
        ByteRange,
        Entry,
        InodeLockGuard,
        InodeLocked,
        InodeSharedGuard, //
    },
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::to_result,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    num::casts::usize_as_u64,
    prelude::*,
    types::Opaque, //
};

/// Flags of a request that [`Kiocb::transfer_direct`] does not hand on.
const NOT_FOR_TRANSFER: c_int = bindings::COHFS_CONST_IOCB_DSYNC
    | bindings::COHFS_CONST_IOCB_SYNC
    | bindings::COHFS_CONST_IOCB_NOWAIT
    | bindings::COHFS_CONST_IOCB_HIPRI
    | bindings::COHFS_CONST_IOCB_ATOMIC;

/// An open file.
///
/// # Invariants
///
/// The file's inode is of a mount of `T` in use.
#[repr(transparent)]
pub(crate) struct File<T: FileSystem>(Opaque<bindings::file>, PhantomData<T>);

impl<T: FileSystem> File<T> {
    /// Creates a reference from a C pointer.
    ///
    /// # Safety
    ///
    /// For `'a`, `file` is valid, and its inode is of a mount of `T`.
    pub(super) unsafe fn from_raw<'a>(file: *mut bindings::file) -> &'a Self {
        // SAFETY: By our requirements; `Self` is a transparent wrapper.
        // INVARIANT: By our requirements.
        unsafe { &*file.cast() }
    }

    /// Returns the inode.
    pub(crate) fn inode(&self) -> &Inode<T> {
        // SAFETY: Constant while the file is open; an open file's inode is not new.
        unsafe { Inode::from_raw((*self.0.get()).f_inode) }
    }

    /// Says whether the file was opened for writing.
    pub(crate) fn is_writable(&self) -> bool {
        // SAFETY: Constant while the file is open.
        unsafe { (*self.0.get()).f_mode & bindings::COHFS_CONST_FMODE_WRITE != 0 }
    }

    /// Notes an access of the file's data.
    pub(crate) fn accessed(&self) {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::cohfs_file_accessed(self.0.get()) };
    }

    /// Writes out what is dirty of the file's data in `start..=end`, and its inode, and makes the
    /// device write its cache. Only the inode's size and blocks matter if `datasync`.
    ///
    /// # Errors
    ///
    /// Those of all writes of the file since the last call on this open file.
    pub(crate) fn sync(&self, start: i64, end: i64, datasync: bool) -> Result {
        // SAFETY: Valid by the type invariants.
        to_result(unsafe { bindings::simple_fsync(self.0.get(), start, end, datasync.into()) })
    }
}

/// A file that is being opened.
pub(crate) struct Opening<'a, T: FileSystem>(&'a File<T>);

impl<'a, T: FileSystem> Opening<'a, T> {
    /// Creates one from a C pointer.
    ///
    /// # Safety
    ///
    /// As [`File::from_raw`], and nobody else uses the file yet.
    pub(super) unsafe fn from_raw(file: *mut bindings::file) -> Self {
        // SAFETY: By our requirements.
        Self(unsafe { File::from_raw(file) })
    }

    /// Allows direct I/O.
    pub(crate) fn allow_direct_io(&mut self) {
        // SAFETY: Nobody else uses the file yet.
        unsafe { (*self.0 .0.get()).f_mode |= bindings::COHFS_CONST_FMODE_CAN_ODIRECT };
    }
}

/// One read or write.
///
/// # Invariants
///
/// The C structure is valid, ours alone, and its file as in [`File`].
pub(crate) struct Kiocb<'a, T: FileSystem> {
    raw: &'a mut bindings::kiocb,
    _file: PhantomData<&'a File<T>>,
}

impl<'a, T: FileSystem> Kiocb<'a, T> {
    /// Creates one from a C pointer.
    ///
    /// # Safety
    ///
    /// For `'a`, `iocb` is valid and ours alone, and its file's inode is of a mount of `T`.
    pub(super) unsafe fn from_raw(iocb: *mut bindings::kiocb) -> Self {
        // INVARIANT: By our requirements.
        Self {
            // SAFETY: By our requirements.
            raw: unsafe { &mut *iocb },
            _file: PhantomData,
        }
    }

    /// Returns the file.
    pub(crate) fn file(&self) -> &'a File<T> {
        // SAFETY: By the type invariants.
        unsafe { File::from_raw(self.raw.ki_filp) }
    }

    /// Returns the offset in the file, in bytes.
    pub(crate) fn pos(&self) -> u64 {
        // C refused negative offsets before.
        self.raw.ki_pos.unsigned_abs()
    }

    /// Returns the range that `len` bytes from the offset on are; nothing if they are none.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it ends where no file can.
    pub(crate) fn range(&self, len: usize) -> Result<Option<ByteRange>> {
        if len == 0 {
            return Ok(None);
        }
        ByteRange::new(self.pos(), usize_as_u64(len))
            .map(Some)
            .ok_or(EINVAL)
    }

    /// Says whether the page cache is to be gone around.
    pub(crate) fn is_direct(&self) -> bool {
        self.raw.ki_flags & bindings::COHFS_CONST_IOCB_DIRECT != 0
    }

    /// Says whether the write goes to the end of the file, wherever that is.
    pub(crate) fn appends(&self) -> bool {
        self.raw.ki_flags & bindings::COHFS_CONST_IOCB_APPEND != 0
    }

    /// Says whether whoever asked is told of the end later, so that nobody has to wait for it.
    pub(crate) fn is_async(&self) -> bool {
        self.raw.ki_complete.is_some()
    }

    /// Writes all of `source` directly, and goes on by itself: `gate` opens, and whoever asked is
    /// told, when the device is done.
    ///
    /// # Errors
    ///
    /// [`EIOCBQUEUED`] if it goes on; else that of the mapper or the device.
    pub(crate) fn queue_direct<M: Mapper<Fs = T>>(
        &mut self,
        source: PinnedSource,
        gate: Entry<'_>,
        _lock: &InodeSharedGuard<'_>,
    ) -> Result<usize> {
        // SAFETY: Asynchronous, as the caller found; the claim is on this file.
        count(unsafe { Queued::submit::<M>(self.raw, source, gate) }?)
    }

    /// Checks a write, and moves it to the end of the file if it appends.
    ///
    /// Returns the number of bytes to write, 0 if there is nothing to do.
    ///
    /// # Errors
    ///
    /// As `generic_write_checks` says: limits, immutable files.
    pub(crate) fn write_checks(
        &mut self,
        from: &mut IovIterSource<'_>,
        _lock: &impl InodeLocked,
    ) -> Result<usize> {
        // SAFETY: Both are valid.
        count(unsafe { bindings::generic_write_checks(self.raw, from.as_raw()) })
    }

    /// Notes that the file is about to be changed: times, and privileges that go with it.
    ///
    /// Under the shared inode lock only if there are no such privileges, [`Inode::is_nosec`].
    ///
    /// # Errors
    ///
    /// Those of removing privileges.
    pub(crate) fn modified(&mut self, _lock: &impl InodeLocked) -> Result {
        // SAFETY: Valid by the type invariants.
        to_result(unsafe { bindings::kiocb_modified(self.raw) })
    }

    /// Reads through the page cache.
    ///
    /// # Errors
    ///
    /// As `generic_file_read_iter` says.
    pub(crate) fn read_cached(&mut self, to: &mut IovIterDest<'_>) -> Result<usize> {
        // SAFETY: Both are valid.
        count(unsafe { bindings::generic_file_read_iter(self.raw, to.as_raw()) })
    }

    /// Writes into the page cache.
    ///
    /// # Errors
    ///
    /// Those of the mapper and of reading what is written in part.
    pub(crate) fn write_cached<M: Mapper<Fs = T>>(
        &mut self,
        from: &mut IovIterSource<'_>,
        _lock: &InodeLockGuard<'_>,
    ) -> Result<usize> {
        // SAFETY: All are valid.
        count(unsafe {
            bindings::iomap_file_buffered_write(
                self.raw,
                from.as_raw(),
                &iomap::VTable::<M>::OPS,
                &iomap::VTable::<M>::WRITE_OPS,
                ptr::null_mut(),
            )
        })
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

    /// Moves the bytes of a direct write to the device, waits for them, and touches no page cache.
    ///
    /// Returns the number of bytes that are known to be on the device, and moves the offset past
    /// them. `O_SYNC` and `O_DSYNC` are the caller's affair, [`Self::write_sync`].
    ///
    /// How the page cache is left alone: [`super::stand_in`].
    ///
    /// # Errors
    ///
    /// Those of the mapper and of the device; how much was written is not known then.
    pub(crate) fn transfer_direct<M: Mapper<Fs = T>>(
        &mut self,
        from: &mut IovIterSource<'_>,
        _lock: &impl InodeLocked,
    ) -> Result<usize> {
        let inode = self.file().inode();
        let mut stand_in = inode
            .sb()
            .registration()
            .empty_mapping()
            .file(inode.as_raw());
        let mut request = bindings::kiocb {
            ki_filp: &mut stand_in,
            ki_pos: self.raw.ki_pos,
            ki_flags: self.raw.ki_flags & !NOT_FOR_TRANSFER,
            ki_ioprio: self.raw.ki_ioprio,
            ki_write_stream: self.raw.ki_write_stream,
            ..pin_init::zeroed()
        };
        // SAFETY: All are valid, and C is done with them when it returns, see `stand_in.rs`.
        let written = count(unsafe {
            bindings::iomap_dio_rw(
                &mut request,
                from.as_raw(),
                &iomap::VTable::<M>::OPS,
                ptr::null(),
                bindings::IOMAP_DIO_FORCE_WAIT | bindings::IOMAP_DIO_PARTIAL,
                ptr::null_mut(),
                0,
            )
        })?;
        self.raw.ki_pos = request.ki_pos;
        Ok(written)
    }

    /// Makes `written` bytes that end at the offset durable, if the file or the call asks for it.
    ///
    /// # Errors
    ///
    /// Those of `fsync`.
    pub(crate) fn write_sync(&mut self, written: usize) -> Result<usize> {
        let written = isize::try_from(written)?;
        // SAFETY: Valid by the type invariants.
        count(unsafe { bindings::cohfs_generic_write_sync(self.raw, written) })
    }
}

/// Returns the bits that any address or length of the memory of `iter` has set.
pub(crate) fn alignment(iter: &mut IovIterSource<'_>) -> usize {
    // SAFETY: Valid by the type invariants of the iterator.
    unsafe { bindings::iov_iter_alignment(iter.as_raw()) }
}

/// As [`alignment`], for a read.
pub(crate) fn dest_alignment(iter: &mut IovIterDest<'_>) -> usize {
    // SAFETY: Valid by the type invariants of the iterator.
    unsafe { bindings::iov_iter_alignment(iter.as_raw()) }
}

/// Turns C's count or error into ours.
fn count(ret: isize) -> Result<usize> {
    usize::try_from(ret).map_err(|_| match c_int::try_from(ret) {
        Ok(errno) => Error::from_errno(errno),
        Err(_) => EIO,
    })
}
