// SPDX-License-Identifier: GPL-2.0

//! Large folios: what is done to one page of a folio must not lose what is in another.

use std::ops::Range;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::redirty;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pages::PageFlags;
use crate::pages::PageMap;
use crate::pages::flag;
use crate::pattern::SECTOR;
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

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "K5",
        name: "direct_write_into_large_folio_loses_nothing",
        rule: "C1 row 12, A23",
        summary: "The first and last page of a large folio are stored to, a page in its middle is \
                  written directly: all three are right in the cache and on the disk. Skipped \
                  where no large folio comes about.",
        needs: Needs::NOTHING,
        expect: Expect::LOST_WITHOUT,
        files: &[FileSpec {
            name: "k5.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: direct_write_into_large_folio_loses_nothing,
    },
    Claim {
        id: "K10",
        name: "invalidation_of_part_of_large_folio_loses_nothing",
        rule: "A8, A28, walker: a large folio goes or stays as a whole",
        summary: "The first and last page of a large folio are stored to, and one page in its \
                  middle invalidated by ioctl: whether the folio goes or stays, both stores are \
                  there afterwards and on the disk. Skipped where no large folio comes about.",
        needs: Needs {
            ioctl: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k10.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: invalidation_of_part_of_large_folio_loses_nothing,
    },
    Claim {
        id: "T64",
        name: "store_far_away_in_large_folio_during_direct_write",
        rule: "B4 T64, C1 row 12, C2.2, C2.4",
        summary: "A page in the middle of a large folio is written directly and slowly; meanwhile the \
                  pages before it are read, so that readahead makes the folio anew, and its last page \
                  is stored to. The two have nothing in common but a folio: both survive, and nobody is \
                  told of an error. Skipped where no large folio comes about.",
        needs: Needs {
            disk: Disk::SlowWrites,
            ..Needs::NOTHING
        },
        // Whether the folio that readahead makes has both pages is up to readahead.
        expect: Expect {
            seed: &[Verdict::Error],
            mainline: &[Verdict::Kept, Verdict::Lost],
            ..Expect::LOST_WITHOUT
        },
        files: &[FileSpec {
            name: "t64.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: store_far_away_in_large_folio_during_direct_write,
    },
];

const PAGES: usize = 128;
const PAGE_LEN: usize = PAGE as usize;

/// Caches the file by reading ahead, maps it, and finds a folio of four pages or more.
fn large_folio(file: &ClaimFile) -> Result<(Mapping, Range<usize>)> {
    let (map, flags) = (PageMap::open()?, PageFlags::open()?);
    let all = file.size() as usize;
    read_in_steps(file, file.size())?;
    let mapping = Mapping::with_readahead(file.file(), all, Share::Shared).context("mapping")?;
    mapping.touch();
    let mut kinds = Vec::with_capacity(PAGES);
    for page in 0..PAGES {
        let frame = map.frame(&mapping, page)?;
        kinds.push(match frame {
            Some(frame) => flags.of(frame)? & (flag::COMPOUND_HEAD | flag::COMPOUND_TAIL),
            None => 0,
        });
    }
    let largest = (0..PAGES)
        .filter(|page| kinds[*page] == flag::COMPOUND_HEAD)
        .map(|head| {
            let tails = kinds[head + 1..]
                .iter()
                .take_while(|kind| **kind == flag::COMPOUND_TAIL);
            head..head + 1 + tails.count()
        })
        .max_by_key(ExactSizeIterator::len)
        .filter(|folio| folio.len() >= 4);
    let folio = largest.ok_or_else(|| skip("no folio of four pages or more came about"))?;
    Ok((mapping, folio))
}

/// Reads the file up to byte `end` in steps: readahead makes its folios larger from one to the next.
fn read_in_steps(file: &ClaimFile, end: u64) -> Result<()> {
    for start in (0..end).step_by(4 * PAGE_LEN) {
        file.read(start, (4 * PAGE_LEN).min((end - start) as usize))?;
    }
    Ok(())
}

/// A page in the middle of a folio.
fn middle(folio: &Range<usize>) -> usize {
    folio.start + folio.len() / 2
}

/// Stores version 2 to the first sector of the first and of the last page of the folio.
fn store_to_both_ends(file: &ClaimFile, mapping: &Mapping, folio: &Range<usize>) {
    for page in [folio.start, folio.end - 1] {
        let at = page * PAGE_LEN;
        mapping.store(at, &file.bytes(at as u64, SECTOR, 2));
    }
}

/// Version 2 at both ends, `middle` in the page after the first, 1 elsewhere.
fn wanted(folio: &Range<usize>, middle: u16) -> impl Fn(u64) -> Vec<u16> {
    let (first, last) = (folio.start as u64, folio.end as u64 - 1);
    move |sector| {
        vec![match (sector / 8, sector % 8) {
            (page, 0) if page == first || page == last => 2,
            (page, _) if page == first + 1 => middle,
            _ => 1,
        }]
    }
}

fn direct_write_into_large_folio_loses_nothing(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let (mapping, folio) = large_folio(&file)?;
    judge.fact(format!("folio of {} pages", folio.len()));
    store_to_both_ends(&file, &mapping, &folio);
    let at = (folio.start as u64 + 1) * PAGE;
    let written = file.write_direct(&direct, at, PAGE_LEN, 3);
    judge.wrote("the direct write", &written, PAGE_LEN);
    file.judge_everywhere(
        &mut judge,
        Some(&mapping),
        0,
        mapping.len(),
        wanted(&folio, 3),
    )?;
    Ok(judge.outcome())
}

fn invalidation_of_part_of_large_folio_loses_nothing(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.invalidate(0, 0)?;
    let (mapping, folio) = large_folio(&file)?;
    judge.fact(format!("folio of {} pages", folio.len()));
    let at = (folio.start as u64 + 1) * PAGE;
    for round in ["dirty", "clean"] {
        store_to_both_ends(&file, &mapping, &folio);
        if round == "clean" {
            judge.synced("fsync", file.file().sync_all());
        }
        let done = file.invalidate(at, PAGE)?;
        judge.fact(format!(
            "{round}: {} folios removed, {} busy",
            done.removed, done.busy
        ));
        let bytes = mapping.load(0, mapping.len());
        file.judge_bytes(
            &mut judge,
            "load",
            0,
            &bytes,
            Verdict::Lost,
            wanted(&folio, 1),
        );
    }
    file.judge_everywhere(
        &mut judge,
        Some(&mapping),
        0,
        mapping.len(),
        wanted(&folio, 1),
    )?;
    Ok(judge.outcome())
}

fn store_far_away_in_large_folio_during_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let what = "the direct write was over before the store began";
    let (collision, (mapping, folio)) = window::insist(what, || {
        file.fill(1)?;
        sys::sync_fs(file.file())?;
        let (mapping, folio) = large_folio(&file)?;
        drop(mapping);
        file.chill()?;
        let mapping = file.map(Share::Shared)?;
        let at = middle(&folio) as u64 * PAGE;
        let elsewhere = (at + file.size() / 2) % file.size();
        let last = (folio.end - 1) * PAGE_LEN;
        let collision = window::collide(
            file.device()?,
            Flight::Write,
            || file.write_direct(&direct, elsewhere, PAGE_LEN, 1).map(drop),
            || file.write_direct(&direct, at, PAGE_LEN, 3),
            || {
                read_in_steps(&file, at)?;
                mapping.load(last, PAGE_LEN);
                mapping.store(last, &file.bytes(last as u64, SECTOR, 2));
                anyhow::Ok(())
            },
        )?;
        Ok((collision, (mapping, folio)))
    })?;
    judge.fact(format!("folio of {} pages", folio.len()));
    redirty::describe(&mut judge, &collision);
    redirty::require_collision(stage, collision.overtook)?;
    let told = !judge.wrote("the direct write", &collision.slow, PAGE_LEN);
    collision.meanwhile?;
    let (written, last) = (middle(&folio) as u64, folio.end as u64 - 1);
    let wanted = |sector| match (sector / 8, sector % 8) {
        (page, _) if page == written && told => vec![1, 3],
        (page, _) if page == written => vec![3],
        (page, 0) if page == last => vec![2],
        _ => vec![1],
    };
    let all = mapping.len();
    file.judge_everywhere(&mut judge, Some(&mapping), 0, all, wanted)?;
    Ok(judge.outcome())
}
