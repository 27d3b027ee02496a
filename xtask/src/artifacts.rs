// SPDX-License-Identifier: GPL-2.0

//! Everything a virtual machine needs, made if it is not there yet.

use crate::bundle::tool::QEMU;
use crate::context::Context;
use crate::{guest, kernel, module, setup};
use anyhow::Result;
use serde::Serialize;
use std::fmt;
use std::path::PathBuf;

/// Which kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Variant {
    /// As users run it: what `run`, `compare` and benchmarks use.
    Base,
    /// With KASAN, lockdep and the other checkers: what `test` uses.
    Debug,
}

impl Variant {
    /// Every variant, in the order in which they are built.
    pub(crate) const ALL: [Self; 2] = [Self::Base, Self::Debug];

    /// The name on the command line and in paths.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Debug => "debug",
        }
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What a virtual machine is made of. All paths are absolute and exist.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Artifacts {
    /// The variant asked for.
    pub(crate) variant: Variant,
    /// The kernel's release, as `uname -r` says it in the guest.
    pub(crate) kernel_release: String,
    /// The bootable kernel.
    pub(crate) kernel_image: PathBuf,
    /// The kernel's build directory, with `vmlinux` and `Module.symvers`.
    pub(crate) build_tree: PathBuf,
    /// `cohfs.ko` built against that kernel.
    pub(crate) module: PathBuf,
    /// The static program that holds the claims.
    pub(crate) claims: PathBuf,
    /// The static first process of the guest.
    pub(crate) init: PathBuf,
    /// The static program that damages images.
    pub(crate) mutants: PathBuf,
    /// A static busybox.
    pub(crate) busybox: PathBuf,
    /// The emulator.
    pub(crate) qemu: PathBuf,
}

/// Makes whatever of [`Artifacts`] is missing or out of date: installs packages, fetches the
/// kernel source, builds the kernel, the module and the guest's programs.
///
/// # Errors
///
/// Carries the exit status 69 if something cannot be had, 101 if something does not build.
pub(crate) fn ensure(ctx: &Context, variant: Variant) -> Result<Artifacts> {
    setup::ensure(ctx)?;
    // Before anything takes its time: without it nothing boots.
    let qemu = QEMU.ensure(ctx)?;
    let kernel = kernel::ensure(ctx, variant)?;
    let kernel_image = kernel.image()?;
    let module = module::build(ctx, &kernel)?;
    let programs = guest::build(ctx)?;
    Ok(Artifacts {
        variant,
        kernel_release: kernel.release,
        kernel_image,
        build_tree: kernel.build_tree,
        module,
        claims: programs.claims,
        init: programs.init,
        mutants: programs.mutants,
        busybox: programs.busybox,
        qemu,
    })
}
