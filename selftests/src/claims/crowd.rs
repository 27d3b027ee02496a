// SPDX-License-Identifier: GPL-2.0

//! A direct writer among many: it gets on, and whoever reads what it has written sees it.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;

use super::PAGE;
use super::volume::require_cohfs;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pattern::SECTOR;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::transfer::Spliced;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// A store that comes at the wrong moment, which it may or may not.
const STORED_OVER: Expect = Expect {
    none: &[Verdict::Stale, Verdict::Lost],
    seed: &[Verdict::Kept, Verdict::Error],
    mainline: &[
        Verdict::Kept,
        Verdict::Stale,
        Verdict::Lost,
        Verdict::FalseError,
    ],
    ..Expect::KEPT
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T46",
        name: "no_load_is_old_among_many",
        rule: "B4 T46, C2.1, A17",
        summary: "Eight threads load the pages of a file through mappings while it is written \
                  directly again and again: a load that begins after a write returned sees it or \
                  a later one, and no sector is a mixture of more than the two latest. Tried on cohfs \
                  only.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t46.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: no_load_is_old_among_many,
    },
    Claim {
        id: "T47",
        name: "direct_writer_gets_on_among_stores",
        rule: "B4 T47, A27, C2.5",
        summary: "Four threads store to the last sector of every page without pause while the first \
                  is written directly, page by page: every write ends with its count, none of the \
                  stores and none of the writes is lost, fsync has nothing to complain about.",
        needs: Needs {
            chance: true,
            ..Needs::NOTHING
        },
        expect: STORED_OVER,
        files: &[FileSpec {
            name: "t47.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: direct_writer_gets_on_among_stores,
    },
    Claim {
        id: "T48",
        name: "direct_writer_gets_on_ahead_of_an_appender",
        rule: "B4 T48, A27, A28",
        summary: "One thread makes a file longer by write(2), page by page, and another writes its \
                  first page directly: each gets on, and what either wrote is there.",
        needs: Needs::NOTHING,
        expect: Expect {
            none: &[Verdict::Kept, Verdict::Stale],
            ..Expect::KEPT
        },
        files: &[],
        run: direct_writer_gets_on_ahead_of_an_appender,
    },
    Claim {
        id: "T50",
        name: "readahead_below_a_direct_writer_is_never_old",
        rule: "B4 T50, fstests generic/209",
        summary: "A file is written directly from start to end, and read by read(2) up to where the \
                  writer is, so that readahead runs into what is being written: no read of what was \
                  written sees what was there before.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t50.dat",
            size: 64 * PAGE,
        }],
        run: readahead_below_a_direct_writer_is_never_old,
    },
    Claim {
        id: "T52",
        name: "pages_in_a_pipe_are_old_or_new",
        rule: "B4 T52, C4 residual limits",
        summary: "Four pages of a file are spliced to a pipe and then written directly: what comes \
                  out of the pipe is of one version page by page, a snapshot, and what is spliced \
                  afterwards is new.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t52.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: pages_in_a_pipe_are_old_or_new,
    },
];

const PAGES: usize = 8;
const PAGE_LEN: usize = PAGE as usize;

/// How long a crowd works, and the fewest and most rounds of its writer.
const TIME: Duration = Duration::from_millis(1500);
const FEWEST: u16 = 8;
const MOST: u16 = 4000;

/// Counts the rounds of a writer, until enough.
fn rounds(began: Instant) -> impl Iterator<Item = u16> {
    (2..MOST).take_while(move |round| *round < FEWEST || began.elapsed() < TIME)
}

