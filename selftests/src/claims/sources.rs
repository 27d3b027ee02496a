// SPDX-License-Identifier: GPL-2.0

//! Direct writes from memory that is itself a file: the same one, or others in a ring.
//!
//! Who holds anything back for a direct write and then waits for its source to be faulted in waits
//! for himself, or for his neighbour in the ring, or, if a third thread wants to change the address
//! space, for that one. The runner notes who hangs.

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
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// The seed does not take a page from who has it as the source of his own write; it tells him.
const TOLD_BY_SEED: Expect = Expect {
    seed: &[Verdict::Kept, Verdict::Error],
    ..Expect::KEPT
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T54",
        name: "direct_write_of_a_range_from_its_own_mapping",
        rule: "B4 T54, C3",
        summary: "Pages of a file are stored to through a mapping and written directly to where \
                  they are, from that mapping, cached, dirty and not mapped yet by turns: the \
                  write ends, its count is exact, the stored bytes are everywhere.",
        needs: Needs::NOTHING,
        expect: TOLD_BY_SEED,
        files: &[FileSpec {
            name: "t54.dat",
            size: 8 * PAGE,
        }],
        run: direct_write_of_a_range_from_its_own_mapping,
    },
    Claim {
        id: "T55",
        name: "direct_write_from_cold_mapping_of_the_same_file",
        rule: "B4 T55, C3",
        summary: "The second half of a file is written directly to the first from a mapping that \
                  nobody has touched and whose pages are not cached, while the first half is \
                  cached and mapped: the write ends, and the first half is the second everywhere.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t55.dat",
            size: 8 * PAGE,
        }],
        run: direct_write_from_cold_mapping_of_the_same_file,
    },
    Claim {
        id: "T56",
        name: "direct_writes_from_mappings_in_a_ring",
        rule: "B4 T56, C3",
        summary: "Three files in a ring, of the same bytes: each is written directly from a mapping \
                  of the next, at the same place, by a thread of its own, and at the end the last \
                  one two by two: nobody waits for ever, every count is exact, the bytes are right.",
        needs: Needs::NOTHING,
        expect: TOLD_BY_SEED,
        files: &[
            FileSpec {
                name: "t56-0.dat",
                size: 8 * PAGE,
            },
            FileSpec {
                name: "t56-1.dat",
                size: 8 * PAGE,
            },
            FileSpec {
                name: "t56-2.dat",
                size: 8 * PAGE,
            },
        ],
        run: direct_writes_from_mappings_in_a_ring,
    },
    Claim {
        id: "T57",
        name: "direct_writes_from_mappings_while_the_address_space_changes",
        rule: "B4 T57, C3",
        summary: "As T56 with two files and with one, while another thread maps and unmaps memory \
                  all the time: a writer of the address space that waits in the middle stops every \
                  fault after it, and nobody may wait for such a fault who is waited for.",
        needs: Needs::NOTHING,
        expect: TOLD_BY_SEED,
        files: &[
            FileSpec {
                name: "t57-0.dat",
                size: 8 * PAGE,
            },
            FileSpec {
                name: "t57-1.dat",
                size: 8 * PAGE,
            },
        ],
        run: direct_writes_from_mappings_while_the_address_space_changes,
    },
];

const PAGE_LEN: usize = PAGE as usize;

/// How long a ring is turned, and how often at least and at most.
const TIME: Duration = Duration::from_millis(1500);
const FEWEST: u64 = 8;
const MOST: u64 = 2000;

fn direct_write_of_a_range_from_its_own_mapping(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let (start, len) = (PAGE_LEN, 3 * PAGE_LEN);
    for version in 2..10 {
        let mapping = file.map(Share::Shared)?;
        mapping.store(start, &file.bytes(PAGE, len, version));
        if version % 2 == 0 {
            judge.synced("fsync", file.file().sync_all());
        }
        let mapping = if version % 4 < 2 {
            mapping
        } else {
            drop(mapping);
            file.map(Share::Shared)?
        };
        let written = mapping.write_to(start, len, &direct, PAGE);
        judge.wrote("the direct write", &written, len);
        let wanted = |sector| {
            vec![if (8..32).contains(&sector) {
                version
            } else {
                1
            }]
        };
        file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), wanted)?;
    }
    Ok(judge.outcome())
}

