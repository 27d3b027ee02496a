// SPDX-License-Identifier: GPL-2.0

//! What the explorer must find, and what it must not.

mod broken;
mod policies;
mod strict;
mod walker;

use super::{actors::Act, explore, scenario::Scenario, Outcome};
use crate::{
    coherency::{Policy, Walker},
    pagecache::{Cached, Setup},
};

/// A direct write of page 0.
const fn direct_write(policy: Policy, walker: Walker) -> Act {
    Act::DirectWrite {
        policy,
        walker,
        from: 0,
        len: 2,
    }
}

/// A store to the second half of page 0.
const STORE: Act = Act::Store { mapper: 0, cell: 1 };
/// A load from the first half of page 0.
const LOAD: Act = Act::Load { mapper: 0, cell: 0 };
/// A device that writes to the second half of page 0.
const DMA: Act = Act::Dma { mapper: 0, cell: 1 };

/// One page, cached and mapped.
const WARM: Setup = Setup {
    cached: Cached::Pages,
    mapped: true,
    ..Setup::PLAIN
};

/// Explores a scenario and prints what was found; `cargo test -- --nocapture` shows it.
fn run(name: &str, setup: Setup, acts: &[Act]) -> Outcome {
    let outcome = explore(&Scenario::new(name, setup, acts));
    println!("{outcome}");
    outcome
}

#[test]
fn schedules_are_counted_right() {
    let pages = |pages| Setup {
        pages,
        ..Setup::PLAIN
    };
    let munmap = Act::Munmap { mapper: 0 };
    // Tasks of n steps each that do not meet: the multinomial coefficient.
    assert_eq!(run("2 of 2 steps", pages(2), &[munmap; 2]).schedules, 6);
    assert_eq!(run("3 of 2 steps", pages(2), &[munmap; 3]).schedules, 90);
    assert_eq!(run("3 of 4 steps", pages(4), &[munmap; 3]).schedules, 34650);
}
