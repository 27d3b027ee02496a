// SPDX-License-Identifier: GPL-2.0

//! A direct write, from the page cache's point of view.
//!
//! A direct write puts bytes on the disk behind the page cache's back. Each policy is one function
//! here: what it does with the cached folios before the transfer, and after it.
//! `transfer` moves the bytes and touches no page cache; `through_cache` writes the same bytes
//! into the page cache, for when the folios cannot be moved out of the way. Either returns how
//! many bytes it took.

use super::{
    strict,
    OnBusy,
    Policy,
    Target, //
};
use crate::pagecache::{
    ByteRange,
    PageRange, //
};
use crate::prelude::*;

/// Writes `range` of the file directly, under the policy of its mount.
///
/// # Context
///
/// May sleep. No page-cache lock is held while `transfer` or `through_cache` run, so both may touch
/// user memory, a mapping of this very file included.
///
/// # Errors
///
/// Those of the transfer and of the write-out before it. `seed` also returns `EIO`, although the
/// bytes are on disk, when a folio stayed in the page cache.
pub(crate) fn direct_write(
    target: &Target<'_>,
    range: ByteRange,
    transfer: impl FnOnce() -> Result<usize>,
    through_cache: impl FnOnce() -> Result<usize>,
) -> Result<usize> {
    target.counters.direct_writes.add(1);
    match target.policy {
        Policy::None => transfer(),
        Policy::Seed => seed(target, transfer),
        Policy::Mainline => mainline(target, range, transfer, through_cache),
        Policy::Strict => strict::direct_write(target, range, transfer, through_cache),
    }
}

/// As the patch of 2004 made `generic_file_direct_IO`: unmap and write out the whole file, transfer,
/// drop the whole file's cache, and let a failure of that stand for the result.
///
/// Between the write-out and the transfer's end nothing keeps anybody from caching, mapping and
/// dirtying the old bytes. Who does is found by the walk afterwards, and the writer is told.
fn seed(target: &Target<'_>, transfer: impl FnOnce() -> Result<usize>) -> Result<usize> {
    let mapping = target.mapping();
    if mapping.is_mapped() {
        mapping.unmap(PageRange::ALL);
    }
    mapping.write_and_wait(ByteRange::ALL)?;
    let result = transfer();
    if mapping.has_folios() && target.invalidate(PageRange::ALL, OnBusy::Stop).busy > 0 {
        target.counters.reported.add(1);
        return Err(EIO);
    }
    result
}

/// As `__iomap_dio_rw` and `iomap_dio_complete` of `fs/iomap/direct-io.c` do for ext2: write out
/// and drop the range, transfer, drop it again. What cannot be dropped before is written through
/// the cache instead; what cannot be dropped after stays, and only `fsync` tells.
fn mainline(
    target: &Target<'_>,
    range: ByteRange,
    transfer: impl FnOnce() -> Result<usize>,
    through_cache: impl FnOnce() -> Result<usize>,
) -> Result<usize> {
    let mapping = target.mapping();
    let pages = range.pages();
    if mapping.write_and_wait(range).is_err() || target.invalidate(pages, OnBusy::GoOn).busy > 0 {
        target.counters.through_cache.add(1);
        mapping.trace_through_cache(range);
        return write_through_cache(target, range, through_cache);
    }
    let written = transfer()?;
    if let Some(written) = range.first(written) {
        if mapping.has_folios() && target.invalidate(written.pages(), OnBusy::GoOn).busy > 0 {
            target.counters.left_stale.add(1);
            mapping.warn_stale();
        }
    }
    Ok(written)
}

/// Writes into the cache, from there to the disk, and drops what nobody uses, as the end of
/// `ext2_dio_write_iter` in `fs/ext2/file.c`.
fn write_through_cache(
    target: &Target<'_>,
    range: ByteRange,
    through_cache: impl FnOnce() -> Result<usize>,
) -> Result<usize> {
    let written = through_cache()?;
    if let Some(range) = range.first(written) {
        target.mapping().write_and_wait(range)?;
        target.mapping().drop_unused(range.pages());
    }
    Ok(written)
}
