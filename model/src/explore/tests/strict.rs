// SPDX-License-Identifier: GPL-2.0

//! `strict` against the whole contract: nothing forbidden ever happens, nobody is told anything.

use super::{direct_write, run, DMA, LOAD, STORE, WARM};
use crate::{
    coherency::{Policy, Walker},
    explore::{actors::Act, Outcome},
    pagecache::{Breakage, Setup, Verdict},
};

const COLD: Setup = Setup {
    gates: true,
    ..Setup::PLAIN
};
const GATED: Setup = Setup {
    gates: true,
    ..WARM
};
const SMALL: Setup = Setup {
    small_blocks: true,
    ..GATED
};

const SYNC: Act = Act::Strict {
    from: 0,
    len: 2,
    goes_on: false,
};
const ASYNC: Act = Act::Strict {
    from: 0,
    len: 2,
    goes_on: true,
};
/// A write under the exclusive inode lock, such as one that extends the file.
const ALONE: Act = direct_write(Policy::Strict, Walker::Own);
/// A write of the first half of the page, for small blocks.
const HALF: Act = Act::Strict {
    from: 0,
    len: 1,
    goes_on: true,
};
const OTHER_HALF: Act = Act::Strict {
    from: 1,
    len: 1,
    goes_on: true,
};
const READ: Act = Act::Read { cell: 0 };
const WRITE: Act = Act::Write { cell: 1 };

/// What `strict` never has to tell anybody.
const TOLD: [Verdict; 2] = [Verdict::Told, Verdict::ToldFsync];

fn run_strict(name: &str, setup: Setup, acts: &[Act]) -> Outcome {
    let outcome = run(&format!("strict: {name}"), setup, acts);
    outcome.expect_none_of(&Verdict::FORBIDDEN);
    outcome.expect_none_of(&TOLD);
    outcome
}

/// Keeps the contract, and goes around the cache as it was asked to.
fn keeps(name: &str, setup: Setup, acts: &[Act]) {
    run_strict(name, setup, acts).expect_none_of(&[Verdict::ThroughCache]);
}

#[test]
fn nobody_sees_old_bytes() {
    for (state, setup) in [("cold", COLD), ("warm", GATED)] {
        for (kind, act) in [("sync", SYNC), ("async", ASYNC)] {
            let name = |who| format!("{kind}, {state}: {who}");
            keeps(&name("load"), setup, &[act, LOAD]);
            keeps(&name("read"), setup, &[act, READ]);
            keeps(
                &name("read, reclaim"),
                setup,
                &[act, READ, Act::Evict { page: 0 }],
            );
        }
    }
}

/// T21, which `mainline` and `seed` lose, with and without a writeback before the end.
#[test]
fn a_store_beside_the_write_loses_nothing() {
    for (state, setup) in [("cold", COLD), ("warm", GATED)] {
        let name = |who| format!("{state}: {who}");
        keeps(&name("store"), setup, &[SYNC, STORE]);
        keeps(&name("async, store"), setup, &[ASYNC, STORE]);
    }
    keeps("alone, store", GATED, &[ALONE, STORE]);
    keeps("store, writeback", COLD, &[SYNC, STORE, Act::Writeback]);
}

#[test]
fn a_buffered_write_beside_an_asynchronous_one_loses_nothing() {
    for (state, setup) in [("cold", COLD), ("warm", GATED), ("small blocks", SMALL)] {
        let name = |who| format!("{state}: {who}");
        keeps(&name("write"), setup, &[ASYNC, WRITE]);
        keeps(&name("half page, write"), setup, &[HALF, WRITE]);
    }
    keeps(
        "half page, write, writeback",
        SMALL,
        &[HALF, WRITE, Act::Writeback],
    );
}

#[test]
fn direct_writes_of_one_page_do_not_lose_each_other() {
    keeps("two of one page", GATED, &[ASYNC, ASYNC]);
    keeps("two halves", SMALL, &[HALF, OTHER_HALF]);
    keeps("two halves, load", SMALL, &[HALF, OTHER_HALF, LOAD]);
    keeps("two, read", COLD, &[ASYNC, ASYNC, READ]);
}

/// A folio that a device writes to stays, and the write goes through the cache.
#[test]
fn a_pinned_page_sends_the_write_through_the_cache() {
    let outcome = run_strict("dma", GATED, &[SYNC, DMA]);
    outcome.expect_all_of(&[Verdict::ThroughCache]);
    run_strict("dma, load", GATED, &[SYNC, DMA, LOAD]);
}

#[test]
fn a_source_in_the_same_page_is_no_deadlock() {
    let act = Act::StrictFromMapping {
        to: 0,
        mapper: 0,
        from: 1,
    };
    keeps("from its own page", GATED, &[act]);
    keeps("from its own page, cold", COLD, &[act]);
    keeps("from its own page, load", COLD, &[act, LOAD]);
    let pages = Setup { pages: 2, ..COLD };
    let crossed = |to, from| Act::StrictFromMapping {
        to,
        mapper: 0,
        from,
    };
    keeps("two pages crossed", pages, &[crossed(0, 2), crossed(2, 0)]);
}

/// Every rule is needed: without it the explorer finds what goes wrong.
#[test]
fn without_each_rule_something_goes_wrong() {
    let broken = |breakage, setup: Setup, acts: &[Act], verdict| {
        let setup = Setup {
            breakage: Some(breakage),
            ..setup
        };
        run(&format!("strict, {breakage:?}"), setup, acts).expect_all_of(&[verdict]);
    };
    let source = Act::StrictFromMapping {
        to: 0,
        mapper: 0,
        from: 1,
    };
    broken(
        Breakage::FillIgnoresGates,
        COLD,
        &[SYNC, READ],
        Verdict::Stale,
    );
    broken(
        Breakage::FillWaitsLocked,
        COLD,
        &[SYNC, READ],
        Verdict::Deadlock,
    );
    // Nothing is lost, but a single store can keep the write from going around the cache.
    broken(
        Breakage::FaultIgnoresGates,
        GATED,
        &[ALONE, STORE],
        Verdict::ThroughCache,
    );
    broken(
        Breakage::WriteIgnoresGates,
        COLD,
        &[ASYNC, WRITE],
        Verdict::LostUntold,
    );
    broken(
        Breakage::SourceInsideGate,
        COLD,
        &[source],
        Verdict::Deadlock,
    );
}
