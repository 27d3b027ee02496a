// SPDX-License-Identifier: GPL-2.0

//! The claims of the file, as `rust/pagecache/in_flight.rs`.
//!
//! A task has room for two: to hold one and enter another is against the rules, and the explorer
//! shall find what comes of it.

use super::{world::World, ByteRange, PageRange};
use crate::{
    explore::{Machine, Want},
    prelude::*,
};
use std::rc::Rc;

/// What somebody wants to do with a range of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    /// Write it on the device, around the page cache.
    Write,
    /// Read it from the device into the page cache, or make it dirty there.
    Fill,
}

/// A range and what it is claimed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    /// What for.
    pub(crate) purpose: Purpose,
    /// The range, in bytes.
    pub(crate) range: ByteRange,
}

/// A claim that has entered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entered {
    pub(super) claim: Claim,
    /// The places of the elder claims that are in its way, as a mask.
    pub(super) elders: u16,
    pub(super) begun: bool,
}

impl std::hash::Hash for Entered {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        let range = self.claim.range;
        (range.pos(), range.end(), self.claim.purpose).hash(state);
        (self.elders, self.begun).hash(state);
    }
}

/// The claims of the file.
pub(crate) struct InFlight {
    machine: Rc<Machine>,
}

impl InFlight {
    pub(super) fn new(machine: Rc<Machine>) -> Self {
        Self { machine }
    }

    /// Says whether there is no claim at all.
    pub(crate) fn is_empty(&self) -> bool {
        self.machine.step(
            format_args!("is no claim in flight?"),
            Want::Nothing,
            |world, _| world.claims.iter().all(Option::is_none),
        )
    }

    /// Nothing: steps are sequentially consistent.
    pub(crate) fn order_after_adding(&self) {}

    /// Says whether a claim over `pages` for `purpose` has begun and not left.
    pub(crate) fn has_begun(&self, pages: PageRange, purpose: Purpose) -> bool {
        self.machine.step(
            format_args!("is page {} closed?", pages.first()),
            Want::Nothing,
            |world, _| {
                over(world, pages)
                    .any(|(_, entered)| entered.begun && entered.claim.purpose == purpose)
            },
        )
    }

    /// Enters a claim, and waits until no elder one is in its way.
    pub(crate) fn enter(
        &self,
        claim: Claim,
        in_the_way: impl Fn(&Claim, &Claim) -> bool,
    ) -> Result<Entry<'_>> {
        let what = claim.purpose;
        let place = self.machine.step(
            format_args!("claims bytes from {} on to {what:?}", claim.range.pos()),
            Want::Nothing,
            |world, me| {
                let elders = over(world, claim.range.pages())
                    .filter(|(_, elder)| in_the_way(&claim, &elder.claim))
                    .fold(0, |mask, (place, _)| mask | 1 << place);
                let place = 2 * me + usize::from(world.claims[2 * me].is_some());
                world.claims[place] = Some(Entered {
                    claim,
                    elders,
                    begun: false,
                });
                place
            },
        );
        let entry = Entry { set: self, place };
        self.machine.step(
            format_args!("nothing elder is in the way: begins to {what:?}"),
            Want::Turn(place),
            |_, _| (),
        );
        Ok(entry)
    }

    /// As [`Self::enter`], for as long as `run` takes.
    pub(crate) fn during<R>(
        &self,
        claim: Claim,
        in_the_way: impl Fn(&Claim, &Claim) -> bool,
        run: impl FnOnce(bool) -> R,
    ) -> R {
        let _entry = self
            .enter(claim, in_the_way)
            .expect("it does not fail here");
        run(false)
    }
}

/// The claims that touch `pages`, with their places.
fn over(world: &World, pages: PageRange) -> impl Iterator<Item = (usize, &Entered)> {
    let claims = world.claims.iter().enumerate();
    claims
        .filter_map(|(place, entered)| Some((place, entered.as_ref()?)))
        .filter(move |(_, entered)| {
            let claimed = entered.claim.range.pages();
            claimed.first() <= pages.last() && pages.first() <= claimed.last()
        })
}

/// What lockdep is told, which has nothing to say here.
pub(crate) struct GateHeld(());

impl GateHeld {
    /// Says that this task closes a gate.
    pub(crate) fn acquire() -> Self {
        Self(())
    }

    /// Says that this task might wait for a gate here.
    pub(crate) fn might_wait() {}
}

/// A claim that has entered; it leaves when this is dropped.
#[must_use = "the claim leaves when the entry is dropped"]
pub(crate) struct Entry<'a> {
    set: &'a InFlight,
    place: usize,
}

impl Entry<'_> {
    /// Whether it waited is nothing that a task may learn: it changes nothing but a counter.
    pub(crate) fn has_waited(&self) -> bool {
        false
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.set.machine.at_once(|world, _| {
            world.claims[self.place] = None;
            for entered in world.claims.iter_mut().flatten() {
                entered.elders &= !(1 << self.place);
            }
        });
    }
}
