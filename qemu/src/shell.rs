// SPDX-License-Identifier: GPL-2.0

//! A machine for a person: no job, no judgement, and the console is the terminal.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::ExitStatus;

use anyhow::{Context, Result};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::machine::{Files, Machine};

/// Boots `machine` with the caller's own standard streams as its console, and waits for its end.
/// Init runs `/etc/rc` and gives a prompt; what the machine needs beside it goes to `dir`.
///
/// # Errors
///
/// The files cannot be written, or QEMU cannot be started.
pub fn shell(machine: &Machine, dir: &Path) -> Result<ExitStatus> {
    let files = Files {
        initramfs: dir.join("initramfs.cpio"),
        events: dir.join("events.jsonl"),
        monitor: None,
    };
    machine.write_initramfs(None, &files.initramfs)?;
    let mut command = machine.command(&files);
    // SAFETY: `prctl` is async-signal-safe; the closure allocates nothing.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
    // The machine stays in our process group: another would not get the terminal's input.
    command
        .status()
        .with_context(|| format!("starting {:?}", command.get_program()))
}
