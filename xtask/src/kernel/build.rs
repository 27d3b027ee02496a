// SPDX-License-Identifier: GPL-2.0

//! Building a kernel of our own configuration into the cache.

use super::config::Config;
use super::{Kernel, Make, own};
use crate::artifacts::Variant;
use crate::cache::{Entry, key, read_marker};
use crate::context::Context;
use crate::exit::{build_failed, missing};
use crate::process::{logged, output, tail};
use crate::source::{self, Source};
use crate::{bindgen, toolchain::Toolchain};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// What the marker of a finished build says.
#[derive(Serialize, Deserialize)]
struct Built {
    release: String,
    variant: String,
    tools: String,
    objects: u64,
    seconds: u64,
}

/// Gets the kernel of `variant`: `KDIR=`, the cached build, or a new one.
pub(crate) fn ensure(ctx: &Context, variant: Variant) -> Result<Kernel> {
    if let Some(dir) = &ctx.options.kdir {
        let tools = bindgen::ensure(ctx).and_then(|()| tools(ctx))?;
        return own::inspect(ctx, variant, dir, &tools);
    }
    let plan = Plan::make(ctx, variant)?;
    let entry = plan.entry(ctx)?;
    let tree = entry.dir().join("build");
    let built = match entry.complete::<Built>() {
        // A tree of the user's own may have changed: make finds out.
        Some(built) if !plan.source.mutable => built,
        _ => plan.build(ctx, &entry, &tree)?,
    };
    Ok(Kernel {
        variant,
        release: built.release,
        build_tree: tree,
        key: plan.key,
        make: plan.make,
    })
}

/// Configures the kernel of `variant` and checks that every option took effect. Returns the
/// build directory.
pub(crate) fn configure(ctx: &Context, variant: Variant) -> Result<PathBuf> {
    let plan = Plan::make(ctx, variant)?;
    let entry = plan.entry(ctx)?;
    let tree = entry.dir().join("build");
    // A finished build was checked, and is not to be touched.
    if plan.source.mutable || entry.complete::<Built>().is_none() {
        plan.configure(ctx, &entry, &tree)?;
    }
    Ok(tree)
}

