// SPDX-License-Identifier: GPL-2.0

//! What the VFS asks of an open file: `struct file_operations`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    extents,
    fault,
    DirContext,
    File,
    FileSystem,
    Kiocb,
    Opening, //
};
use crate::{
    bindings,
    pagecache::ByteRange, //
};
use core::marker::PhantomData;
use kernel::{
    build_error,
    error::from_result,
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    prelude::*,
    uaccess::UserPtr, //
};

/// What `fallocate` is to do with a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fallocate {
    /// To give its blocks back. The size stays.
    PunchHole,
    /// To make zeros of it, with blocks below.
    ZeroRange {
        /// The file does not grow to hold it.
        keep_size: bool,
    },
}

/// What the file system does with open files of one kind.
#[vtable]
pub(crate) trait Operations: Sized + 'static {
    /// The file system.
    type Fs: FileSystem;

    /// Opens a file.
    fn open(_file: &mut Opening<'_, Self::Fs>) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Closes a file: nobody has it open any more.
    fn release(_file: &File<Self::Fs>) {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Reads. Returns the number of bytes read, 0 at the end of the file.
    fn read_iter(_iocb: Kiocb<'_, Self::Fs>, _to: &mut IovIterDest<'_>) -> Result<usize> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Writes. Returns the number of bytes written.
    fn write_iter(_iocb: Kiocb<'_, Self::Fs>, _from: &mut IovIterSource<'_>) -> Result<usize> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Hands over the entries of a directory from the context's position on. The directory is
    /// locked, shared.
    fn iterate_shared(_dir: &File<Self::Fs>, _context: &mut DirContext<'_>) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Makes `start..=end` of the file durable.
    fn fsync(_file: &File<Self::Fs>, _start: i64, _end: i64, _datasync: bool) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Makes zeros of a range. It ends where a file can.
    fn fallocate(_file: &File<Self::Fs>, _change: Fallocate, _range: ByteRange) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Does what `cmd` says. Returns what the system call returns.
    ///
    /// # Errors
    ///
    /// [`ENOTTY`] if there is no such command.
    fn ioctl(_file: &File<Self::Fs>, _cmd: u32, _arg: UserPtr) -> Result<c_long> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }
}

/// The C side of [`Operations`].
pub(super) struct VTable<T>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    /// For directories.
    pub(super) const DIRECTORY: bindings::file_operations = bindings::file_operations {
        llseek: Some(bindings::generic_file_llseek),
        read: Some(bindings::generic_read_dir),
        iterate_shared: if T::HAS_ITERATE_SHARED {
            Some(Self::iterate_shared)
        } else {
            None
        },
        ..Self::COMMON
    };

    const COMMON: bindings::file_operations = bindings::file_operations {
        open: if T::HAS_OPEN { Some(Self::open) } else { None },
        release: if T::HAS_RELEASE {
            Some(Self::release)
        } else {
            None
        },
        fsync: if T::HAS_FSYNC {
            Some(Self::fsync)
        } else {
            None
        },
        unlocked_ioctl: if T::HAS_IOCTL {
            Some(Self::ioctl)
        } else {
            None
        },
        compat_ioctl: if T::HAS_IOCTL {
            Some(Self::ioctl)
        } else {
            None
        },
        // Without it the VFS gives no leases.
        setlease: Some(bindings::generic_setlease),
        ..pin_init::zeroed()
    };

    /// For regular files, whose mappings are `F`'s.
    pub(super) const fn regular<F: fault::Operations>() -> bindings::file_operations {
        bindings::file_operations {
            llseek: Some(extents::VTable::<F::Mapper>::llseek),
            read_iter: if T::HAS_READ_ITER {
                Some(Self::read_iter)
            } else {
                None
            },
            write_iter: if T::HAS_WRITE_ITER {
                Some(Self::write_iter)
            } else {
                None
            },
            mmap_prepare: Some(fault::VTable::<F>::mmap_prepare),
            get_unmapped_area: Some(bindings::thp_get_unmapped_area),
            fallocate: if T::HAS_FALLOCATE {
                Some(Self::fallocate)
            } else {
                None
            },
            splice_read: Some(bindings::filemap_splice_read),
            splice_write: Some(bindings::iter_file_splice_write),
            ..Self::COMMON
        }
    }

    /// # Safety
    ///
    /// Called by the VFS with a file that is being opened on an inode of a mount in use.
    unsafe extern "C" fn open(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: By our requirements.
        let mut file = unsafe { Opening::from_raw(file) };
        from_result(|| T::open(&mut file).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS as the last use of an open file.
    unsafe extern "C" fn release(_inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: By our requirements.
        T::release(unsafe { File::from_raw(file) });
        0
    }

    /// # Safety
    ///
    /// Called by the VFS with a request on an open file, and memory to read into.
    unsafe extern "C" fn read_iter(
        iocb: *mut bindings::kiocb,
        to: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: By our requirements.
        let (iocb, to) = unsafe { (Kiocb::from_raw(iocb), IovIterDest::from_raw(to)) };
        from_result(|| T::read_iter(iocb, to).and_then(ssize))
    }

    /// # Safety
    ///
    /// Called by the VFS with a request on an open file, and memory to write from.
    unsafe extern "C" fn write_iter(
        iocb: *mut bindings::kiocb,
        from: *mut bindings::iov_iter,
    ) -> isize {
        // SAFETY: By our requirements.
        let (iocb, from) = unsafe { (Kiocb::from_raw(iocb), IovIterSource::from_raw(from)) };
        from_result(|| T::write_iter(iocb, from).and_then(ssize))
    }

    /// # Safety
    ///
    /// Called by the VFS with an open directory that is locked shared, and a context of this task.
    unsafe extern "C" fn iterate_shared(
        file: *mut bindings::file,
        context: *mut bindings::dir_context,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (file, mut context) = unsafe { (File::from_raw(file), DirContext::from_raw(context)) };
        from_result(|| T::iterate_shared(file, &mut context).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with an open file.
    unsafe extern "C" fn fsync(
        file: *mut bindings::file,
        start: bindings::loff_t,
        end: bindings::loff_t,
        datasync: c_int,
    ) -> c_int {
        // SAFETY: By our requirements.
        let file = unsafe { File::from_raw(file) };
        from_result(|| T::fsync(file, start, end, datasync != 0).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with a file that is open for writing.
    unsafe extern "C" fn fallocate(
        file: *mut bindings::file,
        mode: c_int,
        offset: bindings::loff_t,
        len: bindings::loff_t,
    ) -> c_long {
        // SAFETY: By our requirements.
        let file = unsafe { File::from_raw(file) };
        let done = || {
            let mode = mode.unsigned_abs();
            let keep_size = mode & bindings::FALLOC_FL_KEEP_SIZE != 0;
            let change = match mode & !bindings::FALLOC_FL_KEEP_SIZE {
                bindings::FALLOC_FL_PUNCH_HOLE => Fallocate::PunchHole,
                bindings::FALLOC_FL_ZERO_RANGE => Fallocate::ZeroRange { keep_size },
                _ => return Err(EOPNOTSUPP),
            };
            // C refused negative ones before.
            let range = ByteRange::new(offset.unsigned_abs(), len.unsigned_abs());
            T::fallocate(file, change, range.ok_or(EINVAL)?)
        };
        from_result(|| done().map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with an open file.
    unsafe extern "C" fn ioctl(file: *mut bindings::file, cmd: c_uint, arg: c_ulong) -> c_long {
        // SAFETY: By our requirements.
        let file = unsafe { File::from_raw(file) };
        from_result(|| T::ioctl(file, cmd, UserPtr::from_addr(arg)))
    }
}

/// Turns a count of bytes into C's.
fn ssize(count: usize) -> Result<isize> {
    isize::try_from(count).map_err(|_| EIO)
}
