// SPDX-License-Identifier: GPL-2.0

//! `direct_write` against the contract: what each policy keeps, and how it fails where it does.

use super::{direct_write, run, DMA, LOAD, STORE, WARM};
use crate::{
    coherency::{Policy, Walker},
    explore::{actors::Act, Outcome},
    pagecache::{Setup, Verdict},
};

const READ: Act = Act::Read { cell: 0 };

/// What ext2 of 7.3 is.
const MAINLINE: Act = direct_write(Policy::Mainline, Walker::Kernel);
const SEED: Act = direct_write(Policy::Seed, Walker::Own);
const NONE: Act = direct_write(Policy::None, Walker::Own);

fn keeps(name: &str, setup: Setup, acts: &[Act]) -> Outcome {
    let outcome = run(name, setup, acts);
    outcome.expect_none_of(&Verdict::FORBIDDEN);
    outcome
}

#[test]
fn none_serves_old_bytes() {
    run("none: load", WARM, &[NONE, LOAD]).expect_all_of(&[Verdict::Stale]);
    run("none: read", WARM, &[NONE, READ]).expect_all_of(&[Verdict::Stale]);
    run("none: store", WARM, &[NONE, STORE]).expect_all_of(&[Verdict::LostUntold]);
}

#[test]
fn mainline_and_seed_serve_new_bytes_to_those_who_only_look() {
    for (name, act) in [("mainline", MAINLINE), ("seed", SEED)] {
        for (state, setup) in [("cold", Setup::PLAIN), ("warm", WARM)] {
            let name = |who| format!("{name}, {state}: {who}");
            keeps(&name("load"), setup, &[act, LOAD]);
            keeps(&name("read"), setup, &[act, READ]);
            keeps(&name("write"), setup, &[act, Act::Write { cell: 1 }]);
            let two = [act, READ, Act::Evict { page: 0 }];
            keeps(&name("read, reclaim"), setup, &two);
        }
    }
}

/// The write that is lost (T21), found and not told to the explorer: a fault reads the old block
/// before the transfer, the store makes it dirty, the walk afterwards leaves it, and writeback puts
/// the old bytes over the new. The writer was told success.
#[test]
fn mainline_loses_a_direct_write_to_a_store() {
    let outcome = run("mainline: store", Setup::PLAIN, &[MAINLINE, STORE]);
    outcome.expect_all_of(&[Verdict::Lost, Verdict::ToldFsync]);
    outcome.expect_none_of(&[Verdict::Told, Verdict::LostUntold]);
    println!("{}", outcome.trace(Verdict::Lost));
}

/// With a writeback between the store and the end of the transfer the folio is clean when the walk
/// meets it: it is removed, and not even `fsync` says that the disk has the old bytes.
#[test]
fn mainline_loses_a_direct_write_untold_if_writeback_comes_first() {
    let acts = [MAINLINE, STORE, Act::Writeback];
    let outcome = run("mainline: store, writeback", Setup::PLAIN, &acts);
    outcome.expect_all_of(&[Verdict::LostUntold]);
    outcome.expect_none_of(&Verdict::UNSAFE_WALK);
    println!("{}", outcome.trace(Verdict::LostUntold));
}

#[test]
fn mainline_takes_a_page_from_under_a_device() {
    let outcome = run("mainline: dma", WARM, &[MAINLINE, DMA]);
    outcome.expect_all_of(&[Verdict::RemovedPinned, Verdict::LostUntold]);
    let own = direct_write(Policy::Mainline, Walker::Own);
    let outcome = run("mainline, own walker: dma", WARM, &[own, DMA]);
    outcome.expect_all_of(&[Verdict::ThroughCache]);
    outcome.expect_none_of(&Verdict::UNSAFE_WALK);
}

/// The same store that `mainline` loses the write to: `seed` returns an error to the writer.
#[test]
fn seed_tells_the_writer_of_a_store() {
    for (name, setup) in [
        ("seed, cold: store", Setup::PLAIN),
        ("seed, warm: store", WARM),
    ] {
        let outcome = keeps(name, setup, &[SEED, STORE]);
        outcome.expect_all_of(&[Verdict::Told]);
    }
    keeps("seed: dma", WARM, &[SEED, DMA]).expect_all_of(&[Verdict::Told]);
    keeps("seed: store, read", Setup::PLAIN, &[SEED, STORE, READ]);
}

/// What `seed` cannot see: a page that was dirtied during the transfer and written out before its
/// end. The walk finds it clean, and the writer is told success over the old bytes.
#[test]
fn seed_loses_a_direct_write_untold_if_writeback_comes_first() {
    let acts = [SEED, STORE, Act::Writeback];
    let outcome = run("seed: store, writeback", Setup::PLAIN, &acts);
    outcome.expect_all_of(&[Verdict::LostUntold, Verdict::Told]);
    outcome.expect_none_of(&Verdict::UNSAFE_WALK);
    println!("{}", outcome.trace(Verdict::LostUntold));
}

/// `seed` walks over the whole file: somebody's store to another page is reported as a failure of
/// this write. `mainline` looks at the range.
#[test]
fn seed_reports_a_store_to_another_page() {
    let setup = Setup {
        pages: 2,
        ..Setup::PLAIN
    };
    let far = Act::Store { mapper: 0, cell: 3 };
    keeps("seed: store elsewhere", setup, &[SEED, far]).expect_all_of(&[Verdict::Told]);
    let outcome = keeps("mainline: store elsewhere", setup, &[MAINLINE, far]);
    outcome.expect_none_of(&[Verdict::Told, Verdict::ToldFsync, Verdict::ThroughCache]);
}

/// Rule C2.2 within a page: a direct write of one block and a buffered write of its neighbour.
#[test]
fn neighbouring_blocks_survive_each_other() {
    let setup = Setup {
        small_blocks: true,
        ..WARM
    };
    for (name, policy) in [("mainline", Policy::Mainline), ("seed", Policy::Seed)] {
        let half = Act::DirectWrite {
            policy,
            walker: Walker::Own,
            from: 0,
            len: 1,
        };
        let acts = [half, Act::Write { cell: 1 }, Act::Writeback];
        keeps(&format!("{name}: half page, write"), setup, &acts);
    }
}

#[test]
fn a_source_in_the_same_page_is_no_deadlock() {
    for policy in [Policy::None, Policy::Seed, Policy::Mainline] {
        for walker in [Walker::Own, Walker::Kernel] {
            let act = Act::DirectWriteFromMapping {
                policy,
                walker,
                to: 0,
                mapper: 0,
                from: 1,
            };
            let name = format!("{policy:?}, {walker:?}: from its own page");
            run(&name, WARM, &[act]).expect_none_of(&Verdict::UNSAFE_WALK);
            run(&name, WARM, &[act, LOAD]).expect_none_of(&Verdict::UNSAFE_WALK);
        }
    }
}

#[test]
#[ignore = "takes minutes"]
fn seed_tells_the_writer_of_a_store_while_others_look() {
    keeps("seed: store, load", Setup::PLAIN, &[SEED, STORE, LOAD]);
    let acts = [direct_write(Policy::Seed, Walker::Kernel), STORE, LOAD];
    keeps("seed, kernel walker: store, load", Setup::PLAIN, &acts);
}