fn no_load_is_old_among_many(stage: &Stage<'_>) -> Result<Outcome> {
    require_cohfs(stage)?;
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let (over, begun, done) = (AtomicBool::new(false), AtomicU16::new(1), AtomicU16::new(1));
    let load = |mapping: &Mapping| {
        let mut judge = Judge::new();
        while !over.load(SeqCst) && judge.is_clean() {
            let low = done.load(SeqCst);
            let bytes = mapping.load(0, SECTOR);
            let high = begun.load(SeqCst);
            if low == high {
                file.judge_bytes(&mut judge, "load", 0, &bytes, Verdict::Stale, |_| vec![low]);
            }
        }
        judge
    };
    let mappings: Vec<Mapping> = (0..8)
        .map(|_| file.map(Share::SharedReadOnly))
        .collect::<Result<_>>()?;
    thread::scope(|scope| {
        let load = &load;
        let readers: Vec<_> = mappings
            .iter()
            .map(|mapping| scope.spawn(move || load(mapping)))
            .collect();
        for round in rounds(Instant::now()) {
            begun.store(round, SeqCst);
            let written = file.write_direct(&direct, 0, file.size() as usize, round);
            if !judge.wrote("a direct write", &written, file.size() as usize) {
                break;
            }
            done.store(round, SeqCst);
            // The readers are let look at what is not being written.
            thread::yield_now();
        }
        over.store(true, SeqCst);
        for reader in readers {
            judge.absorb(reader.join().expect("a reader does not panic"));
        }
    });
    let last = done.into_inner();
    judge.fact(format!("{last} writes"));
    file.judge_everywhere(&mut judge, None, 0, file.size() as usize, |_| vec![last])?;
    Ok(judge.outcome())
}

fn direct_writer_gets_on_among_stores(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.require_direct(&direct, 0, SECTOR, 1)?;
    let mapping = file.map(Share::Shared)?;
    let over = AtomicBool::new(false);
    let last = |page: usize| page * PAGE_LEN + PAGE_LEN - SECTOR;
    // Each stores to two pages of its own, and compares on every visit.
    let store = |first: usize| -> Result<u16, String> {
        let mut version = 1;
        while !over.load(SeqCst) && version < u16::MAX {
            for page in [first, first + PAGES / 2] {
                let at = last(page);
                if mapping.load(at, SECTOR) != file.bytes(at as u64, SECTOR, version) {
                    return Err(format!("bytes from {at} on lost version {version}"));
                }
                mapping.store(at, &file.bytes(at as u64, SECTOR, version + 1));
            }
            version += 1;
        }
        Ok(version)
    };
    let (mut final_stores, mut done, mut slowest) = (Vec::new(), 1, Duration::ZERO);
    thread::scope(|scope| {
        let store = &store;
        let storers: Vec<_> = (0..PAGES / 2)
            .map(|first| scope.spawn(move || store(first)))
            .collect();
        'rounds: for round in rounds(Instant::now()) {
            for page in 0..PAGES as u64 {
                let asked = Instant::now();
                let written = file.write_direct(&direct, page * PAGE, SECTOR, round);
                slowest = slowest.max(asked.elapsed());
                if !judge.wrote("a direct write", &written, SECTOR) {
                    break 'rounds;
                }
            }
            done = round;
        }
        over.store(true, SeqCst);
        for storer in storers {
            match storer.join().expect("a storer does not panic") {
                Ok(version) => final_stores.push(version),
                Err(lost) => judge.find(Verdict::Lost, lost),
            }
        }
    });
    judge.fact(format!(
        "{done} rounds, the slowest write {} ms",
        slowest.as_millis()
    ));
    if judge.is_clean() {
        let wanted = |sector: u64| match sector % 8 {
            0 => vec![done],
            7 => vec![final_stores[sector as usize / 8 % (PAGES / 2)]],
            _ => vec![1],
        };
        file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), wanted)?;
    }
    Ok(judge.outcome())
}

