// SPDX-License-Identifier: GPL-2.0

//! A page is cached and dirtied again while a direct write to it is in flight.
//!
//! Between the moment when the direct write has emptied the cache and the moment when its bytes
//! are on the disk, a fault reads the old bytes and a store dirties them. Afterwards the page can
//! neither be dropped, for the store would be lost, nor kept, for the rest of it is old.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use anyhow::Result;

use super::PAGE;
use super::volume::is_cohfs;
use crate::aligned::Aligned;
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
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;
use crate::window;
use crate::window::Collision;
use crate::window::Flight;

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
    Claim {
        id: "T21b",
        name: "store_written_back_during_direct_write",
        rule: "C1 row 1, C2.2, C2.4",
        summary: "As T21, and the stored page is also sent to the disk before the direct write is over: \
                  whoever looks at it afterwards finds it clean. Both survive, or somebody is told: \
                  the writer, or who syncs. Bytes that are gone without a word break it.",
        needs: Needs {
            block_size: Some(1024),
            disk: Disk::SlowWrites,
            ..Needs::NOTHING
        },
        // The page is clean by the time that either looks, so it is dropped and nothing is odd.
        expect: Expect {
            none: &[Verdict::Lost],
            seed: &[Verdict::Lost],
            mainline: &[Verdict::Lost],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t21b.dat",
            size: 4 * PAGE,
        }],
        run: store_written_back_during_direct_write,
    },
];

/// A block of the small kind, in bytes.
pub(super) const BLOCK: usize = 1024;
const PAGE_LEN: usize = PAGE as usize;

/// Where the write goes that takes the first, free, place in the queue of a slow disk.
pub(super) const PRIME: u64 = 3 * PAGE;

/// Writes version 2 to the first `len` bytes by way of `write`, which gets bytes and their place, and
/// does `meanwhile` while that is in flight, with a mapping of the file that nobody has touched.
pub(super) fn during<T>(
    file: &ClaimFile,
    len: usize,
    write: impl Fn(&[u8], u64) -> io::Result<usize> + Sync,
    meanwhile: impl Fn(&Mapping) -> T,
) -> Result<(Collision<T>, Mapping)> {
    window::insist("the direct write was over before the rest began", || {
        file.fill(1)?;
        let mapping = file.map(Share::Shared)?;
        sys::sync_fs(file.file())?;
        let collision = window::collide(
            file.device()?,
            Flight::Write,
            || write(&file.bytes(PRIME, len, 1), PRIME).map(drop),
            || write(&file.bytes(0, len, 2), 0),
            || meanwhile(&mapping),
        )?;
        Ok((collision, mapping))
    })
}

/// As [`during`]: version 3 is stored to the bytes from `store` to the end of the page meanwhile.
pub(super) fn collide(
    file: &ClaimFile,
    len: usize,
    store: usize,
    write: impl Fn(&[u8], u64) -> io::Result<usize> + Sync,
) -> Result<(Collision<()>, Mapping)> {
    during(file, len, write, |mapping| store_from(file, mapping, store))
}

/// Loads the first page, and stores version 3 to its bytes from `start` on.
fn store_from(file: &ClaimFile, mapping: &Mapping, start: usize) {
    mapping.load(0, PAGE_LEN);
    mapping.store(start, &file.bytes(start as u64, PAGE_LEN - start, 3));
}

/// A write for [`during`]: one call of `pwrite(2)` on `direct`.
pub(super) fn pwrite(direct: &File) -> impl Fn(&[u8], u64) -> io::Result<usize> + Sync {
    |bytes, at| direct.write_at(&Aligned::from(bytes), at)
}

/// Says how the window was: part of the evidence.
pub(super) fn describe<T>(judge: &mut Judge, collision: &Collision<T>) {
    judge.fact(if collision.overtook {
        "the other was done while the direct write was in flight"
    } else {
        "the other waited for the direct write"
    });
}

/// Skips the claim on other file systems than cohfs if nobody `overtook` the direct write: who waited for it
/// dirties the page as it ends, and whether they collide there is chance.
pub(super) fn require_collision(stage: &Stage<'_>, overtook: bool) -> Result<()> {
    match overtook || is_cohfs(stage) {
        true => Ok(()),
        false => Err(skip(
            "who dirties the page waits for the direct write, and may collide with its end by chance",
        )),
    }
}

fn store_during_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let store = store_block(&file);
    judge_store(&file, &mut judge, pwrite(&direct), store)?;
    Ok(judge.outcome())
}

/// A store for [`judge_store`]: the page is loaded, and block 3 stored to, word by word.
pub(super) fn store_block(file: &ClaimFile) -> impl Fn(&Mapping) -> io::Result<()> {
    |mapping| {
        store_from(file, mapping, 3 * BLOCK);
        Ok(())
    }
}

/// Writes block 0 by way of `write` and meanwhile block 3, in version 3, by way of `store`: both
/// survive everywhere.
pub(super) fn judge_store(
    file: &ClaimFile,
    judge: &mut Judge,
    write: impl Fn(&[u8], u64) -> io::Result<usize> + Sync,
    store: impl Fn(&Mapping) -> io::Result<()>,
) -> Result<()> {
    let (collision, mapping) = during(file, BLOCK, write, store)?;
    let told = !judge.wrote("the direct write", &collision.slow, BLOCK);
    describe(judge, &collision);
    collision.meanwhile?;
    // Who was told that the write failed may find either version in its range.
    let wanted = |sector| match sector {
        0..2 if told => vec![1, 2],
        0..2 => vec![2],
        6..8 => vec![3],
        _ => vec![1],
    };
    file.judge_everywhere(judge, Some(&mapping), 0, PAGE_LEN, wanted)
}

fn direct_writer_is_told_if_its_page_is_redirtied(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    let last = PAGE_LEN - crate::pattern::SECTOR;
    let direct = file.open_direct()?;
    let (collision, mapping) = collide(&file, PAGE_LEN, last, pwrite(&direct))?;
    let told = collision.slow.is_err();
    match &collision.slow {
        Err(error) => judge.fact(format!("the direct write returned {error}")),
        written => {
            judge.wrote("the direct write", written, PAGE_LEN);
        }
    }
    describe(&mut judge, &collision);
    require_collision(stage, collision.overtook)?;
    let wanted = |sector| match sector {
        // The store was made in the middle of the write: it is before or after it.
        7 => vec![2, 3],
        _ if told => vec![1, 2],
        _ => vec![2],
    };
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, wanted)?;
    Ok(judge.outcome())
}

fn store_written_back_during_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let (collision, mapping) = during(&file, BLOCK, pwrite(&direct), |mapping| {
        store_from(&file, mapping, 3 * BLOCK);
        // It joins the queue of the disk behind the direct write, and is clean from now on.
        sys::start_writeback(file.file(), 0, PAGE)
    })?;
    describe(&mut judge, &collision);
    collision.meanwhile?;
    let synced = file.file().sync_all();
    let told = collision.slow.is_err() || synced.is_err();
    judge.fact(format!(
        "the direct write returned {:?}, fsync {synced:?}",
        collision.slow
    ));
    let wanted = |sector| match sector {
        0..2 => vec![2],
        6..8 => vec![3],
        _ => vec![1],
    };
    let mut found = Judge::new();
    file.judge_everywhere(&mut found, Some(&mapping), 0, PAGE_LEN, wanted)?;
    if told && !found.is_clean() {
        judge.find(Verdict::Error, "bytes are lost, and somebody was told");
    } else {
        judge.absorb(found);
    }
    Ok(judge.outcome())
}
