// SPDX-License-Identifier: GPL-2.0

//! How make is called, for the kernel and for modules alike: with the same tools, spelt the
//! same way, or the kernel's build system takes them for different ones.

use crate::context::Context;
use crate::process::command;
use crate::toolchain::Toolchain;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The variables and the environment of every call of make for one kernel.
#[derive(Clone, Debug)]
pub(crate) struct Make {
    variables: Vec<String>,
    search_path: OsString,
    libclang: PathBuf,
}

impl Make {
    /// Everything by LLVM, with reproducible stamps.
    pub(crate) fn llvm(tools: &Toolchain) -> Self {
        Self::new(tools, vec![format!("LLVM=-{}", tools.llvm.release)])
    }

    /// The C compiler as `c_compiler` says in make's words, the rest as for our own kernels.
    pub(crate) fn new(tools: &Toolchain, c_compiler: Vec<String>) -> Self {
        let mut variables = c_compiler;
        variables.extend(tools.rust_variables());
        variables.extend(
            [
                "KBUILD_BUILD_TIMESTAMP=2026-01-01",
                "KBUILD_BUILD_VERSION=1",
                "KBUILD_BUILD_USER=lab",
                "KBUILD_BUILD_HOST=cohfs",
            ]
            .map(str::to_owned),
        );
        Self {
            variables,
            search_path: tools.search_path(),
            libclang: tools.llvm.libclang.clone(),
        }
    }

    /// `make -C dir` with all jobs, to be completed by goals.
    pub(crate) fn command(&self, ctx: &Context, dir: &Path) -> Command {
        let mut make = command("make");
        make.env("PATH", &self.search_path)
            .env("LIBCLANG_PATH", &self.libclang)
            .arg("-C")
            .arg(dir)
            .arg(format!("-j{}", ctx.jobs()))
            .args(&self.variables);
        make
    }
}
