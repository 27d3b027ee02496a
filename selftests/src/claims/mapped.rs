// SPDX-License-Identifier: GPL-2.0

//! Direct writes against pages that somebody has mapped.

use anyhow::Result;

use super::PAGE;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::verdict::Outcome;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[Claim {
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
}];

fn direct_write_is_seen_through_existing_mapping(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    file.judge_load(&mut judge, &mapping, 0, mapping.len(), |_| vec![1]);
    let written = file.write_direct(&direct, PAGE, PAGE as usize, 2);
    judge.wrote("the direct write", &written, PAGE as usize);
    let new = |sector: u64| vec![if (8..16).contains(&sector) { 2 } else { 1 }];
    file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), new)?;
    Ok(judge.outcome())
}
