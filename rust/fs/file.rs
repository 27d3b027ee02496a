// SPDX-License-Identifier: GPL-2.0

//! Regular files.
//!
//! # Lock order
//!
//! Of what is taken here: inode lock, then what [`crate::coherency`] takes. No lock of the page
//! cache is held while user memory is touched.
//!
//! C counterpart: [`fs/ext2/file.c`](srctree/fs/ext2/file.c)

use super::{
    direct,
    fallocate,
    ioctl,
    map::{
        self,
        Map, //
    },
    size,
    space,
    tree::ReservedHoles,
    Cohfs,
    Inode, //
};
use crate::{
    coherency::strict,
    pagecache::{
        ByteRange,
        InodeLockGuard, //
    },
    vfs::{
        self,
        fault,
        file_ops::{
            self,
            Fallocate, //
        },
        Kiocb,
        Opening, //
    },
};
use kernel::{
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    prelude::*,
    uaccess::UserPtr, //
};

/// Open regular files, and mappings of them.
pub(super) struct File;

#[vtable]
impl file_ops::Operations for File {
    type Fs = Cohfs;

    fn open(file: &mut Opening<'_, Cohfs>) -> Result {
        file.allow_direct_io();
        Ok(())
    }

    fn release(file: &vfs::File<Cohfs>) {
        if file.is_writable() {
            space::discard_window(file.inode());
        }
    }

    fn read_iter(mut iocb: Kiocb<'_, Cohfs>, to: &mut IovIterDest<'_>) -> Result<usize> {
        iocb.file().inode().sb().check_up()?;
        if !iocb.is_direct() {
            return iocb.read_cached(to);
        }
        direct::read(iocb, to)
    }

    fn write_iter(mut iocb: Kiocb<'_, Cohfs>, from: &mut IovIterSource<'_>) -> Result<usize> {
        iocb.file().inode().sb().check_up()?;
        if iocb.is_direct() {
            return direct::write(iocb, from);
        }
        write_alone(
            &mut iocb,
            from,
            |_| Ok(()),
            |iocb, from, _, lock| iocb.write_cached::<Map>(from, lock),
        )
    }

    fn fsync(file: &vfs::File<Cohfs>, start: i64, end: i64, datasync: bool) -> Result {
        file.sync(start, end, datasync)
    }

    fn fallocate(file: &vfs::File<Cohfs>, change: Fallocate, range: ByteRange) -> Result {
        file.inode().sb().check_up()?;
        match change {
            Fallocate::PunchHole => fallocate::punch_hole(file, range),
            Fallocate::ZeroRange { keep_size } => fallocate::zero_range(file, range, keep_size),
        }
    }

    fn ioctl(file: &vfs::File<Cohfs>, cmd: u32, arg: UserPtr) -> Result<c_long> {
        ioctl::ioctl(file, cmd, arg)
    }
}

impl fault::Operations for File {
    type Mapper = Map;
    type Reserved<'a> = ReservedHoles<'a>;

    fn reserve(inode: &Inode, range: ByteRange) -> Result<ReservedHoles<'_>> {
        inode.sb().check_up()?;
        let (first, last) = map::blocks(inode, range)?;
        ReservedHoles::take(inode, first, last)
    }

    fn store(reserved: ReservedHoles<'_>) -> Result {
        reserved.store()
    }
}

/// Writes while nobody else writes to the file: `write` does, under the exclusive inode lock.
///
/// `judge` may refuse the range before anything is changed.
///
/// # Errors
///
/// Those of the checks, of either closure, and of `fsync` if the write is to be durable.
pub(super) fn write_alone<'a>(
    iocb: &mut Kiocb<'a, Cohfs>,
    from: &mut IovIterSource<'_>,
    judge: impl FnOnce(ByteRange) -> Result,
    write: impl FnOnce(
        &mut Kiocb<'a, Cohfs>,
        &mut IovIterSource<'_>,
        ByteRange,
        &InodeLockGuard<'_>,
    ) -> Result<usize>,
) -> Result<usize> {
    let inode = iocb.file().inode();
    let lock = inode.lock();
    let len = iocb.write_checks(from, &lock)?;
    let Some(range) = iocb.range(len)? else {
        return Ok(0);
    };
    judge(range)?;
    iocb.modified(&lock)?;
    // With what lies between the end of the file and the range, which is zeroed.
    let touched = from_end(inode.size(), range);
    strict::wait_for_writes(&lock, touched, &inode.sb().data().counters);
    if range.pos() > inode.size() {
        size::zero_tail(inode, &lock)?;
    }
    let written = write(iocb, from, range, &lock);
    if range.end() > inode.size() {
        size::cut_unwritten(inode, &lock);
    }
    drop(lock);
    iocb.write_sync(written?)
}

/// Returns `range`, with all from byte `end` on if it begins behind that.
pub(super) fn from_end(end: u64, range: ByteRange) -> ByteRange {
    let pos = range.pos().min(end);
    // OVERFLOW: A range ends behind its first byte.
    ByteRange::new(pos, range.end() - pos).unwrap_or(range)
}
