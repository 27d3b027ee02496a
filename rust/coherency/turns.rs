// SPDX-License-Identifier: GPL-2.0

//! The turns of those that fill folios or make them dirty, among the direct writes in flight: the other
//! side of the [gates](super::gates).

use super::{
    gates::is_in_the_way,
    Counters, //
};
use crate::pagecache::{
    AddressSpace,
    ByteRange,
    Claim,
    Entry,
    GateHeld,
    Purpose, //
};
use crate::prelude::*;

/// Waits until no direct write that is in flight now is over `range`, and keeps later ones from
/// beginning until the result is dropped.
///
/// # Context
///
/// May sleep. No folio is locked.
///
/// # Errors
///
/// `ENOMEM`.
pub(crate) fn turn<'a>(
    mapping: &'a AddressSpace,
    range: ByteRange,
    counters: &Counters,
) -> Result<Turn<'a>> {
    GateHeld::might_wait();
    if mapping.in_flight().is_empty() {
        return Ok(Turn(None));
    }
    let entry = mapping.in_flight().enter(fill(range), is_in_the_way)?;
    counters.turn_waits.add(u64::from(entry.has_waited()));
    Ok(Turn(Some(entry)))
}

/// As [`turn`], given up as soon as it has come.
///
/// # Context
///
/// May sleep. No folio is locked.
pub(crate) fn wait(mapping: &AddressSpace, range: ByteRange, counters: &Counters) {
    GateHeld::might_wait();
    if !mapping.in_flight().is_empty() {
        mapping
            .in_flight()
            .during(fill(range), is_in_the_way, |waited| {
                counters.turn_waits.add(u64::from(waited));
            });
    }
}

/// A filler's turn.
#[must_use = "the turn is over when it is dropped"]
pub(crate) struct Turn<'a>(#[expect(dead_code, reason = "held, not looked at")] Option<Entry<'a>>);

/// The claim of a filler.
fn fill(range: ByteRange) -> Claim {
    Claim {
        purpose: Purpose::Fill,
        range,
    }
}
