// SPDX-License-Identifier: GPL-2.0

//! The storm: everybody writes, reads, maps, cuts and reclaims a few files at once, and each sector
//! says whether it is what it must be.

use super::machine::{Machine, group};
use super::{Extent, Group, from_step};
use crate::lab::boot::{CLAIMS, Lab};
use crate::lab::filesystem::COHFS;
use anyhow::Result;
use qemu_runner::{Action, Step};

pub(super) const NAME: &str = "storm";

/// Seconds beside the storm itself: to get ready, and to look at everything at the end.
const GRACE: u64 = 240;

/// A minute of it, or an hour, half of it on blocks smaller than a page.
pub(super) fn tests(lab: &Lab<'_>, extent: Extent) -> Result<Group> {
    let seconds: u32 = match extent {
        Extent::Bounded => 30,
        Extent::Full => 1800,
    };
    let mut machine = Machine::new(lab, NAME)?;
    let mut names = Vec::new();
    for (block_size, seed) in [(1024, "1"), (4096, "2")] {
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
    let (report, outcome) = machine.boot(2 * seconds + 60)?;
    let tests = names
        .iter()
        .map(|name| from_step(NAME, name, &report, name))
        .collect();
    Ok(group(tests, &outcome))
}
