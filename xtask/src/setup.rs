// SPDX-License-Identifier: GPL-2.0

//! Installing what is missing.

use crate::bundle::tool::{BUSYBOX, QEMU};
use crate::context::Context;
use crate::exit::{Exit, missing};
use crate::packages::{bindgen_is_offered, is_installed, needs};
use crate::process::{command, find_program, logged, output, tail};
use crate::{bindgen, toolchain::Bindgen};
use anyhow::Result;
use std::process::Command;

/// Installs what a plain `test` needs and this machine lacks. Without the right to do so,
/// the error holds the very command to run.
pub(crate) fn ensure(ctx: &Context) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(missing("the lab runs on x86-64 Linux only"));
    }
    let packages = missing_packages();
    if packages.is_empty() {
        return Ok(());
    }
    install(ctx, packages)
}

/// The verb `setup`: says what is missing, and with `--install` installs it.
pub(crate) fn run(ctx: &Context, really: bool) -> Result<Exit> {
    let packages = missing_packages();
    let no_bindgen = Bindgen::find(&ctx.cache.path("tools")).is_none();
    if really {
        if !packages.is_empty() {
            install(ctx, packages)?;
        }
        bindgen::ensure(ctx)?;
        QEMU.ensure(ctx)?;
        BUSYBOX.ensure(ctx)?;
        println!("everything is installed");
        return Ok(Exit::Passed);
    }
    if packages.is_empty() && !no_bindgen {
        println!("everything is installed");
        return Ok(Exit::Passed);
    }
    if !packages.is_empty() {
        println!("{}", install_line(&packages));
    }
    if no_bindgen && !packages.iter().any(|name| name == "bindgen") {
        println!("# bindgen: `cargo xtask setup --install` builds it into the cache");
    }
    Ok(Exit::CouldNotRun)
}

/// The packages that would bring what is missing, each once.
fn missing_packages() -> Vec<String> {
    let mut packages = Vec::new();
    for need in needs().into_iter().filter(|need| need.found.is_err()) {
        for package in need.packages {
            if !packages.contains(&package) {
                packages.push(package);
            }
        }
    }
    // Where the distribution's bindgen will do, building our own is a waste of time.
    if !packages.is_empty() && bindgen_is_offered() && !is_installed("bindgen") {
        packages.push("bindgen".to_owned());
    }
    packages
}

/// The command for people to copy.
pub(crate) fn install_line(packages: &[String]) -> String {
    format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

fn install(ctx: &Context, packages: Vec<String>) -> Result<()> {
    let by_hand = |why: &str| {
        missing(format!(
            "{why}; this needs, as root:\n  {}",
            install_line(&packages)
        ))
    };
    if find_program("apt-get").is_none() {
        return Err(missing(format!(
            "this machine has no apt: install what brings {}",
            packages.join(", ")
        )));
    }
    if ctx.options.offline {
        return Err(by_hand("--offline forbids to install packages"));
    }
    let root = rustix::process::geteuid().is_root();
    if !root && output(command("sudo").args(["-n", "true"])).is_err() {
        return Err(by_hand(
            "packages are missing, and sudo is not there or asks for a password",
        ));
    }

    let log = ctx.cache.path("setup.log");
    let step = ctx.ui.step("Setup", "apt-get update");
    // A repository of somebody else's may be broken without our minding.
    logged(apt(root).arg("update"), &log, |_| ())?;
    drop(step);
    // With fresh lists another choice may be open: a machine just set up knows no packages.
    let packages = missing_packages();
    ctx.ui.say("Setup", install_line(&packages));
    let step = ctx
        .ui
        .step("Setup", format!("installing {} packages", packages.len()));
    let mut said = String::new();
    let installed = logged(
        apt(root)
            .args(["install", "--yes", "--no-install-recommends", "--no-remove"])
            .args(&packages),
        &log,
        |line| said.extend([line, "\n"]),
    )?;
    if !installed.success() {
        let in_the_way = to_be_removed(&said);
        let why = if in_the_way.is_empty() {
            tail(&log, 10)
        } else {
            format!(
                " it would remove {}, which was installed by somebody else. Decide what to do \
                 without, and install or remove by hand.",
                in_the_way.join(", ")
            )
        };
        return Err(missing(format!(
            "apt-get cannot install {} ({}):{why}",
            packages.join(" "),
            log.display(),
        )));
    }
    step.done("packages installed");
    let still: Vec<_> = needs()
        .into_iter()
        .filter_map(|need| need.found.err())
        .collect();
    if !still.is_empty() {
        return Err(missing(format!(
            "the packages are installed, but still: {}",
            still.join("; ")
        )));
    }
    Ok(())
}

/// The packages that apt says it would have to remove: they follow a headline, indented.
fn to_be_removed(said: &str) -> Vec<&str> {
    said.lines()
        .skip_while(|line| *line != "The following packages will be REMOVED:")
        .skip(1)
        .take_while(|line| line.starts_with(' '))
        .flat_map(str::split_whitespace)
        .collect()
}

/// `apt-get`, asking nothing, waiting for others who use it.
fn apt(root: bool) -> Command {
    let mut apt = command(if root { "env" } else { "sudo" });
    if !root {
        apt.args(["-n", "env"]);
    }
    apt.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"])
        .args(["-o", "DPkg::Lock::Timeout=300", "-o", "Acquire::Retries=3"]);
    apt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_named() {
        let said = "Suggested packages:\n  vde2\nThe following packages will be REMOVED:\n  \
                    qemu-utils other:i386\n  third\nThe following NEW packages will be \
                    installed:\n  seabios\n0 upgraded, 1 newly installed, 3 to remove.\n";
        assert_eq!(to_be_removed(said), ["qemu-utils", "other:i386", "third"]);
        assert!(to_be_removed("E: Unable to locate package").is_empty());
    }
}
