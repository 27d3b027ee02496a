// SPDX-License-Identifier: GPL-2.0

//! stress-ng: those of its stressors that work on files, each for a while, and the kernel must
//! not complain.

use super::{Suite, TOOLS, add_tools, tool};
use crate::lab::boot::Lab;
use crate::lab::filesystem::COHFS;
use crate::lab::results::{Status, TestResult};
use crate::lab::test::machine::{Machine, group, result, script};
use crate::lab::test::{Extent, Group, from_step};
use anyhow::Result;
use qemu_runner::{Action, Outcome, Report, Step};

const NAME: &str = "stress-ng";

pub(super) const SUITE: Suite = Suite {
    name: NAME,
    prepare: |ctx| TOOLS.image(ctx).map(drop),
    tests,
};

/// All that work in a directory of a file system on a disk.
const ALL: [&str; 45] = [
    "access",
    "aiol",
    "chattr",
    "chdir",
    "chmod",
    "chown",
    "copy-file",
    "dentry",
    "dir",
    "dirdeep",
    "dirmany",
    "dnotify",
    "fallocate",
    "fcntl",
    "fiemap",
    "file-ioctl",
    "filename",
    "flock",
    "fpunch",
    "fsize",
    "fstat",
    "getdent",
    "handle",
    "hdd",
    "inode-flags",
    "inotify",
    "io",
    "iomix",
    "lease",
    "link",
    "locka",
    "lockf",
    "lockofd",
    "mknod",
    "open",
    "readahead",
    "rename",
    "seek",
    "sendfile",
    "symlink",
    "sync-file",
    "touch",
    "utime",
    "verity",
    "xattr",
];

/// Those that say the most in the shortest time.
const FEW: [&str; 8] = [
    "dentry", "dir", "hdd", "iomix", "link", "rename", "symlink", "touch",
];

/// Statuses of the program that are no failures: success, lack of something, and nothing here
/// to stress.
const STATUSES: [i32; 3] = [0, 3, 4];

/// Runs them, two at a time.
fn tests(lab: &Lab<'_>, extent: Extent) -> Result<Group> {
    let (stressors, seconds): (&[&str], u32) = match extent {
        Extent::Bounded => (&FEW, 3),
        Extent::Full => (&ALL, 60),
    };
    let mut machine = Machine::new(lab, NAME)?;
    add_tools(&mut machine, &TOOLS)?;
    let grace = u64::from(20 * lab.slowdown());
    let mut lanes = Vec::new();
    let disks = ["stress-1k", "stress-4k"];
    for (number, (disk, block_size)) in disks.into_iter().zip([1024, 4096]).enumerate() {
        machine.scratch(disk, &COHFS, block_size, 256)?;
        let every_other = stressors.iter().skip(number).step_by(disks.len());
        lanes.push(
            every_other
                .map(|name| {
                    let text = format!(
                        "{} --{name} 1 --timeout {seconds}s --verify --temp-path /mnt/{disk} 2>&1",
                        tool("stress-ng")
                    );
                    script(name, &text, u64::from(seconds) + grace, &STATUSES)
                })
                .collect(),
        );
    }
    machine
        .steps
        .push(Step::optional("stressors", Action::Together { lanes }));
    let count = u32::try_from(stressors.len()).unwrap_or(u32::MAX);
    let (report, outcome) = machine.boot(60 + count * (seconds + 5))?;
    let tests = stressors.iter().map(|name| judge(name, &report)).collect();
    Ok(group(tests, &outcome))
}

/// A stressor that did not stress says so in its last lines.
fn judge(name: &str, report: &Report) -> TestResult {
    let test = from_step(NAME, name, report, name);
    let step = report.step(name);
    let lines = step.map(|step| step.lines.as_slice()).unwrap_or_default();
    let ended = step.is_some_and(|step| step.outcome == Some(Outcome::AsExpected));
    match skipped(lines) {
        Some(why) if ended => result(NAME, name, Status::Skipped(why), test.time),
        _ => test,
    }
}

/// Why nothing was stressed, if so.
fn skipped(lines: &[String]) -> Option<String> {
    let line = lines.iter().find(|line| line.contains("skipping"))?;
    let (_, why) = line.split_once("] ").unwrap_or(("", line));
    Some(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stressor_that_is_left_out_says_why() {
        let said = |text: &str| skipped(&[format!("stress-ng: info:  [12] {text}")]);
        assert_eq!(said("successful run completed in 1.05s"), None);
        assert_eq!(
            said("verity: not supported, skipping stress test").as_deref(),
            Some("verity: not supported, skipping stress test")
        );
    }
}
