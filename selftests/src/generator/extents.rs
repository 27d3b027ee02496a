// SPDX-License-Identifier: GPL-2.0

//! Which bytes of a file have blocks, and which lie in holes.

use std::ops::Range;
use std::os::fd::BorrowedFd;

use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::data::errno;
use super::step::Fallocate;
use crate::space::fiemap;

/// Which bytes of `range` have blocks. With `sync` what is dirty is written out before.
///
/// Where on the disk they are is up to the file system, and so is how many extents they make: what
/// touches is one range.
pub fn mapped(
    file: BorrowedFd<'_>,
    range: Range<u64>,
    sync: bool,
) -> Result<Vec<Range<u64>>, Errno> {
    let mut found: Vec<Range<u64>> = Vec::new();
    for extent in fiemap(file, range.clone(), sync).map_err(errno)? {
        let start = extent.logical.max(range.start);
        let end = (extent.logical + extent.length).min(range.end);
        match found.last_mut() {
            Some(last) if last.end == start => last.end = end,
            _ => found.push(start..end),
        }
    }
    Ok(found)
}

/// Calls `fallocate(2)`. Says what is wrong then with the blocks of the file, if anything is.
pub fn fallocate(file: BorrowedFd<'_>, how: Fallocate, at: u64, len: u64) -> Result<String, Errno> {
    let flags = match how {
        Fallocate::Allocate => FallocateFlags::empty(),
        Fallocate::PunchHole => FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE,
        Fallocate::ZeroRange { keep_size: false } => FallocateFlags::ZERO_RANGE,
        Fallocate::ZeroRange { keep_size: true } => {
            FallocateFlags::ZERO_RANGE | FallocateFlags::KEEP_SIZE
        }
    };
    let before = rustix::fs::fstat(file)?;
    let block = before.st_blksize.cast_unsigned();
    let range = at..at.saturating_add(len);
    let whole = whole_blocks(&range, before.st_size.cast_unsigned(), block);
    // What is dirty stays so: that is worth punching as well.
    let had = mapped(file, whole.clone(), false);
    rustix::fs::fallocate(file, flags, at, len)?;
    let after = rustix::fs::fstat(file)?;
    let size = after.st_size.cast_unsigned();
    match how {
        Fallocate::Allocate => {}
        Fallocate::PunchHole => {
            let left = mapped(file, whole, false)?;
            let freed: u64 = had?.iter().map(|range| range.end - range.start).sum();
            let most = before.st_blocks - (freed / 512).cast_signed();
            if !left.is_empty() {
                return Ok(format!("the hole has blocks at {left:?}"));
            }
            if after.st_blocks > most {
                let seen = after.st_blocks;
                return Ok(format!("{seen} sectors are used, and not {most} at most"));
            }
        }
        Fallocate::ZeroRange { .. } => {
            let inside = range.start..range.end.min(size);
            let found = mapped(file, inside.clone(), false)?;
            if !inside.is_empty() && found != [inside] {
                return Ok(format!("the zeros have blocks at {found:?} only"));
            }
        }
    }
    Ok(String::new())
}

/// The whole blocks of `range`. The one in which a file of `size` bytes ends is whole if the range
/// reaches to that end.
fn whole_blocks(range: &Range<u64>, size: u64, block: u64) -> Range<u64> {
    let end = match range.end >= size {
        true => size.next_multiple_of(block),
        false => range.end / block * block,
    };
    range.start.next_multiple_of(block)..end
}
