// SPDX-License-Identifier: GPL-2.0

//! Direct writes at, over and beyond the end of a file.

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T14",
        name: "direct_write_across_end_of_file",
        rule: "B1 T14, A23",
        summary: "A file of 1500 bytes is cached and mapped; bytes 1024 to 3071 are written \
                  directly, over its end: the file has 3072 bytes then, old ones up to 1024 and new \
                  ones from there, by read(2), through the old mapping and on the disk.",
        needs: Needs::SMALL_BLOCKS,
        expect: Expect::LOST_WITHOUT,
        files: &[],
        run: direct_write_across_end_of_file,
    },
    Claim {
        id: "T15",
        name: "bytes_stored_beyond_end_of_file_never_surface",
        rule: "B1 T15, C1 row 13",
        summary: "A file of 1000 bytes is mapped, and a store made beyond its end, in its last \
                  page; then a direct write to the second page extends the file. What lies between \
                  the old end and the write is zeros, in the cache and on the disk: never the store.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: bytes_stored_beyond_end_of_file_never_surface,
    },
];

const PAGE_LEN: usize = PAGE as usize;

/// Makes a file of `len` bytes, less than a page, of version 1, all of it durable.
fn short_file(stage: &Stage<'_>, name: &str, len: usize) -> Result<ClaimFile> {
    let file = stage.scratch(name, 0)?;
    file.write(0, len, 1)?;
    file.file().sync_all().context("the first fsync")?;
    Ok(file)
}

/// Requires `bytes`, found at `start` by way of `source`, to be zeros.
fn zeros(judge: &mut Judge, source: &str, start: usize, bytes: &[u8], verdict: Verdict) {
    let strange = bytes.iter().position(|byte| *byte != 0);
    judge.require(strange.is_none(), verdict, || {
        let at = strange.unwrap_or_default();
        format!(
            "{source}: byte {} is {:#04x}, never written",
            start + at,
            bytes[at]
        )
    });
}

fn size_is(judge: &mut Judge, file: &ClaimFile, size: u64) -> Result<()> {
    let found = file.file().metadata()?.len();
    judge.require(found == size, Verdict::Lost, || {
        format!("the file has {found} bytes, not {size}")
    });
    Ok(())
}

fn direct_write_across_end_of_file(stage: &Stage<'_>) -> Result<Outcome> {
    let file = short_file(stage, "t14.tmp", 1500)?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let mapping = Mapping::new(file.file(), PAGE_LEN, Share::Shared).context("mapping")?;
    file.judge_load(&mut judge, &mapping, 0, 1500, |_| vec![1]);
    let written = file.write_direct(&direct, 1024, 2048, 2);
    judge.wrote("the direct write", &written, 2048);
    size_is(&mut judge, &file, 3072)?;
    let wanted = |sector| vec![if sector < 2 { 1 } else { 2 }];
    file.judge_everywhere(&mut judge, Some(&mapping), 0, 3072, wanted)?;
    zeros(
        &mut judge,
        "load",
        3072,
        &mapping.load(3072, 1024),
        Verdict::Torn,
    );
    Ok(judge.outcome())
}

fn bytes_stored_beyond_end_of_file_never_surface(stage: &Stage<'_>) -> Result<Outcome> {
    const END: usize = 1000;
    let file = short_file(stage, "t15.tmp", END)?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let mapping = Mapping::new(file.file(), PAGE_LEN, Share::Shared).context("mapping")?;
    file.judge_load(&mut judge, &mapping, 0, END, |_| vec![1]);
    mapping.store(2000, &[0xee; 8]);
    let written = file.write_direct(&direct, PAGE, PAGE_LEN, 2);
    judge.wrote("the direct write", &written, PAGE_LEN);
    size_is(&mut judge, &file, 2 * PAGE)?;
    for round in ["after the write", "after fsync"] {
        let source = |way| format!("{way} {round}");
        let read = file.read(0, PAGE_LEN)?;
        zeros(
            &mut judge,
            &source("read"),
            END,
            &read[END..],
            Verdict::Torn,
        );
        let loaded = mapping.load(END, PAGE_LEN - END);
        zeros(&mut judge, &source("load"), END, &loaded, Verdict::Torn);
        judge.synced("fsync", file.file().sync_all());
    }
    let (disk, source) = file.on_disk(0, PAGE_LEN)?;
    zeros(&mut judge, source, END, &disk[END..], Verdict::Torn);
    file.judge_read(&mut judge, 0, END, |_| vec![1])?;
    file.judge_read(&mut judge, PAGE, PAGE_LEN, |_| vec![2])?;
    file.judge_disk(&mut judge, 0, END, |_| vec![1])?;
    file.judge_disk(&mut judge, PAGE, PAGE_LEN, |_| vec![2])?;
    Ok(judge.outcome())
}
