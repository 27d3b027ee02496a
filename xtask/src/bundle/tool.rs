// SPDX-License-Identifier: GPL-2.0

//! Programs that come from the machine if it has them, and otherwise from a bundle.

use super::{Launcher, Recipe};
use crate::context::Context;
use crate::exit::missing;
use crate::process::{command, find_program, is_executable, output};
use anyhow::{Context as _, Result};
use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

/// A program, and where it may come from.
pub(crate) struct Tool {
    /// The program.
    pub(crate) program: &'static str,
    /// The variable that names one to use instead.
    variable: Option<&'static str>,
    /// Whether one on the search path will do.
    will_do: fn(&Path) -> bool,
    /// The bundle that holds one.
    recipe: Recipe,
}

/// The emulator.
pub(crate) const QEMU: Tool = Tool {
    program: "qemu-system-x86_64",
    variable: Some("COHFS_QEMU"),
    will_do: |_| true,
    recipe: Recipe {
        name: "qemu",
        packages: &["qemu-system-x86"],
        sources: &[],
        megabytes: 80,
        launchers: &[Launcher {
            program: "usr/bin/qemu-system-x86_64",
            environment: &[("QEMU_MODULE_DIR", "usr/lib/x86_64-linux-gnu/qemu")],
            options: &[
                ("-L", "usr/share/qemu"),
                ("-L", "usr/share/seabios"),
                ("-L", "usr/lib/ipxe/qemu"),
            ],
        }],
    },
};

/// The guest's shell and small tools.
pub(crate) const BUSYBOX: Tool = Tool {
    program: "busybox",
    variable: None,
    will_do: is_static,
    recipe: Recipe {
        name: "busybox",
        packages: &["busybox-static"],
        sources: &[],
        megabytes: 1,
        launchers: &[],
    },
};

/// Where a program comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A variable names it.
    Variable(&'static str),
    /// It is installed.
    Installed,
    /// It was fetched.
    Bundle,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::Installed => f.write_str("installed"),
            Self::Bundle => f.write_str("from Debian's archive, in the cache"),
        }
    }
}

impl Tool {
    /// The program, if it can be had without fetching anything.
    ///
    /// # Errors
    ///
    /// The variable names something that is no program.
    pub(crate) fn find(&self, ctx: &Context) -> Result<Option<(PathBuf, Origin)>> {
        let given = self.variable.and_then(|name| {
            let value = std::env::var_os(name).filter(|value| !value.is_empty());
            value.map(|value| (name, PathBuf::from(value)))
        });
        if let Some((name, path)) = given {
            return match named(&path) {
                Some(path) => Ok(Some((path, Origin::Variable(name)))),
                None => Err(missing(format!(
                    "{name}={} is not a program",
                    path.display()
                ))),
            };
        }
        let installed = find_program(self.program)
            .filter(|path| (self.will_do)(path))
            .map(|path| (path, Origin::Installed));
        let fetched = || Some((self.in_bundle(&self.recipe.find(ctx)?), Origin::Bundle));
        Ok(installed.or_else(fetched))
    }

    /// The program, fetched if need be.
    pub(crate) fn ensure(&self, ctx: &Context) -> Result<PathBuf> {
        if let Some((path, _)) = self.find(ctx)? {
            return Ok(path);
        }
        let or_set = self
            .variable
            .map(|name| format!(", or set {name}"))
            .unwrap_or_default();
        let remedy = format!(
            "{} is not on this machine (install {} yourself{or_set})",
            self.program,
            self.recipe.packages.join(", ")
        );
        let root = self.recipe.ensure(ctx).context(remedy)?;
        let path = self.in_bundle(&root);
        // A library that is missing shows here, not in the first boot.
        output(command(&path).arg("--help")).context("trying what was fetched")?;
        Ok(path)
    }

    /// What fetching it would mean.
    pub(crate) fn announce(&self) -> String {
        format!(
            "will be fetched into the cache on first use ({} MB)",
            self.recipe.megabytes
        )
    }

    /// What is started: the launcher beside the root, or a program that needs none.
    fn in_bundle(&self, root: &Path) -> PathBuf {
        match self.recipe.launchers.first() {
            Some(launcher) => root.with_file_name("bin").join(launcher.name()),
            None => root.join("bin").join(self.program),
        }
    }
}

/// The program that a variable means: a path, or a name to look for.
fn named(path: &Path) -> Option<PathBuf> {
    match path.to_str() {
        Some(name) if !name.contains('/') => find_program(name),
        _ => is_executable(path).then(|| path.to_owned()),
    }
}

/// Whether a program names no dynamic loader. The name stands near the beginning.
fn is_static(program: &Path) -> bool {
    let mut start = Vec::new();
    let read =
        std::fs::File::open(program).and_then(|file| file.take(4096).read_to_end(&mut start));
    let holds = |needle: &[u8]| start.windows(needle.len()).any(|window| window == needle);
    read.is_ok() && holds(b"\x7fELF") && !holds(b"/ld-linux") && !holds(b"/ld-musl")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_loader_is_not_static() {
        assert!(!is_static(Path::new("/proc/self/exe")));
        assert!(!is_static(Path::new("/etc/passwd")));
    }

    #[test]
    fn a_variable_holds_a_path_or_a_name() {
        assert_eq!(named(Path::new("/bin/sh")), Some(PathBuf::from("/bin/sh")));
        assert!(named(Path::new("sh")).is_some());
        assert_eq!(named(Path::new("/etc/passwd")), None);
        assert_eq!(named(Path::new("no-such-program-at-all")), None);
    }

    #[test]
    fn a_launcher_lies_beside_the_bundle_and_a_static_program_in_it() {
        let bundle = Path::new("/cache/bundle/x");
        let found = |tool: &Tool| tool.in_bundle(&bundle.join("root"));
        assert_eq!(found(&BUSYBOX), bundle.join("root/bin/busybox"));
        assert_eq!(found(&QEMU), bundle.join("bin/qemu-system-x86_64"));
    }
}
