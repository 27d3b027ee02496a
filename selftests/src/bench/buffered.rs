// SPDX-License-Identifier: GPL-2.0

//! Reading and writing by way of the page cache.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::Result;

use super::Place;
use super::Scenario;
use super::counted;
use super::place::per;
use crate::sys;

/// The size of the file, in bytes.
const FILE: usize = 16 << 20;

/// What one call moves, in bytes.
const CALL: usize = 1 << 20;

/// How many small things are done.
const MANY: usize = 1000;

pub(super) const SCENARIOS: &[Scenario] = &[
    counted(
        &[
            (
                "write_new_16m",
                "16 MiB into an empty file, in calls of 1 MiB",
            ),
            (
                "write_cached_16m",
                "16 MiB over what is cached, in calls of 1 MiB",
            ),
            (
                "read_cached_16m",
                "16 MiB that are cached, in calls of 1 MiB",
            ),
            (
                "sendfile_16m",
                "16 MiB that are cached to /dev/null, by sendfile",
            ),
        ],
        sequential,
    ),
    counted(
        &[
            ("read_cold_16m", "16 MiB from the disk, in calls of 1 MiB"),
            ("read_random_4k", "4 KiB anywhere in a cached file"),
            ("write_random_4k", "4 KiB anywhere over a cached file"),
        ],
        random,
    ),
    counted(
        &[
            ("append_100", "100 bytes at the end of a file"),
            ("append_4k", "4 KiB at the end of a file"),
        ],
        append,
    ),
    counted(
        &[("write_fsync_4k", "4 KiB over what is cached, and fsync")],
        fsync,
    ),
];

fn sequential(place: &Place) -> Result<Vec<f64>> {
    let file = place.empty("sequential")?;
    file.sync_all()?;
    let mut piece = vec![0x5A; CALL];
    let write_new = per(1, || write_all(&file, &piece))?;
    let write_cached = per(1, || write_all(&file, &piece))?;
    let read = per(1, || read_all(&file, &mut piece))?;
    let null = File::options().write(true).open("/dev/null")?;
    let sent = per(1, || {
        let mut done = 0;
        while done < FILE {
            done += sys::send_file(&null, &file, done as u64, FILE - done)?;
        }
        Ok(())
    })?;
    file.set_len(0)?;
    Ok(vec![write_new, write_cached, read, sent])
}

fn random(place: &Place) -> Result<Vec<f64>> {
    let filled = place.filled(FILE)?;
    filled.chill()?;
    let mut piece = vec![0x5A; CALL];
    let cold = per(1, || read_all(&filled.file, &mut piece))?;
    let piece = &mut piece[..4096];
    let read = per(MANY, || {
        anywhere().try_for_each(|at| Ok(filled.file.read_exact_at(piece, at)?))
    })?;
    let write = per(MANY, || {
        anywhere().try_for_each(|at| Ok(filled.file.write_all_at(piece, at)?))
    })?;
    Ok(vec![cold, read, write])
}

fn append(place: &Place) -> Result<Vec<f64>> {
    [100, 4096]
        .into_iter()
        .map(|len| {
            let file = place.empty("append")?;
            file.sync_all()?;
            let piece = vec![0x5A; len];
            let each = per(MANY, || {
                (0..MANY)
                    .try_for_each(|number| Ok(file.write_all_at(&piece, (number * len) as u64)?))
            })?;
            file.set_len(0)?;
            Ok(each)
        })
        .collect()
}

fn fsync(place: &Place) -> Result<Vec<f64>> {
    const SYNCS: usize = 100;
    let filled = place.filled(FILE)?;
    filled.warm()?;
    let piece = [0x5A; 4096];
    let each = per(SYNCS, || {
        anywhere().take(SYNCS).try_for_each(|at| {
            filled.file.write_all_at(&piece, at)?;
            Ok(filled.file.sync_all()?)
        })
    })?;
    Ok(vec![each])
}

fn write_all(file: &File, piece: &[u8]) -> Result<()> {
    (0..FILE)
        .step_by(CALL)
        .try_for_each(|at| Ok(file.write_all_at(piece, at as u64)?))
}

fn read_all(file: &File, piece: &mut [u8]) -> Result<()> {
    (0..FILE)
        .step_by(CALL)
        .try_for_each(|at| Ok(file.read_exact_at(piece, at as u64)?))
}

/// Pages of the file, each time the same.
fn anywhere() -> impl Iterator<Item = u64> {
    let mut random = fastrand::Rng::with_seed(1);
    (0..MANY).map(move |_| random.u64(..FILE as u64 / 4096) * 4096)
}