fn direct_writer_gets_on_ahead_of_an_appender(stage: &Stage<'_>) -> Result<Outcome> {
    const MOST_PAGES: u64 = 64;
    let file = stage.scratch("t48.tmp", PAGE)?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.write(0, PAGE_LEN, 1)?;
    file.file().sync_all()?;
    let over = AtomicBool::new(false);
    let append = |file: &ClaimFile| -> Result<u64> {
        let mut pages = 1;
        while pages < MOST_PAGES && (pages < 8 || !over.load(SeqCst)) {
            file.write(pages * PAGE, PAGE_LEN, 2)?;
            pages += 1;
        }
        Ok(pages)
    };
    let (mut done, pages) = thread::scope(|scope| {
        let appender = scope.spawn(|| append(&file));
        let mut done = 1;
        for round in rounds(Instant::now()) {
            let written = file.write_direct(&direct, 0, PAGE_LEN, round);
            if !judge.wrote("a direct write", &written, PAGE_LEN) {
                break;
            }
            done = round;
        }
        over.store(true, SeqCst);
        (done, appender.join().expect("the appender does not panic"))
    });
    let pages = pages?;
    judge.fact(format!("{done} direct writes, {pages} pages"));
    let size = file.file().metadata()?.len();
    judge.require(size == pages * PAGE, Verdict::Lost, || {
        format!("{size} bytes instead of {}", pages * PAGE)
    });
    done = done.max(1);
    let wanted = |sector| vec![if sector < 8 { done } else { 2 }];
    file.judge_everywhere(&mut judge, None, 0, size as usize, wanted)?;
    Ok(judge.outcome())
}

fn readahead_below_a_direct_writer_is_never_old(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let pages = (file.size() / PAGE) as u16;
    for version in 2..6 {
        file.fill(version - 1)?;
        let (over, written) = (AtomicBool::new(false), AtomicU16::new(0));
        let read = || -> Result<Judge> {
            let mut judge = Judge::new();
            while !over.load(SeqCst) && judge.is_clean() {
                let good = written.load(SeqCst);
                let from = good.saturating_sub(4);
                let (at, len) = (u64::from(from) * PAGE, usize::from(good - from) * PAGE_LEN);
                file.judge_read(&mut judge, at, len, |_| vec![version])?;
                // One page further: readahead begins, and goes on into what is being written.
                file.read((at + len as u64).min(file.size() - PAGE), PAGE_LEN)?;
            }
            Ok(judge)
        };
        let read = thread::scope(|scope| {
            let reader = scope.spawn(read);
            for page in 0..pages {
                let at = u64::from(page) * PAGE;
                let result = file.write_direct(&direct, at, PAGE_LEN, version);
                if !judge.wrote("a direct write", &result, PAGE_LEN) {
                    break;
                }
                written.store(page + 1, SeqCst);
                thread::yield_now();
            }
            over.store(true, SeqCst);
            reader.join().expect("the reader does not panic")
        });
        judge.absorb(read?);
        if judge.is_clean() {
            let all = file.size() as usize;
            file.judge_everywhere(&mut judge, None, 0, all, |_| vec![version])?;
        }
    }
    Ok(judge.outcome())
}

fn pages_in_a_pipe_are_old_or_new(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let len = 4 * PAGE_LEN;
    file.read(0, len)?;
    let early = Spliced::new(file.file(), len, 0)?;
    let written = file.write_direct(&direct, 0, len, 2);
    judge.wrote("the direct write", &written, len);
    let late = Spliced::new(file.file(), len, 0)?.drain()?;
    file.judge_bytes(
        &mut judge,
        "a later splice",
        0,
        &late,
        Verdict::Stale,
        |_| vec![2],
    );
    let early = early.drain()?;
    for (at, page) in (0..).step_by(PAGE_LEN).zip(early.chunks(PAGE_LEN)) {
        let versions = [1, 2].map(|version| page == file.bytes(at, PAGE_LEN, version));
        judge.require(versions.contains(&true), Verdict::Torn, || {
            format!("the page at {at} came out of the pipe neither old nor new")
        });
        judge.fact(if versions[0] {
            "a page was old"
        } else {
            "a page was new"
        });
    }
    file.judge_everywhere(&mut judge, None, 0, len, |_| vec![2])?;
    Ok(judge.outcome())
}
