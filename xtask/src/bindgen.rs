// SPDX-License-Identifier: GPL-2.0

//! Installs bindgen into the cache where the distribution's is too old.

use crate::context::Context;
use crate::crates;
use crate::exit::missing;
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
    crates::install(ctx, &entry, "bindgen-cli", VERSION, |_| ())
}
