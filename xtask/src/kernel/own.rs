// SPDX-License-Identifier: GPL-2.0

//! A kernel that the user has built: `KDIR=`.
//!
//! A module must be built by the compilers that built the kernel. They are read from the
//! tree's configuration, and a difference is named here rather than found by the compiler.

use super::config::Config;
use super::{Kernel, Make};
use crate::artifacts::Variant;
use crate::cache::key;
use crate::context::Context;
use crate::exit::missing;
use crate::process::find_program;
use crate::source::check_series;
use crate::toolchain::Toolchain;
use crate::version::Version;
use anyhow::{Context as _, Result};
use std::path::Path;

/// Looks at the built tree `dir`.
pub(super) fn inspect(
    ctx: &Context,
    variant: Variant,
    dir: &Path,
    tools: &Toolchain,
) -> Result<Kernel> {
    let tree = dir
        .canonicalize()
        .with_context(|| format!("finding KDIR={}", dir.display()))?;
    let release_file = tree.join("include/config/kernel.release");
    let release = std::fs::read_to_string(&release_file).map_err(|_| {
        missing(format!(
            "{} does not exist: KDIR= takes the build directory of a built kernel",
            release_file.display()
        ))
    })?;
    let release = release.trim().to_owned();
    let version = Version::parse(&release)
        .with_context(|| format!("understanding the kernel release \"{release}\""))?;
    check_series(version, ctx.options.allow_untested)?;

    let config = Config::read(&tree.join("include/config/auto.conf"))?;
    if config.get("CONFIG_RUST") != "y" {
        return Err(missing(format!(
            "{} was built without CONFIG_RUST=y; qemu/config/base.config shows what cohfs needs",
            tree.display()
        )));
    }
    for (needed, why) in [
        ("rust/libkernel.rmeta", "the Rust half of the kernel"),
        ("Module.symvers", "the kernel's symbols"),
    ] {
        if !tree.join(needed).is_file() {
            return Err(missing(format!(
                "{} is missing ({why}): build that kernel to the end first",
                tree.join(needed).display()
            )));
        }
    }
    let built_with = config.get("CONFIG_RUSTC_VERSION_TEXT").trim_matches('"');
    if built_with != tools.rust.text {
        return Err(missing(format!(
            "{} was built with \"{built_with}\", the compiler here is \"{}\": set RUSTC= to the \
             former",
            tree.display(),
            tools.rust.text
        )));
    }
    Ok(Kernel {
        variant,
        release,
        key: format!("kdir-{}", key(&[&tree.to_string_lossy()])),
        make: Make::new(tools, c_compiler(&config)),
        build_tree: tree,
    })
}

/// The variables that name the C compiler of a tree: `LLVM` and `CC` of the environment, or
/// what its configuration says.
fn c_compiler(config: &Config) -> Vec<String> {
    let given: Vec<_> = ["LLVM", "CC"]
        .into_iter()
        .filter_map(|name| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty())?;
            Some(format!("{name}={value}"))
        })
        .collect();
    if !given.is_empty() || config.get("CONFIG_CC_IS_CLANG") != "y" {
        return given;
    }
    // 190107 is clang 19.1.7.
    let release = config
        .get("CONFIG_CLANG_VERSION")
        .parse::<u32>()
        .map_or(0, |version| version / 10_000);
    match find_program(&format!("clang-{release}")) {
        Some(_) => vec![format!("LLVM=-{release}")],
        None => vec!["LLVM=1".to_owned()],
    }
}
