// SPDX-License-Identifier: GPL-2.0

//! Installs bindgen into the cache where the distribution's is too old.

use crate::context::Context;
use crate::exit::{build_failed, missing};
use crate::process::{cargo, logged, tail};
use crate::toolchain::{Bindgen, MIN_BINDGEN};
use anyhow::Result;

/// The release we install.
const VERSION: &str = "0.72.1";

/// Makes sure that there is a bindgen new enough for the kernel.
pub(crate) fn ensure(ctx: &Context) -> Result<()> {
    let root = ctx.cache.path("tools");
    if Bindgen::find(&root).is_some() {
        return Ok(());
    }
    if ctx.options.offline {
        return Err(missing(format!(
            "bindgen {MIN_BINDGEN} or later is missing, and --offline forbids to fetch it"
        )));
    }
    let entry = ctx.cache.entry("tools", &ctx.ui)?;
    // Somebody else may have installed it while we waited for the lock.
    if Bindgen::find(&root).is_some() {
        return Ok(());
    }
    let step = ctx.ui.step("Tools", format!("building bindgen {VERSION}"));
    let log = entry.dir().join("bindgen.log");
    let mut install = cargo();
    install
        .args([
            "install",
            "bindgen-cli",
            "--version",
            VERSION,
            "--locked",
            "--root",
        ])
        .arg(&root)
        .arg("--target-dir")
        .arg(entry.dir().join("bindgen-build"))
        .current_dir(&root);
    if !logged(&mut install, &log, |_| ())?.success() {
        return Err(build_failed(format!(
            "cargo cannot install bindgen {VERSION} ({}):{}",
            log.display(),
            tail(&log, 15)
        )));
    }
    // Only the program is needed from here on.
    let _ = std::fs::remove_dir_all(entry.dir().join("bindgen-build"));
    step.done(format_args!("bindgen {VERSION} installed"));
    Ok(())
}
