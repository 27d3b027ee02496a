// SPDX-License-Identifier: GPL-2.0

//! Damages an ext2 image in as many ways as it is told to, and has a file system work on each:
//! mount, walk, write, unmount. Errors are what a damaged image is good for; the kernel must not
//! complain, hang, or keep it mounted, which others watch.
//!
//! `lab-mutants DISK IMAGE FSTYPE FIRST COUNT` works on the virtio disk with the serial DISK; a
//! mutant is what IMAGE becomes by its seed, one of COUNT numbers from FIRST.

mod exercise;
mod layout;
mod mutate;

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};

use crate::exercise::Exercise;
use crate::layout::Layout;

/// Where mutants are mounted.
const DIR: &str = "/mnt/mutant";

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [disk, image, fstype, first, count] = arguments.as_slice() else {
        anyhow::bail!("usage: lab-mutants DISK IMAGE FSTYPE FIRST COUNT");
    };
    let (first, count): (u64, u64) = (first.parse()?, count.parse()?);
    let device = disk_with_serial(disk).with_context(|| format!("no disk {disk}"))?;
    let good = fs::read(image).with_context(|| format!("reading {image}"))?;
    let layout = Layout::read(&good).with_context(|| format!("understanding {image}"))?;
    fs::create_dir_all(DIR).context("making a mount point")?;
    for seed in first..first + count {
        mark(seed)?;
        let mut bytes = good.clone();
        let changes = mutate::mutate(&layout, &mut bytes, seed);
        write(&device, &bytes)?;
        let came_to = try_it(&device, fstype).with_context(|| format!("seed {seed}"))?;
        let changes: Vec<_> = changes.iter().map(ToString::to_string).collect();
        println!("seed {seed}: {came_to}; {}", changes.join(", "));
    }
    Ok(())
}

/// Has the file system work on what is on the device. An error that is returned is one of ours, or
/// a file system that does not let go.
fn try_it(device: &Path, fstype: &str) -> Result<String> {
    if let Err(error) = mount(device, DIR, fstype, MountFlags::empty(), None) {
        return Ok(format!("not mounted ({error})"));
    }
    let exercise = Exercise::run(Path::new(DIR));
    unmount(DIR, UnmountFlags::empty()).context("unmounting")?;
    Ok(exercise.to_string())
}

/// Replaces what is on the device.
fn write(device: &Path, bytes: &[u8]) -> Result<()> {
    let doing = || format!("writing {}", device.display());
    let mut file = File::options()
        .write(true)
        .open(device)
        .with_context(doing)?;
    file.write_all(bytes).with_context(doing)?;
    file.sync_all().with_context(doing)
}

/// Puts the seed before whatever the kernel may have to say from here on.
fn mark(seed: u64) -> Result<()> {
    fs::write("/dev/kmsg", format!("lab: mutant {seed}\n")).context("writing to the kernel's log")
}

/// Finds a virtio disk by its serial.
fn disk_with_serial(serial: &str) -> Option<PathBuf> {
    let blocks = fs::read_dir("/sys/block").ok()?;
    blocks.flatten().find_map(|block| {
        let found = fs::read_to_string(block.path().join("serial")).ok()?;
        (found.trim() == serial).then(|| Path::new("/dev").join(block.file_name()))
    })
}
