// SPDX-License-Identifier: GPL-2.0

//! KVM or QEMU's translator: what the user asked for, or what was seen to work on this machine.

use crate::artifacts::Artifacts;
use crate::cache::{key, write_atomically};
use crate::context::Context;
use crate::doctor::PROBE;
use crate::exit::missing;
use crate::process::{command, output};
use anyhow::{Context as _, Result};
use qemu_runner::{Accel, Machine};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the user asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Choice {
    /// KVM if a guest boots under it, else TCG
    Auto,
    /// KVM, or not at all
    Kvm,
    /// QEMU's own translator
    Tcg,
}

/// What was found once for each kernel, and holds until the machine reboots or QEMU changes.
#[derive(Default, Serialize, Deserialize)]
struct Remembered {
    /// The latest, for `doctor`.
    accel: Option<Accel>,
    /// By what the answer depends on.
    all: BTreeMap<String, Accel>,
}

/// Settles what runs the guests, and says so.
pub(crate) fn settle(ctx: &Context, choice: Choice, artifacts: &Artifacts) -> Result<Accel> {
    let accel = match choice {
        Choice::Tcg => Accel::tcg("asked for"),
        Choice::Auto | Choice::Kvm => probed(ctx, artifacts)?,
    };
    if choice == Choice::Kvm && accel.name() != "kvm" {
        return Err(missing(format!(
            "--accel kvm: {}; leave it out to run under TCG",
            accel.reason()
        )));
    }
    ctx.ui.say(
        "Accel",
        format_args!("{} ({})", accel.name(), accel.reason()),
    );
    Ok(accel)
}

fn probed(ctx: &Context, artifacts: &Artifacts) -> Result<Accel> {
    let key = fingerprint(artifacts)?;
    let file = ctx.cache.path(PROBE);
    let mut remembered = std::fs::read(&file)
        .ok()
        .and_then(|text| serde_json::from_slice::<Remembered>(&text).ok())
        .unwrap_or_default();
    if let Some(accel) = remembered.all.get(&key) {
        return Ok(accel.clone());
    }
    let step = ctx.ui.step("Accel", "trying KVM once");
    let machine = Machine {
        emulator: artifacts.qemu.clone(),
        kernel: artifacts.kernel_image.clone(),
        init: artifacts.init.clone(),
        files: Vec::new(),
        disks: Vec::new(),
        cpus: 1,
        memory: 512,
        append: Vec::new(),
        accel: Accel::tcg(""),
    };
    let dir = tempfile::tempdir().context("making a directory for the trial")?;
    let accel = Accel::probe(&machine, dir.path())?;
    drop(step);
    remembered.accel = Some(accel.clone());
    remembered.all.insert(key, accel.clone());
    write_atomically(&file, &serde_json::to_vec(&remembered)?)?;
    Ok(accel)
}

/// What the answer depends on.
fn fingerprint(artifacts: &Artifacts) -> Result<String> {
    let qemu = &artifacts.qemu;
    let version = output(command(qemu).arg("--version")).context("asking QEMU for its version")?;
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    Ok(key(&[
        boot.trim(),
        &qemu.to_string_lossy(),
        &version,
        &artifacts.kernel_image.to_string_lossy(),
    ]))
}
