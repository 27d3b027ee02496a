// SPDX-License-Identifier: GPL-2.0

//! The programs that run inside the virtual machine: static, because nothing of this
//! machine is visible there.

use crate::bundle::tool::BUSYBOX;
use crate::context::Context;
use crate::exit::build_failed;
use crate::process::cargo;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The target, named explicitly so that the flags for it do not reach build scripts.
const TARGET: &str = "x86_64-unknown-linux-gnu";

/// The guest's programs.
pub(crate) struct Programs {
    /// The claims.
    pub(crate) claims: PathBuf,
    /// The first process.
    pub(crate) init: PathBuf,
    /// What damages images.
    pub(crate) mutants: PathBuf,
    /// A shell and small tools.
    pub(crate) busybox: PathBuf,
}

/// A message of cargo, as far as we are interested.
#[derive(Deserialize)]
struct Message {
    target: Option<MessageTarget>,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct MessageTarget {
    name: String,
}

/// Has cargo make programs that need no library.
pub(crate) fn make_static(command: &mut Command) {
    command.args(["--target", TARGET]).env(
        "CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS",
        "-C target-feature=+crt-static",
    );
}

/// Builds the claims and the first process.
pub(crate) fn build(ctx: &Context) -> Result<Programs> {
    let step = ctx.ui.step("Guest", "building its programs");
    let mut command = cargo();
    command
        .current_dir(&ctx.repo)
        .args(["build", "--release"])
        .args(["--package", "cohfs-selftests", "--package", "lab-init"])
        .args(["--package", "lab-mutants"])
        .args(["--message-format", "json-render-diagnostics"])
        .arg("--target-dir")
        .arg(ctx.target().join("guest"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    make_static(&mut command);
    if ctx.options.offline {
        command.arg("--offline");
    }
    let mut child = command.spawn().context("starting cargo")?;
    let stdout = child.stdout.take().expect("it was piped");
    let stderr = child.stderr.take().expect("it was piped");
    let said = std::thread::spawn(move || {
        BufReader::new(stderr)
            .lines()
            .map_while(Result::ok)
            .map(|line| line + "\n")
            .collect::<String>()
    });
    let mut executables = HashMap::new();
    for line in BufReader::new(stdout).lines() {
        let line = line.context("reading what cargo says")?;
        if let Ok(Message {
            target: Some(target),
            executable: Some(path),
        }) = serde_json::from_str(&line)
        {
            executables.insert(target.name, path);
        }
    }
    let status = child.wait().context("waiting for cargo")?;
    let said = said.join().unwrap_or_default();
    if !status.success() {
        return Err(build_failed(format!(
            "the guest's programs do not build:\n{said}"
        )));
    }
    let mut take = |name: &str| {
        executables
            .remove(name)
            .ok_or_else(|| build_failed(format!("cargo built no program named {name}")))
    };
    let programs = Programs {
        claims: take("claims")?,
        init: take("lab-init")?,
        mutants: take("lab-mutants")?,
        busybox: BUSYBOX.ensure(ctx)?,
    };
    step.done("claims, lab-init, lab-mutants");
    Ok(programs)
}
