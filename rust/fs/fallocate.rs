// SPDX-License-Identifier: GPL-2.0

//! Making zeros of a range of a file: with its blocks given back, or with blocks below.
//!
//! The format knows no blocks that are allocated and count as zero, so there is nothing else that
//! `fallocate` could do. Who asks for a zeroed range is promised room for it, and so it is written.
//!
//! # Lock order
//!
//! `i_rwsem` → `invalidate_lock` → folio lock → what [`super::tree`] takes.
//!
//! C counterparts: `ext4_punch_hole` and `ext4_zero_range` in fs/ext4, `xfs_flush_unmap_range` in
//! fs/xfs; fs/ext2 has none.

use super::{
    file::from_end,
    map::Map,
    size,
    tree,
    Cohfs,
    Inode, //
};
use crate::{
    coherency::strict,
    pagecache::{
        ByteRange,
        InodeLockGuard, //
    },
    vfs::File, //
};
use kernel::prelude::*;

/// Makes zeros of `range` and gives the blocks back that are wholly in it. The size stays.
///
/// # Context
///
/// May sleep: waits for the direct I/O of the file that is in flight.
///
/// # Errors
///
/// [`EIO`] if a block cannot be read to zero a part of it, or a block of pointers; [`EUCLEAN`].
pub(super) fn punch_hole(file: &File<Cohfs>, range: ByteRange) -> Result {
    let inode = file.inode();
    let lock = inode.lock();
    file.modified(&lock)?;
    // Reads as well: they must not end in blocks that are somebody else's by then.
    inode.dio_wait(&lock);
    let (first, end) = edges(inode, range);
    if first > end {
        zero(inode, range.pos(), range.end().min(inode.size()), &lock)?;
    } else {
        zero(inode, range.pos(), first.min(inode.size()), &lock)?;
        zero(inode, end, range.end().min(inode.size()), &lock)?;
    }
    if let Some(whole) = ByteRange::new(first, end.saturating_sub(first)) {
        free(inode, whole, &lock)?;
    }
    drop(lock);
    file.sync_change(range)
}

/// Returns where the first whole block of `range` begins, and where the last one ends. The block
/// in which the file ends is whole if the range reaches to that end.
fn edges(inode: &Inode, range: ByteRange) -> (u64, u64) {
    let block = 1 << inode.sb().block_bits();
    let end = match range.end() >= inode.size() {
        true => inode.size().next_multiple_of(block),
        false => range.end() / block * block,
    };
    (range.pos().next_multiple_of(block), end)
}

/// Zeroes the bytes from `pos` up to `end` in the page cache, if there are any.
fn zero(inode: &Inode, pos: u64, end: u64, lock: &InodeLockGuard<'_>) -> Result {
    match ByteRange::new(pos, end.saturating_sub(pos)) {
        Some(range) => inode.zero_range::<Map>(range, lock),
        None => Ok(()),
    }
}

/// Gives the blocks of `range` back, which are whole.
///
/// No folio may be left over them, not even a part of one: it could be on its way to the disk by
/// where its blocks were, and a mapping that has it writable would store to it without a fault, so
/// that no block is taken for what is stored. If one stays, since somebody's I/O has it pinned, the
/// blocks stay as well, and are zeroed.
fn free(inode: &Inode, range: ByteRange, lock: &InodeLockGuard<'_>) -> Result {
    let closed = lock.invalidate_lock();
    inode.truncate_range(range, &closed);
    if !strict::make_empty(&closed, range, &inode.sb().data().counters)? {
        drop(closed);
        return inode.zero_range::<Map>(range, lock);
    }
    tree::punch(inode, range, &closed)
}

/// Makes zeros of `range`, and gives it the blocks that it lacks. The file grows to hold it, unless
/// `keep_size`: then only what is in the file is touched, for the format has no blocks behind its end.
///
/// # Context
///
/// May sleep: waits for the direct writes over the range that are in flight.
///
/// # Errors
///
/// [`ENOSPC`] if there are not as many blocks, and [`EIO`]; a part may be zero then, and the size is
/// what it was. [`EFBIG`] beyond a limit.
pub(super) fn zero_range(file: &File<Cohfs>, range: ByteRange, keep_size: bool) -> Result {
    let inode = file.inode();
    let lock = inode.lock();
    let size = inode.size();
    let grows = range.end() > size && !keep_size;
    if grows {
        inode.newsize_ok(range.end(), &lock)?;
    }
    file.modified(&lock)?;
    let counters = &inode.sb().data().counters;
    strict::wait_for_writes(&lock, from_end(size, range), counters);
    if grows {
        // What is beyond the end is not written out.
        size::set(inode, range.end(), &lock)?;
    }
    let len = range.end().min(inode.size()).saturating_sub(range.pos());
    let Some(inside) = ByteRange::new(range.pos(), len) else {
        return Ok(());
    };
    let filled = inode.fill_range::<Map>(inside, &lock);
    if let (Err(error), true) = (filled, grows) {
        size::set(inode, size, &lock)?;
        return Err(error);
    }
    filled?;
    drop(lock);
    file.sync_change(inside)
}
