// SPDX-License-Identifier: GPL-2.0

//! Programs that others wrote to test file systems, each in a machine of its own: `fsx` and
//! `pjdfstest` from crates, `fio`, `stress-ng` and the tests of `attr` and `acl` from Debian.

mod attributes;
mod fio;
mod fsx;
mod pjdfstest;
mod stress;

use super::machine::Machine;
use super::{Extent, Group, Job};
use crate::bundle::{Launcher, Recipe};
use crate::context::Context;
use crate::lab::boot::{BUSYBOX, Lab};
use crate::lab::filesystem::EXT2;
use crate::lab::plan;
use anyhow::Result;
use qemu_runner::Disk;

/// A suite.
struct Suite {
    name: &'static str,
    /// Fetches and builds what it takes.
    prepare: fn(&Context) -> Result<()>,
    tests: fn(&Lab<'_>, Extent) -> Result<Group>,
}

/// All of them, those that take the longest first.
const SUITES: [Suite; 5] = [
    pjdfstest::SUITE,
    fsx::SUITE,
    stress::SUITE,
    attributes::SUITE,
    fio::SUITE,
];

/// Whether a filter is the name of a suite.
pub(super) fn is_suite(filter: &str) -> bool {
    SUITES.iter().any(|suite| suite.name == filter)
}

/// The machines of the suites that are asked for. What they take is there when this returns, so
/// that no run ends in its middle for lack of it.
pub(super) fn machines(
    ctx: &Context,
    wants: impl Fn(&str) -> bool,
    extent: Extent,
) -> Result<Vec<Job>> {
    let wanted = SUITES.into_iter().filter(|suite| wants(suite.name));
    wanted
        .map(|suite| -> Result<Job> {
            (suite.prepare)(ctx)?;
            Ok(Box::new(move |lab: &Lab<'_>| (suite.tests)(lab, extent)))
        })
        .collect()
}

/// What the suites take from Debian.
const TOOLS: Recipe = Recipe {
    name: "suites",
    packages: &["fio", "mount", "stress-ng"],
    sources: &[],
    megabytes: 70,
    launchers: &[
        Launcher::plain("usr/bin/fio"),
        Launcher::plain("sbin/losetup"),
        Launcher::plain("usr/bin/stress-ng"),
    ],
};

/// Where the bundle's disk is mounted in the guest.
const TOOLS_DIR: &str = "/mnt/tools";

/// What starts a program of the bundle in the guest.
fn tool(name: &str) -> String {
    format!("{BUSYBOX} sh {TOOLS_DIR}/bin/{name}")
}

/// Adds the disk of a bundle to a machine.
fn add_tools(machine: &mut Machine<'_>, tools: &Recipe) -> Result<()> {
    machine.disks.push(Disk {
        serial: "tools".to_owned(),
        image: tools.image(machine.lab.ctx)?,
        read_only: true,
        ..Disk::default()
    });
    machine
        .steps
        .push(plan::mount("tools", "tools", &EXT2, TOOLS_DIR, true));
    Ok(())
}
