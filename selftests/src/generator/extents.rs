// SPDX-License-Identifier: GPL-2.0

//! Which bytes of a file have blocks, and which lie in holes.

use std::ops::Range;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;

use super::data::errno;
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
