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
    ioctl,
    map::{
        self,
        Map, //
    },
    size,
    space,
    tree::{
        self,
        Reserved, //
    },
    Cohfs,
    Inode, //
};
use crate::{
    coherency::{
        self,
        Target, //
    },
    pagecache::{
        ByteRange,
        InodeLockGuard, //
    },
    vfs::{
        self,
        fault,
        file_ops,
        Kiocb,
        Opening, //
    },
};
use core::cell::RefCell;
use kernel::{
    iov::{
        IovIterDest,
        IovIterSource, //
    },
    num::casts::{
        u32_as_usize,
        usize_as_u64, //
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
        if !iocb.is_direct() {
            return iocb.read_cached(to);
        }
        let file = iocb.file();
        check_alignment(file.inode(), iocb.pos(), to.len(), vfs::dest_alignment(to))?;
        let lock = file.inode().lock_shared();
        let read = iocb.read_direct::<Map>(to, &lock);
        drop(lock);
        file.accessed();
        read
    }

    fn write_iter(mut iocb: Kiocb<'_, Cohfs>, from: &mut IovIterSource<'_>) -> Result<usize> {
        let inode = iocb.file().inode();
        let direct = iocb.is_direct();
        let lock = inode.lock();
        let len = iocb.write_checks(from, &lock)?;
        let Some(range) = iocb.range(len)? else {
            return Ok(0);
        };
        if direct {
            check_alignment(inode, range.pos(), len, vfs::alignment(from))?;
        }
        iocb.modified(&lock)?;
        if range.pos() > inode.size() {
            size::zero_tail(inode, &lock)?;
        }
        let (mut iocb, written) = if direct {
            write_direct(iocb, from, range, &lock)
        } else {
            let written = iocb.write_cached::<Map>(from, &lock);
            (iocb, written)
        };
        if range.end() > inode.size() {
            size::cut_unwritten(inode, &lock);
        }
        drop(lock);
        iocb.write_sync(written?)
    }

    fn fsync(file: &vfs::File<Cohfs>, start: i64, end: i64, datasync: bool) -> Result {
        file.sync(start, end, datasync)
    }

    fn ioctl(file: &vfs::File<Cohfs>, cmd: u32, arg: UserPtr) -> Result<c_long> {
        ioctl::ioctl(file, cmd, arg)
    }
}

impl fault::Operations for File {
    type Mapper = Map;
    type Reserved = KVec<Reserved>;

    fn reserve(inode: &Inode, range: ByteRange) -> Result<KVec<Reserved>> {
        let (first, last) = map::blocks(inode, range)?;
        tree::reserve_holes(inode, first, last)
    }

    fn store(inode: &Inode, reserved: KVec<Reserved>) -> Result {
        tree::store_holes(inode, reserved)
    }
}

/// Writes around the page cache, under the policy of the mount.
fn write_direct<'a>(
    iocb: Kiocb<'a, Cohfs>,
    from: &mut IovIterSource<'_>,
    range: ByteRange,
    lock: &InodeLockGuard<'_>,
) -> (Kiocb<'a, Cohfs>, Result<usize>) {
    let data = iocb.file().inode().sb().data();
    let options = data.options();
    let target = Target {
        lock,
        policy: options.policy,
        walker: options.walker(),
        counters: &data.counters,
    };
    // Only one of the two ways is taken at a time, but both need the request.
    let request = RefCell::new((iocb, from));
    let written = coherency::direct_write(
        &target,
        range,
        || {
            let (iocb, from) = &mut *request.borrow_mut();
            transfer(iocb, from, range, lock)
        },
        || {
            let (iocb, from) = &mut *request.borrow_mut();
            iocb.write_cached::<Map>(from, lock)
        },
    );
    (request.into_inner().0, written)
}

/// Moves the bytes of a direct write to the device.
///
/// Over a hole they go by way of the page cache, as `ext2_dio_write_iter` does it: a reader could see
/// what the new blocks held before, while they are on their way.
fn transfer(
    iocb: &mut Kiocb<'_, Cohfs>,
    from: &mut IovIterSource<'_>,
    range: ByteRange,
    lock: &InodeLockGuard<'_>,
) -> Result<usize> {
    let inode = iocb.file().inode();
    let present = inode.size().min(range.end()).saturating_sub(range.pos());
    let below_end = ByteRange::new(range.pos(), present);
    if below_end.map_or(Ok(false), |range| tree::has_hole(inode, range))? {
        let written = iocb.write_cached::<Map>(from, lock)?;
        if let Some(range) = range.first(written) {
            inode.mapping().write_and_wait(range)?;
            inode.mapping().drop_unused(range.pages());
        }
        return Ok(written);
    }
    let written = iocb.transfer_direct::<Map>(from, lock)?;
    if let Some(range) = range.first(written) {
        inode.extend_to(range.end(), lock);
    }
    Ok(written)
}

/// Checks that direct I/O of `len` bytes at `pos` can be done, before anything is touched.
///
/// `memory` has the bits that any address or length of a piece of memory has.
///
/// # Errors
///
/// [`EINVAL`] if the device cannot do it: offset and length must be whole logical blocks, and
/// memory as its queue wants it.
fn check_alignment(inode: &Inode, pos: u64, len: usize, memory: usize) -> Result {
    let sb = inode.sb();
    let block_mask = u64::from(sb.logical_block_size().saturating_sub(1));
    let misplaced = (pos | usize_as_u64(len)) & block_mask != 0;
    let misaligned = memory & u32_as_usize(sb.dma_alignment_mask()) != 0;
    if misplaced || misaligned {
        return Err(EINVAL);
    }
    Ok(())
}
