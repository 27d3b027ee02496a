// SPDX-License-Identifier: GPL-2.0

//! Direct writes to where a file has no blocks yet, and where the disk has none left.

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::redirty::BLOCK;
use crate::file::ClaimFile;
use crate::full_disk::FullDisk;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::sys::Ended;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T16",
        name: "direct_write_into_mapped_hole",
        rule: "B1 T16",
        summary: "A hole is loaded through a mapping, zeros, and then written directly: the count is \
                  exact, the mapping and read(2) see the new bytes, and they are on the disk as \
                  soon as the write returns, before any fsync.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: direct_write_into_mapped_hole,
    },
    Claim {
        id: "T17",
        name: "direct_write_on_full_disk_returns_what_it_wrote",
        rule: "B1 T17, C1 row 6, C2.4",
        summary: "A direct write spans a written block and a hole, and the disk is full: it returns \
                  the bytes of the first block, which are on the disk, and the next one ENOSPC. \
                  ENOSPC for the first forgets bytes that were written.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: direct_write_on_full_disk_returns_what_it_wrote,
    },
    Claim {
        id: "T26",
        name: "store_into_hole_on_full_disk_is_told_or_kept",
        rule: "B2 T26, C2.4",
        summary: "On a full disk a store is made through a mapping into a hole, and the block before \
                  it is written directly. Either the store itself is refused, by SIGBUS, or its \
                  bytes reach the disk once there is space: never are they clean and gone.",
        needs: Needs::SMALL_BLOCKS,
        expect: Expect::STALE_WITHOUT,
        files: &[],
        run: store_into_hole_on_full_disk_is_told_or_kept,
    },
];

const PAGE_LEN: usize = PAGE as usize;

fn direct_write_into_mapped_hole(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.scratch("t16.tmp", 4 * PAGE)?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let mapping = file.map(Share::Shared)?;
    mapping.touch();
    let written = file.write_direct(&direct, PAGE, PAGE_LEN, 1);
    judge.wrote("the direct write", &written, PAGE_LEN);
    // Before it is asked where the blocks are: that may write out what should be there already.
    if let Ok(stat) = sys::cachestat(file.file(), PAGE, PAGE) {
        let left = stat.dirty + stat.writeback;
        judge.require(left == 0, Verdict::Lost, || {
            "the write has returned, and the page is yet to be written".to_owned()
        });
    }
    file.judge_disk(&mut judge, PAGE, PAGE_LEN, |_| vec![1])?;
    file.judge_everywhere(&mut judge, Some(&mapping), PAGE, PAGE_LEN, |_| vec![1])?;
    for page in [0, 2, 3] {
        let zeros = mapping
            .load(page * PAGE_LEN, PAGE_LEN)
            .iter()
            .all(|byte| *byte == 0);
        judge.require(zeros, Verdict::Torn, || format!("page {page} is not zeros"));
    }
    Ok(judge.outcome())
}

/// Makes a file whose first `written` bytes are of version 1 and durable, the rest holes.
fn with_hole(stage: &Stage<'_>, name: &str, size: u64, written: usize) -> Result<ClaimFile> {
    let file = stage.scratch(name, size)?;
    file.write(0, written, 1)?;
    file.file().sync_all().context("the first fsync")?;
    file.chill()?;
    Ok(file)
}

fn direct_write_on_full_disk_returns_what_it_wrote(stage: &Stage<'_>) -> Result<Outcome> {
    let file = with_hole(stage, "t17.tmp", 2 * PAGE, PAGE_LEN)?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let full = FullDisk::new(stage.dir()?)?;
    let written = file.write_direct(&direct, 0, 2 * PAGE_LEN, 2);
    match &written {
        Ok(count) if *count == 2 * PAGE_LEN => return Err(skip("the disk was not full")),
        _ => judge.wrote("the direct write", &written, PAGE_LEN),
    };
    let told = written.is_err();
    let wanted = |_| if told { vec![2, 1] } else { vec![2] };
    file.judge_read(&mut judge, 0, PAGE_LEN, wanted)?;
    file.judge_disk(&mut judge, 0, PAGE_LEN, wanted)?;
    let (disk, _) = file.on_disk(0, PAGE_LEN)?;
    if told && disk == file.bytes(0, PAGE_LEN, 2) {
        judge.fact("but the first page is on the disk");
    }
    let next = file.write_direct(&direct, PAGE, PAGE_LEN, 2);
    let refused = matches!(&next, Err(error) if error.raw_os_error() == Some(libc::ENOSPC));
    judge.require(refused, Verdict::Lost, || {
        format!("the next direct write returned {next:?}")
    });
    drop(full);
    judge.synced("fsync", file.file().sync_all());
    file.judge_disk(&mut judge, 0, PAGE_LEN, wanted)?;
    Ok(judge.outcome())
}

fn store_into_hole_on_full_disk_is_told_or_kept(stage: &Stage<'_>) -> Result<Outcome> {
    let file = with_hole(stage, "t26.tmp", PAGE, BLOCK)?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let mapping = file.map(Share::Shared)?;
    let full = FullDisk::new(stage.dir()?)?;
    let stored = file.bytes(3 * BLOCK as u64, BLOCK, 3);
    let storer = sys::in_child(|| {
        mapping.store(3 * BLOCK, &stored);
        0
    });
    let kept = match storer.context("starting the storer")? {
        Ended::Signal(libc::SIGBUS) => {
            judge.fact("the store was refused");
            false
        }
        ended => {
            judge.fact(format!("the store was taken ({ended:?})"));
            true
        }
    };
    let written = file.write_direct(&direct, 0, BLOCK, 2);
    judge.wrote("the direct write", &written, BLOCK);
    if let Err(error) = file.file().sync_all() {
        judge.fact(format!("fsync on the full disk returned {error}"));
    }
    drop(full);
    // With space again: nothing that was taken may be gone, and nobody has reason to complain.
    judge.synced("fsync with space", file.file().sync_all());
    file.judge_read(&mut judge, 0, BLOCK, |_| vec![2])?;
    file.judge_disk(&mut judge, 0, BLOCK, |_| vec![2])?;
    if kept {
        let at = 3 * BLOCK as u64;
        file.judge_read(&mut judge, at, BLOCK, |_| vec![3])?;
        file.judge_disk(&mut judge, at, BLOCK, |_| vec![3])?;
    }
    Ok(judge.outcome())
}
