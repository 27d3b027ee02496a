// SPDX-License-Identifier: GPL-2.0

//! The verb `doctor`: what this machine lacks, and how to get it.

use crate::artifacts::Variant;
use crate::bundle::tool::{BUSYBOX, QEMU};
use crate::context::Context;
use crate::exit::Exit;
use crate::kernel;
use crate::packages::needs;
use crate::process::find_program;
use crate::setup::install_line;
use crate::source::{self, lock::Pin};
use crate::toolchain::{Bindgen, MIN_BINDGEN};
use anyhow::{Context as _, Result};
use serde::Serialize;
use std::path::Path;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    /// As it should be.
    Ok,
    /// Worth knowing; `test` runs.
    Note,
    /// `test` cannot run.
    Fail,
}

/// One line of the report.
#[derive(Debug, Serialize)]
struct Finding {
    level: Level,
    what: String,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

impl Finding {
    fn new(level: Level, what: &str, detail: impl Into<String>) -> Self {
        Self {
            level,
            what: what.to_owned(),
            detail: detail.into(),
            fix: None,
        }
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

#[derive(Serialize)]
struct Report {
    schema: u32,
    ready: bool,
    findings: Vec<Finding>,
}

/// Prints the report. Passes only if a plain `test` can run.
pub(crate) fn run(ctx: &Context, json: bool, reprobe: bool) -> Result<Exit> {
    if reprobe {
        forget_accelerator(ctx)?;
    }
    let findings = look(ctx)?;
    let failures = count(&findings, Level::Fail);
    let report = Report {
        schema: 1,
        ready: failures == 0,
        findings,
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report.findings);
        match failures {
            0 => println!("ready: `make test` can run"),
            1 => println!("1 problem stops `make test`"),
            _ => println!("{failures} problems stop `make test`"),
        }
    }
    Ok(if report.ready {
        Exit::Passed
    } else {
        Exit::CouldNotRun
    })
}

fn count(findings: &[Finding], level: Level) -> usize {
    findings
        .iter()
        .filter(|finding| finding.level == level)
        .count()
}

fn print(findings: &[Finding]) {
    for finding in findings {
        let level = match finding.level {
            Level::Ok => "ok",
            Level::Note => "note",
            Level::Fail => "FAIL",
        };
        println!("{level:>5}  {:<36} {}", finding.what, finding.detail);
        if let Some(fix) = &finding.fix {
            println!("{:>7}fix: {fix}", "");
        }
    }
}

fn look(ctx: &Context) -> Result<Vec<Finding>> {
    let mut findings = Vec::new();
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        findings.push(Finding::new(
            Level::Fail,
            "machine",
            "the lab runs on x86-64 Linux only",
        ));
    }
    findings.extend(needs().into_iter().map(|need| match need.found {
        Ok(found) => Finding::new(Level::Ok, need.what, found),
        Err(why) => Finding::new(Level::Fail, need.what, why).fix(install_line(&need.packages)),
    }));
    findings.push(match Bindgen::find(&ctx.cache.path("tools")) {
        Some(bindgen) => Finding::new(
            Level::Ok,
            "bindgen",
            format!("{} ({})", bindgen.path.display(), bindgen.text),
        ),
        None => Finding::new(
            Level::Fail,
            "bindgen",
            format!("none of {MIN_BINDGEN} or later"),
        )
        .fix("cargo xtask setup --install  (builds it into the cache, some minutes)"),
    });
    for tool in [QEMU, BUSYBOX] {
        findings.push(match tool.find(ctx) {
            Ok(Some((path, origin))) => Finding::new(
                Level::Ok,
                tool.program,
                format!("{} ({origin})", path.display()),
            ),
            Ok(None) => Finding::new(Level::Note, tool.program, tool.announce()),
            Err(error) => Finding::new(Level::Fail, tool.program, error.to_string()),
        });
    }
    findings.push(kernel_source(ctx)?);
    let built = kernel::cached(ctx);
    for variant in Variant::ALL {
        let releases: Vec<_> = built
            .iter()
            .filter(|(name, _)| name == variant.name())
            .map(|(_, release)| release.as_str())
            .collect();
        findings.push(if releases.is_empty() {
            Finding::new(
                Level::Note,
                &format!("kernel {variant}"),
                "will be built on first use",
            )
        } else {
            Finding::new(Level::Ok, &format!("kernel {variant}"), releases.join(", "))
        });
    }
    findings.push(disk(ctx, built.len())?);
    findings.push(memory());
    findings.push(Finding::new(
        Level::Ok,
        "processors",
        format!("{} jobs of make", ctx.jobs()),
    ));
    findings.push(accelerator(ctx));
    findings.extend(["gdb", "pahole"].map(|name| match find_program(name) {
        Some(path) => Finding::new(Level::Ok, name, path.display().to_string()),
        None => Finding::new(Level::Note, name, "not there; for debugging only"),
    }));
    Ok(findings)
}

fn kernel_source(ctx: &Context) -> Result<Finding> {
    let what = "kernel source";
    if let Some(kdir) = &ctx.options.kdir {
        return Ok(Finding::new(
            Level::Ok,
            what,
            format!("KDIR={}", kdir.display()),
        ));
    }
    if let Some(ksrc) = &ctx.options.ksrc {
        return Ok(Finding::new(
            Level::Ok,
            what,
            format!("KSRC={}", ksrc.display()),
        ));
    }
    let pin = Pin::read(&ctx.repo)?;
    let name = format!("{} {}", pin.package, pin.version);
    Ok(if source::is_cached(ctx, &pin) {
        Finding::new(Level::Ok, what, format!("{name}, in the cache"))
    } else {
        Finding::new(Level::Note, what, format!("{name}, fetched on first use"))
    })
}

/// The source takes 2 GB, a variant's build about 1 GB.
fn disk(ctx: &Context, built: usize) -> Result<Finding> {
    let free = source::free_bytes(ctx.cache.root())? >> 30;
    let needed = if built >= Variant::ALL.len() { 2 } else { 5 };
    let detail = format!("{free} GB free in {}", ctx.cache.root().display());
    Ok(if free >= needed {
        Finding::new(Level::Ok, "disk", detail)
    } else {
        Finding::new(Level::Fail, "disk", detail).fix(format!(
            "make room for {needed} GB, or set COHFS_CACHE_DIR to a larger disk"
        ))
    })
}

fn memory() -> Finding {
    let available = std::fs::read_to_string("/proc/meminfo")
        .ok()
        .and_then(|text| parse_available(&text));
    match available {
        Some(megabytes) if megabytes < 1500 => Finding::new(
            Level::Note,
            "memory",
            format!("{megabytes} MB available; the kernel build takes about 1.5 GB"),
        )
        .fix("fewer jobs: COHFS_JOBS=1"),
        Some(megabytes) => Finding::new(Level::Ok, "memory", format!("{megabytes} MB available")),
        None => Finding::new(Level::Note, "memory", "/proc/meminfo does not say"),
    }
}

fn parse_available(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes >> 10)
}

