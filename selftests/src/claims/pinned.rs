// SPDX-License-Identifier: GPL-2.0

//! Pages that are the target of somebody's I/O while they are invalidated.

use std::time::Duration;
use std::time::Instant;

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
use crate::window::Flight;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "K2",
        name: "page_pinned_for_direct_read_is_not_orphaned",
        rule: "C1 row 5, walker: pinned folios stay",
        summary: "A direct read from another file goes into a page of a shared mapping, slowly. \
              Meanwhile the mapped file is synced, so that the page is clean, and invalidated by \
              ioctl. The read succeeds: what it read must be in the mapping and on the disk.",
        needs: Needs {
            disk: Disk::SlowReads,
            ioctl: true,
            ..Needs::NOTHING
        },
        // The kernel's own walk ignores references, so that the device writes into an orphan.
        expect: Expect {
            mainline: &[Verdict::Lost],
            ..Expect::KEPT
        },
        files: &[
            FileSpec {
                name: "k2.dat",
                size: 4 * PAGE,
            },
            FileSpec {
                name: "k2-source.dat",
                size: 4 * PAGE,
            },
        ],
        run: page_pinned_for_direct_read_is_not_orphaned,
    },
    Claim {
        id: "T58",
        name: "direct_read_into_page_that_is_written_directly",
        rule: "B4 T58, C1 row 5, C2.6",
        summary: "A direct read from another file goes into the second half of a page of a shared \
                  mapping, slowly; meanwhile block 0 of that page is written directly. Both succeed: \
                  both must be in the mapping and on the disk. Who drops the page lets the device \
                  read into an orphan.",
        needs: Needs {
            disk: Disk::SlowReads,
            ..Needs::SMALL_BLOCKS
        },
        // The seed does not take the page from the reader, and tells the writer.
        expect: Expect {
            none: &[Verdict::Stale, Verdict::Lost],
            seed: &[Verdict::Error],
            mainline: &[Verdict::Lost],
            ..Expect::KEPT
        },
        files: &[
            FileSpec {
                name: "t58.dat",
                size: 4 * PAGE,
            },
            FileSpec {
                name: "t58-source.dat",
                size: 4 * PAGE,
            },
        ],
        run: direct_read_into_page_that_is_written_directly,
    },
];

const PAGE_LEN: usize = PAGE as usize;

/// Gives the kernel time to mark the page at `start` dirty, into which a device read. If it was clean when the
/// device was done, a work item does that, perhaps after the read has returned (`bio_check_pages_dirty` in
/// `block/bio.c`). For a page that is no longer in the cache one waits in vain.
fn let_become_dirty(file: &ClaimFile, start: u64) {
    let deadline = Instant::now() + Duration::from_secs(1);
    let is_clean = || sys::cachestat(file.file(), start, PAGE).is_ok_and(|stat| stat.dirty == 0);
    while is_clean() && Instant::now() < deadline {
        std::thread::yield_now();
    }
}

fn page_pinned_for_direct_read_is_not_orphaned(stage: &Stage<'_>) -> Result<Outcome> {
    let (file, source) = (stage.file()?, stage.file_number(1)?);
    let mut judge = Judge::new();
    source.fill(2)?;
    let reader = source.open_direct_read_only()?;
    for _ in 0..window::ATTEMPTS {
        file.fill(1)?;
        file.invalidate(0, 0)?;
        sys::sync_fs(file.file())?;
        let mapping = file.map(Share::Shared)?;
        mapping.load_word(PAGE_LEN / 8);
        let (mut removed, mut busy) = (0, 0);
        let collision = window::collide(
            source.device()?,
            Flight::Read,
            || source.read_direct(&reader, 3 * PAGE, PAGE_LEN).map(drop),
            || mapping.read_into(PAGE_LEN, PAGE_LEN, &reader, PAGE),
            || -> Result<()> {
                for _ in 0..10 {
                    file.file().sync_data()?;
                    let done = file.invalidate(PAGE, PAGE)?;
                    removed += done.removed;
                    busy += done.busy;
                }
                Ok(())
            },
        )?;
        collision.meanwhile?;
        if !collision.overtook {
            continue;
        }
        judge.fact(format!(
            "during the read: {removed} folios removed, {busy} times busy"
        ));
        if judge.wrote("the direct read", &collision.slow, PAGE_LEN) {
            let mut look = |way: &str, bytes: &[u8]| {
                if bytes == file.bytes(PAGE, PAGE_LEN, 1) {
                    let what = "what was read is gone, the old bytes of the page are back";
                    judge.find(Verdict::Lost, format!("{way}: {what}"));
                } else {
                    source.judge_bytes(&mut judge, way, PAGE, bytes, Verdict::Lost, |_| vec![2]);
                }
            };
            look("load", &mapping.load(PAGE_LEN, PAGE_LEN));
            let_become_dirty(&file, PAGE);
            let synced = file.file().sync_all();
            let (bytes, way) = file.on_disk(PAGE, PAGE_LEN)?;
            look(way, &bytes);
            judge.synced("fsync", synced);
        }
        return Ok(judge.outcome());
    }
    Err(window::never_open(
        "the direct read was over before the invalidation",
    ))
}

fn direct_read_into_page_that_is_written_directly(stage: &Stage<'_>) -> Result<Outcome> {
    const BLOCK: usize = 1024;
    const HALF: usize = PAGE_LEN / 2;
    let (file, source) = (stage.file()?, stage.file_number(1)?);
    let mut judge = Judge::new();
    source.fill(2)?;
    let reader = source.open_direct_read_only()?;
    let writer = file.open_direct()?;
    let at = PAGE_LEN + HALF;
    for _ in 0..window::ATTEMPTS {
        file.fill(1)?;
        file.require_direct(&writer, 0, BLOCK, 1)?;
        let mapping = file.map(Share::Shared)?;
        mapping.load_word(PAGE_LEN / 8);
        let collision = window::collide(
            source.device()?,
            Flight::Read,
            || source.read_direct(&reader, 3 * PAGE, HALF).map(drop),
            || mapping.read_into(at, HALF, &reader, at as u64),
            || file.write_direct(&writer, PAGE, BLOCK, 3),
        )?;
        if !collision.overtook {
            continue;
        }
        judge.wrote("the direct read", &collision.slow, HALF);
        let told = !judge.wrote("the direct write", &collision.meanwhile, BLOCK);
        let mut look = |way: &str, bytes: &[u8]| {
            let wanted = |sector| match sector {
                8..10 if told => vec![1, 3],
                8..10 => vec![3],
                _ => vec![1],
            };
            let old = if way == "load" {
                Verdict::Stale
            } else {
                Verdict::Lost
            };
            file.judge_bytes(&mut judge, way, PAGE, &bytes[..HALF], old, wanted);
            if bytes[HALF..] == file.bytes(at as u64, HALF, 1) {
                let what = "what was read is gone, the old bytes of the page are back";
                judge.find(Verdict::Lost, format!("{way}: {what}"));
            } else {
                let read = &bytes[HALF..];
                source.judge_bytes(&mut judge, way, at as u64, read, Verdict::Lost, |_| vec![2]);
            }
        };
        look("load", &mapping.load(PAGE_LEN, PAGE_LEN));
        let_become_dirty(&file, PAGE);
        let synced = file.file().sync_all();
        let (bytes, way) = file.on_disk(PAGE, PAGE_LEN)?;
        look(way, &bytes);
        judge.synced("fsync", synced);
        return Ok(judge.outcome());
    }
    Err(window::never_open(
        "the direct read was over before the direct write",
    ))
}
