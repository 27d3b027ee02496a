// SPDX-License-Identifier: GPL-2.0

//! Asynchronous direct writes: everybody else goes on while they are in flight.
//!
//! Each claim is tried by libaio and by io_uring; what the kernel does not have is left out.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use anyhow::Result;

use super::PAGE;
use super::redirty;
use super::redirty::BLOCK;
use super::redirty::PRIME;
use crate::aligned::Aligned;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::pattern::SECTOR;
use crate::queue::Kind;
use crate::queue::Op;
use crate::registry::Claim;
use crate::registry::Disk;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;
use crate::window;
use crate::window::Flight;

const SLOW: Needs = Needs {
    disk: Disk::SlowWrites,
    ..Needs::NOTHING
};

const SLOW_SMALL: Needs = Needs {
    disk: Disk::SlowWrites,
    ..Needs::SMALL_BLOCKS
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T23",
        name: "store_during_asynchronous_direct_write",
        rule: "B2 T23, C1 row 1",
        summary: "As T21, the direct write submitted by libaio, then by io_uring: the completion \
                  has the exact count, both the write and the store survive in the cache and on \
                  the disk, and fsync has nothing to complain about.",
        needs: SLOW_SMALL,
        expect: Expect {
            seed: &[Verdict::Error],
            mainline: &[Verdict::Lost],
            ..Expect::LOST_WITHOUT
        },
        files: &[FileSpec {
            name: "t23.dat",
            size: 4 * PAGE,
        }],
        run: store_during_asynchronous_direct_write,
    },
    Claim {
        id: "T33",
        name: "read_during_asynchronous_direct_write",
        rule: "B3 T33, C2.1",
        summary: "A direct write is submitted; read(2) of the same page, before its completion, \
                  sees old or new sectors and caches them; the completion is taken, and read(2) \
                  again: from then on only new bytes, whatever the first read left in the cache.",
        needs: SLOW,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t33.dat",
            size: 4 * PAGE,
        }],
        run: read_during_asynchronous_direct_write,
    },
    Claim {
        id: "T34",
        name: "loads_never_go_back_during_asynchronous_direct_write",
        rule: "B3 T34, C2.1",
        summary: "A page is loaded through a mapping in a loop from the submission of a direct \
                  write until well after its completion: no word goes from new to old, and none \
                  is old in a load that began after the completion was taken.",
        needs: SLOW,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t34.dat",
            size: 4 * PAGE,
        }],
        run: loads_never_go_back_during_asynchronous_direct_write,
    },
    Claim {
        id: "T35",
        name: "buffered_write_during_asynchronous_direct_write",
        rule: "B3 T35, C1 row 4, C2.2",
        summary: "While an asynchronous direct write of a page is in flight, write(2) writes one \
                  sector of it: the disk ends up with the direct write, and with either version of \
                  that sector. Reading the old page to write a sector of it undoes the direct write.",
        needs: SLOW,
        // Only `strict` lets the call go on before the device is done: all keep this one.
        // Where nothing is invalidated, it is as the page happens to be cached or not.
        expect: Expect {
            none: &[Verdict::Kept, Verdict::Lost],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t35.dat",
            size: 4 * PAGE,
        }],
        run: buffered_write_during_asynchronous_direct_write,
    },
    Claim {
        id: "T36",
        name: "store_between_two_asynchronous_direct_writes",
        rule: "B3 T36, C1 row 1, C2.2",
        summary: "Two direct writes, of blocks 0 and 1 of one page, are in flight at once, and a \
                  store is made to block 3: all three were acknowledged, none overlaps another, all \
                  three survive in the cache and on the disk.",
        needs: SLOW_SMALL,
        expect: Expect {
            seed: &[Verdict::Error],
            mainline: &[Verdict::Lost],
            ..Expect::LOST_WITHOUT
        },
        files: &[FileSpec {
            name: "t36.dat",
            size: 4 * PAGE,
        }],
        run: store_between_two_asynchronous_direct_writes,
    },
];

const PAGE_LEN: usize = PAGE as usize;

/// Tries a claim by each interface that there is, until one breaks it.
pub(super) fn by_each_kind(
    mut attempt: impl FnMut(Kind, &mut Judge) -> Result<()>,
) -> Result<Outcome> {
    let mut judge = Judge::new();
    for kind in Kind::available()? {
        if judge.is_clean() {
            judge.fact(format!("by {kind}"));
            attempt(kind, &mut judge)?;
        }
    }
    Ok(judge.outcome())
}

fn store_during_asynchronous_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    by_each_kind(|kind, judge| {
        let write = |bytes: &[u8], at| kind.write(&direct, bytes, at);
        redirty::judge_store(&file, judge, write, redirty::store_block(&file))
    })
}

fn read_during_asynchronous_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    by_each_kind(|kind, judge| {
        let write = |bytes: &[u8], at| kind.write(&direct, bytes, at);
        let (collision, _) = redirty::during(&file, PAGE_LEN, write, |_| file.read(0, PAGE_LEN))?;
        judge.wrote("the direct write", &collision.slow, PAGE_LEN);
        redirty::describe(judge, &collision);
        let bytes = &collision.meanwhile?;
        file.judge_bytes(judge, "early read", 0, bytes, Verdict::Torn, |_| vec![1, 2]);
        file.judge_everywhere(judge, None, 0, PAGE_LEN, |_| vec![2])
    })
}

