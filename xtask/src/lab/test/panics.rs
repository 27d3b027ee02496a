// SPDX-License-Identifier: GPL-2.0

//! `errors=panic`: a machine that comes upon damage stops, says why, and has noted it on the volume.

use super::Group;
use super::machine::{result, told};
use crate::lab::boot::{self, Boot, CLAIMS, Lab};
use crate::lab::filesystem::{COHFS, FileSystem};
use crate::lab::images::{self, Format};
use crate::lab::plan;
use crate::lab::results::Status;
use anyhow::{Context as _, Result};
use cohfs_model::bad_images::bad_images;
use qemu_runner::{Action, Disk, End, Report, Step};
use std::path::Path;
use std::time::Duration;

pub(super) const NAME: &str = "panic";

/// A directory that is damaged, so that whoever lists it finds out.
const DAMAGE: &str = "entry_len_0";

/// What the kernel says last.
const LAST_WORDS: &str = "vda is damaged, and errors=panic is in force";

/// The state in the super block, and what it says of damage: `s_state` and `EXT2_ERROR_FS`.
const STATE: usize = 1024 + 0x3a;
const ERROR_FS: u8 = 2;

/// Has a machine panic.
pub(super) fn tests(lab: &Lab<'_>) -> Result<Group> {
    let dir = lab.dir.path().join(NAME);
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let image = dir.join("damaged.img");
    damaged(&image)?;
    let fs = FileSystem {
        options: "errors=panic",
        ..COHFS
    };
    let list = Action::Run {
        argv: [CLAIMS, "digest", "--everything", "--dir", "/mnt/damaged"]
            .map(str::to_owned)
            .to_vec(),
        timeout: 60,
    };
    let boot = Boot {
        name: NAME.to_owned(),
        cpus: boot::ONE,
        disks: vec![Disk {
            serial: "damaged".to_owned(),
            image: image.clone(),
            ..Disk::default()
        }],
        steps: vec![
            plan::insmod(),
            plan::mount("damaged", "damaged", &fs, "/mnt/damaged", false),
            Step::new("list", list),
        ],
        append: Vec::new(),
        files: Vec::new(),
        seconds: 30,
    };
    let step = lab.ctx.ui.step("Test", "errors=panic");
    let report = lab.boot(boot, &mut |_| ())?;
    step.done("errors=panic");
    let mut tests = Vec::new();
    for (name, finding) in [
        (
            "damage stops the machine, which says why",
            stopped(&report)?,
        ),
        ("the volume says that it is damaged", noted(&image)?),
    ] {
        let status = match finding {
            None => Status::Passed,
            Some(why) => told(Status::Failed(why), &report),
        };
        let time = Duration::from_secs_f64(report.seconds) / 2;
        tests.push(result(NAME, name, status, time));
    }
    std::fs::remove_file(&image).context("removing an image")?;
    Ok(Group {
        tests,
        ..Group::default()
    })
}

/// Makes an image with a damaged directory.
fn damaged(image: &Path) -> Result<()> {
    let format = Format {
        block_size: 1024,
        inode_size: 128,
    };
    images::make_empty(format, 1, image)?;
    let mut bytes = std::fs::read(image).context("reading an image")?;
    let mut known = bad_images().iter();
    let damage = known.find(|bad| bad.name == DAMAGE);
    damage.context("there is no such damage")?.apply(&mut bytes);
    std::fs::write(image, bytes).context("writing an image")
}

/// Says what is wrong with the machine's end, if anything.
fn stopped(report: &Report) -> Result<Option<String>> {
    if report.end != End::Panicked {
        return Ok(Some(format!("it should panic: {:?}", report.end)));
    }
    let console = std::fs::read(&report.console).context("reading a console")?;
    let told = String::from_utf8_lossy(&console).contains(LAST_WORDS);
    Ok((!told).then(|| format!("the kernel does not say that {LAST_WORDS}")))
}

/// Says what is wrong with the note on the volume, if anything.
fn noted(image: &Path) -> Result<Option<String>> {
    let bytes = std::fs::read(image).context("reading an image")?;
    let noted = bytes.get(STATE).is_some_and(|state| state & ERROR_FS != 0);
    Ok((!noted).then(|| "its super block does not say so".to_owned()))
}