/// What the last boot found out. Nothing is concluded from `/dev/kvm` being there.
fn accelerator(ctx: &Context) -> Finding {
    let what = "accelerator";
    let verdict = std::fs::read(ctx.cache.path(PROBE))
        .ok()
        .and_then(|bytes| serde_json::from_slice::<serde_json::Value>(&bytes).ok())
        .and_then(|value| Some(value.get("accel")?.get("reason")?.as_str()?.to_owned()));
    match verdict {
        Some(reason) => Finding::new(Level::Ok, what, reason),
        None if Path::new("/dev/kvm").exists() => Finding::new(
            Level::Note,
            what,
            "the first boot finds out whether KVM works",
        ),
        None => Finding::new(Level::Note, what, "QEMU's translator: there is no /dev/kvm"),
    }
}

/// Where the verdict on KVM is kept, in the cache: an object whose `accel` has a `reason`.
pub(crate) const PROBE: &str = "probe.json";

fn forget_accelerator(ctx: &Context) -> Result<()> {
    let path = ctx.cache.path(PROBE);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn available_memory_is_read_in_megabytes() {
        let text = "MemTotal:       24000000 kB\nMemAvailable:    2048000 kB\n";
        assert_eq!(parse_available(text), Some(2000));
        assert_eq!(parse_available(""), None);
    }
}
