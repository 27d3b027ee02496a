// SPDX-License-Identifier: GPL-2.0

//! The direct writes in flight: who has to wait for whom.
//!
//! The whole argument is one sentence: *whoever fills a folio from the device looks at the gates
//! under that folio's lock, and a direct write enters its gate before it looks for folios.* So either
//! the filler sees the gate and keeps off, or the write comes upon the folio, waits for its lock, and
//! moves it out of the way before the transfer, with what was done to it.
//!
//! A gate stands over a range from before the first folio is looked for until the bytes are on the
//! device. Once the range is empty it stays so: no folio over it is filled, so none can be mapped,
//! read or made dirty. There is nothing that could hold old bytes, and nothing that could be written
//! over the new ones.
//!
//! Whoever makes a folio dirty takes his turn as well. That is not for the bytes' sake, for the write
//! comes upon them; it is so that the write gets on, and is not outrun by a mapping's stores.
//!
//! # Who waits for whom
//!
//! All wait for elders only, so nobody waits in a circle, and everybody's turn comes:
//!
//! | | a direct write that came before | a filler that came before |
//! |---|---|---|
//! | a direct write waits for | it, if they share a byte | it, if they share a page |
//! | a filler waits for | it, if they share a page | – |
//!
//! A filler is a read or a fault that found its range closed, or who makes a folio dirty. He waits
//! with no folio locked, but with what the VFS locked before (`i_rwsem`, `mmap_lock`,
//! `invalidate_lock`). Therefore *who holds a gate touches neither user memory nor any of these, and
//! enters no second gate*; it waits for the device and for folio locks, whose holders do not wait for
//! gates. In the debug kernel lockdep checks this at every place where somebody might wait.

use super::Counters;
use crate::pagecache::{
    AddressSpace,
    ByteRange,
    Claim,
    Entry,
    GateHeld,
    PageRange,
    Purpose, //
};
use crate::prelude::*;

/// The gate of a direct write that goes on by itself. It opens again when this is dropped, which may be
/// in interrupt context.
#[must_use = "the gate opens when it is dropped"]
pub(crate) struct Gate<'a> {
    mapping: &'a AddressSpace,
    entry: Entry<'a>,
    _held: GateHeld,
}

impl<'a> Gate<'a> {
    /// Closes `range` of the file to fillers, and to direct writes that share a byte with it.
    ///
    /// # Context
    ///
    /// May sleep, until the I/O of elder claims is done. The memory that is written from is pinned:
    /// it must not be touched from now on. The inode lock is held, shared or exclusively.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn enter(
        mapping: &'a AddressSpace,
        range: ByteRange,
        counters: &Counters,
    ) -> Result<Self> {
        let held = GateHeld::acquire();
        let entry = mapping.in_flight().enter(write(range), is_in_the_way)?;
        counters.gate_waits.add(u64::from(entry.has_waited()));
        Ok(Self {
            mapping,
            entry,
            _held: held,
        })
    }

    /// Returns the page cache of the file.
    pub(crate) fn mapping(&self) -> &'a AddressSpace {
        self.mapping
    }

    /// Returns the claim, for an I/O that goes on by itself.
    pub(crate) fn into_entry(self) -> Entry<'a> {
        self.entry
    }
}

/// Stands for the gate of a direct write that is waited for, and has the page cache of the file.
pub(crate) struct Inside<'a>(&'a AddressSpace);

impl<'a> Inside<'a> {
    /// Returns the page cache of the file.
    pub(crate) fn mapping(&self) -> &'a AddressSpace {
        self.0
    }
}

/// As [`Gate::enter`], for as long as `act` takes. Needs no memory.
///
/// # Context
///
/// As [`Gate::enter`].
pub(crate) fn during<R>(
    mapping: &AddressSpace,
    range: ByteRange,
    counters: &Counters,
    act: impl FnOnce(&Inside<'_>) -> R,
) -> R {
    let _held = GateHeld::acquire();
    let in_flight = mapping.in_flight();
    in_flight.during(write(range), is_in_the_way, |waited| {
        counters.gate_waits.add(u64::from(waited));
        act(&Inside(mapping))
    })
}

/// Says whether a direct write is in flight over `pages`, so that they must not be filled.
///
/// One load and a branch if no direct write to the file is in flight.
///
/// # Context
///
/// The caller holds the locks of the folios, and they are in the page cache, perhaps only just.
/// "No" holds until they are unlocked: who enters a gate after it finds them there and takes the locks.
pub(crate) fn is_closed(mapping: &AddressSpace, pages: PageRange) -> bool {
    GateHeld::might_wait();
    mapping.in_flight().order_after_adding();
    mapping.in_flight().has_begun(pages, Purpose::Write)
}

/// The claim of a direct write.
fn write(range: ByteRange) -> Claim {
    Claim {
        purpose: Purpose::Write,
        range,
    }
}

/// Says whether `claim` has to wait for `elder`, with which it shares a page.
pub(super) fn is_in_the_way(claim: &Claim, elder: &Claim) -> bool {
    match (claim.purpose, elder.purpose) {
        (Purpose::Write, Purpose::Write) => claim.range.overlaps(elder.range),
        (Purpose::Write, Purpose::Fill) | (Purpose::Fill, Purpose::Write) => true,
        (Purpose::Fill, Purpose::Fill) => false,
    }
}
