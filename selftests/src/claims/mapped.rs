// SPDX-License-Identifier: GPL-2.0

//! Direct writes against pages that somebody has mapped.

use std::fs;
use std::fs::File;
use std::io::Read as _;
use std::io::Write as _;
use std::os::unix::net::UnixStream;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pages::PageMap;
use crate::pattern::SECTOR;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::sys::Child;
use crate::sys::Usage;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T02",
        name: "direct_write_is_seen_through_existing_mapping",
        rule: "B1 T02, A1, A16",
        summary: "A page is loaded through a shared mapping, then written directly: the next load \
                  through the same mapping sees the new bytes, and so do read(2) and the disk.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t02.dat",
            size: 4 * PAGE,
        }],
        run: direct_write_is_seen_through_existing_mapping,
    },
    Claim {
        id: "Sa",
        name: "mapped_page_is_unmapped_and_next_access_is_a_major_fault",
        rule: "seed (a), A1, A16",
        summary: "The seed's first sequence: a page is in page tables; a direct write takes it out \
                  of them and out of the cache; the next access faults, needs I/O, and sees the \
                  new bytes. The detail counts entries, cached pages and faults.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "sa.dat",
            size: 4 * PAGE,
        }],
        run: mapped_page_is_unmapped_and_next_access_is_a_major_fault,
    },
    Claim {
        id: "T10",
        name: "direct_write_is_seen_by_every_process_that_maps",
        rule: "B1 T10, A1, A31",
        summary: "Two processes map a page, one shared and one private without having stored to \
                  it: after a direct write both load the new bytes.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t10.dat",
            size: 4 * PAGE,
        }],
        run: direct_write_is_seen_by_every_process_that_maps,
    },
    Claim {
        id: "T11",
        name: "private_copy_survives_direct_writes",
        rule: "B1 T11, A31",
        summary: "A private mapping is stored to, so that it has a copy of the page of its own: two \
                  direct writes to the page leave the copy as it is.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t11.dat",
            size: 4 * PAGE,
        }],
        run: private_copy_survives_direct_writes,
    },
    Claim {
        id: "T12",
        name: "direct_write_is_seen_through_locked_mapping",
        rule: "B1 T12, A1",
        summary: "A mapping is locked into memory, one page of it written directly: the amount of \
                  locked memory stays what it was, and the page shows the new bytes.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t12.dat",
            size: 4 * PAGE,
        }],
        run: direct_write_is_seen_through_locked_mapping,
    },
];

/// Writes page 1 of four directly.
fn write_page_one(file: &ClaimFile, direct: &File, judge: &mut Judge, version: u16) {
    let written = file.write_direct(direct, PAGE, PAGE as usize, version);
    judge.wrote("the direct write", &written, PAGE as usize);
}

/// Judges that page 1, wherever one looks, is of version 2, and the others are as they were.
fn judge_page_one(file: &ClaimFile, judge: &mut Judge, mapping: &Mapping) -> Result<()> {
    let wanted = |sector| vec![if (8..16).contains(&sector) { 2 } else { 1 }];
    file.judge_everywhere(judge, Some(mapping), 0, mapping.len(), wanted)
}

/// Loads from page 1, and counts the faults that this takes.
fn load_page_one(mapping: &Mapping) -> Usage {
    let before = sys::thread_faults();
    mapping.load_word(PAGE as usize / 8);
    let after = sys::thread_faults();
    Usage {
        major: after.major - before.major,
        minor: after.minor - before.minor,
    }
}

fn direct_write_is_seen_through_existing_mapping(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    file.judge_load(&mut judge, &mapping, 0, mapping.len(), |_| vec![1]);
    write_page_one(&file, &direct, &mut judge, 2);
    judge_page_one(&file, &mut judge, &mapping)?;
    Ok(judge.outcome())
}

fn mapped_page_is_unmapped_and_next_access_is_a_major_fault(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let map = PageMap::open()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    mapping.touch();
    anyhow::ensure!(
        map.present(&mapping, 1)?,
        "a page that was just touched is not mapped"
    );
    write_page_one(&file, &direct, &mut judge, 2);
    let (present, cached) = (map.present(&mapping, 1)?, mapping.resident()?[1]);
    let Usage { major, minor } = load_page_one(&mapping);
    judge.fact(format!(
        "after the write the page was {} and {}; the next access took {major} major and {minor} minor faults",
        if present { "still mapped" } else { "unmapped" },
        if cached { "still cached" } else { "not cached" },
    ));
    judge_page_one(&file, &mut judge, &mapping)?;
    Ok(judge.outcome())
}

fn direct_write_is_seen_by_every_process_that_maps(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let shared = file.map(Share::SharedReadOnly)?;
    let (mut ours, mut theirs) = UnixStream::pair().context("making a socket pair")?;
    let other = Child::start(|| {
        let mut observe = || -> Result<()> {
            let private = file.map(Share::Private)?;
            theirs.write_all(&private.load(PAGE as usize, PAGE as usize))?;
            theirs.read_exact(&mut [0])?;
            theirs.write_all(&private.load(PAGE as usize, PAGE as usize))?;
            Ok(())
        };
        i32::from(observe().is_err())
    })
    .context("starting another process")?;
    let mut seen = vec![0; PAGE as usize];
    ours.read_exact(&mut seen)
        .context("hearing from the other process")?;
    let name = "private load in another process";
    file.judge_bytes(&mut judge, name, PAGE, &seen, Verdict::Stale, |_| vec![1]);
    file.judge_load(&mut judge, &shared, 0, shared.len(), |_| vec![1]);
    write_page_one(&file, &direct, &mut judge, 2);
    ours.write_all(&[0])?;
    ours.read_exact(&mut seen)
        .context("hearing from the other process")?;
    file.judge_bytes(&mut judge, name, PAGE, &seen, Verdict::Stale, |_| vec![2]);
    other.wait().context("waiting for the other process")?;
    judge_page_one(&file, &mut judge, &shared)?;
    Ok(judge.outcome())
}

fn private_copy_survives_direct_writes(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let private = file.map(Share::Private)?;
    private.touch();
    private.store(PAGE as usize, &file.bytes(PAGE, SECTOR, 2));
    for version in [3, 4] {
        write_page_one(&file, &direct, &mut judge, version);
        let copy = private.load(PAGE as usize, PAGE as usize);
        file.judge_bytes(
            &mut judge,
            "private copy",
            PAGE,
            &copy,
            Verdict::Lost,
            |sector| vec![if sector == 8 { 2 } else { 1 }],
        );
    }
    Ok(judge.outcome())
}

fn direct_write_is_seen_through_locked_mapping(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let map = PageMap::open()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    mapping
        .lock()
        .map_err(|error| skip(format!("mlock: {error}")))?;
    let before = locked_memory()?;
    write_page_one(&file, &direct, &mut judge, 2);
    let (after, present) = (locked_memory()?, map.present(&mapping, 1)?);
    judge.require(before == after, Verdict::FalseError, || {
        format!("locked memory went from {before} to {after}")
    });
    let faults = load_page_one(&mapping).major;
    let state = if present { "mapped" } else { "unmapped" };
    judge.fact(format!(
        "page {state} after the write; {faults} major faults to load it"
    ));
    judge_page_one(&file, &mut judge, &mapping)?;
    Ok(judge.outcome())
}

/// How much memory this process has locked, in the kernel's words.
fn locked_memory() -> Result<String> {
    let status = fs::read_to_string("/proc/self/status").context("reading /proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmLck:"));
    Ok(line
        .context("no VmLck in /proc/self/status")?
        .trim()
        .to_owned())
}
