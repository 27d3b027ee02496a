// SPDX-License-Identifier: GPL-2.0

//! Telling the device which blocks hold nothing: `FITRIM`.
//!
//! A search of a bitmap takes no lock, so there is none that would keep others from taking what is
//! being discarded. The blocks are therefore taken first, as a file would take them, discarded, and
//! given back; the counts stay as they are. Who finds nothing else free waits for that
//! ([`super::Space::wait_for_trim`]).
//!
//! C counterpart: `ext4_trim_fs` in [`fs/ext4/mballoc.c`](srctree/fs/ext4/mballoc.c); fs/ext2 has none.

use super::{
    super::SuperBlock,
    bits::take,
    group::{
        bitmap_changed,
        Group, //
    }, //
};
use crate::{
    ext2::DiskBlock,
    vfs, //
};
use core::ops::Range;
use kernel::prelude::*;

/// Discards the free blocks of `range`, where at least `min_len` of them lie together. Returns how many
/// there were.
///
/// # Context
///
/// May sleep, for as long as the device takes. The volume is mounted for writing, and stays so.
///
/// # Errors
///
/// That of the device; [`EIO`] if a bitmap cannot be read; [`EINTR`] if the task is being killed.
pub(in crate::fs) fn trim(sb: &SuperBlock, range: Range<u64>, min_len: u32) -> Result<u64> {
    let data = sb.data();
    let mut trimmed = 0;
    for number in 0..data.disk.groups_count() {
        let (first, last) = data.disk.group_blocks(number);
        let start = range.start.max(first.get().into());
        // OVERFLOW: A block number has 32 bits.
        let end = range.end.min(u64::from(last.get()) + 1);
        if start < end {
            // BOUNDS: In the group, which has at most 2^15 blocks.
            let bits =
                u32::try_from(start)? - first.get()..u32::try_from(end - 1)? - first.get() + 1;
            trimmed += trim_group(sb, data.space.group(number)?, first, bits, min_len)?;
        }
    }
    Ok(trimmed)
}

/// Does it for the blocks of a group that `bits` of its bitmap stand for; its first is `first`.
fn trim_group(
    sb: &SuperBlock,
    group: &Group,
    first: DiskBlock,
    bits: Range<u32>,
    min_len: u32,
) -> Result<u64> {
    let data = sb.data();
    let Some(bitmap) = group.block_bitmap(sb)? else {
        return Ok(0);
    };
    let mut trimmed = 0;
    let mut start = bits.start;
    loop {
        vfs::check_killed()?;
        // LOCKING: Over one run, so that nobody waits for more than that.
        let _taken = data.space.trimming.lock();
        let Some((bit, len)) = take(&bitmap, start..bits.end, u32::MAX) else {
            return Ok(trimmed);
        };
        // OVERFLOW: In the group.
        start = bit + len;
        let run = DiskBlock(first.get() + bit);
        let done = match data.check_run(run, len) {
            Ok(()) if len >= min_len => {
                trimmed += u64::from(len);
                sb.discard(u64::from(run.get()), u64::from(len))
            }
            Ok(()) => Ok(()),
            Err(found) => {
                // The bits stay set, as they should have been.
                group.damage(sb, &found);
                return Ok(trimmed);
            }
        };
        for bit in bit..start {
            bitmap.test_and_clear_bit(bit);
        }
        // It may have been written out meanwhile.
        bitmap_changed(sb, &bitmap);
        done?;
    }
}
