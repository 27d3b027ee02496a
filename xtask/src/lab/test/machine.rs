// SPDX-License-Identifier: GPL-2.0

//! A machine that works on empty disks: put together, booted, and its images judged.

use super::Group;
use crate::lab::boot::{self, BUSYBOX, Boot, Lab};
use crate::lab::filesystem::FileSystem;
use crate::lab::images::{self, Format};
use crate::lab::outcome::VmOutcome;
use crate::lab::results::{Status, TestResult};
use crate::lab::{compare, plan};
use anyhow::{Context as _, Result};
use qemu_runner::{Action, Disk, Expect, GuestFile, Report, Step};
use std::path::PathBuf;
use std::time::Duration;

/// A machine that is being put together.
pub(super) struct Machine<'a> {
    pub(super) lab: &'a Lab<'a>,
    name: &'static str,
    dir: PathBuf,
    /// How many processors it has.
    pub(super) cpus: u32,
    /// Those to look at when all is over.
    images: Vec<PathBuf>,
    pub(super) disks: Vec<Disk>,
    files: Vec<GuestFile>,
    /// More words for the kernel's command line.
    pub(super) append: Vec<String>,
    pub(super) steps: Vec<Step>,
}

impl<'a> Machine<'a> {
    /// One with the module loaded and nothing else.
    pub(super) fn new(lab: &'a Lab<'a>, name: &'static str) -> Result<Self> {
        let dir = lab.dir.path().join(name);
        std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        Ok(Self {
            lab,
            name,
            dir,
            cpus: boot::SEVERAL,
            images: Vec::new(),
            disks: Vec::new(),
            files: Vec::new(),
            append: Vec::new(),
            steps: vec![plan::insmod()],
        })
    }

    /// Adds an empty file system of that many mebibytes, mounted on `/mnt/NAME`.
    pub(super) fn scratch(
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

    /// Adds a program to the initramfs.
    pub(super) fn program(&mut self, from: PathBuf, to: &str) {
        self.files.push(GuestFile {
            from,
            to: to.to_owned(),
        });
    }

    /// Adds a file with that text to the initramfs.
    pub(super) fn text(&mut self, to: &str, text: &str) -> Result<()> {
        let from = self.dir.join(to.trim_start_matches('/').replace('/', "-"));
        std::fs::write(&from, text).with_context(|| format!("writing {}", from.display()))?;
        self.program(from, to);
        Ok(())
    }

    /// Boots, and looks at the images afterwards. They are kept if anything went wrong.
    pub(super) fn boot(mut self, seconds: u32) -> Result<(Report, VmOutcome)> {
        for disk in self.disks.iter().rev() {
            let serial = &disk.serial;
            self.steps
                .push(plan::umount(serial, &format!("/mnt/{serial}")));
        }
        self.steps.push(plan::rmmod());
        let step = self.lab.ctx.ui.step("Test", self.name);
        let boot = Boot {
            name: self.name.to_owned(),
            cpus: self.cpus,
            disks: self.disks,
            steps: self.steps,
            append: self.append,
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
pub(super) fn script(name: &str, text: &str, timeout: u64, statuses: &[i32]) -> Step {
    let argv = [BUSYBOX, "sh", "-c", text].map(str::to_owned).to_vec();
    Step::optional(name, Action::Run { argv, timeout }).expecting(Expect::Exit(statuses.to_vec()))
}

/// Adds what is left to say about the machine itself.
pub(super) fn group(mut tests: Vec<TestResult>, outcome: &VmOutcome) -> Group {
    tests.push(compare::machine_test(outcome));
    Group::of_machine(tests, outcome)
}

/// Says in a failure of something in a machine where to look.
pub(super) fn told(mut status: Status, report: &Report) -> Status {
    if let Status::Failed(why) = &mut status {
        *why += &format!("\nconsole: {}", report.console.display());
    }
    status
}

/// A test of a suite.
pub(super) fn result(
    suite: &str,
    name: impl Into<String>,
    status: Status,
    time: Duration,
) -> TestResult {
    TestResult {
        suite: suite.to_owned(),
        name: name.into(),
        status,
        time,
        detail: String::new(),
    }
}
