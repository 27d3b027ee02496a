// SPDX-License-Identifier: GPL-2.0

//! Where the blocks of files go that grow at once.

use std::fs;
use std::io::Write as _;

use anyhow::Result;

use super::Mode;
use super::Place;
use super::Scenario;
use super::Unit;
use super::counted;
use super::place::per;
use crate::space::fiemap;

/// How much is written, in bytes, and in pieces of how many.
const ALL: usize = 32 << 20;
const PIECE: usize = 16 << 10;

pub(super) const SCENARIOS: &[Scenario] = &[
    counted(
        &[
            (
                "grow_1_file",
                "16 KiB at the end of a new file, and its part of the fsync",
            ),
            (
                "grow_4_files",
                "16 KiB at the end of four new files by turns, the same",
            ),
        ],
        |place| Ok(vec![grow(place, 1)?.0, grow(place, 4)?.0]),
    ),
    Scenario {
        mode: Mode::Counted,
        unit: Some(Unit::Extents),
        rows: &[
            ("extents_1_file", "32 MiB in one file"),
            ("extents_4_files", "32 MiB in four files that grew by turns"),
        ],
        measure: |place| Ok(vec![grow(place, 1)?.1, grow(place, 4)?.1]),
    },
];

/// Has so many new files grow by turns until all is written. Returns the time of a write, and how many
/// extents the files have.
fn grow(place: &Place, count: usize) -> Result<(f64, f64)> {
    let names: Vec<String> = (0..count).map(|number| format!("grow-{number}")).collect();
    let mut files = names
        .iter()
        .map(|name| place.empty(name))
        .collect::<Result<Vec<_>>>()?;
    let piece = vec![0x3C; PIECE];
    let writes = ALL / PIECE;
    let time = per(writes, || {
        for _ in 0..writes / count {
            for file in &mut files {
                file.write_all(&piece)?;
            }
        }
        files.iter().try_for_each(|file| Ok(file.sync_all()?))
    })?;
    let mut extents = 0;
    for (name, file) in names.iter().zip(files) {
        extents += fiemap(&file, 0..u64::MAX, false)?.len();
        fs::remove_file(place.path(name))?;
    }
    Ok((time, extents as f64))
}
