// SPDX-License-Identifier: GPL-2.0

//! Images as `mke2fs` makes them with every block and inode size: cohfs and stock ext2 must read
//! the same from each.

use super::Group;
use crate::lab::boot::{self, Boot, Lab};
use crate::lab::filesystem::{COHFS, EXT2};
use crate::lab::images::{self, Format};
use crate::lab::outcome::VmOutcome;
use crate::lab::{compare, plan};
use anyhow::{Context as _, Result};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const NAME: &str = "formats";

const BLOCK_SIZES: [u32; 3] = [1024, 2048, 4096];
const INODE_SIZES: [u32; 2] = [128, 256];

/// Mounts each image with one driver and then with the other.
pub(super) fn tests(lab: &Lab<'_>) -> Result<Group> {
    let dir = lab.dir.path().join(NAME);
    let staging = tempfile::tempdir().context("making a directory for files")?;
    plant(staging.path())?;
    fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let formats = BLOCK_SIZES.into_iter().flat_map(|block_size| {
        INODE_SIZES.map(|inode_size| Format {
            block_size,
            inode_size,
        })
    });
    let mut steps = vec![plan::insmod()];
    let mut disks = Vec::new();
    let mut names = Vec::new();
    for format in formats {
        let name = format!("{}-{}", format.block_size, format.inode_size);
        let image = dir.join(format!("{name}.img"));
        images::make(format, staging.path(), &image)?;
        disks.push(qemu_runner::Disk {
            serial: name.clone(),
            image,
            ..Default::default()
        });
        for (driver, read_only) in [(&COHFS, false), (&EXT2, true)] {
            let name = format!("{name} with {}", driver.name);
            let at = format!("/mnt/{}", name.replace(' ', "-"));
            let serial = name.split(' ').next().unwrap_or_default();
            steps.push(plan::mount(&name, serial, driver, &at, read_only));
            steps.push(plan::digest(&format!("digest {name}"), &at));
            steps.push(plan::umount(&name, &at));
        }
        names.push(name);
    }
    steps.push(plan::rmmod());
    let step = lab.ctx.ui.step("Test", "formats");
    let boot = Boot {
        name: NAME.to_owned(),
        cpus: boot::ONE,
        disks,
        steps,
        append: Vec::new(),
        files: Vec::new(),
        seconds: 40,
    };
    let report = lab.boot(boot, &mut |_| ())?;
    step.done("formats");
    let mut outcome = VmOutcome::new(NAME, &report);
    let mut tests = Vec::new();
    for name in &names {
        let digest = |driver| format!("digest {name} with {driver}");
        let (ours, theirs) = (digest("cohfs"), digest("ext2"));
        if let (Some(ours), Some(theirs)) = (report.step(&ours), report.step(&theirs)) {
            outcome.compare_digests(name, ours, theirs);
        }
        outcome.check_image(&dir.join(format!("{name}.img")))?;
        tests.push(super::from_step(
            NAME,
            &format!("blocks-inodes {name}"),
            &report,
            &ours,
        ));
    }
    tests.push(compare::machine_test(&outcome));
    if outcome.troubles.is_empty() {
        names
            .iter()
            .for_each(|name| drop(fs::remove_file(dir.join(format!("{name}.img")))));
    }
    Ok(Group::of_machine(tests, &outcome))
}

/// Plants files of every kind that the format treats in a way of its own.
fn plant(dir: &Path) -> Result<()> {
    let plant = || -> std::io::Result<()> {
        // Direct, indirect and doubly indirect blocks, for every block size.
        for (name, size) in [
            ("empty", 0),
            ("short", 1),
            ("page", 4096),
            ("indirect", 200_000),
            ("double", 5_000_000),
        ] {
            let bytes: Vec<u8> = (0..size)
                .map(|at: usize| (at / 7 % 251) as u8 + 1)
                .collect();
            fs::write(dir.join(name), bytes)?;
        }
        let sparse = fs::File::create(dir.join("sparse"))?;
        std::os::unix::fs::FileExt::write_all_at(&sparse, b"far out", 40_000_000)?;
        fs::set_permissions(dir.join("short"), fs::Permissions::from_mode(0o4711))?;
        symlink("short", dir.join("fast-link"))?;
        symlink("x".repeat(200), dir.join("slow-link"))?;
        let deep = dir.join("a").join("b").join("c".repeat(255));
        fs::create_dir_all(&deep)?;
        (0..300).try_for_each(|number| fs::write(deep.join(format!("file {number}")), [1; 10]))
    };
    plant().with_context(|| format!("planting files in {}", dir.display()))
}
