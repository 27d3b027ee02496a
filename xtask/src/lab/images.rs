// SPDX-License-Identifier: GPL-2.0

//! Disk images: made by `mke2fs`, judged by `e2fsck`.

use super::catalogue::{Claim, DiskKind};
use crate::exit::missing;
use crate::process::{command, find_program, output};
use anyhow::{Context as _, Result, bail};
use qemu_runner::Disk;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// Requests a second that a slow disk serves: each takes half a second.
const SLOW: u32 = 2;

/// What an image is made as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Format {
    /// In bytes.
    pub(crate) block_size: u32,
    /// In bytes.
    pub(crate) inode_size: u32,
}

/// A disk of a machine in which claims run, and the claims that run on it.
#[derive(Clone, Debug)]
pub(crate) struct Bench {
    /// How the image is made.
    pub(crate) format: Format,
    /// How fast the disk is.
    pub(crate) kind: DiskKind,
    /// Ids of the claims.
    pub(crate) claims: Vec<String>,
}

impl Bench {
    /// The name of the disk, of its image and of its mount point: `slow-1k`.
    pub(crate) fn name(&self) -> String {
        let kind = match self.kind {
            DiskKind::Plain => "plain",
            DiskKind::SlowWrites => "slow",
            DiskKind::SlowReads => "slow-reads",
        };
        format!("{kind}-{}k", self.format.block_size / 1024)
    }

    /// Where the disk is mounted in the guest.
    pub(crate) fn mount_point(&self) -> String {
        format!("/mnt/{}", self.name())
    }

    /// The disk, on a copy of the image.
    pub(crate) fn disk(&self, image: PathBuf) -> Disk {
        let slow = |kind| (self.kind == kind).then_some(SLOW);
        Disk {
            serial: self.name(),
            image,
            reads_per_second: slow(DiskKind::SlowReads),
            writes_per_second: slow(DiskKind::SlowWrites),
            ..Disk::default()
        }
    }
}

/// Distributes claims over as few disks as they need. A claim that takes any block size runs
/// with each of `block_sizes`; one that asks for a size gets that one.
pub(crate) fn benches(claims: &[Claim], block_sizes: &[u32]) -> Vec<Bench> {
    let mut benches: Vec<Bench> = Vec::new();
    for claim in claims {
        let only = claim.needs.block_size.map(|size| vec![size]);
        // What is slow for the sake of a race stays with one size: the race is the same.
        let sizes = match claim.needs.disk {
            DiskKind::Plain => block_sizes,
            _ => &block_sizes[..1],
        };
        for block_size in only.unwrap_or_else(|| sizes.to_vec()) {
            let format = Format {
                block_size,
                inode_size: 256,
            };
            let same =
                |bench: &&mut Bench| bench.kind == claim.needs.disk && bench.format == format;
            match benches.iter_mut().find(same) {
                Some(bench) => bench.claims.push(claim.id.clone()),
                None => benches.push(Bench {
                    format,
                    kind: claim.needs.disk,
                    claims: vec![claim.id.clone()],
                }),
            }
        }
    }
    benches.sort_by_key(|bench| (bench.kind, std::cmp::Reverse(bench.format)));
    benches
}

/// Has the claims' program write the files of some claims, and makes an image of them.
pub(crate) fn prepare(claims: &Path, bench: &Bench, image: &Path) -> Result<()> {
    let staging = tempfile::tempdir().context("making a directory for the files of the claims")?;
    let mut prepare = command(claims);
    prepare.args(["prepare", "--dir"]).arg(staging.path());
    for id in &bench.claims {
        prepare.args(["--claim", id]);
    }
    output(&mut prepare).context("preparing the files of the claims")?;
    // Some claims have no files that stay, and two drivers are to be compared all the same.
    std::fs::write(staging.path().join("bench.txt"), bench.name())
        .context("writing the name of the bench")?;
    make_with_spare(bench.format, staging.path(), SPARE, image)
}

/// Free space in KiB for the files that claims make.
const SPARE: u64 = 4096;

/// Makes an ext2 image with the files of `staging`, and as much again of free space.
pub(crate) fn make(format: Format, staging: &Path, image: &Path) -> Result<()> {
    make_with_spare(format, staging, 256, image)
}

/// As [`make`], with at least `spare` KiB of free space.
fn make_with_spare(format: Format, staging: &Path, spare: u64, image: &Path) -> Result<()> {
    let files = size_of_files(staging)? / 1024;
    let kib = (files + files.max(spare)).next_multiple_of(256);
    mke2fs(format, &["-d".as_ref(), staging.as_os_str()], kib, image)
}

/// Makes an ext2 image without files.
pub(crate) fn make_empty(format: Format, mebibytes: u32, image: &Path) -> Result<()> {
    mke2fs(format, &[], u64::from(mebibytes) * 1024, image)
}

/// Makes an ext2 image of that many KiB, with more arguments for `mke2fs`.
pub(crate) fn mke2fs(format: Format, arguments: &[&OsStr], kib: u64, image: &Path) -> Result<()> {
    let mut mke2fs = command(tool("mke2fs")?);
    mke2fs
        .args(["-q", "-F", "-t", "ext2", "-E", "root_owner=0:0"])
        .args(["-b", &format.block_size.to_string()])
        .args(["-I", &format.inode_size.to_string()])
        .args(arguments)
        .arg(image)
        .arg(format!("{kib}k"));
    let _ = std::fs::remove_file(image);
    output(&mut mke2fs).with_context(|| format!("making the image {}", image.display()))?;
    Ok(())
}

/// Has `e2fsck` look at an image, which it leaves as it is. Returns what it says if it finds
/// anything to complain about.
pub(crate) fn check(image: &Path) -> Result<Option<String>> {
    let output = command(tool("e2fsck")?)
        .arg("-fn")
        .arg(image)
        .stdin(Stdio::null())
        .output()
        .context("starting e2fsck")?;
    if output.status.success() {
        return Ok(None);
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    Ok(Some(said.trim().to_owned()))
}

/// A program of e2fsprogs.
fn tool(name: &str) -> Result<PathBuf> {
    find_program(name).ok_or_else(|| missing(format!("no {name}: install e2fsprogs")))
}

fn size_of_files(dir: &Path) -> Result<u64> {
    let mut size = 0;
    for entry in std::fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))? {
        let entry = entry?;
        let meta = entry.metadata()?;
        size += if meta.is_dir() {
            size_of_files(&entry.path())?
        } else if meta.is_file() {
            meta.len()
        } else {
            0
        };
    }
    Ok(size)
}

/// Copies an image, holes as holes.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = command("cp")
        .args(["--reflink=auto", "--sparse=always"])
        .args([from, to])
        .status()
        .context("starting cp")?;
    if !status.success() {
        bail!(
            "copying {} to {}: cp: {status}",
            from.display(),
            to.display()
        );
    }
    Ok(())
}
