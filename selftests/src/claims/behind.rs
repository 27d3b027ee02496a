// SPDX-License-Identifier: GPL-2.0

//! The device changes behind the file, as when another node wrote.

use anyhow::Result;

use super::PAGE;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[Claim {
    id: "Sf",
    name: "invalidation_shows_what_another_node_wrote",
    rule: "seed (f), A24, A16",
    summary: "A page is mapped; its block is written on the device itself, behind the file system's \
              back; the file is invalidated by ioctl: read(2) and the existing mapping see the new \
              bytes. posix_fadvise alone does not do it while the page is mapped; the detail says.",
    needs: Needs {
        ioctl: true,
        device: true,
        ..Needs::NOTHING
    },
    expect: Expect::KEPT,
    files: &[FileSpec {
        name: "sf.dat",
        size: 4 * PAGE,
    }],
    run: invalidation_shows_what_another_node_wrote,
}];

fn invalidation_shows_what_another_node_wrote(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let device = file.device()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    // Before anything is written behind anybody: is there an ioctl at all?
    file.invalidate(0, 0)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    file.judge_load(&mut judge, &mapping, 0, mapping.len(), |_| vec![1]);
    device.write_behind(file.file(), PAGE, &file.bytes(PAGE, PAGE as usize, 2))?;
    sys::drop_cache(file.file())?;
    let still_old = mapping.load(PAGE as usize, 64) == file.bytes(PAGE, 64, 1);
    judge.fact(if still_old {
        "posix_fadvise left the mapped page as it was"
    } else {
        "posix_fadvise was enough"
    });
    let done = file.invalidate(PAGE, PAGE)?;
    judge.fact(format!(
        "{} folios removed, {} busy",
        done.removed, done.busy
    ));
    let new = |sector: u64| vec![if (8..16).contains(&sector) { 2 } else { 1 }];
    file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), new)?;
    Ok(judge.outcome())
}