/// The number of loads after the completion.
const AFTERWARDS: u32 = 200;

fn loads_never_go_back_during_asynchronous_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    by_each_kind(|kind, judge| {
        for _ in 0..window::ATTEMPTS {
            file.fill(1)?;
            let mapping = file.map(Share::SharedReadOnly)?;
            sys::sync_fs(file.file())?;
            let write = |at, number| {
                let bytes = file.bytes(at, PAGE_LEN, number);
                kind.write(&direct, &bytes, at)
            };
            let completed = AtomicBool::new(false);
            let (old, new) = (file.bytes(0, PAGE_LEN, 1), file.bytes(0, PAGE_LEN, 2));
            let look = || {
                let (mut seen, mut early, mut rest) = (Judge::new(), 0, AFTERWARDS);
                let mut was_new = [false; PAGE_LEN / 8];
                while rest > 0 && seen.is_clean() {
                    let complete = completed.load(Ordering::SeqCst);
                    let bytes = mapping.load(0, PAGE_LEN);
                    // Word by word: the page may be replaced in the middle of it.
                    for (word, was_new) in was_new.iter_mut().enumerate() {
                        let place = word * 8..word * 8 + 8;
                        let found = &bytes[place.clone()];
                        let is_new = *found == new[place.clone()];
                        if !is_new && *found != old[place] {
                            seen.find(Verdict::Torn, format!("word {word} is {found:02x?}"));
                        } else if !is_new && (*was_new || complete) {
                            let when = if complete {
                                "the completion"
                            } else {
                                "it was new"
                            };
                            seen.find(Verdict::Stale, format!("word {word} is old after {when}"));
                        }
                        *was_new = is_new;
                        if !seen.is_clean() {
                            break;
                        }
                    }
                    rest -= u32::from(complete);
                    early += u32::from(!complete);
                }
                seen.fact(format!("{early} loads before the completion"));
                seen
            };
            let collision = window::collide(
                file.device()?,
                Flight::Write,
                || write(PRIME, 1).map(drop),
                || {
                    let written = write(0, 2);
                    completed.store(true, Ordering::SeqCst);
                    written
                },
                look,
            )?;
            if !collision.open {
                continue;
            }
            judge.wrote("the direct write", &collision.slow, PAGE_LEN);
            judge.absorb(collision.meanwhile);
            return file.judge_everywhere(judge, Some(&mapping), 0, PAGE_LEN, |_| vec![2]);
        }
        Err(window::never_open(
            "the direct write was over before the first load",
        ))
    })
}

fn buffered_write_during_asynchronous_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    by_each_kind(|kind, judge| {
        let write = |bytes: &[u8], at| kind.write(&direct, bytes, at);
        let (collision, _) = redirty::during(&file, PAGE_LEN, write, |_| {
            file.write(SECTOR as u64, SECTOR, 3)
        })?;
        judge.wrote("the direct write", &collision.slow, PAGE_LEN);
        redirty::describe(judge, &collision);
        redirty::require_collision(stage, collision.overtook)?;
        collision.meanwhile?;
        let wanted = |sector| match sector {
            1 => vec![3, 2],
            _ => vec![2],
        };
        file.judge_everywhere(judge, None, 0, PAGE_LEN, wanted)
    })
}

fn store_between_two_asynchronous_direct_writes(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    if file.device()?.is_served() {
        return Err(skip(
            "when a server takes the bytes of a write is not known",
        ));
    }
    let direct = file.open_direct()?;
    by_each_kind(|kind, judge| {
        let what = "the direct writes were over before the store began";
        let (collision, mapping) = window::insist(what, || {
            file.fill(1)?;
            let mapping = file.map(Share::Shared)?;
            sys::sync_fs(file.file())?;
            let both = || {
                let mut queue = kind.open(2).map_err(io::Error::other)?;
                for block in 0..2 {
                    let at = block * BLOCK as u64;
                    let buffer = Aligned::from(&file.bytes(at, BLOCK, 2));
                    queue.submit(block, Op::Write, &direct, at, buffer)?;
                }
                let mut sum = 0;
                for _ in 0..2 {
                    let done = queue.reap(true)?.ok_or(io::ErrorKind::UnexpectedEof)?;
                    sum += done.result?;
                }
                Ok(sum)
            };
            let collision = window::collide(
                file.device()?,
                Flight::Write,
                || {
                    let bytes = file.bytes(PRIME, BLOCK, 1);
                    kind.write(&direct, &bytes, PRIME).map(drop)
                },
                both,
                || {
                    mapping.load(0, PAGE_LEN);
                    mapping.store(3 * BLOCK, &file.bytes(3 * BLOCK as u64, BLOCK, 3));
                },
            )?;
            Ok((collision, mapping))
        })?;
        judge.wrote("the direct writes", &collision.slow, 2 * BLOCK);
        let told = collision.slow.is_err();
        redirty::describe(judge, &collision);
        let wanted = |sector| match sector {
            0..4 if told => vec![2, 1],
            0..4 => vec![2],
            6..8 => vec![3],
            _ => vec![1],
        };
        file.judge_everywhere(judge, Some(&mapping), 0, PAGE_LEN, wanted)
    })
}
