// SPDX-License-Identifier: GPL-2.0

//! From a package or a tarball to a directory.

use crate::exit::missing;
use crate::process::command;
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::{Command, Stdio};

/// What an unpacked kernel source takes, with room to build one variant.
const SPACE: u64 = 4 << 30;

/// Refuses to begin what the disk cannot hold.
pub(crate) fn check_space(dir: &Path) -> Result<()> {
    let free = free_bytes(dir)?;
    if free < SPACE {
        return Err(missing(format!(
            "{} has {} MB free, a kernel takes {} MB: make room, or set COHFS_CACHE_DIR",
            dir.display(),
            free >> 20,
            SPACE >> 20
        )));
    }
    Ok(())
}

/// The bytes that we may still write in the file system of `dir`.
pub(crate) fn free_bytes(dir: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(dir)
        .with_context(|| format!("asking for the free space of {}", dir.display()))?;
    Ok(stat.f_bavail * stat.f_frsize)
}

/// Unpacks the tarball inside a Debian package of kernel source. Nothing in between is
/// written to disk.
pub(crate) fn debian_package(deb: &Path, package: &str, dir: &Path) -> Result<()> {
    let inner = format!("./usr/src/{package}.tar.xz");
    pipeline(&mut [
        command("dpkg-deb").arg("--fsys-tarfile").arg(deb),
        command("tar").args(["-xO", &inner]),
        command("xz").args(["-dc", "-T0"]),
        command("tar")
            .args(["-x", "--strip-components=1", "-C"])
            .arg(dir),
    ])
}

/// Unpacks the files of a Debian package below `dir`, but for those below `left_out`. They are
/// ours, and nothing among them runs with the rights of another.
pub(crate) fn files_of_package(deb: &Path, left_out: &[String], dir: &Path) -> Result<()> {
    pipeline(&mut [
        command("dpkg-deb").arg("--fsys-tarfile").arg(deb),
        command("tar")
            .args(["-x", "--no-same-owner", "--no-same-permissions"])
            .args(left_out.iter().map(|path| format!("--exclude={path}")))
            .arg("-C")
            .arg(dir),
    ])
}

/// Unpacks a tarball of any compression that tar knows.
pub(crate) fn tarball(path: &Path, dir: &Path) -> Result<()> {
    pipeline(&mut [command("tar")
        .args(["-x", "--strip-components=1", "-C"])
        .arg(dir)
        .arg("-f")
        .arg(path)])
}

/// Runs the commands, each one's output being the next one's input. All must succeed.
fn pipeline(commands: &mut [&mut Command]) -> Result<()> {
    let mut children = Vec::new();
    let mut input = Stdio::null();
    let last = commands.len() - 1;
    for (index, command) in commands.iter_mut().enumerate() {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = if index == last {
            Stdio::null()
        } else {
            Stdio::piped()
        };
        let mut child = command
            .stdin(input)
            .stdout(output)
            .spawn()
            .with_context(|| format!("starting {name}"))?;
        input = child.stdout.take().map_or_else(Stdio::null, Stdio::from);
        children.push((name, child));
    }
    let mut failed = Vec::new();
    for (name, mut child) in children {
        let status = child
            .wait()
            .with_context(|| format!("waiting for {name}"))?;
        if !status.success() {
            failed.push(format!("{name}: {status}"));
        }
    }
    if !failed.is_empty() {
        bail!("{}", failed.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_of_a_pipeline_must_succeed() {
        assert!(pipeline(&mut [&mut command("true"), &mut command("true")]).is_ok());
        let error = pipeline(&mut [&mut command("false"), &mut command("true")]).unwrap_err();
        assert!(error.to_string().starts_with("false:"), "{error}");
    }

    #[test]
    fn a_tarball_loses_its_top_directory() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("linux-7.3");
        std::fs::create_dir(&top).unwrap();
        std::fs::write(top.join("Makefile"), "VERSION = 7\n").unwrap();
        let archive = dir.path().join("linux.tar");
        pipeline(&mut [command("tar")
            .arg("-C")
            .arg(dir.path())
            .arg("-cf")
            .arg(&archive)
            .arg("linux-7.3")])
        .unwrap();
        let out = dir.path().join("out");
        std::fs::create_dir(&out).unwrap();
        tarball(&archive, &out).unwrap();
        assert!(out.join("Makefile").is_file());
    }
}
