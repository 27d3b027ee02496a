// SPDX-License-Identifier: GPL-2.0

//! A virtual machine: what it is made of, and the QEMU command for it.

use std::fs::File;
use std::io::{self, BufWriter};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use lab_proto::{JOB_PATH, Job};
use serde_json::json;

use crate::accel::Accel;
use crate::cpio::Archive;

/// A machine that can be booted.
#[derive(Clone, Debug)]
pub struct Machine {
    /// QEMU's `qemu-system-x86_64`.
    pub emulator: PathBuf,
    /// The kernel, a `bzImage`.
    pub kernel: PathBuf,
    /// The program that is `/init`.
    pub init: PathBuf,
    /// Other files of the initramfs.
    pub files: Vec<GuestFile>,
    /// Disks, in the order of their names in the guest.
    pub disks: Vec<Disk>,
    /// Number of CPUs.
    pub cpus: u32,
    /// Memory in MiB.
    pub memory: u32,
    /// More words for the kernel's command line.
    pub append: Vec<String>,
    /// What runs the guest's instructions.
    pub accel: Accel,
}

/// A file of the host that the guest finds in its initramfs. It is executable.
#[derive(Clone, Debug)]
pub struct GuestFile {
    /// Path on the host.
    pub from: PathBuf,
    /// Path in the guest.
    pub to: String,
}

/// A virtio disk on an image of the host, which the guest writes to.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    /// By which the guest finds it; at most 20 bytes.
    pub serial: String,
    /// The image.
    pub image: PathBuf,
    /// Whether the guest may only read it.
    pub read_only: bool,
    /// At most so many reads a second.
    pub reads_per_second: Option<u32>,
    /// At most so many writes a second.
    pub writes_per_second: Option<u32>,
    /// Where it fails.
    pub errors: Vec<ErrorRange>,
}

/// Sectors on which every read, or every write, fails with an I/O error.
#[derive(Clone, Copy, Debug)]
pub struct ErrorRange {
    /// The first sector, of 512 bytes.
    pub first: u64,
    /// How many.
    pub count: u64,
    /// Whether writes fail; otherwise reads do.
    pub writes: bool,
}

/// Where a run keeps its files.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) initramfs: PathBuf,
    pub(crate) events: PathBuf,
    /// Where the monitor listens, if it does.
    pub(crate) monitor: Option<PathBuf>,
}

impl Machine {
    /// Writes the initramfs; without a job init gives a prompt.
    pub(crate) fn write_initramfs(&self, job: Option<&Job>, to: &Path) -> Result<()> {
        let write = || -> io::Result<()> {
            let mut archive = Archive::new(BufWriter::new(File::create(to)?))?;
            archive.file("/init", &std::fs::read(&self.init)?)?;
            for file in &self.files {
                archive.file(&file.to, &std::fs::read(&file.from)?)?;
            }
            if let Some(job) = job {
                archive.file(JOB_PATH, &serde_json::to_vec(job)?)?;
            }
            archive.finish().map(drop)
        };
        write().with_context(|| format!("writing the initramfs {}", to.display()))
    }

    /// The command that boots the machine; the console is its standard output.
    pub(crate) fn command(&self, files: &Files) -> Command {
        let mut command = Command::new(&self.emulator);
        command.args([
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-no-reboot",
        ]);
        // Of the PC's two chip sets, the one whose ACPI tables say how interrupts are routed. The
        // other computes it, for each device anew, in half a minute each under KASAN on a busy host.
        command.args([
            "-M",
            "q35",
            // Nothing is plugged in later, and what the tables say about it takes the kernel long.
            "-global",
            "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
            "-m",
            &format!("{}M", self.memory),
            "-smp",
            &self.cpus.to_string(),
        ]);
        command.args(self.accel.arguments());
        command
            .arg("-kernel")
            .arg(&self.kernel)
            .arg("-initrd")
            .arg(&files.initramfs);
        command.args(["-append", &self.command_line()]);
        command.args([
            "-chardev",
            "stdio,id=console,signal=off",
            "-serial",
            "chardev:console",
        ]);
        command.args([
            "-chardev",
            &format!("file,id=events,path={}", escape(&files.events)),
        ]);
        command.args(["-serial", "chardev:events"]);
        if let Some(monitor) = &files.monitor {
            command.args([
                "-qmp",
                &format!("unix:{},server=on,wait=off", escape(monitor)),
            ]);
        }
        for (number, disk) in self.disks.iter().enumerate() {
            command.args(["-drive", &disk.drive(number)]);
            command.args([
                "-device",
                &format!("virtio-blk-pci,drive=disk{number},serial={}", disk.serial),
            ]);
        }
        command
    }

