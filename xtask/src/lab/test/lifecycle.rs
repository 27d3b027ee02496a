// SPDX-License-Identifier: GPL-2.0

//! Load, mount, unmount and unload, again and again: nothing may be left behind.

use super::Group;
use crate::artifacts::Variant;
use crate::lab::boot::{self, Boot, CLAIMS, Lab};
use crate::lab::filesystem::COHFS;
use crate::lab::images::{self, Format};
use crate::lab::outcome::VmOutcome;
use crate::lab::{compare, plan};
use anyhow::{Context as _, Result};
use qemu_runner::{Action, Disk, Step};

const NAME: &str = "lifecycle";

/// How often.
const ROUNDS: u32 = 100;

/// Runs the rounds and looks for leaks.
pub(super) fn tests(lab: &Lab<'_>) -> Result<Group> {
    let dir = lab.dir.path().join(NAME);
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let staging = tempfile::tempdir().context("making a directory for files")?;
    std::fs::write(staging.path().join("file"), vec![7; 100_000]).context("planting a file")?;
    let image = dir.join("plain.img");
    let format = Format {
        block_size: 1024,
        inode_size: 128,
    };
    images::make(format, staging.path(), &image)?;

    let read = Action::Run {
        argv: [CLAIMS, "digest", "--dir", "/mnt/p"]
            .map(String::from)
            .to_vec(),
        timeout: 120,
    };
    let round = vec![
        plan::insmod(),
        plan::mount("p", "plain", &COHFS, "/mnt/p", false),
        Step::new("read", read),
        plan::umount("p", "/mnt/p"),
        plan::rmmod(),
    ];
    // The first round makes what stays for good: caches of the kernel's own.
    let rounds = |name: &str, times| {
        Step::optional(
            name,
            Action::Repeat {
                times,
                steps: round.clone(),
            },
        )
    };
    let mut steps = vec![rounds("first round", 1), rounds("rounds", ROUNDS)];
    // The other one does not look for leaks.
    let looks = lab.artifacts.variant == Variant::Debug;
    if looks {
        steps.push(Step::optional("leaks", Action::Kmemleak));
    }
    let disks = vec![Disk {
        serial: "plain".to_owned(),
        image: image.clone(),
        ..Disk::default()
    }];
    let step = lab.ctx.ui.step("Test", "lifecycle");
    let boot = Boot {
        name: NAME.to_owned(),
        cpus: boot::ONE,
        disks,
        steps,
        append: vec!["kmemleak=on".to_owned()],
        files: Vec::new(),
        seconds: 60,
    };
    let report = lab.boot(boot, &mut |_| ())?;
    step.done("lifecycle");
    let mut outcome = VmOutcome::new(NAME, &report);
    outcome.check_image(&image)?;
    let test = |name, step| super::from_step(NAME, name, &report, step);
    let mut tests = vec![test(
        "load, mount, read, unmount, unload, 100 times",
        "rounds",
    )];
    if looks {
        tests.push(test("nothing is leaked", "leaks"));
    }
    tests.push(compare::machine_test(&outcome));
    if outcome.troubles.is_empty() {
        std::fs::remove_file(&image).context("removing an image")?;
    }
    Ok(Group::of_machine(tests, &outcome))
}
