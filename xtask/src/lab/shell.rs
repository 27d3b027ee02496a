// SPDX-License-Identifier: GPL-2.0

//! The verb `shell`: a prompt in the guest, with the module loaded and an image mounted.

use super::accel::{self, Choice};
use super::boot::{self, BUSYBOX, MODULE};
use super::catalogue::{self, DiskKind};
use super::images::{self, Bench, Format};
use crate::artifacts::{self, Variant};
use crate::context::Context;
use crate::exit::{Exit, failure};
use anyhow::{Context as _, Result};
use qemu_runner::{Disk, GuestFile};
use std::path::{Path, PathBuf};

/// What to boot.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The kernel
    #[arg(long, env = "COHFS_VARIANT", default_value = "base")]
    variant: Variant,
    /// An ext2 image of your own, which is written to [default: one with the files of the claims]
    #[arg(long, value_name = "PATH")]
    image: Option<PathBuf>,
}

/// Boots and waits until the person is done.
pub(crate) fn run(ctx: &Context, choice: Choice, arguments: &Arguments) -> Result<Exit> {
    let artifacts = artifacts::ensure(ctx, arguments.variant)?;
    let accel = accel::settle(ctx, choice, &artifacts)?;
    let dir = tempfile::tempdir().context("making a directory for the machine")?;
    let image = match &arguments.image {
        Some(image) => image
            .canonicalize()
            .map_err(|error| failure(Exit::Usage, format!("{}: {error}", image.display())))?,
        None => sample(&artifacts.claims, dir.path())?,
    };
    let rc = dir.path().join("rc");
    std::fs::write(&rc, script()).context("writing the start-up script")?;
    let disk = Disk {
        serial: "disk".to_owned(),
        image,
        ..Disk::default()
    };
    let mut machine = boot::machine(&artifacts, &accel, vec![disk]);
    machine.files.push(GuestFile {
        from: rc,
        to: "/etc/rc".to_owned(),
    });
    ctx.ui.say("Boot", "`exit` ends it");
    let status = qemu_runner::shell(&machine, dir.path())?;
    if status.success() {
        return Ok(Exit::Passed);
    }
    Err(failure(Exit::VmLost, format!("QEMU ended: {status}")))
}

/// An image with the files of every claim that runs on a plain disk.
fn sample(claims: &Path, dir: &Path) -> Result<PathBuf> {
    let plain = catalogue::load(claims)?
        .into_iter()
        .filter(|claim| claim.needs.disk == DiskKind::Plain);
    let bench = Bench {
        format: Format {
            block_size: 4096,
            inode_size: 256,
        },
        kind: DiskKind::Plain,
        claims: plain.map(|claim| claim.id).collect(),
    };
    let image = dir.join("disk.img");
    images::prepare(claims, &bench, &image)?;
    Ok(image)
}

/// What runs before the prompt. An oops leaves the machine up here: there is somebody to look.
fn script() -> String {
    format!(
        "echo 0 > /proc/sys/kernel/panic_on_oops\n\
         export HOME=/ TERM=linux PS1='cohfs:\\w# '\n\
         {BUSYBOX} insmod {MODULE}\n\
         {BUSYBOX} mkdir -p /mnt/cohfs\n\
         {BUSYBOX} mount -t cohfs /dev/vda /mnt/cohfs && cd /mnt/cohfs\n\
         echo\n\
         echo 'cohfs is on /mnt/cohfs; its counters are below /sys/kernel/debug/cohfs'\n\
         echo 'try: claims run --dir . --claim T02'\n"
    )
}
