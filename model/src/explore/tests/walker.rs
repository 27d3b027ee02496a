// SPDX-License-Identifier: GPL-2.0

//! `invalidate` among those who use the folios: nothing is dropped, and the report is exact.

use super::{run, DMA, LOAD, STORE, WARM};
use crate::{
    coherency::Walker,
    explore::actors::Act,
    pagecache::{Cached, Setup, Verdict},
};

const READ: Act = Act::Read { cell: 0 };
const EVICT: Act = Act::Evict { page: 0 };
const MUNMAP: Act = Act::Munmap { mapper: 0 };
const SCRIBBLE: Act = Act::Scribble { cell: 0 };

const TWO_PAGES: Setup = Setup { pages: 2, ..WARM };
const LARGE_FOLIO: Setup = Setup {
    cached: Cached::LargeFolio,
    ..TWO_PAGES
};
const TWO_MAPPERS: Setup = Setup { mappers: 2, ..WARM };
const SMALL_BLOCKS: Setup = Setup {
    small_blocks: true,
    ..WARM
};
const PRIVATE: Setup = Setup {
    private: true,
    ..WARM
};

/// Explores the walker among these and expects nothing forbidden.
fn safe(walker: Walker, name: &str, setup: Setup, others: &[Act]) {
    let acts: Vec<Act> = [Act::Invalidate { walker }]
        .into_iter()
        .chain(others.iter().copied())
        .collect();
    let outcome = run(&format!("walker {walker:?}: {name}"), setup, &acts);
    outcome.expect_none_of(&Verdict::FORBIDDEN);
}

#[test]
fn own_walker_loses_no_store() {
    safe(Walker::Own, "store", WARM, &[STORE]);
    safe(
        Walker::Own,
        "store, writeback",
        WARM,
        &[STORE, Act::Writeback],
    );
    safe(Walker::Own, "store, munmap", WARM, &[STORE, MUNMAP]);
    safe(Walker::Own, "store, load", WARM, &[STORE, LOAD]);
    let other = Act::Store { mapper: 1, cell: 0 };
    safe(Walker::Own, "store, store", TWO_MAPPERS, &[STORE, other]);
}

#[test]
fn own_walker_leaves_what_is_pinned() {
    safe(Walker::Own, "dma", WARM, &[DMA]);
    safe(Walker::Own, "dma, writeback", WARM, &[DMA, Act::Writeback]);
}

#[test]
fn own_walker_loses_nothing_to_an_unlocked_dirtier() {
    safe(Walker::Own, "scribbler", WARM, &[SCRIBBLE]);
    let both = [SCRIBBLE, Act::Writeback];
    safe(Walker::Own, "scribbler, writeback", SMALL_BLOCKS, &both);
    safe(Walker::Own, "two scribblers", WARM, &[SCRIBBLE; 2]);
}

#[test]
fn own_walker_reports_what_happened() {
    safe(Walker::Own, "reclaim, read", WARM, &[EVICT, READ]);
    safe(Walker::Own, "private, load", PRIVATE, &[LOAD]);
    safe(
        Walker::Own,
        "write, writeback",
        SMALL_BLOCKS,
        &[Act::Write { cell: 1 }, Act::Writeback],
    );
    let again = Act::Invalidate {
        walker: Walker::Own,
    };
    safe(Walker::Own, "another walk, load", WARM, &[again, LOAD]);
}

#[test]
fn own_walker_walks_over_several_folios() {
    let far = Act::Load { mapper: 0, cell: 2 };
    safe(
        Walker::Own,
        "two pages: store, load",
        TWO_PAGES,
        &[STORE, far],
    );
    let far = Act::Store { mapper: 0, cell: 2 };
    safe(Walker::Own, "large folio: store", LARGE_FOLIO, &[far]);
    let others = [far, Act::Writeback];
    safe(
        Walker::Own,
        "large folio: store, writeback",
        LARGE_FOLIO,
        &others,
    );
}

#[test]
fn kernel_walker_is_as_safe_for_those_who_lock() {
    safe(Walker::Kernel, "store", WARM, &[STORE]);
    safe(
        Walker::Kernel,
        "store, writeback",
        WARM,
        &[STORE, Act::Writeback],
    );
    safe(Walker::Kernel, "store, munmap", WARM, &[STORE, MUNMAP]);
    let far = Act::Load { mapper: 0, cell: 2 };
    safe(Walker::Kernel, "two pages: load", TWO_PAGES, &[far]);
}

/// `folio_unmap_invalidate` does not look for pins: the device's bytes land where nobody looks.
#[test]
fn kernel_walker_takes_a_page_from_under_a_device() {
    let acts = [
        Act::Invalidate {
            walker: Walker::Kernel,
        },
        DMA,
        Act::Writeback,
    ];
    let outcome = run("walker Kernel: dma, writeback", WARM, &acts);
    outcome.expect_all_of(&[Verdict::RemovedPinned, Verdict::LostUntold]);
}

/// Its result for one folio is the same when it removed it and when it was gone already.
#[test]
fn kernel_walker_counts_what_others_removed() {
    let acts = [
        Act::Invalidate {
            walker: Walker::Kernel,
        },
        EVICT,
    ];
    let cached = Setup {
        mapped: false,
        ..WARM
    };
    let outcome = run("walker Kernel: reclaim", cached, &acts);
    outcome.expect_all_of(&[Verdict::WrongReport]);
}

#[test]
#[ignore = "takes minutes"]
fn own_walker_among_three() {
    let three = [STORE, LOAD, Act::Writeback];
    safe(Walker::Own, "store, load, writeback", WARM, &three);
    let three = [DMA, STORE, Act::Writeback];
    safe(Walker::Own, "dma, store, writeback", WARM, &three);
    let three = [SCRIBBLE, STORE, Act::Writeback];
    safe(Walker::Own, "scribbler, store, writeback", WARM, &three);
}
