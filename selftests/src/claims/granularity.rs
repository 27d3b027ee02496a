// SPDX-License-Identifier: GPL-2.0

//! What a direct write costs those who map other parts of the file.

use anyhow::Result;

use super::PAGE;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pages::PageMap;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// The seed unmaps the whole file before a direct write (A2, A14) and drops the cache of the
/// whole file after it (A16, A33): right bytes, at the cost of bystanders.
const ONLY_THE_RANGE: Expect = Expect {
    seed: &[Verdict::FalseError],
    ..Expect::STALE_WITHOUT
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T05",
        name: "direct_write_unmaps_only_its_own_range",
        rule: "B1 T05, A2, A3, A28",
        summary: "64 pages are mapped and touched, one is written directly: that one shows the new \
                  bytes, and the 63 others still have their page table entries.",
        needs: Needs::NOTHING,
        expect: ONLY_THE_RANGE,
        files: &[FileSpec {
            name: "t05.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: direct_write_unmaps_only_its_own_range,
    },
    Claim {
        id: "T06",
        name: "direct_write_costs_one_major_fault_per_page",
        rule: "B1 T06, A16, A33",
        summary: "As T05, then every page is touched again: only the page that was written needs \
                  I/O, one major fault.",
        needs: Needs::NOTHING,
        expect: ONLY_THE_RANGE,
        files: &[FileSpec {
            name: "t06.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: direct_write_costs_one_major_fault_per_page,
    },
    Claim {
        id: "K4",
        name: "invalidation_takes_exactly_its_range",
        rule: "A3, A4, A28",
        summary: "64 pages are mapped, one byte in the middle of one is invalidated by ioctl: that \
                  page leaves the page tables and the cache, its neighbours stay in both; length 0 \
                  goes to the end of the file and not further down.",
        needs: Needs {
            ioctl: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k4.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: invalidation_takes_exactly_its_range,
    },
];

const PAGES: usize = 64;
const WRITTEN: usize = 10;

/// Writes one page of 64 mapped ones. The pages were faulted in one by one, so that each is a
/// folio of its own even where the file system has large folios.
fn write_one_of_many(file: &ClaimFile, judge: &mut Judge) -> Result<Mapping> {
    let direct = file.open_direct()?;
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    mapping.touch();
    let map = PageMap::open()?;
    let before = map.count(&mapping, 0..PAGES)?;
    anyhow::ensure!(
        before == PAGES,
        "only {before} of {PAGES} touched pages are mapped"
    );
    let written = file.write_direct(&direct, WRITTEN as u64 * PAGE, PAGE as usize, 2);
    judge.wrote("the direct write", &written, PAGE as usize);
    Ok(mapping)
}

fn new(sector: u64) -> Vec<u16> {
    vec![if (80..88).contains(&sector) { 2 } else { 1 }]
}

fn direct_write_unmaps_only_its_own_range(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    let mapping = write_one_of_many(&file, &mut judge)?;
    let map = PageMap::open()?;
    let others = map.count(&mapping, 0..PAGES)? - usize::from(map.present(&mapping, WRITTEN)?);
    judge.fact(format!(
        "{others} of {} other pages still mapped",
        PAGES - 1
    ));
    judge.require(others == PAGES - 1, Verdict::FalseError, || {
        format!(
            "{} pages outside the written range were unmapped",
            PAGES - 1 - others
        )
    });
    file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), new)?;
    Ok(judge.outcome())
}

fn direct_write_costs_one_major_fault_per_page(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    let mapping = write_one_of_many(&file, &mut judge)?;
    let before = sys::thread_faults().major;
    mapping.touch();
    let faults = sys::thread_faults().major - before;
    judge.fact(format!(
        "{faults} major faults to touch {PAGES} pages again"
    ));
    judge.require(faults <= 1, Verdict::FalseError, || {
        format!(
            "{} pages outside the written range had to be read again",
            faults - 1
        )
    });
    file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), new)?;
    Ok(judge.outcome())
}

fn invalidation_takes_exactly_its_range(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let map = PageMap::open()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    // (first byte, length, the pages that go)
    let last = PAGES as u64 * PAGE - 1;
    for (start, len, gone) in [
        (10 * PAGE + 100, 1, 10..11),
        (20 * PAGE, PAGE, 20..21),
        (30 * PAGE - 1, 2, 29..31),
        (0, 1, 0..1),
        (last, 1, PAGES - 1..PAGES),
        (60 * PAGE + 7, 0, 60..PAGES),
    ] {
        mapping.touch();
        let done = file.invalidate(start, len)?;
        let name = format!("invalidating {len} bytes at {start}");
        judge.require(done.busy == 0, Verdict::FalseError, || {
            format!(
                "{name}: {} clean pages were busy, the first is {}",
                done.busy, done.first_busy
            )
        });
        let resident = mapping.resident()?;
        for (page, cached) in resident.into_iter().enumerate() {
            let present = map.present(&mapping, page)?;
            if gone.contains(&page) {
                judge.require(
                    done.busy > 0 || !(present || cached),
                    Verdict::Stale,
                    || format!("{name}: page {page} is still there"),
                );
            } else {
                judge.require(present && cached, Verdict::FalseError, || {
                    format!("{name}: page {page} went as well")
                });
            }
        }
    }
    file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), |_| vec![1])?;
    Ok(judge.outcome())
}
