// SPDX-License-Identifier: GPL-2.0

//! `strict`: when a direct write returns, nobody can read old bytes, and nobody's bytes are lost.
//!
//! Read [`gates`](super::gates) first. A write closes its gate, moves every folio of its range out of
//! the way, and only then goes around the cache; the gate keeps the range as empty as it was found
//! until the bytes are on the device. If a folio cannot be moved, the gate opens again
//! and the same bytes go through the cache instead: slower, and just as right.

use super::{
    gates::{
        self,
        Gate, //
    },
    invalidate::{
        invalidate,
        KeepsOut,
        OnBusy, //
    },
    turns,
    Counters,
    Target,
    Walker, //
};
use crate::pagecache::{
    AddressSpace,
    ByteRange,
    InodeLockGuard, //
};
use crate::prelude::*;

/// How often a range is written out and emptied before it is given up.
///
/// Once is enough for what was dirty, and twice for what a mapping made dirty between the write-out
/// and the unmapping: from then on every store takes a fault, and the gate stops that one. What
/// stays for longer is pinned, or being dirtied without a fault.
const ROUNDS: u32 = 3;

/// Makes way for a direct write of `range` that goes on by itself.
///
/// Returns the closed gate: the bytes go to the device now, and the gate is dropped when they are
/// there. Or nothing, if a folio is in the way that cannot be moved: the bytes go through the
/// cache, under the exclusive inode lock.
///
/// # Context
///
/// May sleep. The inode lock is held, shared or exclusively. The memory that is written from is
/// pinned: it must not be touched from here on.
///
/// # Errors
///
/// That of writing out what was dirty: the bytes of somebody else that it tells of are still in the
/// cache, or lost. `ENOMEM`.
pub(crate) fn make_way<'a>(
    mapping: &'a AddressSpace,
    range: ByteRange,
    counters: &Counters,
) -> Result<Option<Gate<'a>>> {
    let gate = Gate::enter(mapping, range, counters)?;
    Ok(make_empty(&gate, range, counters)?.then_some(gate))
}

/// Makes way as [`make_way`], and has `transfer` bring the bytes to the device before the gate opens
/// again.
///
/// # Context
///
/// As [`make_way`].
///
/// # Errors
///
/// As [`make_way`].
pub(crate) fn with_way<R>(
    mapping: &AddressSpace,
    range: ByteRange,
    counters: &Counters,
    transfer: impl FnOnce() -> R,
) -> Result<Option<R>> {
    gates::during(mapping, range, counters, |gate| {
        Ok(make_empty(gate, range, counters)?.then(transfer))
    })
}

/// Writes out every folio over `range` and removes it. Returns whether none is left, which stays so
/// for as long as `closed` keeps others out. May sleep, takes folio locks, and fails as [`make_way`].
pub(crate) fn make_empty(
    closed: &impl KeepsOut,
    range: ByteRange,
    counters: &Counters,
) -> Result<bool> {
    let mapping = closed.mapping();
    if !mapping.has_folios_in(range) {
        return Ok(true);
    }
    for _ in 0..ROUNDS {
        mapping.write_out(range)?;
        let report = invalidate(closed, Walker::Own, range.pages(), OnBusy::GoOn, counters);
        if report.busy == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes `range` directly while nobody else writes to the file.
///
/// # Context
///
/// May sleep. `transfer` and `through_cache` take the bytes from memory that is pinned.
///
/// # Errors
///
/// As [`make_way`], and those of the two ways.
pub(super) fn direct_write(
    target: &Target<'_>,
    range: ByteRange,
    transfer: impl FnOnce() -> Result<usize>,
    through_cache: impl FnOnce() -> Result<usize>,
) -> Result<usize> {
    let written = with_way(target.mapping(), range, target.counters, transfer)?;
    written.unwrap_or_else(|| {
        target.counters.through_cache.add(1);
        target.mapping().trace_through_cache(range);
        // They are on the device when this returns, but stay in the cache.
        let written = through_cache()?;
        if let Some(range) = range.first(written) {
            target.mapping().write_out(range)?;
        }
        Ok(written)
    })
}

/// Waits until no direct write is in flight over the pages of `range`. As long as the inode lock is
/// held, none begins.
///
/// Whoever changes the cache under the inode lock, by a buffered write or a truncation, does this
/// first: a part of a page that he reads before he changes the rest could be old otherwise.
///
/// # Context
///
/// May sleep, until those writes are done.
pub(crate) fn wait_for_writes(lock: &InodeLockGuard<'_>, range: ByteRange, counters: &Counters) {
    // Nobody can begin while the lock is held.
    turns::wait(lock.mapping(), range, counters);
}
