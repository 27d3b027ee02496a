// SPDX-License-Identifier: GPL-2.0

//! Invalidation by ioctl in a loop, against stores, syncs and readers in loops of their own.
//!
//! A walker that removes folios without looking whether somebody dirties them meanwhile passes
//! every test that compares final values only; the stores here are compared on every visit.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
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
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys::Invalidate;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

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
];

const PAGES: usize = 16;
const PAGE_LEN: usize = PAGE as usize;

/// The loops here go on for so long, but end after so many rounds on a fast machine. On a slow
/// one they go on until something can be said: so many rounds that found folios, or so long.
const TIME: Duration = Duration::from_millis(1000);
const ROUNDS: u64 = 20_000;
const FEWEST: u64 = 20;
const LONGEST: Duration = Duration::from_secs(15);

/// How long one round waits for the others to make their steps.
const PATIENCE: Duration = Duration::from_millis(200);

/// What the threads of a storm share.
#[derive(Debug, Default)]
struct Storm {
    over: AtomicBool,
    /// Stores, or reads, that were made and found right.
    progress: AtomicU64,
}

impl Storm {
    fn goes_on(&self) -> bool {
        !self.over.load(Ordering::Relaxed)
    }

    fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    fn made(&self, steps: u64) {
        self.progress.fetch_add(steps, Ordering::Relaxed);
    }

    fn steps(&self) -> u64 {
        self.progress.load(Ordering::Relaxed)
    }

    /// Lets the others go on to the step `wanted`, but does not wait for long.
    fn wait_for(&self, wanted: u64) {
        let asked = Instant::now();
        while self.steps() < wanted && asked.elapsed() < PATIENCE {
            thread::yield_now();
        }
    }

    /// Invalidates the whole file again and again, adds up, and ends the storm. The others are
    /// let make some steps each time, or there would be nothing to lose.
    fn invalidate_all_the_while(&self, file: &ClaimFile) -> Result<Invalidate> {
        let sum = self.invalidate_until_enough(file);
        self.end();
        sum
    }

    fn invalidate_until_enough(&self, file: &ClaimFile) -> Result<Invalidate> {
        let (began, mut sum, mut rounds) = (Instant::now(), Invalidate::default(), 0);
        while self.goes_on() && rounds < ROUNDS {
            let spent = began.elapsed();
            if spent > LONGEST || (spent > TIME && rounds >= FEWEST) {
                break;
            }
            let before = self.steps();
            let done = file.invalidate(0, 0)?;
            sum.removed += done.removed;
            sum.busy += done.busy;
            rounds += u64::from(done.removed + done.busy > 0);
            self.wait_for(before + rounds % 32);
        }
        Ok(sum)
    }
}

/// Counts in the pages `first`, `first + 2`, ... until the end, comparing on every visit.
/// Returns the last count of each page, or what was wrong at the first visit that was.
fn count_in_pages(
    mapping: &Mapping,
    first: usize,
    storm: &Storm,
) -> Result<Vec<Option<u64>>, String> {
    let mut counts: Vec<Option<u64>> = vec![None; PAGES];
    while storm.goes_on() {
        for page in (first..PAGES).step_by(2) {
            let word = counter(page) / 8;
            let found = mapping.load_word(word);
            if let Some(count) = counts[page]
                && count != found
            {
                let at = counter(page);
                storm.end();
                return Err(format!(
                    "byte {at} held {found} after {count} had been stored"
                ));
            }
            let next = counts[page].map_or(1, |count| count + 1);
            mapping.store_word(word, next);
            counts[page] = Some(next);
            storm.made(1);
        }
    }
    Ok(counts)
}

/// The byte of the file where the counter of a page is: in another place in each.
fn counter(page: usize) -> usize {
    page * PAGE_LEN + (8 + page) * 8
}

