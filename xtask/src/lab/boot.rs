// SPDX-License-Identifier: GPL-2.0

//! Boots machines, as many side by side as this one can carry.

use super::accel;
use super::rundir::RunDir;
use crate::artifacts::{self, Artifacts, Variant};
use crate::context::Context;
use anyhow::{Context as _, Result};
use qemu_runner::{Accel, Deadlines, Disk, Event, GuestFile, Job, Machine, Report, Step};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

/// Memory of a guest, in MiB. KASAN's shadow is an eighth of it on top.
const MEMORY: u32 = 768;

/// Processors of a guest in which several things are to be done at once.
pub(crate) const SEVERAL: u32 = 2;

/// The processor of a guest in which one thing is done after another. Another one would cost as much as it
/// gives: to wake it up is an interrupt, which an emulated processor takes long for.
pub(crate) const ONE: u32 = 1;

/// Where the module is in the guest.
pub(crate) const MODULE: &str = "/lib/cohfs.ko";

/// Where the claims' program is in the guest.
pub(crate) const CLAIMS: &str = "/bin/claims";

/// Where busybox is in the guest.
pub(crate) const BUSYBOX: &str = "/bin/busybox";

/// The lab set up for one run of a verb.
pub(crate) struct Lab<'a> {
    /// The surroundings.
    pub(crate) ctx: &'a Context,
    /// What the machines are made of.
    pub(crate) artifacts: Artifacts,
    /// What runs them.
    pub(crate) accel: Accel,
    /// Where results go.
    pub(crate) dir: RunDir,
    /// Memory of its machines, in MiB.
    pub(crate) memory: u32,
}

/// One machine to boot.
pub(crate) struct Boot {
    /// Its name, and that of its directory of results.
    pub(crate) name: String,
    /// How many processors it has, if it is not for counting.
    pub(crate) cpus: u32,
    /// Its disks; the images are written to.
    pub(crate) disks: Vec<Disk>,
    /// What it does.
    pub(crate) steps: Vec<Step>,
    /// More words for the kernel's command line.
    pub(crate) append: Vec<String>,
    /// More files of the initramfs.
    pub(crate) files: Vec<GuestFile>,
    /// For how long at most, in seconds on a fast machine.
    pub(crate) seconds: u32,
}

impl<'a> Lab<'a> {
    /// Makes everything that is needed and opens a directory for results.
    pub(crate) fn open(ctx: &'a Context, variant: Variant, choice: accel::Choice) -> Result<Self> {
        let artifacts = artifacts::ensure(ctx, variant)?;
        let accel = accel::settle(ctx, choice, &artifacts)?;
        Ok(Self {
            ctx,
            accel,
            dir: RunDir::create(ctx)?,
            artifacts,
            memory: MEMORY,
        })
    }

    /// As [`open`](Self::open), for machines whose time is a count of instructions.
    pub(crate) fn counting(ctx: &'a Context, variant: Variant) -> Result<Self> {
        Ok(Self {
            ctx,
            accel: Accel::counting(),
            dir: RunDir::create(ctx)?,
            artifacts: artifacts::ensure(ctx, variant)?,
            memory: MEMORY,
        })
    }

    /// By how much the guest is slower than a plain kernel under KVM.
    pub(crate) fn slowdown(&self) -> u32 {
        self.accel.slowdown()
            * match self.artifacts.variant {
                Variant::Base => 1,
                Variant::Debug => 3,
            }
    }

