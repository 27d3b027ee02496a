// SPDX-License-Identifier: GPL-2.0

//! The kernel: configured, built, cached; or one that the user has built.

mod build;
pub(crate) mod config;
mod make;
mod own;

pub(crate) use build::{cached, configure, ensure, errors};
pub(crate) use make::Make;

use crate::artifacts::Variant;
use crate::exit::missing;
use anyhow::Result;
use std::path::PathBuf;

/// A built kernel, ready to have modules built against it.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// The variant it was asked for as.
    pub(crate) variant: Variant,
    /// What `uname -r` says.
    pub(crate) release: String,
    /// The build directory.
    pub(crate) build_tree: PathBuf,
    /// What tells this build from others, short enough for a directory's name.
    pub(crate) key: String,
    /// How make is called for it.
    pub(crate) make: Make,
}

impl Kernel {
    /// The bootable image. A tree that only serves to build modules has none.
    pub(crate) fn image(&self) -> Result<PathBuf> {
        let image = self.build_tree.join("arch/x86/boot/bzImage");
        if image.is_file() {
            return Ok(image);
        }
        Err(missing(format!(
            "{} does not exist: this kernel tree can build the module, but not boot. Build \
             bzImage there, or leave KDIR out",
            image.display()
        )))
    }
}
