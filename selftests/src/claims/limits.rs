// SPDX-License-Identifier: GPL-2.0

//! Direct writes that are refused, cut short, or are of nothing: what they may touch.

use std::os::unix::fs::FileExt;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use crate::aligned::Aligned;
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
use crate::sys::CacheStat;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T19",
        name: "misaligned_direct_io_is_judged_before_anything_is_touched",
        rule: "B1 T19, C1 row 15",
        summary: "Direct writes and reads whose offset or length is no multiple of a sector, on \
                  mapped and dirty pages: each is refused with EINVAL, or done as buffered I/O. \
                  Either way every page stays mapped, and a refused one writes nothing out.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t19.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: misaligned_direct_io_is_judged_before_anything_is_touched,
    },
    Claim {
        id: "T20",
        name: "direct_write_touches_no_more_than_it_may_write",
        rule: "B1 T20",
        summary: "A direct write of nothing returns 0 and unmaps nothing; one over RLIMIT_FSIZE \
                  writes what is below the limit and unmaps that much; one at the limit, or beyond \
                  the largest offset, is EFBIG and unmaps nothing.",
        needs: Needs::NOTHING,
        expect: Expect {
            seed: &[Verdict::FalseError],
            ..Expect::STALE_WITHOUT
        },
        files: &[FileSpec {
            name: "t20.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: direct_write_touches_no_more_than_it_may_write,
    },
];

const PAGES: usize = 8;
const PAGE_LEN: usize = PAGE as usize;

/// The mapped pages of a file, to be compared before and after something that may not touch them.
struct Mapped<'a> {
    file: &'a ClaimFile,
    mapping: Mapping,
    map: PageMap,
}

impl<'a> Mapped<'a> {
    /// Maps every page of the file and dirties page 1.
    fn new(file: &'a ClaimFile) -> Result<Self> {
        file.fill(1)?;
        let mapping = file.map(Share::Shared)?;
        mapping.touch();
        mapping.store(PAGE_LEN, &file.bytes(PAGE, SECTOR, 2));
        let map = PageMap::open()?;
        Ok(Self { file, mapping, map })
    }

    /// Numbers of the pages that are mapped.
    fn present(&self) -> Result<Vec<usize>> {
        let mut present = Vec::new();
        for page in 0..PAGES {
            if self.map.present(&self.mapping, page)? {
                present.push(page);
            }
        }
        Ok(present)
    }

    fn cache(&self) -> Option<CacheStat> {
        sys::cachestat(self.file.file(), 0, 0).ok()
    }
}

fn misaligned_direct_io_is_judged_before_anything_is_touched(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    // What is there already is written again, so that the bytes are known whatever happens.
    for (offset, len) in [(PAGE, 100), (PAGE + 100, SECTOR), (PAGE + 1, PAGE_LEN - 1)] {
        for write in [true, false] {
            let mapped = Mapped::new(&file)?;
            let name = if write { "write" } else { "read" };
            let name = format!("a misaligned direct {name} of {len} bytes at {offset}");
            let here = mapped.mapping.load(offset as usize, len);
            let (before, cache) = (mapped.present()?, mapped.cache());
            let result = if write {
                direct.write_at(&Aligned::from(&here), offset)
            } else {
                file.read_direct(&direct, offset, len)
                    .map(|bytes| bytes.len())
            };
            let (after, cache_after) = (mapped.present()?, mapped.cache());
            let said = match &result {
                Ok(count) => format!("{name} returned {count}"),
                Err(error) => format!("{name} returned {error}"),
            };
            let gone = before.len() - after.len();
            judge.require(gone == 0, Verdict::FalseError, || {
                format!("{said}, and {gone} pages were unmapped")
            });
            let refused = match result {
                Ok(count) => {
                    judge.require(count == len, Verdict::Lost, || said.clone());
                    false
                }
                Err(error) => {
                    let right = error.raw_os_error() == Some(libc::EINVAL);
                    judge.require(right, Verdict::Error, || said.clone());
                    true
                }
            };
            if refused {
                judge.require(cache == cache_after, Verdict::FalseError, || {
                    format!("{said}, and the cache changed from {cache:?} to {cache_after:?}")
                });
            }
            let wanted = |sector| vec![if sector == 8 { 2 } else { 1 }];
            let all = mapped.mapping.len();
            file.judge_everywhere(&mut judge, Some(&mapped.mapping), 0, all, wanted)?;
        }
    }
    Ok(judge.outcome())
}

fn direct_write_touches_no_more_than_it_may_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    file.require_file("limit of size: RLIMIT_FSIZE is one of files")?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    // (limit, first page, pages, what it returns, the pages that go)
    let far = (i64::MAX as u64 - 4 * PAGE) / PAGE;
    for (limit, first, pages, count, gone) in [
        (None, 2, 0, Some(0), 0..0),
        (Some(4), 2, 4, Some(2), 2..4),
        (Some(4), 4, 1, None, 0..0),
        (None, far, 1, None, 0..0),
    ] {
        let mapped = Mapped::new(&file)?;
        let before = mapped.present()?;
        sys::limit_file_size(match limit {
            Some(limit) => limit * PAGE,
            None => libc::RLIM_INFINITY,
        })
        .context("limiting the size of files")?;
        let bytes = file.bytes(first * PAGE, pages * PAGE_LEN, 3);
        let result = direct.write_at(&Aligned::from(&bytes), first * PAGE);
        sys::limit_file_size(libc::RLIM_INFINITY).context("lifting the limit")?;
        let name = format!("a direct write of {pages} pages at page {first}");
        match count {
            Some(count) => {
                judge.wrote(&name, &result, count * PAGE_LEN);
            }
            None => {
                let right = matches!(&result,
                    Err(error) if matches!(error.raw_os_error(), Some(libc::EFBIG | libc::EINVAL)));
                judge.require(right, Verdict::Lost, || {
                    format!("{name} returned {result:?}")
                });
            }
        }
        let after = mapped.present()?;
        let others = before.iter().filter(|page| !gone.contains(*page));
        let missing: Vec<_> = others.filter(|page| !after.contains(page)).collect();
        judge.require(missing.is_empty(), Verdict::FalseError, || {
            format!("{name} unmapped pages {missing:?}")
        });
        let wanted = |sector| match sector {
            8 => vec![2],
            _ if gone.contains(&(sector as usize / 8)) => vec![3],
            _ => vec![1],
        };
        let all = mapped.mapping.len();
        file.judge_everywhere(&mut judge, Some(&mapped.mapping), 0, all, wanted)?;
    }
    Ok(judge.outcome())
}