    /// Boots one machine and waits for its end. One that does not come up is tried again.
    pub(crate) fn boot(&self, boot: Boot, on_event: &mut dyn FnMut(&Event)) -> Result<Report> {
        let mut machine = machine(&self.artifacts, &self.accel, boot.disks);
        machine.memory = self.memory;
        if !self.accel.is_counting() {
            machine.cpus = boot.cpus;
        }
        if self.artifacts.variant == Variant::Debug && self.accel.name() == "tcg" {
            // A timer that is set is a write to a device, which takes an emulated processor long, and this
            // kernel sets one whenever it goes to sleep and wakes up. With a tick it need not.
            machine
                .append
                .extend(["highres=off", "nohz=off"].map(str::to_owned));
        }
        machine.append.extend(boot.append);
        machine.files.extend(boot.files);
        let job = Job {
            nonce: qemu_runner::accel::nonce(),
            steps: boot.steps,
        };
        let deadlines = Deadlines {
            overall: Duration::from_secs(u64::from(boot.seconds * self.slowdown())),
            silence: Duration::from_secs(u64::from(10 * self.slowdown())),
        };
        let dir = self.dir.path().join(&boot.name);
        let mut tell = |report: &Report, kept: &Path| {
            let fault = report.fault().unwrap_or_default();
            self.ctx.ui.say(
                "Boot",
                format_args!(
                    "{}: {fault}, before it began with its job; once more (console: {})",
                    boot.name,
                    kept.display()
                ),
            );
        };
        qemu_runner::run_persistently(&machine, &job, &deadlines, &dir, on_event, &mut tell)
            .with_context(|| format!("running the machine {}", boot.name))
    }

    /// How many machines run side by side, if there is memory for them: `more` than there are
    /// processors, as machines wait for their slow disks.
    pub(crate) fn at_once(&self, more: usize) -> usize {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let room = available_memory().map_or(1, |mib| mib / (u64::from(MEMORY) + 256));
        (processors + more)
            .min(usize::try_from(room).unwrap_or(1))
            .clamp(1, 5)
    }
}

/// A machine with the module, the claims and busybox in its initramfs.
pub(crate) fn machine(artifacts: &Artifacts, accel: &Accel, disks: Vec<Disk>) -> Machine {
    let file = |from: &PathBuf, to: &str| GuestFile {
        from: from.clone(),
        to: to.to_owned(),
    };
    Machine {
        emulator: artifacts.qemu.clone(),
        kernel: artifacts.kernel_image.clone(),
        init: artifacts.init.clone(),
        files: vec![
            file(&artifacts.module, MODULE),
            file(&artifacts.claims, CLAIMS),
            file(&artifacts.busybox, BUSYBOX),
        ],
        disks,
        cpus: if accel.is_counting() { ONE } else { SEVERAL },
        memory: MEMORY,
        // Some claims write the device under a mounted file system, as another node would.
        append: vec!["bdev_allow_write_mounted=1".to_owned()],
        accel: accel.clone(),
    }
}

/// Does `work` on every item, at most `at_once` at a time, and keeps their order.
pub(crate) fn side_by_side<T: Send, R: Send>(
    items: Vec<T>,
    at_once: usize,
    work: impl Fn(T) -> R + Sync,
) -> Vec<R> {
    let count = items.len();
    let queue = Mutex::new(items.into_iter().enumerate().collect::<VecDeque<_>>());
    let done = Mutex::new((0..count).map(|_| None).collect::<Vec<_>>());
    std::thread::scope(|scope| {
        for _ in 0..at_once.min(count) {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().expect("no worker panics").pop_front();
                    let Some((number, item)) = next else { break };
                    let result = work(item);
                    done.lock().expect("no worker panics")[number] = Some(result);
                }
            });
        }
    });
    let done = done.into_inner().expect("no worker panics");
    done.into_iter()
        .map(|result| result.expect("the queue was emptied"))
        .collect()
}

/// Memory that can be had without swapping, in MiB.
fn available_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_the_order_of_the_items() {
        let squares = side_by_side((0..20).collect(), 3, |number: u32| {
            std::thread::sleep(Duration::from_millis(u64::from(20 - number)));
            number * number
        });
        assert_eq!(
            squares,
            (0..20).map(|number| number * number).collect::<Vec<_>>()
        );
    }
}
