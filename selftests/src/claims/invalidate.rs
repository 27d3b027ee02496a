// SPDX-License-Identifier: GPL-2.0

//! Invalidation by ioctl against stores, writes, readers and writeback: nothing is lost.
//!
//! A walker that removes folios without looking whether somebody dirties them meanwhile passes
//! every test that compares final values only; the stores here are compared on every visit.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Disk;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::sys::Invalidate;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;
use crate::window;

const NEEDS: Needs = Needs {
    ioctl: true,
    ..Needs::NOTHING
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "K1",
        name: "no_store_is_lost_while_pages_are_invalidated",
        rule: "A8, A27, walker: dirty and redirtied folios stay",
        summary: "Two threads count in every page of a shared mapping and compare on every visit, a \
                  third syncs in a loop, and the file is invalidated by ioctl all the while: no \
                  count ever goes back, and the final counts are on the disk.",
        needs: NEEDS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k1.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: no_store_is_lost_while_pages_are_invalidated,
    },
    Claim {
        id: "K3",
        name: "invalidation_never_discards_dirty_bytes",
        rule: "A8, A25",
        summary: "A page is dirtied by a store, another by write(2), and the file invalidated by \
                  ioctl at once, without a sync: whether the pages go or stay, the bytes are there \
                  afterwards and reach the disk. Repeated 40 times.",
        needs: NEEDS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k3.dat",
            size: 4 * PAGE,
        }],
        run: invalidation_never_discards_dirty_bytes,
    },
    Claim {
        id: "K6",
        name: "readers_never_notice_invalidation",
        rule: "A7, A17, A26",
        summary: "Two threads read(2) and two load through a mapping while the file is invalidated \
                  by ioctl in a loop: each sees the right bytes each time, no error, no zeros.",
        needs: NEEDS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k6.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: readers_never_notice_invalidation,
    },
    Claim {
        id: "K7",
        name: "clean_page_goes_although_others_are_dirtied",
        rule: "A27, walker: the redirty gate is per file",
        summary: "Other pages of the file are dirtied and synced without pause; a clean page is \
                  invalidated by ioctl: it may be busy now and then, but it goes within a bounded \
                  number of tries, every time.",
        needs: NEEDS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k7.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: clean_page_goes_although_others_are_dirtied,
    },
    Claim {
        id: "K8",
        name: "invalidation_waits_for_writeback",
        rule: "A6",
        summary: "A dirty page is on its way to a slow disk; it is invalidated by ioctl and loaded \
                  again: the load sees the bytes that were on their way, not the old ones of the \
                  disk.",
        needs: Needs {
            disk: Disk::SlowWrites,
            ..NEEDS
        },
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k8.dat",
            size: 4 * PAGE,
        }],
        run: invalidation_waits_for_writeback,
    },
    Claim {
        id: "K9",
        name: "invalidation_needs_a_file_open_for_writing",
        rule: "A15",
        summary: "The ioctl on a descriptor that is open for reading only is refused with EBADF and \
                  drops nothing: taking mapped pages from others is for those who may write.",
        needs: NEEDS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k9.dat",
            size: 4 * PAGE,
        }],
        run: invalidation_needs_a_file_open_for_writing,
    },
];

const PAGES: usize = 16;
const PAGE_LEN: usize = PAGE as usize;

/// Both bounds of the loops here: so many rounds, or so long, whichever is first.
const ROUNDS: usize = 400;
const TIME: Duration = Duration::from_millis(1500);

/// Invalidates the whole file again and again, and adds up.
fn invalidate_in_a_loop(file: &ClaimFile, going: impl Fn() -> bool) -> Result<Invalidate> {
    let (end, mut sum) = (Instant::now() + TIME, Invalidate::default());
    for _ in 0..ROUNDS {
        if Instant::now() > end || !going() {
            break;
        }
        let done = file.invalidate(0, 0)?;
        sum.removed += done.removed;
        sum.busy += done.busy;
    }
    Ok(sum)
}

