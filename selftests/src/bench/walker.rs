// SPDX-License-Identifier: GPL-2.0

//! Taking pages out of the page cache, with `COHFS_IOC_INVALIDATE`.
//!
//! What does it is for the mount to say: `walker=own`, or `walker=kernel` for the C function.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use anyhow::Result;
use anyhow::ensure;

use super::Place;
use super::Scenario;
use super::counted;
use super::place::Filled;
use super::place::per;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::sys;
use crate::verdict::skip;

/// The size of a file of which many things are tried, in bytes.
const FILE: usize = 1 << 20;

pub(super) const SCENARIOS: &[Scenario] = &[
    counted(
        &[("walker_1", "one page, the only one of its file")],
        |place| {
            let filled = place.filled(4096)?;
            repeat(20, || {
                filled.read_all()?;
                remove(&filled.file, 1)
            })
        },
    ),
    counted(&[("walker_64", "each page of 64")], |place| {
        let filled = place.filled(64 << 12)?;
        repeat(5, || {
            filled.read_all()?;
            remove(&filled.file, 64)
        })
    }),
    counted(&[("walker_4096", "each page of 4,096")], |place| {
        let filled = place.filled(4096 << 12)?;
        filled.warm()?;
        Ok(vec![remove(&filled.file, 4096)?])
    }),
    counted(
        &[("walker_262144", "each page of 262,144, all of them a hole")],
        hole,
    ),
    counted(
        &[("walker_mapped_1", "each page of 256, mapped once")],
        |place| mapped(place, 1),
    ),
    counted(
        &[("walker_mapped_8", "each page of 256, mapped 8 times")],
        |place| mapped(place, 8),
    ),
    counted(
        &[(
            "walker_dirty",
            "each page of 256, all of them dirty, and so they stay",
        )],
        |place| {
            let filled = invalidatable(place.filled(FILE)?)?;
            filled.file.write_all_at(&vec![0xA5; FILE], 0)?;
            let (each, busy) = walk(&filled.file, FILE / 4096)?;
            ensure!(busy > 0, "what was dirty is gone");
            Ok(vec![each])
        },
    ),
];

/// Removes what the file has in the page cache, which is that many pages.
///
/// The time is that of a page, whatever the size of the folios is.
fn remove(file: &File, pages: usize) -> Result<f64> {
    let (each, busy) = walk(file, pages)?;
    ensure!(busy == 0, "{busy} folios stayed");
    Ok(each)
}

/// Removes what can be removed; returns also how many folios stayed.
fn walk(file: &File, pages: usize) -> Result<(f64, u64)> {
    let cached = sys::cachestat(file, 0, 0)?.cached;
    ensure!(
        cached == pages as u64,
        "{cached} of {pages} pages are cached"
    );
    let mut busy = 0;
    let each = per(pages, || {
        busy = invalidate(file)?;
        Ok(())
    })?;
    Ok((each, busy))
}

/// Returns the folios that stayed, or skips the scenario.
fn invalidate(file: &File) -> Result<u64> {
    match sys::invalidate(file, 0, 0) {
        Ok(done) => Ok(done.busy),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EOPNOTSUPP)) => {
            Err(skip("no COHFS_IOC_INVALIDATE here"))
        }
        Err(error) => Err(error.into()),
    }
}

/// Does it that often, and returns the mean.
fn repeat(times: u32, mut once: impl FnMut() -> Result<f64>) -> Result<Vec<f64>> {
    let mut sum = 0.0;
    for _ in 0..times {
        sum += once()?;
    }
    Ok(vec![sum / f64::from(times)])
}

/// Skips before the stage is set where nothing can be removed.
fn invalidatable(filled: Filled) -> Result<Filled> {
    invalidate(&filled.file)?;
    Ok(filled)
}

fn hole(place: &Place) -> Result<Vec<f64>> {
    const PAGES: usize = 1 << 18;
    let file = place.empty("hole")?;
    file.set_len((PAGES as u64) << 12)?;
    invalidate(&file)?;
    // Faults around each sixteenth page bring all of them, and copy nothing.
    let all = Mapping::with_readahead(&file, PAGES << 12, Share::SharedReadOnly)?;
    all.advise(libc::MADV_POPULATE_READ)?;
    drop(all);
    let each = remove(&file, PAGES)?;
    file.set_len(0)?;
    Ok(vec![each])
}

fn mapped(place: &Place, times: usize) -> Result<Vec<f64>> {
    let filled = invalidatable(place.filled(FILE)?)?;
    filled.read_all()?;
    let mappings: Vec<Mapping> = (0..times).map(|_| filled.map()).collect::<Result<_>>()?;
    for mapping in &mappings {
        mapping.touch();
    }
    Ok(vec![remove(&filled.file, FILE / 4096)?])
}
