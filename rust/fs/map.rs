// SPDX-License-Identifier: GPL-2.0

//! From the bytes of a file to the blocks of the device.
//!
//! C counterparts: `ext2_get_blocks` and `ext2_iomap_begin` in
//! [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::{
    error,
    Cohfs,
    Inode, //
};
use crate::{
    ext2::{
        run_length,
        Corrupt,
        DiskBlock,
        FileBlock,
        Path, //
    },
    pagecache::ByteRange,
    vfs::{
        iomap::{
            Extent,
            Intent,
            Mapper, //
        },
        BufferHead,
    },
};
use core::iter;
use kernel::{
    num::casts::u32_as_usize,
    prelude::*, //
};

/// Consecutive blocks of a file that lie one behind the other, or are all holes.
#[derive(Clone, Copy)]
pub(super) struct Run {
    /// Where the first is; nothing if they are holes.
    pub(super) first: Option<DiskBlock>,
    /// How many there are; at least one.
    pub(super) len: u32,
}

/// The pointers of one block or of the inode.
enum Pointers<'a> {
    Inode(&'a Inode),
    Block(BufferHead),
}

impl Pointers<'_> {
    /// Returns the pointer with that index.
    fn get(&self, index: u32) -> Result<u32> {
        let index = u32_as_usize(index);
        match self {
            Self::Inode(inode) => {
                let pointer = inode.data().disk.block.get(index);
                pointer.map(|pointer| pointer.get()).ok_or(EUCLEAN)
            }
            // OVERFLOW: An index is at most 2^32.
            Self::Block(buffer) => buffer.le32(index * size_of::<u32>()),
        }
    }
}

/// Returns where block `block` of the file is, and how many after it follow, up to `max` in all.
///
/// What the pointers cannot reach is a hole: `FIBMAP` may ask for it, and so may a read of the last
/// page of the longest file.
///
/// # Context
///
/// May sleep.
///
/// # Errors
///
/// [`EUCLEAN`] if a pointer leads to where no data can be, [`EIO`] if a block of pointers cannot
/// be read.
pub(super) fn run(inode: &Inode, block: FileBlock, max: u32) -> Result<Run> {
    let sb = inode.sb();
    let data = sb.data();
    let corrupt = |found: Corrupt| error::corrupt_in(inode, &found);

    let Ok(path) = Path::to(block, &data.disk) else {
        return Ok(Run {
            first: None,
            len: 1,
        });
    };
    // OVERFLOW: The number of pointers in a block is small.
    let max = max.clamp(1, path.boundary + 1);
    let mut pointers = Pointers::Inode(inode);
    let mut index = 0;
    for (level, &offset) in path.offsets().iter().enumerate() {
        if level > 0 {
            let below = pointers.get(index)?;
            if below == 0 {
                return Ok(Run {
                    first: None,
                    len: max,
                });
            }
            data.check_run(DiskBlock(below), 1).map_err(corrupt)?;
            pointers = Pointers::Block(sb.bread(u64::from(below))?);
        }
        index = offset;
    }

    let first = DiskBlock(pointers.get(index)?);
    // Reading a pointer cannot fail within the boundary; if it does, the run is shorter.
    let mut next = index;
    let rest = iter::from_fn(|| {
        next = next.checked_add(1)?;
        pointers.get(next).ok()
    })
    .take(u32_as_usize(max - 1));
    if first.get() == 0 {
        let holes = rest.take_while(|&pointer| pointer == 0).count();
        return Ok(Run {
            first: None,
            // OVERFLOW: Less than `max`.
            len: 1 + u32::try_from(holes)?,
        });
    }
    let mut len = run_length(rest, first, max);
    if len > 1 && data.check_run(first, len).is_err() {
        // Something in it is wrong; the first block need not be.
        len = 1;
    }
    data.check_run(first, len).map_err(corrupt)?;
    Ok(Run {
        first: Some(first),
        len,
    })
}

/// Checks that `range` can be written without allocating anything.
///
/// # Errors
///
/// [`EOPNOTSUPP`] if it ends beyond the end of the file or has a hole, or those of [`run`].
pub(super) fn check_allocated(inode: &Inode, range: ByteRange) -> Result {
    if range.end() > inode.size() {
        return Err(EOPNOTSUPP);
    }
    let bits = inode.sb().block_bits();
    // OVERFLOW: A range is not empty, by its invariants.
    let (mut block, last) = (range.pos() >> bits, (range.end() - 1) >> bits);
    while block <= last {
        let run = run(inode, file_block(block)?, count(last - block + 1))?;
        if run.first.is_none() {
            return Err(EOPNOTSUPP);
        }
        // OVERFLOW: Block numbers of a file have less than 64 bits by far.
        block += u64::from(run.len);
    }
    Ok(())
}

/// Returns the number of a block of a file in the format's own type.
fn file_block(block: u64) -> Result<FileBlock> {
    u32::try_from(block).map(FileBlock).map_err(|_| EFBIG)
}

/// Returns a number of blocks, or as many as can be asked for at once.
fn count(blocks: u64) -> u32 {
    u32::try_from(blocks).unwrap_or(u32::MAX)
}

/// The map of regular files and symbolic links.
pub(super) struct Map;

impl Mapper for Map {
    type Fs = Cohfs;

    fn map(inode: &Inode, range: ByteRange, intent: Intent) -> Result<Extent> {
        let bits = inode.sb().block_bits();
        let first = range.pos() >> bits;
        // OVERFLOW: A range is not empty, by its invariants.
        let last = (range.end() - 1) >> bits;
        let run = run(inode, file_block(first)?, count(last - first + 1))?;
        match (run.first, intent) {
            // Nothing but a damaged or changed image brings a dirty folio over a hole.
            (None, Intent::Writeback) => return Err(EIO),
            (None, Intent::Write | Intent::Fault) => return Err(EOPNOTSUPP),
            _ => {}
        }
        // OVERFLOW: A block number has 32 bits, and a block 12.
        Ok(Extent {
            offset: first << bits,
            len: u64::from(run.len) << bits,
            address: run.first.map(|block| u64::from(block.get()) << bits),
        })
    }
}
