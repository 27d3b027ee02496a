// SPDX-License-Identifier: GPL-2.0

//! A model that cannot fail shows nothing: what is broken on purpose has to be found.

use super::{direct_write, run, DMA, LOAD, STORE, WARM};
use crate::{
    coherency::{Policy, Walker},
    explore::actors::Act,
    pagecache::{Breakage, Setup, Verdict},
};

const WALK: Act = Act::Invalidate {
    walker: Walker::Own,
};

/// Explores with and without the breakage: only with it the verdict may be found.
fn caught(breakage: Breakage, setup: Setup, acts: &[Act], verdict: Verdict) {
    let broken = Setup {
        breakage: Some(breakage),
        ..setup
    };
    let name = format!("{breakage:?}");
    run(&name, broken, acts).expect_all_of(&[verdict]);
    run(&format!("not {name}"), setup, acts).expect_none_of(&[verdict]);
}

#[test]
fn a_walk_that_ignores_dirtiness_is_caught() {
    let breakage = Breakage::RemoveIgnoresDirty;
    caught(breakage, WARM, &[WALK, STORE], Verdict::RemovedDirty);
    caught(breakage, WARM, &[WALK, STORE], Verdict::Lost);
}

#[test]
fn a_walk_that_ignores_pins_is_caught() {
    let breakage = Breakage::RemoveIgnoresPins;
    let acts = [WALK, DMA, Act::Writeback];
    caught(breakage, WARM, &acts, Verdict::Lost);
    caught(breakage, WARM, &acts, Verdict::RemovedPinned);
}

#[test]
fn a_missing_redirty_gate_is_caught() {
    let acts = [WALK, Act::Scribble { cell: 0 }];
    caught(Breakage::NoGate, WARM, &acts, Verdict::RemovedDirty);
    caught(Breakage::NoGate, WARM, &acts, Verdict::Lost);
}

#[test]
fn a_gate_that_looks_before_it_raises_is_caught() {
    let acts = [WALK, Act::Scribble { cell: 0 }];
    caught(Breakage::GateLooksFirst, WARM, &acts, Verdict::RemovedDirty);
}

/// What the gate was at first, found by this exploration: the dirtier sets the flag and leaves
/// between the two questions.
#[test]
fn a_gate_that_asks_for_dirtiness_first_is_caught() {
    let acts = [WALK, Act::Scribble { cell: 0 }];
    let breakage = Breakage::GateAsksDirtyFirst;
    caught(breakage, WARM, &acts, Verdict::RemovedDirty);
    caught(breakage, WARM, &acts, Verdict::Lost);
}

#[test]
fn a_fault_that_maps_an_unlocked_folio_is_caught() {
    let breakage = Breakage::FaultMapsUnlocked;
    caught(
        breakage,
        Setup::PLAIN,
        &[WALK, LOAD],
        Verdict::RemovedMapped,
    );
    let acts = [direct_write(Policy::Seed, Walker::Own), LOAD, LOAD];
    let broken = Setup {
        breakage: Some(breakage),
        ..Setup::PLAIN
    };
    run("FaultMapsUnlocked, seed", broken, &acts).expect_all_of(&[Verdict::Stale]);
}

#[test]
fn a_walk_that_does_not_unmap_is_caught() {
    caught(Breakage::NoUnmap, WARM, &[WALK], Verdict::RemovedMapped);
    let acts = [direct_write(Policy::Mainline, Walker::Own), LOAD];
    caught(Breakage::NoUnmap, WARM, &acts, Verdict::Stale);
}

#[test]
fn a_walk_that_does_not_wait_for_writeback_is_caught() {
    let breakage = Breakage::NoWaitWriteback;
    let acts = [WALK, STORE, Act::Writeback];
    caught(breakage, WARM, &acts, Verdict::RemovedInWriteback);
}

#[test]
fn a_walk_that_does_not_look_again_is_caught() {
    let cached = Setup {
        mapped: false,
        ..WARM
    };
    let acts = [WALK, Act::Evict { page: 0 }];
    caught(Breakage::NoRecheck, cached, &acts, Verdict::RemovedTwice);
}

#[test]
fn a_fault_that_ignores_invalidate_lock_is_caught() {
    let breakage = Breakage::FaultIgnoresInvalidateLock;
    caught(breakage, Setup::PLAIN, &[WALK, LOAD], Verdict::WrongReport);
}

#[test]
fn a_transfer_under_invalidate_lock_is_caught() {
    let acts = [Act::DirectWriteFromMapping {
        policy: Policy::Mainline,
        walker: Walker::Own,
        to: 0,
        mapper: 0,
        from: 1,
    }];
    let breakage = Breakage::TransferUnderInvalidateLock;
    caught(breakage, WARM, &acts, Verdict::Deadlock);
}