/// Counts in the pages `first`, `first + 2`, ... until told to stop. Returns the counts and how
/// many visits there were, or what was wrong at the first visit that was.
fn count_in_pages(
    mapping: &Mapping,
    first: usize,
    going: impl Fn() -> bool,
) -> Result<(Vec<u64>, u64), String> {
    let (mut counts, mut visits) = (vec![0; PAGES], 0);
    while going() {
        for page in (first..PAGES).step_by(2) {
            // A word of its own in each page, away from the sector's header.
            let word = page * PAGE_LEN / 8 + 8 + page;
            let found = mapping.load_word(word);
            if visits >= PAGES as u64 && found != counts[page] {
                return Err(format!(
                    "visit {visits}: byte {} held {found} after {} had been stored",
                    word * 8,
                    counts[page]
                ));
            }
            counts[page] = if visits >= PAGES as u64 {
                counts[page] + 1
            } else {
                visits
            };
            mapping.store_word(word, counts[page]);
            visits += 1;
        }
    }
    Ok((counts, visits))
}

fn no_store_is_lost_while_pages_are_invalidated(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    mapping.touch();
    let stop = AtomicBool::new(false);
    let going = || !stop.load(Ordering::Relaxed);
    let (sum, results) = thread::scope(|scope| {
        let counters = [0, 1].map(|first| {
            let (mapping, stop) = (&mapping, &stop);
            scope.spawn(move || {
                let result = count_in_pages(mapping, first, || !stop.load(Ordering::Relaxed));
                stop.store(true, Ordering::Relaxed);
                result
            })
        });
        let syncer = scope.spawn(|| {
            let mut result = Ok(());
            while going() && result.is_ok() {
                result = file.file().sync_data();
            }
            result
        });
        let sum = invalidate_in_a_loop(&file, going);
        stop.store(true, Ordering::Relaxed);
        judge.synced(
            "fsync in the loop",
            syncer.join().expect("the syncer does not panic"),
        );
        (
            sum,
            counters.map(|counter| counter.join().expect("the counters do not panic")),
        )
    });
    let sum = sum?;
    judge.synced("fsync", file.file().sync_all());
    let (disk, source) = file.on_disk(0, file.size() as usize)?;
    let mut visits = 0;
    for (first, result) in results.into_iter().enumerate() {
        match result {
            Err(lost) => judge.find(Verdict::Lost, lost),
            Ok((counts, count)) => {
                visits += count;
                for page in (first..PAGES).step_by(2) {
                    let at = page * PAGE_LEN + (8 + page) * 8;
                    let word = disk[at..at + 8].try_into().context("a word of the disk")?;
                    let (on_disk, stored) = (u64::from_ne_bytes(word), counts[page]);
                    judge.require(on_disk == stored, Verdict::Lost, || {
                        format!("{source}: byte {at} holds {on_disk}, {stored} was stored")
                    });
                }
            }
        }
    }
    judge.fact(format!(
        "{visits} stores, {} folios removed, {} busy",
        sum.removed, sum.busy
    ));
    if sum.removed == 0 && judge.is_clean() {
        return Err(skip("no page was ever removed: nothing was tried"));
    }
    Ok(judge.outcome())
}

fn invalidation_never_discards_dirty_bytes(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    let mut sum = Invalidate::default();
    for version in 2..42 {
        mapping.store(0, &file.bytes(0, PAGE_LEN, version));
        file.write(PAGE, PAGE_LEN, version)?;
        let done = file.invalidate(0, 0)?;
        sum.removed += done.removed;
        sum.busy += done.busy;
        let bytes = mapping.load(0, 2 * PAGE_LEN);
        file.judge_bytes(&mut judge, "load", 0, &bytes, Verdict::Lost, |_| {
            vec![version]
        });
        let bytes = file.read(0, 2 * PAGE_LEN)?;
        file.judge_bytes(&mut judge, "read", 0, &bytes, Verdict::Lost, |_| {
            vec![version]
        });
        if !judge.is_clean() {
            break;
        }
        if version % 4 == 0 {
            judge.synced("fsync", file.file().sync_all());
            file.judge_disk(&mut judge, 0, 2 * PAGE_LEN, |_| vec![version])?;
        }
    }
    judge.fact(format!("{} folios removed, {} busy", sum.removed, sum.busy));
    Ok(judge.outcome())
}

