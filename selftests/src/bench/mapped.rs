// SPDX-License-Identifier: GPL-2.0

//! Faults of those who map a file.

use anyhow::Result;

use super::Scenario;
use super::counted;
use super::place::per;
use crate::mapping::Mapping;

/// The size of the file, in bytes.
const FILE: usize = 16 << 20;

/// The pages of the file.
const PAGES: usize = FILE / 4096;

pub(super) const SCENARIOS: &[Scenario] = &[
    counted(
        &[
            (
                "fault_read",
                "a load from a cached page, one after the other",
            ),
            (
                "fault_write_mapped",
                "a store to a clean page that is mapped to be read",
            ),
        ],
        |place| {
            let filled = place.filled(FILE)?;
            filled.warm()?;
            let mapping = filled.map()?;
            Ok(vec![load_each(&mapping)?, store_each(&mapping)?])
        },
    ),
    counted(
        &[
            (
                "fault_write",
                "a store to a clean cached page, one after the other",
            ),
            ("fault_write_dirty", "a store to a dirty page, mapped anew"),
        ],
        |place| {
            let filled = place.filled(FILE)?;
            filled.warm()?;
            let clean = store_each(&filled.map()?)?;
            let dirty = store_each(&filled.map()?)?;
            Ok(vec![clean, dirty])
        },
    ),
    counted(
        &[(
            "fault_read_random",
            "a load from a cached page, where readahead is off",
        )],
        |place| {
            let filled = place.filled(FILE)?;
            filled.warm()?;
            let mapping = filled.map()?;
            mapping.advise(libc::MADV_RANDOM)?;
            Ok(vec![load_each(&mapping)?])
        },
    ),
    counted(
        &[(
            "fault_read_cold",
            "a load from a page on the disk, one after the other",
        )],
        |place| {
            let filled = place.filled(FILE)?;
            filled.chill()?;
            Ok(vec![load_each(&filled.map()?)?])
        },
    ),
];

fn load_each(mapping: &Mapping) -> Result<f64> {
    per(PAGES, || {
        mapping.touch();
        Ok(())
    })
}

fn store_each(mapping: &Mapping) -> Result<f64> {
    per(PAGES, || {
        for page in 0..PAGES {
            mapping.store_word(page * 512, 1);
        }
        Ok(())
    })
}
