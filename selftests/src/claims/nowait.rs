// SPDX-License-Identifier: GPL-2.0

//! Flags of `pwritev2(2)`: kept, or refused before anything is done.

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use crate::aligned::Aligned;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::pages::PageMap;
use crate::pattern::SECTOR;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[Claim {
    id: "T41",
    name: "refused_nowait_write_touches_nothing",
    rule: "B3 T41",
    summary: "A direct write with RWF_NOWAIT, and one with RWF_ATOMIC, to pages that are mapped and \
              dirty: it is done, whole, or it is refused with EAGAIN, EOPNOTSUPP or EINVAL. Who is \
              refused has written nothing, unmapped nothing and flushed nothing.",
    needs: Needs::NOTHING,
    expect: Expect::KEPT,
    files: &[FileSpec {
        name: "t41.dat",
        size: PAGES as u64 * PAGE,
    }],
    run: refused_nowait_write_touches_nothing,
}];

const PAGES: usize = 8;
const PAGE_LEN: usize = PAGE as usize;

/// Since Linux 6.11.
const RWF_ATOMIC: i32 = 0x40;

fn refused_nowait_write_touches_nothing(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let map = PageMap::open()?;
    let mut judge = Judge::new();
    for (name, flag) in [("RWF_NOWAIT", libc::RWF_NOWAIT), ("RWF_ATOMIC", RWF_ATOMIC)] {
        for dirty in [true, false] {
            file.fill(1)?;
            let mapping = file.map(Share::Shared)?;
            mapping.touch();
            if dirty {
                mapping.store(PAGE_LEN, &file.bytes(PAGE, SECTOR, 2));
            }
            let stat = || sys::cachestat(file.file(), 0, 0).ok();
            let (before, cached) = (map.count(&mapping, 0..PAGES)?, stat());
            let bytes = Aligned::from(&file.bytes(PAGE, PAGE_LEN, 3));
            let result = sys::write_flags(&direct, &bytes, PAGE, flag);
            let (after, still) = (map.count(&mapping, 0..PAGES)?, stat());
            let number = result.as_ref().err().and_then(std::io::Error::raw_os_error);
            let refused = matches!(number, Some(libc::EAGAIN | libc::EOPNOTSUPP | libc::EINVAL));
            if refused {
                judge.fact(format!(
                    "{name}: refused with error {}",
                    number.context("it")?
                ));
                judge.require(before == after, Verdict::FalseError, || {
                    format!(
                        "{name}: refused, and {} pages were unmapped",
                        before - after
                    )
                });
                judge.require(cached == still, Verdict::FalseError, || {
                    format!("{name}: refused, and the cache went from {cached:?} to {still:?}")
                });
            } else {
                judge.wrote(name, &result, PAGE_LEN);
            }
            let wanted = |sector| match sector {
                8..16 if !refused => vec![3],
                8 if dirty => vec![2],
                _ => vec![1],
            };
            file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), wanted)?;
        }
    }
    Ok(judge.outcome())
}
