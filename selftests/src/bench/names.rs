// SPDX-License-Identifier: GPL-2.0

//! Names and inodes: making, looking up, renaming, listing and removing them; sizes; mounting.

use std::fs;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use anyhow::Result;

use super::Place;
use super::Scenario;
use super::counted;
use super::place::per;
use crate::verdict::skip;

/// Directories, and files in each of them.
const DIRECTORIES: usize = 20;
const FILES: usize = 100;
const ALL: usize = DIRECTORIES * FILES;

pub(super) const SCENARIOS: &[Scenario] = &[
    counted(
        &[
            ("mkdir", "a directory to be made"),
            ("create", "a file to be made, 100 in a directory"),
            ("stat", "a file to be looked up"),
            ("stat_cold", "a file to be looked up that is not in memory"),
            ("rename", "a file to get another name in its directory"),
            ("readdir", "a name to be listed"),
            ("unlink", "a file to be removed"),
            ("rmdir", "a directory to be removed"),
        ],
        names,
    ),
    counted(
        &[
            (
                "truncate_full_64m",
                "64 MiB to be cut off that have blocks and are cached",
            ),
            (
                "truncate_sparse_1g",
                "1 GiB to be cut off with a block in each MiB",
            ),
        ],
        truncate,
    ),
    counted(&[("mount", "the file system to be mounted")], mount),
];

fn names(place: &Place) -> Result<Vec<f64>> {
    let top = place.path("names");
    let _ = fs::remove_dir_all(&top);
    fs::create_dir(&top)?;
    let dirs: Vec<PathBuf> = (0..DIRECTORIES)
        .map(|number| top.join(format!("d{number}")))
        .collect();
    let paths = |prefix: &str| -> Vec<PathBuf> {
        let files = |dir: &PathBuf| {
            let dir = dir.clone();
            let prefix = prefix.to_owned();
            (0..FILES).map(move |number| dir.join(format!("{prefix}{number}")))
        };
        dirs.iter().flat_map(files).collect()
    };
    let (old, new) = (paths("file"), paths("other"));

    let mkdir = per(DIRECTORIES, || each(&dirs, |dir| fs::create_dir(dir)))?;
    let create = per(ALL, || each(&old, |path| File::create(path).map(drop)))?;
    let stat = per(ALL, || each(&old, |path| fs::metadata(path).map(drop)))?;
    forget()?;
    let stat_cold = per(ALL, || each(&old, |path| fs::metadata(path).map(drop)))?;
    let rename = per(ALL, || {
        old.iter()
            .zip(&new)
            .try_for_each(|(old, new)| Ok(fs::rename(old, new)?))
    })?;
    let readdir = per(ALL, || {
        each(&dirs, |dir| {
            fs::read_dir(dir)?.try_for_each(|entry| entry.map(drop))
        })
    })?;
    let unlink = per(ALL, || each(&new, |path| fs::remove_file(path)))?;
    let rmdir = per(DIRECTORIES, || each(&dirs, |dir| fs::remove_dir(dir)))?;
    fs::remove_dir(&top)?;
    Ok(vec![
        mkdir, create, stat, stat_cold, rename, readdir, unlink, rmdir,
    ])
}

fn each(paths: &[PathBuf], work: impl Fn(&PathBuf) -> std::io::Result<()>) -> Result<()> {
    paths.iter().try_for_each(|path| Ok(work(path)?))
}

/// Has the kernel forget names, inodes and clean pages.
fn forget() -> Result<()> {
    rustix::fs::sync();
    fs::write("/proc/sys/vm/drop_caches", "3")
        .map_err(|error| skip(format!("caches cannot be dropped: {error}")))
}

fn truncate(place: &Place) -> Result<Vec<f64>> {
    const FULL: u64 = 64 << 20;
    const SPARSE: u64 = 1 << 30;
    let file = place.empty("truncate")?;
    let piece = vec![0x5A; 1 << 20];
    for at in (0..FULL).step_by(piece.len()) {
        file.write_all_at(&piece, at)?;
    }
    file.sync_all()?;
    let full = per(1, || Ok(file.set_len(0)?))?;
    for at in (0..SPARSE).step_by(1 << 20) {
        file.write_all_at(&piece[..1], at)?;
    }
    file.set_len(SPARSE)?;
    file.sync_all()?;
    let sparse = per(1, || Ok(file.set_len(0)?))?;
    Ok(vec![full, sparse])
}

/// Mounts the place anew, as it is mounted.
fn mount(place: &Place) -> Result<Vec<f64>> {
    const TIMES: usize = 10;
    let mount = place.mount()?;
    let mut sum = 0.0;
    for _ in 0..TIMES {
        mount
            .unmount()
            .map_err(|error| skip(format!("cannot be unmounted: {error}")))?;
        sum += per(1, || Ok(mount.remake()?))?;
    }
    Ok(vec![sum / TIMES as f64])
}
