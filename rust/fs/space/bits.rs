// SPDX-License-Identifier: GPL-2.0

//! Searching a bitmap of blocks, and taking bits of it.
//!
//! Whoever takes a bit has the block. A search finds what was free when it looked: somebody else
//! may be faster, and then it goes on.
//!
//! C counterparts: `find_next_usable_block` and `ext2_try_to_allocate` in
//! [`fs/ext2/balloc.c`](srctree/fs/ext2/balloc.c)

use crate::vfs::BufferHead;
use core::ops::Range;

/// Takes the first free blocks of `range` that follow one another, `want` at most.
///
/// Returns the first and how many they are.
pub(super) fn take(bitmap: &BufferHead, range: Range<u32>, want: u32) -> Option<(u32, u32)> {
    let Range { mut start, end } = range;
    loop {
        start = bitmap.find_next_zero_bit(start, end)?;
        // OVERFLOW: A group has at most 2^15 blocks.
        let bits = start..end.min(start.saturating_add(want));
        let taken = bits.take_while(|&bit| bitmap.test_and_set_bit(bit)).count();
        if taken > 0 {
            return Some((start, u32::try_from(taken).ok()?));
        }
        // Somebody else was faster.
    }
}

/// Returns where in `range` blocks are best taken from if no place is better than another: in the
/// next few, else where eight lie together, else anywhere.
pub(super) fn find_usable(bitmap: &BufferHead, range: &Range<u32>) -> Option<u32> {
    /// How far, at most, the start of a free stretch is looked for backwards.
    const BACK: u32 = 7;
    /// Blocks that count as the next few, aligned.
    const NEAR: u32 = 64;

    let &Range { start, end } = range;
    if start > 0 {
        let near = end.min(start.next_multiple_of(NEAR));
        if let Some(bit) = bitmap.find_next_zero_bit(start, near) {
            return Some(bit);
        }
    }
    let byte = bitmap.find_next_zero_byte(start, end);
    let bit = match byte.filter(|bit| range.contains(bit)) {
        Some(bit) => bit,
        None => bitmap.find_next_zero_bit(start, end)?,
    };
    let back = (start.max(bit.saturating_sub(BACK))..bit).rev();
    let free = back.take_while(|&bit| bitmap.find_next_zero_bit(bit, bit + 1).is_some());
    Some(free.last().unwrap_or(bit))
}
