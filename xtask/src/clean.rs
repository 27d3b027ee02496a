// SPDX-License-Identifier: GPL-2.0

//! The verb `clean`: removes what can be made again.

use crate::context::Context;
use crate::exit::Exit;
use anyhow::{Context as _, Result};
use std::io::ErrorKind;
use std::path::Path;

/// Removes the module, the guest's programs and the results; with `cache`, also the kernels,
/// their sources and the tools.
pub(crate) fn run(ctx: &Context, cache: bool) -> Result<Exit> {
    let target = ctx.target();
    for dir in ["module", "guest", "lab"] {
        remove(ctx, &target.join(dir))?;
    }
    if cache {
        for dir in ["kernel", "src", "deb", "apt", "bundle", "crate", "tools"] {
            remove(ctx, &ctx.cache.path(dir))?;
        }
    }
    Ok(Exit::Passed)
}

fn remove(ctx: &Context, dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("removing {}", dir.display())),
        Ok(()) => {
            ctx.ui.say("Removed", dir.display());
            Ok(())
        }
    }
}
