// SPDX-License-Identifier: GPL-2.0

//! The size of a regular file: making it larger and smaller.
//!
//! What lies beyond the end of a file is not zero by itself: a process that maps the last page can
//! store there, and an image can have anything in the rest of the last block. So whoever moves
//! the end up zeroes that rest first, in the page cache, from where the device gets it as well.
//!
//! # Lock order
//!
//! `i_rwsem` → `invalidate_lock` → what [`super::tree`] takes.
//!
//! C counterpart: `ext2_setsize` in [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::{
    map::Map,
    tree,
    Inode, //
};
use crate::pagecache::{
    ByteRange,
    InodeLockGuard, //
};
use kernel::prelude::*;

/// Makes a file as large as `size` bytes: cuts it there, or adds a hole.
///
/// # Context
///
/// May sleep: waits for direct reads in flight.
///
/// # Errors
///
/// [`EPERM`] if the file may only be appended to, or not changed at all; [`EINVAL`] if it is no
/// regular file; [`EIO`] if the last block cannot be read to zero a part of it.
pub(super) fn set(inode: &Inode, size: u64, lock: &InodeLockGuard<'_>) -> Result {
    if !inode.is_regular() {
        return Err(EINVAL);
    }
    if inode.has_fixed_size() {
        return Err(EPERM);
    }
    inode.dio_wait(lock);
    let grows = size > inode.size();
    if grows {
        zero_tail(inode, lock)?;
    } else {
        zero_block_from(inode, size, lock)?;
    }
    let invalidate = lock.invalidate_lock();
    inode.truncate_setsize(size, &invalidate);
    if !grows {
        tree::cut(inode, size, &invalidate);
    }
    // Who reads elsewhere in the file does not wait for the device.
    drop(invalidate);
    inode.note_modified();
    if inode.is_sync() {
        // As in `ext2_setsize`, a failure shows elsewhere: the file has its new size.
        let _ = inode.sync_now();
    }
    Ok(())
}

/// Zeroes what lies beyond the end of a file that is about to grow, but for what a write covers.
///
/// # Context
///
/// May sleep. What somebody stores there through a mapping from now on is at the same time as the
/// growth, and counts as after it.
///
/// # Errors
///
/// [`EIO`] if the last block cannot be read.
pub(super) fn zero_tail(inode: &Inode, lock: &InodeLockGuard<'_>) -> Result {
    inode.drop_beyond_end(lock);
    zero_block_from(inode, inode.size(), lock)
}

/// Takes back the blocks that a write took beyond the end of the file and did not fill.
pub(super) fn cut_unwritten(inode: &Inode, lock: &InodeLockGuard<'_>) {
    tree::cut(inode, inode.size(), &lock.invalidate_lock());
}

/// Zeroes a block from byte `pos` of the file on.
fn zero_block_from(inode: &Inode, pos: u64, lock: &InodeLockGuard<'_>) -> Result {
    let end = pos.next_multiple_of(1 << inode.sb().block_bits());
    match ByteRange::new(pos, end.saturating_sub(pos)) {
        Some(range) => inode.zero_range::<Map>(range, lock),
        None => Ok(()),
    }
}
