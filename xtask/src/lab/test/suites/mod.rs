// SPDX-License-Identifier: GPL-2.0

//! Programs that others wrote to test file systems, each in a machine of its own: `fsx` and
//! `pjdfstest` from crates, `fio` and `stress-ng` from Debian.

mod fio;
mod fsx;
mod pjdfstest;
mod stress;

use super::{Boots, Extent, Group};
use crate::bundle::{Launcher, Recipe};
use crate::context::Context;
use crate::lab::boot::{BUSYBOX, Boot, Lab};
use crate::lab::filesystem::{EXT2, FileSystem};
use crate::lab::images::{self, Format};
use crate::lab::outcome::VmOutcome;
use crate::lab::results::{Status, TestResult};
use crate::lab::{compare, plan};
use anyhow::{Context as _, Result};
use qemu_runner::{Action, Disk, Expect, GuestFile, Report, Step};
use std::path::PathBuf;
use std::time::Duration;

/// A suite.
struct Suite {
    name: &'static str,
    /// Fetches and builds what it takes.
    prepare: fn(&Context) -> Result<()>,
    tests: fn(&Lab<'_>, Extent) -> Result<Group>,
}

/// All of them, those that take the longest first.
const SUITES: [Suite; 4] = [pjdfstest::SUITE, fsx::SUITE, stress::SUITE, fio::SUITE];

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
) -> Result<Vec<Boots>> {
    let wanted = SUITES.into_iter().filter(|suite| wants(suite.name));
    wanted
        .map(|suite| -> Result<Boots> {
            (suite.prepare)(ctx)?;
            Ok(Box::new(move |lab: &Lab<'_>| (suite.tests)(lab, extent)))
        })
        .collect()
}

/// What the suites take from Debian.
const TOOLS: Recipe = Recipe {
    name: "suites",
    packages: &["fio", "mount", "stress-ng"],
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

/// A machine that is being put together.
struct Machine<'a> {
    lab: &'a Lab<'a>,
    name: &'static str,
    dir: PathBuf,
    /// Those to look at when all is over.
    images: Vec<PathBuf>,
    disks: Vec<Disk>,
    files: Vec<GuestFile>,
    steps: Vec<Step>,
}

impl<'a> Machine<'a> {
    /// One with the module loaded and nothing else.
    fn new(lab: &'a Lab<'a>, name: &'static str) -> Result<Self> {
        let dir = lab.dir.path().join(name);
        std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(Self {
            lab,
            name,
            dir,
            images: Vec::new(),
            disks: Vec::new(),
            files: Vec::new(),
            steps: vec![plan::insmod()],
        })
    }

    /// Adds an empty file system of that many mebibytes, mounted on `/mnt/NAME`.
    fn scratch(
        &mut self,
        name: &str,
        fs: &FileSystem,
        block_size: u32,
        mebibytes: u32,
    ) -> Result<()> {
        let image = self.dir.join(format!("{name}.img"));
        let format = Format {
            block_size,
            inode_size: 256,
        };
        images::make_empty(format, mebibytes, &image)?;
        self.images.push(image.clone());
        self.disks.push(Disk {
            serial: name.to_owned(),
            image,
            ..Disk::default()
        });
        self.steps
            .push(plan::mount(name, name, fs, &format!("/mnt/{name}"), false));
        Ok(())
    }

    /// Adds the bundle's disk.
    fn tools(&mut self, ctx: &Context) -> Result<()> {
        self.disks.push(Disk {
            serial: "tools".to_owned(),
            image: TOOLS.image(ctx)?,
            read_only: true,
            ..Disk::default()
        });
        self.steps
            .push(plan::mount("tools", "tools", &EXT2, TOOLS_DIR, true));
        Ok(())
    }

    /// Adds a program to the initramfs.
    fn program(&mut self, from: PathBuf, to: &str) {
        self.files.push(GuestFile {
            from,
            to: to.to_owned(),
        });
    }

    /// Adds a file with that text to the initramfs.
    fn text(&mut self, to: &str, text: &str) -> Result<()> {
        let from = self.dir.join(to.trim_start_matches('/').replace('/', "-"));
        std::fs::write(&from, text).with_context(|| format!("writing {}", from.display()))?;
        self.program(from, to);
        Ok(())
    }

    /// Boots, and looks at the images afterwards. They are kept if anything went wrong.
    fn boot(mut self, seconds: u32) -> Result<(Report, VmOutcome)> {
        for disk in self.disks.iter().rev() {
            let serial = &disk.serial;
            self.steps
                .push(plan::umount(serial, &format!("/mnt/{serial}")));
        }
        self.steps.push(plan::rmmod());
        let step = self.lab.ctx.ui.step("Test", self.name);
        let boot = Boot {
            name: self.name.to_owned(),
            disks: self.disks,
            steps: self.steps,
            append: Vec::new(),
            files: self.files,
            seconds,
        };
        let report = self.lab.boot(boot, &mut |_| ())?;
        step.done(self.name);
        let mut outcome = VmOutcome::new(self.name, &report);
        for image in &self.images {
            outcome.check_image(image)?;
        }
        if outcome.troubles.is_empty() {
            for image in &self.images {
                std::fs::remove_file(image).context("removing an image")?;
            }
        }
        Ok((report, outcome))
    }
}

/// A step that runs a script of busybox; what it prints comes back. The statuses are those that
/// are no failure.
fn script(name: &str, text: &str, timeout: u64, statuses: &[i32]) -> Step {
    let argv = [BUSYBOX, "sh", "-c", text].map(str::to_owned).to_vec();
    Step::optional(name, Action::Run { argv, timeout }).expecting(Expect::Exit(statuses.to_vec()))
}

/// Adds what is left to say about the machine itself.
fn group(mut tests: Vec<TestResult>, outcome: &VmOutcome) -> Group {
    tests.push(compare::machine_test(outcome));
    Group::of_machine(tests, outcome)
}

/// A test of a suite.
fn result(suite: &str, name: impl Into<String>, status: Status, time: Duration) -> TestResult {
    TestResult {
        suite: suite.to_owned(),
        name: name.into(),
        status,
        time,
        detail: String::new(),
    }
}
