// SPDX-License-Identifier: GPL-2.0

//! Reading and writing around the page cache.

use std::os::unix::fs::FileExt as _;

use anyhow::Result;

use super::Place;
use super::Scenario;
use super::counted;
use super::place::Filled;
use super::place::per;
use crate::aligned::Aligned;
use crate::mapping::Mapping;

/// The size of the file, in bytes.
const FILE: usize = 16 << 20;

pub(super) const SCENARIOS: &[Scenario] = &[
    counted(
        &[
            ("dio_write_4k", "4 KiB over what is not cached"),
            ("dio_write_64k", "64 KiB over what is not cached"),
            ("dio_write_1m", "1 MiB over what is not cached"),
        ],
        |place| overwrites(place, |_| Ok(None)),
    ),
    counted(
        &[
            ("dio_write_4k_cached", "4 KiB over what is cached"),
            ("dio_write_64k_cached", "64 KiB over what is cached"),
            ("dio_write_1m_cached", "1 MiB over what is cached"),
        ],
        |place| overwrites(place, |filled| filled.read_all().map(|()| None)),
    ),
    counted(
        &[
            ("dio_write_4k_mapped", "4 KiB over what is mapped"),
            ("dio_write_64k_mapped", "64 KiB over what is mapped"),
            ("dio_write_1m_mapped", "1 MiB over what is mapped"),
        ],
        |place| {
            overwrites(place, |filled| {
                filled.read_all()?;
                let mapping = filled.map()?;
                mapping.touch();
                Ok(Some(mapping))
            })
        },
    ),
    counted(
        &[
            ("dio_read_4k", "4 KiB that are not cached"),
            ("dio_read_1m", "1 MiB that is not cached"),
        ],
        reads,
    ),
    counted(
        &[(
            "reread_dio_write_64k",
            "64 KiB read by way of the cache, then written around it",
        )],
        reread,
    ),
    counted(&[("dio_append_4k", "4 KiB at the end of a file")], append),
];

/// How many writes of which length, in bytes. They follow each other in the file.
const WRITES: [(usize, usize); 3] = [(512, 4 << 10), (64, 64 << 10), (8, 1 << 20)];

/// Measures writes over a file that `prepare` has brought into some state, and perhaps mapped.
fn overwrites(
    place: &Place,
    prepare: impl Fn(&Filled) -> Result<Option<Mapping>>,
) -> Result<Vec<f64>> {
    let filled = place.filled(FILE)?;
    WRITES
        .into_iter()
        .map(|(count, len)| {
            filled.chill()?;
            let _mapping = prepare(&filled)?;
            let piece = Aligned::from(&vec![0xC3; len]);
            per(count, || {
                (0..count).try_for_each(|number| {
                    Ok(filled.direct.write_all_at(&piece, (number * len) as u64)?)
                })
            })
        })
        .collect()
}

fn reads(place: &Place) -> Result<Vec<f64>> {
    let filled = place.filled(FILE)?;
    filled.chill()?;
    [WRITES[0], WRITES[2]]
        .into_iter()
        .map(|(count, len)| {
            let mut piece = Aligned::zeroed(len);
            per(count, || {
                (0..count).try_for_each(|number| {
                    let at = (number * len) as u64;
                    Ok(filled.direct.read_exact_at(&mut piece, at)?)
                })
            })
        })
        .collect()
}

fn reread(place: &Place) -> Result<Vec<f64>> {
    const TIMES: usize = 32;
    let filled = place.filled(FILE)?;
    filled.chill()?;
    let mut piece = Aligned::zeroed(64 << 10);
    let each = per(TIMES, || {
        (0..TIMES).try_for_each(|_| {
            filled.file.read_exact_at(&mut piece, 1 << 20)?;
            Ok(filled.direct.write_all_at(&piece, 1 << 20)?)
        })
    })?;
    Ok(vec![each])
}

fn append(place: &Place) -> Result<Vec<f64>> {
    const TIMES: usize = 500;
    let file = place.empty("dio-append")?;
    file.sync_all()?;
    let direct = place.open_direct("dio-append")?;
    let piece = Aligned::zeroed(4096);
    let each = per(TIMES, || {
        (0..TIMES).try_for_each(|number| Ok(direct.write_all_at(&piece, number as u64 * 4096)?))
    })?;
    file.set_len(0)?;
    Ok(vec![each])
}
