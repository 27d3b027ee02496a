// SPDX-License-Identifier: GPL-2.0

//! Images made by `mke2fs`, and what e2fsprogs has to say of them.

#![allow(dead_code)] // Each test program uses a part.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Size of an image, in KiB.
const IMAGE_KIB: u32 = 12 << 10;

/// An image in a directory of its own, and its bytes.
pub(crate) struct Made {
    dir: TempDir,
    /// What `mke2fs` wrote.
    pub(crate) bytes: Vec<u8>,
}

impl Made {
    /// The file.
    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().join("image")
    }

    /// Reads the file again.
    pub(crate) fn reload(&mut self) {
        self.bytes = fs::read(self.path()).expect("the image is there");
    }

    /// Lets `debugfs` do these commands, one a line; returns what it printed.
    pub(crate) fn debugfs(&self, write: bool, commands: &str) -> String {
        let script = self.dir.path().join("commands");
        fs::write(&script, commands).expect("room for the commands");
        let mut command = tool("debugfs");
        if write {
            command.arg("-w");
        }
        stdout(command.arg("-f").arg(script).arg(self.path()))
    }
}

/// Makes an image, with the files in `staging` if there are any.
///
/// # Panics
///
/// If `mke2fs` fails.
pub(crate) fn mke2fs(options: &[&str], staging: Option<&Path>) -> Made {
    let dir = TempDir::new().expect("a directory");
    let image = dir.path().join("image");
    let mut command = tool("mke2fs");
    command
        .args(["-q", "-F", "-m", "5", "-N", "2048"])
        .args(options);
    if let Some(staging) = staging {
        command.arg("-d").arg(staging);
    }
    stdout(command.arg(&image).arg(format!("{IMAGE_KIB}k")));
    let bytes = fs::read(&image).expect("the image is there");
    Made { dir, bytes }
}

/// Whether e2fsprogs is there. Says so where nobody can overlook it if not.
pub(crate) fn have_e2fsprogs() -> bool {
    let missing = ["mke2fs", "debugfs", "dumpe2fs", "e2fsck"]
        .into_iter()
        .find(|program| tool(program).arg("-V").output().is_err());
    if let Some(program) = missing {
        // Not `eprintln`, which the test harness keeps to itself.
        let line = format!("SKIP: {program} is missing; install e2fsprogs\n");
        io::stderr()
            .write_all(line.as_bytes())
            .expect("a place to say it");
    }
    missing.is_none()
}

/// Returns a program of e2fsprogs, which only root has on its path.
pub(crate) fn tool(program: &str) -> Command {
    let path = env::var_os("PATH").unwrap_or_default();
    let beside = ["/usr/sbin", "/sbin"].map(PathBuf::from);
    let path = env::join_paths(env::split_paths(&path).chain(beside)).expect("a path");
    let mut command = Command::new("env");
    command
        .arg(concat("PATH=", &path))
        .arg("LC_ALL=C")
        .arg("E2FSPROGS_LIBMAGIC_SUPPRESS=1");
    command.arg(program);
    command
}

fn concat(name: &str, value: &OsStr) -> std::ffi::OsString {
    let mut both = std::ffi::OsString::from(name);
    both.push(value);
    both
}

/// Runs a program; returns what it printed.
///
/// # Panics
///
/// If it fails.
pub(crate) fn stdout(command: &mut Command) -> String {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("it starts");
    let said = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}: {status}\n{said}");
    String::from_utf8_lossy(&stdout).into_owned()
}