fn readers_never_notice_invalidation(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    let stop = AtomicBool::new(false);
    let going = || !stop.load(Ordering::Relaxed);
    let all = mapping.len();
    let reader = |by_read: bool| {
        let (mut judge, mut rounds) = (Judge::new(), 0_u64);
        while going() && judge.is_clean() {
            if by_read {
                if let Err(error) = file.judge_read(&mut judge, 0, all, |_| vec![1]) {
                    judge.find(Verdict::Error, format!("{error:#}"));
                }
            } else {
                file.judge_load(&mut judge, &mapping, 0, all, |_| vec![1]);
            }
            rounds += 1;
        }
        let way = if by_read { "read" } else { "loaded" };
        judge.fact(format!("{way} {rounds} times"));
        judge
    };
    let reader = &reader;
    let (sum, judges) = thread::scope(|scope| {
        let readers = [true, true, false, false].map(|way| scope.spawn(move || reader(way)));
        let sum = invalidate_in_a_loop(&file, going);
        stop.store(true, Ordering::Relaxed);
        (
            sum,
            readers.map(|reader| reader.join().expect("the readers do not panic")),
        )
    });
    let sum = sum?;
    judge.fact(format!("{} folios removed, {} busy", sum.removed, sum.busy));
    for other in judges {
        judge.absorb(other);
    }
    if sum.removed == 0 && judge.is_clean() {
        return Err(skip("no page was ever removed: nothing was tried"));
    }
    Ok(judge.outcome())
}

fn clean_page_goes_although_others_are_dirtied(stage: &Stage<'_>) -> Result<Outcome> {
    const TRIES: u64 = 1000;
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    file.invalidate(0, 0)?;
    let stop = AtomicBool::new(false);
    let going = || !stop.load(Ordering::Relaxed);
    let worst = thread::scope(|scope| {
        scope.spawn(|| {
            while going() {
                for page in PAGES / 2..PAGES {
                    mapping.store_word(page * PAGE_LEN / 8 + 100, page as u64);
                }
            }
        });
        scope.spawn(|| {
            while going() {
                // Cleans the pages, so that each round of stores dirties them again.
                let _ = file.file().sync_data();
            }
        });
        let invalidate_often = || -> Result<u64> {
            let (end, mut worst) = (Instant::now() + TIME, 0);
            for _ in 0..50 {
                mapping.load_word(0);
                let mut tries = 1;
                while file.invalidate(0, PAGE)?.removed == 0 && tries < TRIES {
                    tries += 1;
                }
                worst = worst.max(tries);
                if worst == TRIES || Instant::now() > end {
                    break;
                }
            }
            Ok(worst)
        };
        let worst = invalidate_often();
        stop.store(true, Ordering::Relaxed);
        worst
    })?;
    judge.require(worst < TRIES, Verdict::FalseError, || {
        format!("a clean page was busy {TRIES} times in a row while others were dirtied")
    });
    judge.fact(format!("{worst} tries at most"));
    file.judge_load(&mut judge, &mapping, 0, PAGES / 2 * PAGE_LEN, |_| vec![1]);
    Ok(judge.outcome())
}

fn invalidation_waits_for_writeback(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.invalidate(0, 0)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    for _ in 0..window::ATTEMPTS {
        file.fill(1)?;
        sys::sync_fs(file.file())?;
        // Takes the first, free, place in the queue of a slow disk.
        let primed = file.write_direct(&direct, 3 * PAGE, PAGE_LEN, 1);
        judge.wrote("the direct write", &primed, PAGE_LEN);
        file.write(0, PAGE_LEN, 2)?;
        mapping.load_word(0);
        sys::start_writeback(file.file(), 0, PAGE)?;
        let on_its_way = sys::cachestat(file.file(), 0, PAGE)?.writeback;
        let done = file.invalidate(0, PAGE)?;
        let bytes = mapping.load(0, PAGE_LEN);
        file.judge_bytes(&mut judge, "load", 0, &bytes, Verdict::Lost, |_| vec![2]);
        if on_its_way > 0 || !judge.is_clean() {
            judge.fact(format!(
                "{} folios removed, {} busy",
                done.removed, done.busy
            ));
            file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, |_| vec![2])?;
            return Ok(judge.outcome());
        }
    }
    Err(window::never_open(
        "the writeback was over before the invalidation began",
    ))
}

fn invalidation_needs_a_file_open_for_writing(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.invalidate(0, 0)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    mapping.touch();
    let reader = file.open_read_only()?;
    match sys::invalidate(&reader, 0, 0) {
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
        Err(error) => judge.find(Verdict::Error, format!("refused, but with {error}")),
        Ok(done) => judge.find(
            Verdict::FalseError,
            format!(
                "a reader could remove {} folios, {} busy",
                done.removed, done.busy
            ),
        ),
    }
    let left = mapping
        .resident()?
        .into_iter()
        .filter(|cached| *cached)
        .count();
    judge.require(left == 4, Verdict::FalseError, || {
        format!("only {left} of 4 pages left cached")
    });
    Ok(judge.outcome())
}