    fn command_line(&self) -> String {
        // Nobody types on the console of a job: a panic ends the machine, and it says why first.
        // The time before each line tells what the kernel says from what programs print.
        let mut words = vec![
            "console=ttyS0",
            "panic=-1",
            "oops=panic",
            "loglevel=6",
            "printk.devkmsg=on",
            "printk.time=1",
            // On a busy host the check whether the timer ticks may find that it does not.
            "no_timer_check",
            // What nobody here looks at and a debug kernel takes seconds to make: the directories of
            // slab caches and of built-in code in sysfs, and more loop and memory disks than anybody
            // takes. A run that wants memory disks asks for them.
            "initcall_blacklist=slab_late_init,param_sysfs_builtin_init",
            "brd.rd_nr=0",
            "loop.max_loop=1",
        ];
        if self.accel.name() == "tcg" {
            // A busy host may not run the guest's CPUs for a while. A minute or two is a lockup.
            words.extend(["watchdog_thresh=60", "rcupdate.rcu_cpu_stall_timeout=120"]);
            // What is at the same address in each process is translated once. And a page whose code was
            // translated for thousands of addresses is slow to write to when it holds data later.
            words.push("norandmaps");
        }
        if self.accel.is_counting() {
            // Checked against the other clocks, the counter would be found wanting. What is hashed
            // by its address is to be hashed alike in each boot.
            words.extend(["tsc=reliable", "nokaslr"]);
        }
        words.extend(self.append.iter().map(String::as_str));
        words.join(" ")
    }
}

impl Disk {
    fn drive(&self, number: usize) -> String {
        let mut drive = format!("if=none,id=disk{number},cache=unsafe");
        if self.errors.is_empty() {
            drive += &format!(",format=raw,file={}", escape(&self.image));
        } else {
            drive += &format!(
                ",file=json:{}",
                self.failing().to_string().replace(',', ",,")
            );
        }
        for (key, limit) in [
            ("read", self.reads_per_second),
            ("write", self.writes_per_second),
        ] {
            if let Some(limit) = limit {
                drive += &format!(",throttling.iops-{key}={limit}");
            }
        }
        if self.read_only {
            drive += ",readonly=on";
        }
        drive
    }

    /// The image behind QEMU's `blkdebug`, which fails requests that touch a sector: one rule each.
    fn failing(&self) -> serde_json::Value {
        let rules = self.errors.iter().flat_map(|range| {
            (range.first..range.first + range.count).map(|sector| {
                let kind = if range.writes { "write" } else { "read" };
                json!({"event": "none", "iotype": kind, "errno": 5, "sector": sector})
            })
        });
        let image = json!({"driver": "file", "filename": self.image});
        let failing = json!({
            "driver": "blkdebug", "inject-error": rules.collect::<Vec<_>>(), "image": image
        });
        json!({"driver": "raw", "file": failing})
    }
}

/// A path inside an option of QEMU's, where a comma has a meaning.
fn escape(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_says_how_slow_it_is() {
        let disk = Disk {
            image: "/a,b".into(),
            writes_per_second: Some(2),
            ..Disk::default()
        };
        assert_eq!(
            disk.drive(0),
            "if=none,id=disk0,cache=unsafe,format=raw,file=/a,,b,throttling.iops-write=2"
        );
    }

    #[test]
    fn an_error_range_has_a_rule_for_each_sector() {
        let range = ErrorRange {
            first: 8,
            count: 2,
            writes: false,
        };
        let disk = Disk {
            errors: vec![range],
            ..Disk::default()
        };
        let rules = disk.failing()["file"]["inject-error"].clone();
        assert_eq!(
            rules[1],
            json!({"event": "none", "iotype": "read", "errno": 5, "sector": 9})
        );
        assert!(rules.get(2).is_none());
    }
}
