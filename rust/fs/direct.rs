// SPDX-License-Identifier: GPL-2.0

//! Reading and writing regular files around the page cache.
//!
//! With `coherency=strict` a write pins its memory first. One that stays within blocks that the file has
//! then runs beside others, under the shared inode lock, and goes on by itself if it was asked for
//! asynchronously. All others run alone: those that extend the file, meet a hole, or meet a folio
//! that cannot be moved.
//!
//! # Lock order
//!
//! Pages of user memory are pinned → inode lock → the gate, [`crate::coherency::gates`].
//!
//! C counterpart: `ext2_dio_write_iter` in [`fs/ext2/file.c`](srctree/fs/ext2/file.c)

use super::{
    file::write_alone,
    map::{
        self,
        Map, //
    },
    tree::{
        self,
        Layout, //
    },
    Cohfs,
    Inode, //
};
use crate::{
    coherency::{
        self,
        strict,
        Policy,
        Target,
        Walker, //
    },
    pagecache::{
        ByteRange,
        InodeLockGuard, //
    },
    vfs::{
        self,
        Kiocb,
        PinnedSource, //
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
    prelude::*, //
};

/// Reads around the page cache.
///
/// # Errors
///
/// [`EINVAL`] if it is not aligned; those of the device.
pub(super) fn read(mut iocb: Kiocb<'_, Cohfs>, to: &mut IovIterDest<'_>) -> Result<usize> {
    let file = iocb.file();
    let inode = file.inode();
    // Who reads on after a short read asks from an odd offset, to learn that this was all.
    if iocb.pos() >= inode.size() {
        return Ok(0);
    }
    check_alignment(inode, iocb.pos(), to.len(), vfs::dest_alignment(to))?;
    let strict = inode.sb().data().is_strict();
    let lock = inode.lock_shared();
    let read = match iocb.range(to.len())? {
        Some(range) if strict => {
            inode.mapping().write_out(range)?;
            iocb.read_device::<Map>(to, &lock)
        }
        _ => iocb.read_direct::<Map>(to, &lock),
    };
    drop(lock);
    file.accessed();
    read
}

/// Writes around the page cache, under the policy of the mount.
///
/// # Errors
///
/// [`EINVAL`] if it is not aligned; [`EIOCBQUEUED`] if it goes on by itself; those of the policy.
pub(super) fn write(mut iocb: Kiocb<'_, Cohfs>, from: &mut IovIterSource<'_>) -> Result<usize> {
    let inode = iocb.file().inode();
    let (len, memory) = (from.len(), vfs::alignment(from));
    // Before anything is touched. Where an append goes is known later.
    if !iocb.appends() {
        check_alignment(inode, iocb.pos(), len, memory)?;
    }
    // Asked once: another policy may be in force by the time that the lock is held, and a write ends
    // as it began.
    let Some(options) = inode.sb().data().unless_strict() else {
        let mut source = PinnedSource::nothing();
        source.pin(from)?;
        let written = write_strict(&mut iocb, &mut source, memory)?;
        from.advance(written);
        return Ok(written);
    };
    let judge = |range: ByteRange| check_alignment(inode, range.pos(), len, memory);
    write_alone(&mut iocb, from, judge, |iocb, from, range, lock| {
        let from = RefCell::new(from);
        under_policy(
            iocb,
            range,
            lock,
            (options.policy, options.walker()),
            |iocb| iocb.transfer_direct::<Map>(&mut from.borrow_mut(), false, lock),
            |iocb| iocb.write_cached::<Map>(&mut from.borrow_mut(), lock),
        )
    })
}

/// Writes the bytes of `source`, beside others if that can be. Takes it if it goes on by itself.
///
/// # Errors
///
/// As [`write`].
fn write_strict(
    iocb: &mut Kiocb<'_, Cohfs>,
    source: &mut PinnedSource,
    memory: usize,
) -> Result<usize> {
    if let Some(written) = write_beside(iocb, source)? {
        return Ok(written);
    }
    let inode = iocb.file().inode();
    let len = source.len();
    let judge = |range: ByteRange| check_alignment(inode, range.pos(), len, memory);
    source.with_iter(0, len, |from| {
        write_alone(iocb, from, judge, |iocb, _, range, lock| {
            let len = usize::try_from(range.len())?;
            under_policy(
                iocb,
                range,
                lock,
                (Policy::Strict, Walker::Own),
                |iocb| {
                    source.with_iter(0, len, |from| iocb.transfer_direct::<Map>(from, true, lock))
                },
                |iocb| source.with_iter(0, len, |from| iocb.write_cached::<Map>(from, lock)),
            )
        })
    })
}

/// Writes the bytes of `source` under the shared inode lock, if they lie within blocks that the file
/// has, and no folio is in the way. Returns how many are on the device; nothing if the write must
/// be alone, and then nothing was done.
///
/// # Errors
///
/// As [`write`].
fn write_beside(iocb: &mut Kiocb<'_, Cohfs>, source: &mut PinnedSource) -> Result<Option<usize>> {
    let inode = iocb.file().inode();
    let counters = &inode.sb().data().counters;
    // Who makes the file grow needs the other lock; this is looked at again under this one.
    let end = iocb.pos().saturating_add(usize_as_u64(source.len()));
    let grows = end > inode.size();
    if iocb.appends() || grows || !inode.is_nosec() {
        return Ok(None);
    }
    let lock = inode.lock_shared();
    let len = iocb.write_checks_of(source.len(), &lock)?;
    let Some(range) = iocb.range(len)? else {
        return Ok(Some(0));
    };
    if len < source.len() || range.end() > inode.size() {
        return Ok(None);
    }
    let piece = match tree::layout(inode, range)? {
        Layout::WithHole => return Ok(None),
        Layout::OnePiece(start) => Some(map::extent(inode, range, start)),
        Layout::Pieces => None,
    };
    iocb.modified(&lock)?;
    // What could not be let go where a device may tell of its end is waited for.
    if iocb.is_async() && source.can_go_anywhere() {
        let Some(gate) = strict::make_way(inode.mapping(), range, counters)? else {
            return Ok(None);
        };
        counters.wrote_directly();
        // C syncs it.
        let (gate, piece) = (gate.into_entry(), piece.as_ref());
        let queued = iocb.queue_direct::<Map>(source.take(), gate, piece, &lock);
        return queued.map(Some);
    }
    let transfer = || {
        source.with_iter(0, len, |from| match &piece {
            Some(extent) => iocb.transfer_piece(from, extent, &lock),
            None => iocb.transfer_direct::<Map>(from, true, &lock),
        })
    };
    let Some(written) = strict::with_way(inode.mapping(), range, counters, transfer)? else {
        return Ok(None);
    };
    counters.wrote_directly();
    drop(lock);
    iocb.write_sync(written?).map(Some)
}

/// Writes `range` under a policy: `direct` does it around the page cache, `cached` through it.
fn under_policy<'a>(
    iocb: &mut Kiocb<'a, Cohfs>,
    range: ByteRange,
    lock: &InodeLockGuard<'_>,
    (policy, walker): (Policy, Walker),
    direct: impl Fn(&mut Kiocb<'a, Cohfs>) -> Result<usize>,
    cached: impl Fn(&mut Kiocb<'a, Cohfs>) -> Result<usize>,
) -> Result<usize> {
    let target = Target {
        lock,
        policy,
        walker,
        counters: &iocb.file().inode().sb().data().counters,
    };
    // Only one of the two ways is taken at a time, but both need the request.
    let iocb = RefCell::new(iocb);
    coherency::direct_write(
        &target,
        range,
        || transfer(&mut iocb.borrow_mut(), range, lock, &direct, &cached),
        || cached(&mut iocb.borrow_mut()),
    )
}

/// Moves the bytes of a direct write to the device.
///
/// Over a hole they go by way of the page cache, as `ext2_dio_write_iter` does it: a reader could see
/// what the new blocks held before, while they are on their way.
fn transfer<'a>(
    iocb: &mut Kiocb<'a, Cohfs>,
    range: ByteRange,
    lock: &InodeLockGuard<'_>,
    direct: impl Fn(&mut Kiocb<'a, Cohfs>) -> Result<usize>,
    cached: impl Fn(&mut Kiocb<'a, Cohfs>) -> Result<usize>,
) -> Result<usize> {
    let inode = iocb.file().inode();
    // The block in which the file ends may be a hole, and is to be zero around what is written.
    let inside = inode.size().next_multiple_of(1 << inode.sb().block_bits());
    let present = inside.min(range.end()).saturating_sub(range.pos());
    let below_end = ByteRange::new(range.pos(), present);
    let layout = below_end.map(|range| tree::layout(inode, range));
    if matches!(layout.transpose()?, Some(Layout::WithHole)) {
        inode.sb().data().counters.met_hole();
        let written = cached(iocb)?;
        if let Some(range) = range.first(written) {
            inode.mapping().write_out(range)?;
            inode.mapping().drop_unused(range.pages());
        }
        return Ok(written);
    }
    let gap = range.pos().saturating_sub(inode.size());
    if let Some(tail) = ByteRange::new(inode.size(), gap) {
        // It was zeroed in the page cache just now, and must not be written over what we write.
        inode.mapping().write_out(tail)?;
    }
    let written = direct(iocb)?;
    if let Some(range) = range.first(written) {
        inode.extend_to(range, lock);
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
