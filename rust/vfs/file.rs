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
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    pagecache::{
        ByteRange,
        InodeLockGuard,
        InodeLocked, //
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

    /// Sees to it that the mount can be written until the result is dropped: it is not frozen, nor
    /// made read-only.
    ///
    /// # Context
    ///
    /// May sleep, until a frozen volume is thawed.
    ///
    /// # Errors
    ///
    /// [`EROFS`] if it is read-only.
    pub(crate) fn want_write(&self) -> Result<WantWrite<'_, T>> {
        // SAFETY: Valid by the type invariants.
        to_result(unsafe { bindings::mnt_want_write_file(self.0.get()) })?;
        Ok(WantWrite(self))
    }

    /// Notes an access of the file's data.
    pub(crate) fn accessed(&self) {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::cohfs_file_accessed(self.0.get()) };
    }

    /// Notes that the file is about to be changed: times, and privileges that go with it.
    ///
    /// # Errors
    ///
    /// Those of removing privileges.
    pub(crate) fn modified(&self, _lock: &InodeLockGuard<'_>) -> Result {
        // SAFETY: Valid by the type invariants, and the inode is locked.
        to_result(unsafe { bindings::file_modified(self.0.get()) })
    }

    /// Makes a change of `range` durable, if the file is open or mounted for that.
    ///
    /// # Errors
    ///
    /// As [`Self::sync`].
    pub(crate) fn sync_change(&self, range: ByteRange) -> Result {
        // SAFETY: Valid by the type invariants.
        if !unsafe { bindings::cohfs_file_is_sync(self.0.get()) } {
            return Ok(());
        }
        let (start, end) = (i64::try_from(range.pos())?, i64::try_from(range.end() - 1)?);
        self.sync(start, end, false)
    }

    /// Writes out what is dirty of the file's data in `start..=end`, and its inode, and makes the
    /// device write its cache. Only the inode's size and blocks matter if `datasync`.
    ///
    /// # Errors
    ///
    /// Those of all writes of the file since the last call on this open file.
    pub(crate) fn sync(&self, start: i64, end: i64, datasync: bool) -> Result {
        let inode = self.inode();
        inode.sb().check_up()?;
        inode.flush(|| {
            // SAFETY: Valid by the type invariants.
            to_result(unsafe { bindings::simple_fsync(self.0.get(), start, end, datasync.into()) })
        })
    }
}

/// A mount that can be written.
#[must_use = "the mount may be frozen when this is dropped"]
pub(crate) struct WantWrite<'a, T: FileSystem>(&'a File<T>);

impl<T: FileSystem> Drop for WantWrite<'_, T> {
    fn drop(&mut self) {
        // SAFETY: Begun by `want_write`.
        unsafe { bindings::mnt_drop_write_file(self.0 .0.get()) };
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
    pub(super) raw: &'a mut bindings::kiocb,
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

    /// As [`Self::write_checks`], of a write of `len` bytes.
    ///
    /// # Errors
    ///
    /// As [`Self::write_checks`].
    pub(crate) fn write_checks_of(
        &mut self,
        len: usize,
        _lock: &impl InodeLocked,
    ) -> Result<usize> {
        let mut len = i64::try_from(len)?;
        // SAFETY: Both are valid.
        to_result(unsafe { bindings::generic_write_checks_count(self.raw, &mut len) })?;
        Ok(usize::try_from(len)?)
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
pub(super) fn count(ret: isize) -> Result<usize> {
    usize::try_from(ret).map_err(|_| match c_int::try_from(ret) {
        Ok(errno) => Error::from_errno(errno),
        Err(_) => EIO,
    })
}
