// SPDX-License-Identifier: GPL-2.0

//! Programs that are crates, each of one version, built into the cache.

use crate::cache::{Entry, key};
use crate::context::Context;
use crate::exit::{build_failed, missing};
use crate::guest;
use crate::process::{cargo, logged, tail};
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A program for the guest, named as its crate is.
pub(crate) struct Crate {
    /// The crate.
    pub(crate) name: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
}

impl Crate {
    /// The static program, built unless it is in the cache.
    pub(crate) fn ensure(&self, ctx: &Context) -> Result<PathBuf> {
        let key = key(&[self.name, self.version]);
        let entry = Path::new("crate").join(format!("{}-{key}", self.name));
        let entry = ctx.cache.entry(entry, &ctx.ui)?;
        let program = entry.dir().join("bin").join(self.name);
        if entry.complete::<String>().is_some() {
            return Ok(program);
        }
        if ctx.options.offline {
            return Err(missing(format!(
                "{} {} is not in the cache {}, and --offline forbids to fetch it",
                self.name,
                self.version,
                ctx.cache.root().display()
            )));
        }
        install(ctx, &entry, self.name, self.version, guest::make_static)?;
        entry.mark_complete(&self.version)?;
        Ok(program)
    }
}

/// Builds the programs of a crate into `bin` of a cache entry; `adapt` changes the command.
pub(crate) fn install(
    ctx: &Context,
    entry: &Entry,
    name: &str,
    version: &str,
    adapt: impl FnOnce(&mut Command),
) -> Result<()> {
    let step = ctx
        .ui
        .step("Tools", format!("building {name} {version} from its crate"));
    let (log, build) = (
        entry.dir().join(format!("{name}.log")),
        entry.dir().join(format!("{name}-build")),
    );
    let mut command = cargo();
    command
        .args(["install", name, "--version", &format!("={version}")])
        .args(["--locked", "--root"])
        .arg(entry.dir())
        .arg("--target-dir")
        .arg(&build)
        .current_dir(entry.dir());
    adapt(&mut command);
    if !logged(&mut command, &log, |_| ())?.success() {
        return Err(build_failed(format!(
            "cargo cannot install {name} {version} ({}):{}",
            log.display(),
            tail(&log, 15)
        )));
    }
    // Only the program is needed from here on.
    let _ = std::fs::remove_dir_all(build);
    step.done(format_args!("{name} {version}"));
    Ok(())
}
