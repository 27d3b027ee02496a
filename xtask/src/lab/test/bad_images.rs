// SPDX-License-Identifier: GPL-2.0

//! Images that must be refused: with the right error, one line that says why, and not a byte of
//! them changed.

use super::Group;
use crate::lab::boot::{self, BUSYBOX, Boot, CLAIMS, Lab};
use crate::lab::filesystem::COHFS;
use crate::lab::images::{self, Format};
use crate::lab::outcome::VmOutcome;
use crate::lab::{compare, plan};
use anyhow::{Context as _, Result};
use cohfs_model::bad_images::{BadImage, Expect as Bad, bad_images};
use qemu_runner::{Action, Expect, GuestFile, Step};

const NAME: &str = "bad-images";

/// Where the image under test is mounted, if it is.
const DIR: &str = "/mnt/bad";

/// Tries every bad image in one machine, each on a loop device.
pub(super) fn tests(lab: &Lab<'_>) -> Result<Group> {
    let staging = tempfile::tempdir().context("making a directory for files")?;
    std::fs::write(staging.path().join("file"), vec![7; 30_000]).context("planting a file")?;
    let work = tempfile::tempdir().context("making a directory for images")?;
    let good = work.path().join("good");
    images::make(
        Format {
            block_size: 1024,
            inode_size: 128,
        },
        staging.path(),
        &good,
    )?;
    let good = std::fs::read(&good).context("reading the good image")?;

    let mut steps = vec![plan::insmod()];
    let mut files = Vec::new();
    for bad in bad_images() {
        let mut bytes = good.clone();
        bad.apply(&mut bytes);
        let from = work.path().join(bad.name);
        std::fs::write(&from, bytes).with_context(|| format!("writing {}", from.display()))?;
        files.push(GuestFile {
            from,
            to: format!("/bad/{}", bad.name),
        });
        steps.extend(try_image(bad));
    }
    steps.push(plan::rmmod());
    let step = lab.ctx.ui.step("Test", "bad images");
    let boot = Boot {
        name: NAME.to_owned(),
        cpus: boot::ONE,
        disks: Vec::new(),
        steps,
        append: Vec::new(),
        files,
        seconds: 60,
    };
    let report = lab.boot(boot, &mut |_| ())?;
    step.done("bad images");
    let outcome = VmOutcome::new(NAME, &report);
    let mut tests = Vec::new();
    for bad in bad_images() {
        for what in ["outcome", "log", "unchanged"] {
            let name = format!("{} {what}", bad.name);
            tests.push(super::from_step(NAME, &name, &report, &name));
        }
    }
    tests.push(compare::machine_test(&outcome));
    Ok(Group::of_machine(tests, &outcome))
}

/// The steps for one image.
fn try_image(bad: &BadImage) -> Vec<Step> {
    let name = |what: &str| format!("{} {what}", bad.name);
    let shell = |what: &str, script: String| {
        let argv = vec![BUSYBOX.to_owned(), "sh".to_owned(), "-c".to_owned(), script];
        Step::optional(name(what), Action::Run { argv, timeout: 60 })
    };
    let box_ = BUSYBOX;
    let attach = format!(
        "{box_} dmesg -c >/dev/null; {box_} cp /bad/{0} /tmp/image && {box_} losetup /dev/loop0 /tmp/image",
        bad.name
    );
    let mount = |what: &str, read_only| {
        let step = plan::mount("", "/dev/loop0", &COHFS, DIR, read_only);
        Step {
            name: name(what),
            required: false,
            ..step
        }
    };
    let mut steps = vec![shell("attach", attach)];
    match bad.expect {
        Bad::Einval | Bad::Euclean => {
            let errno = if bad.expect == Bad::Einval {
                "EINVAL"
            } else {
                "EUCLEAN"
            };
            steps.push(mount("outcome", false).expecting(Expect::Errno(errno.to_owned())));
        }
        Bad::RoOnly => {
            steps.push(mount("for writing", false).expecting(Expect::Errno("EINVAL".to_owned())));
            steps.push(mount("outcome", true));
            steps.push(Step {
                name: name("unmount"),
                ..plan::umount("", DIR)
            });
        }
        Bad::EucleanOnList => {
            steps.push(mount("mount", true));
            let list = format!(
                "! {CLAIMS} digest --everything --dir {DIR} 2>/tmp/why && {box_} grep -q 'needs cleaning' /tmp/why"
            );
            steps.push(shell("outcome", list));
            steps.push(Step {
                name: name("unmount"),
                ..plan::umount("", DIR)
            });
        }
    }
    steps.push(shell(
        "log",
        format!("{box_} dmesg | {box_} grep -F -- '{}'", bad.needle),
    ));
    steps.push(shell(
        "unchanged",
        format!(
            "{box_} losetup -d /dev/loop0; {box_} cmp /bad/{} /tmp/image",
            bad.name
        ),
    ));
    steps
}
