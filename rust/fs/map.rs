// SPDX-License-Identifier: GPL-2.0

//! From the bytes of a file to the blocks of the device, for `fs/iomap`.
//!
//! What makes each of these steps right is in [`tree`].
//!
//! C counterpart: `ext2_iomap_begin` in [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::{
    tree::{
        self,
        Run,
        Space, //
    },
    Cohfs,
    Inode, //
};
use crate::{
    coherency::{
        gates,
        turns::{
            self,
            Turn, //
        }, //
    },
    ext2::{
        DiskBlock,
        FileBlock, //
    },
    pagecache::{
        ByteRange,
        PageRange, //
    },
    vfs::iomap::{
        Extent,
        Intent,
        Mapper, //
    },
};
use kernel::{
    prelude::*,
    sync::barrier::{
        smp_mb,
        Read, //
    },
};

/// The map of regular files.
pub(super) struct Map;

impl Mapper for Map {
    type Fs = Cohfs;

    fn map(inode: &Inode, range: ByteRange, intent: Intent) -> Result<Extent> {
        inode.sb().check_up()?;
        let bits = inode.sb().block_bits();
        let (first, last) = blocks(inode, range)?;
        // OVERFLOW: The last is not before the first.
        let max = (last.get() - first.get()).saturating_add(1);
        let writes = matches!(intent, Intent::Write | Intent::DirectWrite);
        let found = match writes && u64::from(first.get()) << bits >= inode.size() {
            // There is hardly ever anything, and who takes blocks looks again.
            true => Run::HOLE,
            false => tree::run(inode, first, max)?,
        };
        let (run, is_new) = match (found.first, intent) {
            (None, Intent::Write | Intent::DirectWrite) => take(inode, first, max, intent)?,
            (Some(_), Intent::DirectRead) => {
                // Who stored the pointers had dirtied the folios before, `Reserved::store`; their
                // bytes need not be on the device yet.
                smp_mb(Read);
                if inode.mapping().has_folios() {
                    inode.mapping().write_out(range)?;
                }
                (found, false)
            }
            _ => (found, false),
        };
        // OVERFLOW: A block number has 32 bits, and a block 12.
        Ok(Extent {
            offset: u64::from(first.get()) << bits,
            len: u64::from(run.len) << bits,
            address: run.first.map(|block| u64::from(block.get()) << bits),
            is_new,
        })
    }

    fn written(inode: &Inode, range: ByteRange) -> Result {
        if !inode.data().tree.has_pending() {
            return Ok(());
        }
        let (_, last) = blocks(inode, range)?;
        let mut state = inode.data().tree.lock();
        if let Some(pending) = state.take_pending() {
            let left = pending.store(inode, &mut state, last)?;
            state.set_pending(left);
        }
        Ok(())
    }

    fn end(inode: &Inode, grown: bool) {
        if grown {
            // The times need not have moved, and the block was there: nobody else would do it.
            inode.mark_dirty();
        }
        if !inode.data().tree.has_pending() {
            return;
        }
        let pending = inode.data().tree.lock().take_pending();
        if let Some(pending) = pending {
            pending.release(inode);
        }
    }

    type Turn<'a> = Turn<'a>;

    fn is_closed(inode: &Inode, pages: PageRange) -> bool {
        gates::is_closed(inode.mapping(), pages)
    }

    fn turn(inode: &Inode, range: ByteRange) -> Result<Turn<'_>> {
        turns::turn(inode.mapping(), range, &inode.sb().data().counters)
    }

    fn changes(inode: &Inode) -> u64 {
        inode.data().tree.changes()
    }
}

/// Takes blocks for a hole that begins at block `first`, `max` at most. Returns whether they are new.
///
/// # Errors
///
/// [`EIO`] for a direct write below the end of the file, where a reader could find what the blocks
/// held before: the caller looks for holes first, and writes through the page cache.
fn take(inode: &Inode, first: FileBlock, max: u32, intent: Intent) -> Result<(Run, bool)> {
    let bits = inode.sb().block_bits();
    if intent == Intent::DirectWrite && u64::from(first.get()) << bits < inode.size() {
        return Err(EIO);
    }
    let mut state = inode.data().tree.lock();
    let space = tree::reserve(inode, &state, first, max)?;
    let run = space.run();
    match space {
        // A fault was faster. What it stored may be on the device already.
        Space::Data(_) => return Ok((run, false)),
        Space::New(new) if intent == Intent::DirectWrite => new.store_all(inode, &mut state)?,
        Space::New(new) => state.set_pending(Some(new)),
    }
    Ok((run, true))
}

/// Returns the extent that `range` is, if its first byte is in block `start` of the device, and its blocks
/// lie one behind the other.
pub(super) fn extent(inode: &Inode, range: ByteRange, start: DiskBlock) -> Extent {
    let bits = inode.sb().block_bits();
    let within = range.pos() & ((1 << bits) - 1);
    Extent {
        offset: range.pos(),
        len: range.len(),
        // OVERFLOW: A block number has 32 bits, and a block 12.
        address: Some((u64::from(start.get()) << bits) + within),
        is_new: false,
    }
}

/// Returns the first and the last block of the file that hold a byte of `range`.
///
/// # Errors
///
/// [`EFBIG`] if it begins beyond what a block number can say.
pub(super) fn blocks(inode: &Inode, range: ByteRange) -> Result<(FileBlock, FileBlock)> {
    let bits = inode.sb().block_bits();
    let first = u32::try_from(range.pos() >> bits).map_err(|_| EFBIG)?;
    // OVERFLOW: A range is not empty, by its invariants.
    let last = u32::try_from((range.end() - 1) >> bits).unwrap_or(u32::MAX);
    Ok((FileBlock(first), FileBlock(last)))
}