fn no_store_is_lost_while_pages_are_invalidated(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    mapping.touch();
    let storm = &Storm::default();
    let (sum, results) = thread::scope(|scope| {
        let mapping = &mapping;
        let counters =
            [0, 1].map(|first| scope.spawn(move || count_in_pages(mapping, first, storm)));
        let syncer = scope.spawn(|| {
            let mut result = Ok(());
            while storm.goes_on() && result.is_ok() {
                result = file.file().sync_data();
            }
            result
        });
        let sum = storm.invalidate_all_the_while(&file);
        let synced = syncer.join().expect("the syncer does not panic");
        judge.synced("fsync in the loop", synced);
        (
            sum,
            counters.map(|counter| counter.join().expect("the counters do not panic")),
        )
    });
    let sum = sum?;
    judge.synced("fsync", file.file().sync_all());
    let (disk, source) = file.on_disk(0, file.size() as usize)?;
    let mut stores = 0;
    for result in results {
        match result {
            Err(lost) => judge.find(Verdict::Lost, lost),
            Ok(counts) => {
                for (page, stored) in counts.into_iter().enumerate() {
                    let (at, Some(stored)) = (counter(page), stored) else {
                        continue;
                    };
                    let word = disk[at..at + 8].try_into().context("a word of the disk")?;
                    let on_disk = u64::from_ne_bytes(word);
                    judge.require(on_disk == stored, Verdict::Lost, || {
                        format!("{source}: byte {at} holds {on_disk}, {stored} was stored")
                    });
                    stores += stored;
                }
            }
        }
    }
    judge.fact(format!("{stores} stores"));
    conclude(judge, sum)
}

/// The outcome of a storm in which the walks came to `sum`; a skip if they removed nothing.
fn conclude(mut judge: Judge, sum: Invalidate) -> Result<Outcome> {
    judge.fact(format!("{} folios removed, {} busy", sum.removed, sum.busy));
    if sum.removed == 0 && judge.is_clean() {
        return Err(skip("no page was ever removed: nothing was tried"));
    }
    Ok(judge.outcome())
}

fn readers_never_notice_invalidation(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    let storm = Storm::default();
    let all = mapping.len();
    let reader = |by_read: bool| {
        let (mut judge, mut rounds) = (Judge::new(), 0_u64);
        while storm.goes_on() && judge.is_clean() {
            if by_read {
                if let Err(error) = file.judge_read(&mut judge, 0, all, |_| vec![1]) {
                    judge.find(Verdict::Error, format!("{error:#}"));
                }
            } else {
                file.judge_load(&mut judge, &mapping, 0, all, |_| vec![1]);
            }
            rounds += 1;
            storm.made(4);
        }
        storm.end();
        let way = if by_read { "read" } else { "loaded" };
        judge.fact(format!("{way} {rounds} times"));
        judge
    };
    let reader = &reader;
    let (sum, judges) = thread::scope(|scope| {
        let readers = [true, true, false, false].map(|way| scope.spawn(move || reader(way)));
        let sum = storm.invalidate_all_the_while(&file);
        (
            sum,
            readers.map(|reader| reader.join().expect("the readers do not panic")),
        )
    });
    for other in judges {
        judge.absorb(other);
    }
    conclude(judge, sum?)
}

fn clean_page_goes_although_others_are_dirtied(stage: &Stage<'_>) -> Result<Outcome> {
    const TRIES: u64 = 200;
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    file.invalidate(0, 0)?;
    let storm = Storm::default();
    let worst = thread::scope(|scope| {
        scope.spawn(|| {
            while storm.goes_on() {
                for page in PAGES / 2..PAGES {
                    mapping.store_word(page * PAGE_LEN / 8 + 100, page as u64);
                    storm.made(1);
                }
            }
        });
        scope.spawn(|| {
            while storm.goes_on() {
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
                    // Who was in the middle of dirtying a page gets a chance to be done with it.
                    storm.wait_for(storm.steps() + 1);
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
        storm.end();
        worst
    })?;
    judge.require(worst < TRIES, Verdict::FalseError, || {
        format!("a clean page was busy {TRIES} times in a row while others were dirtied")
    });
    judge.fact(format!("{worst} tries at most"));
    file.judge_load(&mut judge, &mapping, 0, PAGES / 2 * PAGE_LEN, |_| vec![1]);
    Ok(judge.outcome())
}
