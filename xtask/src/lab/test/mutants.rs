// SPDX-License-Identifier: GPL-2.0

//! Damaged images: a program in the guest changes a good one as a seed has it, and has cohfs work
//! on it. Any error will do; a complaint of the kernel, a hang or a mount that stays will not.
//!
//! The kernel's log names the seed before each, and so does what is reported of a complaint.
//! `cargo xtask test mutants --seed N` repeats one.

use super::{Extent, Group, Job};
use crate::lab::boot::{self, Boot, Lab};
use crate::lab::filesystem::COHFS;
use crate::lab::images::{self, Format};
use crate::lab::outcome::VmOutcome;
use crate::lab::{compare, plan};
use anyhow::{Context as _, Result};
use qemu_runner::{Action, Disk, GuestFile, Step};
use std::fs;
use std::ops::Range;
use std::os::unix::fs::{FileExt, symlink};
use std::path::Path;

pub(super) const NAME: &str = "mutants";

/// Where the program is in the guest.
const PROGRAM: &str = "/bin/lab-mutants";

/// The good images: with groups as small as they can be, so that a small image has several.
const IMAGES: [(Format, &str); 2] = [
    (
        Format {
            block_size: 1024,
            inode_size: 128,
        },
        "1024",
    ),
    (
        Format {
            block_size: 4096,
            inode_size: 256,
        },
        "256",
    ),
];

/// The size of an image.
const KIB: u64 = 4 * 1024;

/// How many seeds a step tries, and how long it may take for each on a fast machine, in seconds.
const STEP: u64 = 20;
const SECONDS: u32 = 2;

/// The machines, each with some of the seeds: of two images, 2,000 mutants are 1,000 seeds.
pub(super) fn machines(seed: Option<u64>, extent: Extent) -> Vec<Job> {
    let (first, each, count) = match (seed, extent) {
        (Some(seed), _) => (seed, 1, 1),
        (None, Extent::Bounded) => (0, STEP, 1),
        (None, Extent::Full) => (0, 250, 4),
    };
    (0..count)
        .map(|part| first + part * each)
        .map(|first| -> Job { Box::new(move |lab: &Lab<'_>| tests(lab, first..first + each)) })
        .collect()
}

/// Tries some seeds on every image.
fn tests(lab: &Lab<'_>, seeds: Range<u64>) -> Result<Group> {
    let name = format!("{NAME}-{}", seeds.start);
    let dir = lab.dir.path().join(&name);
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let staging = tempfile::tempdir().context("making a directory for files")?;
    plant(staging.path())?;
    let scratch = dir.join("scratch.img");
    fs::File::create(&scratch)
        .and_then(|file| file.set_len(KIB << 10))
        .with_context(|| format!("making {}", scratch.display()))?;
    let mut files = vec![GuestFile {
        from: lab.artifacts.mutants.clone(),
        to: PROGRAM.to_owned(),
    }];
    let mut steps = vec![plan::insmod()];
    let mut names = Vec::new();
    for (format, blocks_per_group) in IMAGES {
        let image = dir.join(format!("{}.img", format.block_size));
        let arguments = ["-g", blocks_per_group, "-d"].map(AsRef::as_ref);
        let arguments = [&arguments[..], &[staging.path().as_os_str()]].concat();
        images::mke2fs(format, &arguments, KIB, &image)?;
        let to = format!("/images/{}", format.block_size);
        files.push(GuestFile {
            from: image,
            to: to.clone(),
        });
        let mut first = seeds.start;
        while first < seeds.end {
            let count = STEP.min(seeds.end - first);
            let last = first + count - 1;
            let step = format!("seeds {first} to {last}, blocks of {}", format.block_size);
            let argv = [PROGRAM, "scratch", &to, COHFS.fstype].map(str::to_owned);
            let argv = argv
                .into_iter()
                .chain([first.to_string(), count.to_string()]);
            let action = Action::Run {
                argv: argv.collect(),
                timeout: count * u64::from(SECONDS * lab.slowdown()) + 60,
            };
            steps.push(Step::optional(step.clone(), action));
            names.push(step);
            first += count;
        }
    }
    steps.push(plan::rmmod());
    let progress = lab.ctx.ui.step("Test", name.clone());
    let tried = u32::try_from(seeds.end - seeds.start).unwrap_or(u32::MAX);
    let boot = Boot {
        name: name.clone(),
        cpus: boot::ONE,
        disks: vec![Disk {
            serial: "scratch".to_owned(),
            image: scratch.clone(),
            ..Disk::default()
        }],
        steps,
        append: Vec::new(),
        files,
        seconds: 60 + tried * 2 * SECONDS,
    };
    let report = lab.boot(boot, &mut |_| ())?;
    progress.done(&name);
    let outcome = VmOutcome::new(&name, &report);
    let mut tests: Vec<_> = names
        .iter()
        .map(|step| super::from_step(NAME, step, &report, step))
        .collect();
    tests.push(compare::machine_test(&outcome));
    fs::remove_file(&scratch).context("removing an image")?;
    Ok(Group::of_machine(tests, &outcome))
}

/// Plants what has a structure of its own: trees of each depth, a directory of many blocks, links.
/// There are few inodes, so that most changes hit one that is worked on.
fn plant(dir: &Path) -> Result<()> {
    let plant = || -> std::io::Result<()> {
        let sparse = fs::File::create(dir.join("sparse"))?;
        for at in [0, 100 << 10, 1 << 20, 70 << 20] {
            sparse.write_all_at(&[1; 3_000], at)?;
        }
        for (number, size) in (0..).zip([0, 10_000, 400_000]) {
            fs::write(dir.join(format!("file-{number}")), vec![number; size])?;
        }
        symlink("file-1", dir.join("fast-link"))?;
        symlink("x".repeat(200), dir.join("slow-link"))?;
        let deep = dir.join("a").join("b");
        fs::create_dir_all(&deep)?;
        let file = dir.join("file-1");
        (0..60).try_for_each(|number| fs::hard_link(&file, deep.join(format!("{number:0>150}"))))
    };
    plant().with_context(|| format!("planting files in {}", dir.display()))
}
