// SPDX-License-Identifier: GPL-2.0

//! Building `cohfs.ko` against a kernel. Warnings are errors here.

use crate::cache::Entry;
use crate::context::Context;
use crate::exit::build_failed;
use crate::kernel::{Kernel, errors};
use crate::process::logged;
use anyhow::{Context as _, Result};
use std::path::{Path, PathBuf};

/// Builds the module out of tree and returns its path. Does next to nothing if it is up to
/// date: make decides that.
pub(crate) fn build(ctx: &Context, kernel: &Kernel) -> Result<PathBuf> {
    let out = directory(ctx, kernel);
    make(ctx, kernel, &out, &[])?;
    let module = out.join("cohfs.ko");
    if !module.is_file() {
        return Err(build_failed(format!(
            "make succeeded, but left no {} behind",
            module.display()
        )));
    }
    Ok(module)
}

/// Has clippy, with the kernel's own settings, look at the module.
pub(crate) fn clippy(ctx: &Context, kernel: &Kernel) -> Result<()> {
    // A directory of its own, or the next build would begin from scratch.
    let out = directory(ctx, kernel).with_extension("clippy");
    make(ctx, kernel, &out, &["CLIPPY=1"])
}

/// One directory for each kernel: a module fits no other.
fn directory(ctx: &Context, kernel: &Kernel) -> PathBuf {
    let name = match &ctx.options.kdir {
        Some(_) => &kernel.key,
        None => kernel.variant.name(),
    };
    ctx.target().join("module").join(name)
}

fn make(ctx: &Context, kernel: &Kernel, out: &Path, more: &[&str]) -> Result<()> {
    let entry = Entry::open(out.to_owned(), &ctx.ui)?;
    // The objects of another kernel are not out of date to make, only wrong.
    let stamp = out.join("built-against");
    if std::fs::read_to_string(&stamp).is_ok_and(|key| key != kernel.key) {
        entry.empty()?;
    }
    std::fs::write(&stamp, &kernel.key).with_context(|| format!("writing {}", stamp.display()))?;

    // Kbuild builds nowhere else then, and says so in other words.
    if ctx.repo.join("cohfs.o").exists() {
        return Err(build_failed(format!(
            "{} holds a module that `make KDIR=DIR` built; remove it with `make KDIR=DIR clean`",
            ctx.repo.display()
        )));
    }
    let step = ctx.ui.step(
        "Module",
        format!("building cohfs.ko for {}", kernel.release),
    );
    let log = out.join("build.log");
    let mut make = kernel.make.command(ctx, &kernel.build_tree);
    make.arg(format!("M={}", ctx.repo.display()))
        .arg(format!("MO={}", out.display()))
        .arg("W=e")
        .args(more)
        .arg("modules");
    if !logged(&mut make, &log, |_| ())?.success() {
        return Err(build_failed(format!(
            "the module does not build for {} (all of it: {}):{}",
            kernel.release,
            log.display(),
            errors(&log)
        )));
    }
    step.done(format_args!(
        "cohfs.ko for {} ({})",
        kernel.release, kernel.variant
    ));
    Ok(())
}
