// SPDX-License-Identifier: GPL-2.0

//! The storm: everybody writes, reads, maps, cuts and reclaims a few files at once, and each sector
//! says whether it is what it must be.

use super::machine::{Machine, group};
use super::{Extent, Group, Job, from_step};
use crate::lab::boot::{CLAIMS, Lab};
use crate::lab::filesystem::COHFS;
use anyhow::Result;
use qemu_runner::{Action, Step};

pub(super) const NAME: &str = "storm";

/// Seconds beside the storm itself: to get ready, and to look at everything at the end.
const GRACE: u64 = 240;

/// Blocks smaller than a page, and as large; and what the storm on them depends on.
const KINDS: [(u32, &str); 2] = [(1024, "1"), (4096, "2")];

/// A minute of it in one machine, or an hour in two.
pub(super) fn machines(extent: Extent) -> Vec<Job> {
    let (seconds, machines) = match extent {
        Extent::Bounded => (30, vec![(NAME, &KINDS[..])]),
        Extent::Full => (
            1800,
            vec![("storm-1k", &KINDS[..1]), ("storm-4k", &KINDS[1..])],
        ),
    };
    let machine =
        |(name, kinds)| -> Job { Box::new(move |lab: &Lab<'_>| tests(lab, name, kinds, seconds)) };
    machines.into_iter().map(machine).collect()
}

/// So many seconds of it on each of some kinds of blocks.
fn tests(lab: &Lab<'_>, name: &'static str, kinds: &[(u32, &str)], seconds: u32) -> Result<Group> {
    let mut machine = Machine::new(lab, name)?;
    let mut names = Vec::new();
    for &(block_size, seed) in kinds {
        let disk = format!("{}k", block_size / 1024);
        machine.scratch(&disk, &COHFS, block_size, 16)?;
        let name = format!("{seconds} seconds on blocks of {disk}");
        let argv = [
            CLAIMS,
            "storm",
            "--seconds",
            &seconds.to_string(),
            "--seed",
            seed,
            &format!("/mnt/{disk}"),
        ];
        let run = Action::Run {
            argv: argv.map(str::to_owned).to_vec(),
            timeout: u64::from(seconds) + GRACE,
        };
        machine.steps.push(Step::optional(&name, run));
        names.push(name);
    }
    let count = u32::try_from(kinds.len())?;
    let (report, outcome) = machine.boot(count * seconds + 60)?;
    let tests = names
        .iter()
        .map(|name| from_step(NAME, name, &report, name))
        .collect();
    Ok(group(tests, &outcome))
}
