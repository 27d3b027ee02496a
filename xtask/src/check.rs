// SPDX-License-Identifier: GPL-2.0

//! The verbs `tidy` and `check`: everything that looks at the source without running it.

use crate::context::Context;
use crate::exit::{Exit, missing};
use crate::process::{cargo, command};
use crate::toolchain::RustPair;
use crate::{source, tidy};
use anyhow::{Context as _, Result};
use std::process::{Command, Stdio};

/// One way of looking at the source.
pub(crate) struct Check {
    /// Its name in reports.
    pub(crate) name: &'static str,
    /// Returns what it found, or `None`. An error means that it could not look.
    pub(crate) run: fn(&Context) -> Result<Option<String>>,
}

/// All checks, the quickest first.
pub(crate) const CHECKS: [Check; 4] = [
    Check {
        name: "tidy",
        run: tidy::findings,
    },
    Check {
        name: "host_rustfmt",
        run: host_rustfmt,
    },
    Check {
        name: "module_rustfmt",
        run: module_rustfmt,
    },
    Check {
        name: "host_clippy",
        run: host_clippy,
    },
];

/// Runs checks and prints what they find.
pub(crate) fn run(ctx: &Context, checks: &[Check]) -> Result<Exit> {
    let mut exit = Exit::Passed;
    for check in checks {
        let step = ctx.ui.step("Check", check.name);
        match (check.run)(ctx).with_context(|| format!("the check {}", check.name))? {
            None => step.done(check.name),
            Some(findings) => {
                drop(step);
                println!("{findings}");
                ctx.ui.say("FAILED", check.name);
                exit = Exit::Failed;
            }
        }
    }
    Ok(exit)
}

fn host_rustfmt(ctx: &Context) -> Result<Option<String>> {
    found(
        cargo()
            .current_dir(&ctx.repo)
            .args(["fmt", "--all", "--check"]),
    )
}

/// The module is formatted as the kernel's own settings say, by the formatter that belongs
/// to the kernel's compiler.
fn module_rustfmt(ctx: &Context) -> Result<Option<String>> {
    let rust = RustPair::find().map_err(|reasons| missing(reasons.join("; ")))?;
    let settings = source::ensure(ctx)?.dir.join(".rustfmt.toml");
    found(
        command(rust.bin.join("rustfmt"))
            .args(["--edition", "2021", "--check", "--config-path"])
            .arg(settings)
            .arg(ctx.repo.join("rust/cohfs_main.rs")),
    )
}

fn host_clippy(ctx: &Context) -> Result<Option<String>> {
    found(
        cargo()
            .current_dir(&ctx.repo)
            .args(["clippy", "--quiet", "--workspace", "--all-targets"])
            .arg("--target-dir")
            .arg(ctx.target().join("clippy"))
            .args(["--", "-D", "warnings"]),
    )
}

/// Runs a command whose failure is a finding.
fn found(command: &mut Command) -> Result<Option<String>> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(None);
    }
    let text = |bytes| String::from_utf8_lossy(bytes).trim().to_owned();
    let (said, complained) = (text(&output.stdout), text(&output.stderr));
    if complained.contains("is not installed") || complained.contains("no such command") {
        return Err(missing(complained));
    }
    Ok(Some(format!("{said}\n{complained}").trim().to_owned()))
}
