// SPDX-License-Identifier: GPL-2.0

//! How long things take: the same rows on several file systems, by turns.
//!
//! A row is one number, such as the time of a direct write of 4 KiB. On a machine that counts
//! instructions instead of time the same number is a count of instructions. A [`Scenario`] sets the
//! stage, which is not measured, and gives one number for each of its rows.
//!
//! In each round every scenario runs on every file system before the next begins, so that
//! what drifts meanwhile meets all of them alike.

mod buffered;
mod direct;
mod image;
mod mapped;
mod memory;
mod names;
mod parallel;
mod place;
mod spread;
mod walker;

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::Context as _;
use anyhow::Result;
use serde::Serialize;

use crate::sys;
use crate::verdict::Skip;

pub use image::copy_image;
pub use place::Place;

/// Where a row means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// One processor, and nothing that waits: instructions can be counted.
    Counted,
    /// Threads side by side, on a device that takes its time.
    Timed,
}

/// What a number counts that is no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Memory.
    Bytes,
    /// Pieces of files.
    Extents,
}

/// One number: its name, and what it is the time, or the count, of.
type Row = (&'static str, &'static str);

/// A stage and what is measured on it.
#[derive(Debug)]
struct Scenario {
    mode: Mode,
    unit: Option<Unit>,
    rows: &'static [Row],
    /// Gives the number of each row, or skips the scenario.
    measure: fn(&Place) -> Result<Vec<f64>>,
}

/// A scenario whose instructions can be counted.
const fn counted(rows: &'static [Row], measure: fn(&Place) -> Result<Vec<f64>>) -> Scenario {
    Scenario {
        mode: Mode::Counted,
        unit: None,
        rows,
        measure,
    }
}

/// A scenario that needs a clock.
const fn timed(rows: &'static [Row], measure: fn(&Place) -> Result<Vec<f64>>) -> Scenario {
    Scenario {
        mode: Mode::Timed,
        unit: None,
        rows,
        measure,
    }
}

/// All scenarios, in the order in which they run.
fn scenarios() -> impl Iterator<Item = &'static Scenario> {
    [
        buffered::SCENARIOS,
        direct::SCENARIOS,
        mapped::SCENARIOS,
        walker::SCENARIOS,
        names::SCENARIOS,
        spread::SCENARIOS,
        memory::SCENARIOS,
        parallel::SCENARIOS,
    ]
    .into_iter()
    .flatten()
}

/// A row, for those who choose.
#[derive(Debug, Serialize)]
pub struct Listed {
    /// Its name.
    pub id: &'static str,
    /// What it is the time, or the count, of.
    pub what: &'static str,
    /// What it counts, if not time.
    pub unit: Option<Unit>,
    /// Where it means something.
    pub mode: Mode,
}

/// Every row there is.
pub fn list() -> Vec<Listed> {
    let rows = |scenario: &'static Scenario| {
        let &Scenario { mode, unit, .. } = scenario;
        let rows = scenario.rows.iter();
        rows.map(move |&(id, what)| Listed {
            id,
            what,
            unit,
            mode,
        })
    };
    scenarios().flat_map(rows).collect()
}

/// What to measure, and where.
#[derive(Debug, clap::Args)]
pub struct Settings {
    /// A file system: its name, `=`, and a directory of it; repeat it to compare.
    #[arg(long = "on", value_name = "NAME=DIR", required = true)]
    places: Vec<Named>,
    /// Only this row; repeat it, or separate ids by commas.
    #[arg(long = "row", value_name = "ID", value_delimiter = ',')]
    rows: Vec<String>,
    /// Only the rows that mean something on such a machine.
    #[arg(long)]
    mode: Option<Mode>,
    /// How often everything is done.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
}

/// `NAME=DIR`.
#[derive(Clone, Debug)]
struct Named {
    name: String,
    dir: PathBuf,
}

impl FromStr for Named {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, dir) = text.split_once('=').ok_or("a name, `=` and a directory")?;
        Ok(Self {
            name: name.to_owned(),
            dir: dir.into(),
        })
    }
}

/// A measured number, or why there is none: one line of the output.
#[derive(Serialize)]
struct Line<'a> {
    row: &'a str,
    fs: &'a str,
    round: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    ns: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    skip: Option<String>,
}

/// Measures, and prints one line of JSON for each number.
pub fn run(settings: &Settings) -> Result<()> {
    for id in &settings.rows {
        let known = list().iter().any(|listed| listed.id == id);
        anyhow::ensure!(known, "no row is called \"{id}\"");
    }
    let places: Vec<Place> = settings
        .places
        .iter()
        .map(|named| Place::new(&named.name, &named.dir))
        .collect::<Result<_>>()?;
    let wanted = |row: &Row| settings.rows.is_empty() || settings.rows.iter().any(|id| id == row.0);
    let chosen = scenarios()
        .filter(|scenario| settings.mode.is_none_or(|mode| mode == scenario.mode))
        .filter(|scenario| scenario.rows.iter().any(wanted));
    for scenario in chosen {
        for round in 0..settings.rounds {
            for place in &places {
                measure(scenario, place, round, wanted)
                    .with_context(|| format!("{} on {}", scenario.rows[0].0, place.name()))?;
            }
        }
    }
    Ok(())
}

fn measure(
    scenario: &Scenario,
    place: &Place,
    round: u32,
    wanted: impl Fn(&Row) -> bool,
) -> Result<()> {
    let measured = (scenario.measure)(place);
    // What was left dirty would be written in the middle of what comes next.
    sys::sync_fs(&File::open(place.dir())?)?;
    let (values, skip) = match measured {
        Ok(values) => (values, None),
        Err(error) => (Vec::new(), Some(error.downcast::<Skip>()?.to_string())),
    };
    let mut out = std::io::stdout().lock();
    for (number, row) in scenario
        .rows
        .iter()
        .enumerate()
        .filter(|(_, row)| wanted(row))
    {
        let line = Line {
            row: row.0,
            fs: place.name(),
            round,
            ns: values.get(number).copied(),
            skip: skip.clone(),
        };
        serde_json::to_writer(&mut out, &line)?;
        writeln!(out)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique() {
        let mut ids: Vec<&str> = list().iter().map(|listed| listed.id).collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count);
    }

    #[test]
    fn a_place_is_a_name_and_a_directory() {
        let named: Named = "ext2=/mnt/a=b".parse().unwrap();
        assert_eq!(
            (named.name.as_str(), named.dir),
            ("ext2", "/mnt/a=b".into())
        );
        assert!("ext2".parse::<Named>().is_err());
    }
}
