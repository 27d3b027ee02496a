// SPDX-License-Identifier: GPL-2.0

//! Starting a program of a bundle on this machine, with the bundle's own loader and libraries.

use crate::cache::write_atomically;
use anyhow::{Context as _, Result};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The loader, as programs name it.
const LOADER: &str = "lib64/ld-linux-x86-64.so.2";

/// Where libraries are; some packages have a directory of their own below.
const LIBRARIES: [&str; 2] = ["lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"];

/// A program that has to be told where its bundle is. Paths are relative to the bundle's root.
pub(crate) struct Launcher {
    /// The program.
    pub(crate) program: &'static str,
    /// Variables that hold a path.
    pub(crate) environment: &'static [(&'static str, &'static str)],
    /// Options whose value is a path.
    pub(crate) options: &'static [(&'static str, &'static str)],
}

impl Launcher {
    /// For a program that finds by itself all but its libraries.
    pub(crate) const fn plain(program: &'static str) -> Self {
        Self {
            program,
            environment: &[],
            options: &[],
        }
    }

    /// The file name of the script that starts the program.
    pub(crate) fn name(&self) -> &'static str {
        self.program
            .rsplit_once('/')
            .map_or(self.program, |(_, name)| name)
    }

    /// Writes the script into the directory `bin` beside `root`.
    pub(super) fn write(&self, root: &Path, bin: &Path) -> Result<()> {
        std::fs::create_dir_all(bin).with_context(|| format!("creating {}", bin.display()))?;
        let path = bin.join(self.name());
        write_atomically(&path, self.script(&libraries(root)?).as_bytes())?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .with_context(|| format!("making {} executable", path.display()))
    }

    /// The script ends in the program itself, which so has the pid that was started, and finds
    /// the bundle by its own path: a cache may be moved.
    fn script(&self, libraries: &[String]) -> String {
        let at_root = |path: &str| format!("\"$root/{path}\"");
        let mut script = String::from(
            "#!/bin/sh\n# Made by `cargo xtask`.\nroot=${0%/*}/../root\nunset LD_PRELOAD\n",
        );
        for (name, path) in self.environment {
            let _ = writeln!(script, "export {name}={}", at_root(path));
        }
        let path: Vec<_> = libraries
            .iter()
            .map(|path| format!("$root/{path}"))
            .collect();
        let mut words = vec![
            "exec".to_owned(),
            at_root(LOADER),
            "--library-path".to_owned(),
            format!("\"{}\"", path.join(":")),
            at_root(self.program),
        ];
        for (option, path) in self.options {
            words.extend([(*option).to_owned(), at_root(path)]);
        }
        words.push("\"$@\"".to_owned());
        script + &words.join(" ") + "\n"
    }
}

/// The directories of libraries: the loader of a bundle has no cache that lists them.
fn libraries(root: &Path) -> Result<Vec<String>> {
    let mut found: Vec<_> = LIBRARIES.map(str::to_owned).into();
    for parent in LIBRARIES {
        let Ok(entries) = std::fs::read_dir(root.join(parent)) else {
            continue;
        };
        let mut below = Vec::new();
        for entry in entries {
            let entry = entry.with_context(|| format!("reading {parent}"))?;
            if entry.file_type()?.is_dir() && holds_libraries(&entry.path())? {
                below.push(format!("{parent}/{}", entry.file_name().to_string_lossy()));
            }
        }
        below.sort();
        found.extend(below);
    }
    Ok(found)
}

/// Whether the directory holds a library that programs are linked with; modules are found by
/// who loads them.
fn holds_libraries(dir: &Path) -> Result<bool> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("lib") && name.contains(".so") {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAUNCHER: Launcher = Launcher {
        program: "usr/bin/emulator",
        environment: &[("MODULES", "usr/lib/modules")],
        options: &[("-L", "usr/share/firmware")],
    };

    #[test]
    fn the_script_becomes_the_program_with_everything_below_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("lib64")).unwrap();
        let loader = root.join(LOADER);
        std::fs::write(&loader, "#!/bin/sh\necho \"$$ $MODULES $@\"\n").unwrap();
        std::fs::set_permissions(&loader, std::fs::Permissions::from_mode(0o755)).unwrap();
        let bin = dir.path().join("bin");
        LAUNCHER.write(&root, &bin).unwrap();

        let child = std::process::Command::new(bin.join("emulator"))
            .args(["-name", "a b"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let pid = child.id();
        let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
        let root = format!("{}/../root", bin.display());
        let expected = format!(
            "{pid} {root}/usr/lib/modules --library-path \
             {root}/lib/x86_64-linux-gnu:{root}/usr/lib/x86_64-linux-gnu \
             {root}/usr/bin/emulator -L {root}/usr/share/firmware -name a b\n"
        );
        assert_eq!(said, expected);
    }

    #[test]
    fn directories_of_libraries_are_found_and_those_of_modules_are_not() {
        let root = tempfile::tempdir().unwrap();
        for file in ["pulseaudio/libpulsecommon-15.0.so", "qemu/accel-tcg.so"] {
            let path = root.path().join(LIBRARIES[1]).join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = libraries(root.path()).unwrap();
        assert_eq!(found[2..], ["usr/lib/x86_64-linux-gnu/pulseaudio"]);
    }
}
