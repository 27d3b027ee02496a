// SPDX-License-Identifier: GPL-2.0

//! Direct writes against `read(2)`: the seed's least promise, "stop the database, then tar".

use anyhow::Result;

use super::PAGE;
use crate::judge::Judge;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[Claim {
    id: "T01",
    name: "direct_write_is_seen_by_read",
    rule: "B1 T01, A13, A22",
    summary: "A file is read so that it is cached, a part is written directly, and the file is \
                  read again: the second read sees the new bytes, and so does the disk.",
    needs: Needs::NOTHING,
    expect: Expect::STALE_WITHOUT,
    files: &[FileSpec {
        name: "t01.dat",
        size: 16 * PAGE,
    }],
    run: direct_write_is_seen_by_read,
}];

fn direct_write_is_seen_by_read(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.judge_read(&mut judge, 0, file.size() as usize, |_| vec![1])?;
    let (start, len) = (5 * PAGE, 3 * PAGE as usize);
    let written = file.write_direct(&direct, start, len, 2);
    judge.wrote("the direct write", &written, len);
    if let Ok(stat) = sys::cachestat(file.file(), start, len as u64) {
        judge.fact(format!("{} of 3 pages cached after the write", stat.cached));
    }
    let new = |sector: u64| vec![if (40..64).contains(&sector) { 2 } else { 1 }];
    file.judge_everywhere(&mut judge, None, 0, file.size() as usize, new)?;
    Ok(judge.outcome())
}
