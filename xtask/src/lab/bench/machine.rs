// SPDX-License-Identifier: GPL-2.0

//! The machine that is measured in: a disk for each file system, all of them alike, filled from an
//! image by the guest.

use super::super::boot::{self, Boot, CLAIMS};
use super::super::filesystem::FileSystem;
use super::super::images::{self, Format};
use super::super::plan;
use super::{Mode, Row};
use crate::exit::{Exit, failure};
use anyhow::Result;
use qemu_runner::{Action, Disk, Step};
use std::ffi::OsStr;
use std::path::Path;

/// The machine's name, and that of its directory of results.
pub(super) const NAME: &str = "bench";

/// The step that measures.
pub(super) const STEP: &str = "measure";

/// Memory in MiB: that of the disks as far as they are written, and of a file of 1 GiB that is cached.
pub(super) const MEMORY: u32 = 3072;

/// The size of a disk in MiB.
const DISK: u32 = 256;

/// How long the machine may take, in seconds on a fast one.
const SECONDS: u32 = 240;

/// How long a step may take, in seconds of the guest. Where instructions are counted, an idle guest's
/// clock jumps: each wait for the image is seconds. The host has a deadline of its own.
const PATIENCE: u64 = 1_000_000;

/// How long a disk of the timed mode takes for a transfer, in nanoseconds.
const LATENCY: u32 = 100_000;

/// An image, and the type of those who mount it.
struct Image {
    fstypes: &'static [&'static str],
    arguments: &'static [&'static str],
}

/// What is put on the disks. That of ext4 is as `mke2fs -t ext4 -O ^has_journal` makes it.
const IMAGES: [Image; 2] = [
    Image {
        fstypes: &["ext2", "cohfs"],
        arguments: &[],
    },
    Image {
        fstypes: &["ext4"],
        arguments: &[
            "-O",
            "extent,huge_file,flex_bg,metadata_csum,64bit,dir_nlink,extra_isize",
            "-E",
            "root_owner=0:0,lazy_itable_init=0",
        ],
    },
];

/// Checks that there is an image for a file system.
pub(super) fn require_image(fs: &FileSystem) -> Result<()> {
    if IMAGES
        .iter()
        .any(|image| image.fstypes.contains(&fs.fstype))
    {
        return Ok(());
    }
    let what = format!("{} cannot be measured: ext2, ext4 and cohfs can", fs.name);
    Err(failure(Exit::Usage, what))
}

/// Puts the machine together; the images are made in `dir`.
pub(super) fn boot(
    mode: Mode,
    filesystems: &[FileSystem],
    rows: &[Row],
    rounds: u32,
    dir: &Path,
) -> Result<Boot> {
    let device = |number: usize| match mode {
        Mode::Counted => format!("/dev/ram{number}"),
        Mode::Timed => format!("/dev/nullb{number}"),
    };
    let run = |argv: Vec<String>| Action::Run {
        argv: [CLAIMS.to_owned()].into_iter().chain(argv).collect(),
        timeout: PATIENCE,
    };
    let mut disks = Vec::new();
    let mut steps = vec![plan::insmod()];
    for image in &IMAGES {
        let numbers = (0..filesystems.len())
            .filter(|&number| image.fstypes.contains(&filesystems[number].fstype));
        let targets: Vec<String> = numbers.map(device).collect();
        if targets.is_empty() {
            continue;
        }
        let path = dir.join(format!("{}.img", image.fstypes[0]));
        make(image, &path)?;
        // The only disks besides those of memory: they are named in their order.
        let name = ["/dev/vda", "/dev/vdb"][disks.len()].to_owned();
        let argv = ["copy-image".to_owned(), name].into_iter().chain(targets);
        steps.push(Step::new(
            format!("fill the disks of {}", image.fstypes.join(" and ")),
            run(argv.collect()),
        ));
        disks.push(Disk {
            serial: image.fstypes[0].to_owned(),
            image: path,
            read_only: true,
            ..Disk::default()
        });
    }
    let mount_point = |fs: &FileSystem| format!("/mnt/{}", fs.name);
    let mut argv: Vec<String> = ["bench", "--mode", mode.name(), "--rounds"]
        .map(str::to_owned)
        .to_vec();
    argv.push(rounds.to_string());
    for (number, fs) in filesystems.iter().enumerate() {
        let dir = mount_point(fs);
        steps.push(plan::mount(fs.name, &device(number), fs, &dir, false));
        argv.extend(["--on".to_owned(), format!("{}={dir}", fs.name)]);
    }
    for row in rows {
        argv.extend(["--row".to_owned(), row.id.clone()]);
    }
    steps.push(Step::optional(STEP, run(argv)));
    steps.extend(
        filesystems
            .iter()
            .map(|fs| plan::umount(fs.name, &mount_point(fs))),
    );
    steps.push(plan::rmmod());
    let count = filesystems.len();
    let append = match mode {
        Mode::Counted => vec![
            format!("brd.rd_nr={count}"),
            format!("brd.rd_size={}", DISK * 1024),
        ],
        Mode::Timed => vec![
            format!("null_blk.nr_devices={count}"),
            "null_blk.gb=1".to_owned(),
            "null_blk.memory_backed=1".to_owned(),
            "null_blk.irqmode=2".to_owned(), // Requests are ended by a timer.
            format!("null_blk.completion_nsec={LATENCY}"),
        ],
    };
    Ok(Boot {
        name: NAME.to_owned(),
        cpus: boot::SEVERAL,
        disks,
        steps,
        append,
        files: Vec::new(),
        seconds: SECONDS,
    })
}

fn make(image: &Image, path: &Path) -> Result<()> {
    let format = Format {
        block_size: 4096,
        inode_size: 256,
    };
    let arguments: Vec<&OsStr> = image.arguments.iter().map(OsStr::new).collect();
    images::mke2fs(format, &arguments, u64::from(DISK) * 1024, path)
}
