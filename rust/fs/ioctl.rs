// SPDX-License-Identifier: GPL-2.0

//! The file system's own commands.
//!
//! `COHFS_IOC_INVALIDATE` takes a range of a file out of the page cache: for whoever changed the
//! file's blocks behind the file system, and for the tests. The file must be open for writing: to
//! drop what other processes have mapped is a way to slow them down.
//!
//! `FS_IOC_GETVERSION` returns the generation, by which NFS tells apart the files that had a number
//! in turn; `FS_IOC_SETVERSION` sets it, for who owns the file.

use super::{
    label::{
        label,
        set_label,
        FS_IOC_GETFSLABEL,
        FS_IOC_SETFSLABEL, //
    },
    shutdown::{
        shutdown,
        FS_IOC_SHUTDOWN, //
    },
    trim::{
        trim,
        FITRIM, //
    },
    Cohfs,
    SuperBlock, //
};
use crate::{
    coherency::{
        OnBusy,
        Target, //
    },
    pagecache::ByteRange,
    vfs::File, //
};
use kernel::{
    ioctl::{
        _IOR,
        _IOW,
        _IOWR, //
    },
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};
use zerocopy_derive::{
    Immutable,
    KnownLayout, //
};

/// The argument, in and out.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct Invalidate {
    /// In: offset of the first byte.
    start: u64,
    /// In: number of bytes; 0 is all to the end of the file. Pages that are partly in the range
    /// are in it.
    len: u64,
    /// Out: number of folios removed.
    removed: u64,
    /// Out: number of folios that stayed, for they were dirty or somebody was using them.
    busy: u64,
    /// Out: page index of the first that stayed; 0 if none did.
    first_busy: u64,
}

const _: () = assert!(size_of::<Invalidate>() == 40);

const COHFS_IOC_INVALIDATE: u32 = _IOWR::<Invalidate>(0xe2, 1);

/// Returns the generation of the inode, as 32 bits, whatever the command says of its size.
const FS_IOC_GETVERSION: u32 = _IOR::<c_long>(VERSION_TYPE, 1);

/// The same, for programs of 32 bits.
const FS_IOC32_GETVERSION: u32 = _IOR::<c_int>(VERSION_TYPE, 1);

/// Sets it.
const FS_IOC_SETVERSION: u32 = _IOW::<c_long>(VERSION_TYPE, 2);

/// The same, for programs of 32 bits.
const FS_IOC32_SETVERSION: u32 = _IOW::<c_int>(VERSION_TYPE, 2);

/// `v`.
const VERSION_TYPE: u32 = 0x76;

/// Does the file system's own commands.
///
/// # Errors
///
/// [`ENOTTY`] if there is no such command.
pub(super) fn ioctl(file: &File<Cohfs>, cmd: u32, arg: UserPtr) -> Result<c_long> {
    match cmd {
        COHFS_IOC_INVALIDATE => invalidate_range(file, arg).map(|()| 0),
        FITRIM => trim(file, arg).map(|()| 0),
        FS_IOC_SHUTDOWN => shutdown(file, arg).map(|()| 0),
        FS_IOC_GETFSLABEL => label(file, arg).map(|()| 0),
        FS_IOC_SETFSLABEL => set_label(file, arg).map(|()| 0),
        FS_IOC_GETVERSION | FS_IOC32_GETVERSION => version(file, arg).map(|()| 0),
        FS_IOC_SETVERSION | FS_IOC32_SETVERSION => set_version(file, arg).map(|()| 0),
        _ => Err(ENOTTY),
    }
}

/// Does [`FS_IOC_GETVERSION`].
///
/// # Errors
///
/// [`EFAULT`].
fn version(file: &File<Cohfs>, arg: UserPtr) -> Result {
    let generation = file.inode().attributes().generation;
    let mut writer = UserSlice::new(arg, size_of_val(&generation)).writer();
    writer.write_slice(generation.as_bytes())
}

/// Does [`FS_IOC_SETVERSION`].
///
/// # Errors
///
/// [`EPERM`] if the file is somebody else's, [`EROFS`], [`EFAULT`].
fn set_version(file: &File<Cohfs>, arg: UserPtr) -> Result {
    let inode = file.inode();
    if !inode.is_owner_or_capable() {
        return Err(EPERM);
    }
    let _access = file.want_write()?;
    let mut generation = [0; size_of::<u32>()];
    let mut reader = UserSlice::new(arg, generation.len()).reader();
    reader.read_slice(&mut generation)?;
    inode.set_generation(u32::from_ne_bytes(generation), &inode.lock());
    Ok(())
}

/// Does [`COHFS_IOC_INVALIDATE`]. That folios stayed is no error.
///
/// # Errors
///
/// [`EBADF`] if the file is not open for writing, [`EINVAL`] if there is no such range,
/// [`EFAULT`].
fn invalidate_range(file: &File<Cohfs>, arg: UserPtr) -> Result {
    if !file.is_writable() {
        return Err(EBADF);
    }
    let (mut reader, mut writer) = UserSlice::new(arg, size_of::<Invalidate>()).reader_writer();
    let mut bytes = [0; size_of::<Invalidate>()];
    reader.read_slice(&mut bytes)?;
    let mut argument = Invalidate::read_from_bytes(&bytes).map_err(|_| EINVAL)?;
    let range = match argument.len {
        0 => ByteRange::from(argument.start),
        len => ByteRange::new(argument.start, len),
    };
    let pages = range.ok_or(EINVAL)?.pages();

    let inode = file.inode();
    let sb: &SuperBlock = inode.sb();
    let options = sb.data().options();
    let lock = inode.lock();
    let target = Target {
        lock: &lock,
        policy: options.policy,
        walker: options.walker(),
        counters: &sb.data().counters,
    };
    let report = target.invalidate(pages, OnBusy::GoOn);
    // User memory is touched without the lock: it may be a mapping of this very file.
    drop(lock);

    argument.removed = report.removed;
    argument.busy = report.busy;
    argument.first_busy = report.first_busy.unwrap_or(0);
    writer.write_slice(argument.as_bytes())
}