fn direct_write_from_cold_mapping_of_the_same_file(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let half = file.size() as usize / 2;
    let seen = Mapping::new(file.file(), half, Share::Shared)?;
    seen.touch();
    let mapping = file.map(Share::Shared)?;
    let written = mapping.write_to(half, half, &direct, 0);
    judge.wrote("the direct write", &written, half);
    // The first half now says of itself that it is the second.
    let place = half as u64;
    let mut look = |way: &str, bytes: &[u8], old| {
        file.judge_bytes(&mut judge, way, place, bytes, old, |_| vec![1]);
    };
    look("load", &seen.load(0, half), Verdict::Stale);
    look("read", &file.read(0, half)?, Verdict::Stale);
    let synced = file.file().sync_all();
    let (bytes, way) = file.on_disk(0, half)?;
    look(way, &bytes, Verdict::Lost);
    look("the second half", &file.read(place, half)?, Verdict::Lost);
    judge.synced("fsync", synced);
    drop((seen, mapping));
    // What is in the wrong place is no claim's file.
    file.fill(1)?;
    let stale = judge.outcome();
    Ok(match stale.verdict {
        // Sectors of the first half where the second should be.
        Verdict::Torn => Outcome::new(Verdict::Stale, stale.detail),
        _ => stale,
    })
}

fn direct_writes_from_mappings_in_a_ring(stage: &Stage<'_>) -> Result<Outcome> {
    let files = ring_of(stage)?;
    let mut judge = Judge::new();
    let all: Vec<&ClaimFile> = files.iter().collect();
    turn(&all, false, &mut judge)?;
    turn(&all[..2], false, &mut judge)?;
    Ok(judge.outcome())
}

fn direct_writes_from_mappings_while_the_address_space_changes(
    stage: &Stage<'_>,
) -> Result<Outcome> {
    let files = ring_of(stage)?;
    let mut judge = Judge::new();
    let all: Vec<&ClaimFile> = files.iter().collect();
    turn(&all, true, &mut judge)?;
    turn(&all[..1], true, &mut judge)?;
    Ok(judge.outcome())
}

fn ring_of(stage: &Stage<'_>) -> Result<Vec<ClaimFile>> {
    (0..stage.claim.files.len())
        .map(|index| stage.file_number(index))
        .collect()
}

/// Writes each file from a mapping of the next for a while, at the same places, with bytes that are
/// the same in all, so that it does not matter who is first. With `churn` a thread changes the
/// address space meanwhile.
fn turn(files: &[&ClaimFile], churn: bool, judge: &mut Judge) -> Result<()> {
    for file in files {
        file.fill(1)?;
        same_bytes(files[0], file)?;
    }
    let over = AtomicBool::new(false);
    let goes_on = || !over.load(Ordering::Relaxed);
    let judges = thread::scope(|scope| -> Result<Vec<Judge>> {
        if churn {
            scope.spawn(|| {
                while goes_on() {
                    // What does not work changes nothing, and is tried again.
                    let _ = files[0].map(Share::SharedReadOnly);
                }
            });
        }
        let writers: Vec<_> = (0..files.len())
            .map(|index| {
                let (to, from) = (files[index], files[(index + 1) % files.len()]);
                scope.spawn(move || write_from(to, from))
            })
            .collect();
        let judges = writers
            .into_iter()
            .map(|writer| writer.join().expect("a writer does not panic"))
            .collect();
        over.store(true, Ordering::Relaxed);
        judges
    })?;
    for other in judges {
        judge.absorb(other);
    }
    for file in files {
        let (bytes, way) = file.on_disk(0, file.size() as usize)?;
        for (way, bytes) in [("read", file.read(0, bytes.len())?), (way, bytes)] {
            files[0].judge_bytes(judge, way, 0, &bytes, Verdict::Lost, |_| vec![1]);
        }
        judge.synced("fsync", file.file().sync_all());
        file.fill(1)?;
    }
    Ok(())
}

/// Gives `file` the bytes of `first`.
fn same_bytes(first: &ClaimFile, file: &ClaimFile) -> Result<()> {
    use std::os::unix::fs::FileExt as _;
    let bytes = first.bytes(0, file.size() as usize, 1);
    file.file().write_all_at(&bytes, 0)?;
    file.file().sync_all().context("making the bytes durable")
}

/// Writes pages of `to` directly from a new mapping of `from`, again and again.
fn write_from(to: &ClaimFile, from: &ClaimFile) -> Result<Judge> {
    let direct = to.open_direct()?;
    let (mut judge, began, mut rounds) = (Judge::new(), Instant::now(), 0);
    while rounds < MOST && (rounds < FEWEST || began.elapsed() < TIME) && judge.is_clean() {
        let mapping = from.map(Share::Shared)?;
        let (page, pages) = (rounds as usize % 4, 1 + rounds as usize % 4);
        let (at, len) = (page * PAGE_LEN, pages * PAGE_LEN);
        let written = mapping.write_to(at, len, &direct, at as u64);
        judge.wrote("the direct write", &written, len);
        rounds += 1;
    }
    judge.fact(format!("{rounds} writes"));
    Ok(judge)
}
