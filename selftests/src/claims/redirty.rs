// SPDX-License-Identifier: GPL-2.0

//! A page is cached and dirtied again while a direct write to it is in flight.
//!
//! Between the moment when the direct write has emptied the cache and the moment when its bytes
//! are on the disk, a fault reads the old bytes and a store dirties them. Afterwards the page can
//! neither be dropped, for the store would be lost, nor kept, for the rest of it is old.

use anyhow::Result;

use super::PAGE;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Disk;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::window;
use crate::window::Collision;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T21",
        name: "store_during_direct_write",
        rule: "B2 T21, C1 row 1, A8, A10",
        summary: "While a direct write of block 0 is in flight, the page is loaded and a store made \
                  to block 3 of it. Both were acknowledged, they do not overlap: both must survive, \
                  in the cache and on the disk, and nobody is told of an error.",
        needs: Needs {
            block_size: Some(1024),
            disk: Disk::SlowWrites,
            ..Needs::NOTHING
        },
        // Without A8's defect the seed cannot drop the page; it tells the writer (A10, A11).
        expect: Expect {
            seed: &[Verdict::Error],
            mainline: &[Verdict::Lost],
            ..Expect::LOST_WITHOUT
        },
        files: &[FileSpec {
            name: "t21.dat",
            size: 4 * PAGE,
        }],
        run: store_during_direct_write,
    },
    Claim {
        id: "Sc",
        name: "direct_writer_is_told_if_its_page_is_redirtied",
        rule: "seed (c), A10, A21, C1 row 1",
        summary: "While a direct write of a whole page is in flight, the page is loaded and its \
                  last sector stored to. Either the other sectors hold the new bytes everywhere, \
                  or the direct write itself returns an error; a count that is not true breaks it.",
        needs: Needs {
            disk: Disk::SlowWrites,
            ..Needs::NOTHING
        },
        expect: Expect {
            mainline: &[Verdict::Lost],
            ..Expect::LOST_WITHOUT
        },
        files: &[FileSpec {
            name: "sc.dat",
            size: 4 * PAGE,
        }],
        run: direct_writer_is_told_if_its_page_is_redirtied,
    },
];

const BLOCK: usize = 1024;
const PAGE_LEN: usize = PAGE as usize;

/// Where the write goes that takes the first, free, place in the queue of a slow disk.
const PRIME: u64 = 3 * PAGE;

/// Direct-writes version 2 to the first `len` bytes, and stores version 3 to the bytes from
/// `store` to the end of the page meanwhile.
///
/// Tries again until the store was done while the write was in flight. A file system may make
/// every store wait for the write, and keep its promise by that; a busy machine may do so now and
/// then, and prove nothing. So a store that waited counts only if it did so each time.
fn collide(
    file: &ClaimFile,
    len: usize,
    store: usize,
) -> Result<(Collision<()>, crate::mapping::Mapping)> {
    let direct = file.open_direct()?;
    let mut waited = None;
    for _ in 0..window::ATTEMPTS {
        // What is mapped cannot be dropped from the cache.
        drop(waited.take());
        file.fill(1)?;
        let mapping = file.map(Share::Shared)?;
        sys::sync_fs(file.file())?;
        let collision = window::during_direct_write(
            file,
            &direct,
            (PRIME, &file.bytes(PRIME, len, 1)),
            (0, &file.bytes(0, len, 2)),
            || {
                mapping.load(0, PAGE_LEN);
                mapping.store(store, &file.bytes(store as u64, PAGE_LEN - store, 3));
            },
        )?;
        match (collision.open, collision.overtook) {
            (true, true) => return Ok((collision, mapping)),
            (true, false) => waited = Some((collision, mapping)),
            (false, _) => {}
        }
    }
    waited.ok_or_else(|| window::never_open("the direct write was over before the store began"))
}

/// Says how the window was: part of the evidence.
fn describe(judge: &mut Judge, collision: &Collision<()>) {
    judge.fact(if collision.overtook {
        "the store was done while the direct write was in flight"
    } else {
        "the store waited for the direct write"
    });
}

fn store_during_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    let (collision, mapping) = collide(&file, BLOCK, 3 * BLOCK)?;
    let told = !judge.wrote("the direct write", &collision.slow, BLOCK);
    describe(&mut judge, &collision);
    // Who was told that the write failed may find either version in its range.
    let wanted = |sector| match sector {
        0..2 if told => vec![1, 2],
        0..2 => vec![2],
        6..8 => vec![3],
        _ => vec![1],
    };
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, wanted)?;
    Ok(judge.outcome())
}

fn direct_writer_is_told_if_its_page_is_redirtied(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    let last = PAGE_LEN - crate::pattern::SECTOR;
    let (collision, mapping) = collide(&file, PAGE_LEN, last)?;
    let told = collision.slow.is_err();
    match &collision.slow {
        Err(error) => judge.fact(format!("the direct write returned {error}")),
        written => {
            judge.wrote("the direct write", written, PAGE_LEN);
        }
    }
    describe(&mut judge, &collision);
    let wanted = |sector| match sector {
        // The store was made in the middle of the write: it is before or after it.
        7 => vec![2, 3],
        _ if told => vec![1, 2],
        _ => vec![2],
    };
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, wanted)?;
    Ok(judge.outcome())
}