/// The variant and the release of every kernel in the cache that is complete.
pub(crate) fn cached(ctx: &Context) -> Vec<(String, String)> {
    std::fs::read_dir(ctx.cache.path("kernel"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| read_marker::<Built>(&entry.path()))
        .map(|built| (built.variant, built.release))
        .collect()
}

fn tools(ctx: &Context) -> Result<Toolchain> {
    Toolchain::find(&ctx.cache.path("tools"))
}

/// Everything that decides what a build results in.
struct Plan {
    variant: Variant,
    source: Source,
    config: Config,
    identity: String,
    make: Make,
    key: String,
}

impl Plan {
    /// Fetches the source and installs bindgen, at the same time, as far as they are missing.
    fn make(ctx: &Context, variant: Variant) -> Result<Self> {
        let (source, bindgen) = std::thread::scope(|scope| {
            let bindgen = scope.spawn(|| bindgen::ensure(ctx));
            let source = source::ensure(ctx);
            (source, bindgen.join())
        });
        let source = source?;
        bindgen.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        let tools = tools(ctx)?;
        let config = Config::fragments(&ctx.repo, variant)?;
        let identity = tools.identity();
        let key = key(&[&source.identity, &config.text(), &identity, variant.name()]);
        Ok(Self {
            variant,
            source,
            config,
            identity,
            make: Make::llvm(&tools),
            key: format!("{variant}-{key}"),
        })
    }

    fn entry(&self, ctx: &Context) -> Result<Entry> {
        ctx.cache
            .entry(Path::new("kernel").join(&self.key), &ctx.ui)
    }

    fn command(&self, ctx: &Context, tree: &Path) -> std::process::Command {
        let mut make = self.make.command(ctx, &self.source.dir);
        make.arg(format!("O={}", tree.display()));
        make
    }

    fn configure(&self, ctx: &Context, entry: &Entry, tree: &Path) -> Result<()> {
        let title = format!("{} {}", self.variant, self.source.version);
        let step = ctx.ui.step("Kernel", format!("configuring {title}"));
        std::fs::create_dir_all(tree).with_context(|| format!("creating {}", tree.display()))?;
        let fragment = entry.dir().join("fragment.config");
        std::fs::write(&fragment, self.config.text())
            .with_context(|| format!("writing {}", fragment.display()))?;
        let log = entry.dir().join("config.log");
        let mut make = self.command(ctx, tree);
        make.env("KCONFIG_ALLCONFIG", &fragment).arg("allnoconfig");
        if !logged(&mut make, &log, |_| ())?.success() {
            return Err(build_failed(format!(
                "the kernel cannot be configured ({}):{}",
                log.display(),
                tail(&log, 15)
            )));
        }
        // Before the check of options: where Rust is not available, CONFIG_RUST vanishes,
        // and this says why.
        let mut make = self.command(ctx, tree);
        if !logged(make.arg("rustavailable"), &log, |_| ())?.success() {
            return Err(missing(format!(
                "the kernel does not accept these Rust tools ({}):{}",
                self.identity,
                tail(&log, 15)
            )));
        }
        let differences = self
            .config
            .differences(&Config::read(&tree.join(".config"))?);
        if !differences.is_empty() {
            return Err(build_failed(format!(
                "the {} kernel's configuration did not take:\n  {}\n\
                 The fragments are in qemu/config, the result is {}/.config",
                self.variant,
                differences.join("\n  "),
                tree.display()
            )));
        }
        step.done(format_args!("{title} configured: every option took effect"));
        Ok(())
    }

    fn build(&self, ctx: &Context, entry: &Entry, tree: &Path) -> Result<Built> {
        self.configure(ctx, entry, tree)?;
        let began = Instant::now();
        let log = entry.dir().join("build.log");
        let expected = entry
            .complete::<Built>()
            .map_or_else(|| typical_objects(self.variant), |built| built.objects);
        let title = format!("{} {}", self.variant, self.source.version);
        let step = ctx
            .ui
            .counted("Kernel", format!("building {title}"), expected);
        let mut objects = 0;
        let mut make = self.command(ctx, tree);
        make.args(["bzImage", "modules"]);
        let status = logged(&mut make, &log, |line| {
            if is_object(line) {
                objects += 1;
                step.tick();
            }
        })?;
        if !status.success() {
            return Err(build_failed(format!(
                "the {} kernel does not build (all of it: {}):{}",
                self.variant,
                log.display(),
                errors(&log)
            )));
        }
        let mut make = self.command(ctx, tree);
        let release = output(make.args(["-s", "kernelrelease"]))?;
        for needed in ["Module.symvers", "rust/libkernel.rmeta"] {
            if !tree.join(needed).is_file() {
                return Err(build_failed(format!(
                    "the kernel was built, but {} is missing",
                    tree.join(needed).display()
                )));
            }
        }
        let built = Built {
            release,
            variant: self.variant.name().to_owned(),
            tools: self.identity.clone(),
            objects,
            seconds: began.elapsed().as_secs(),
        };
        entry.mark_complete(&built)?;
        step.done(format_args!("{title} built"));
        Ok(built)
    }
}

/// About how many lines make prints for a build from scratch.
const fn typical_objects(variant: Variant) -> u64 {
    match variant {
        Variant::Base => 2400,
        Variant::Debug => 2000,
    }
}

/// Whether a line of make's output announces a step: two blanks and a word in capitals.
fn is_object(line: &str) -> bool {
    line.strip_prefix("  ")
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()))
}

/// The lines of a build log that say what is wrong, or its end.
pub(crate) fn errors(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<_> = text.lines().collect();
    let Some(first) = lines.iter().position(|line| is_error(line)) else {
        return tail(log, 20);
    };
    lines[first..]
        .iter()
        .take(40)
        .filter(|line| !is_object(line))
        .map(|line| format!("\n    {line}"))
        .collect()
}

fn is_error(line: &str) -> bool {
    line.starts_with("error") || line.contains(" error: ") || line.contains("***")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_make_are_counted_and_chatter_is_not() {
        assert!(is_object("  CC      fs/ext2/super.o"));
        assert!(is_object("  RUSTC L rust/kernel.o"));
        assert!(!is_object("make[1]: Entering directory '/x'"));
        assert!(!is_object("  in file included from a.c"));
    }

    #[test]
    fn the_first_error_of_a_log_is_quoted() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::write(
            &log,
            "  CC a.o\na.c:1:2: error: no such thing\n  CC b.o\nmake: ***\n",
        )
        .unwrap();
        assert_eq!(
            errors(&log),
            "\n    a.c:1:2: error: no such thing\n    make: ***"
        );
    }
}
