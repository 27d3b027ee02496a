// SPDX-License-Identifier: GPL-2.0

//! The verb `bench`: how long things take on cohfs and on others, in one machine, by turns.
//!
//! Counted, the machine has one processor, disks of memory, and a clock that goes on by a nanosecond
//! with each instruction: the numbers are instructions, and nearly the same in every run. Timed,
//! it has several processors, and disks that take their time; the numbers are worth no more
//! than their ratios.

mod machine;
mod table;

use super::accel::Choice;
use super::boot::Lab;
use super::catalogue::glob;
use super::filesystem::{self, FileSystem};
use super::outcome::{VmOutcome, worst};
use super::rundir::RunDir;
use crate::artifacts::Variant;
use crate::context::Context;
use crate::exit::{Exit, failure};
use crate::process::{command, output};
use crate::{guest, setup};
use anyhow::{Context as _, Result};
use qemu_runner::Event;
use serde::{Deserialize, Serialize};
use std::path::Path;
use table::Bench;

/// The file of results.
const FILE: &str = "bench.json";

/// What to measure.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// File systems, separated by commas; ext2, ext4 and cohfs under any policy
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "ext2,ext4,cohfs,cohfs-mainline"
    )]
    fs: Vec<String>,
    /// Only the rows whose name matches
    #[arg(long = "row", value_name = "GLOB")]
    rows: Vec<String>,
    /// How often everything is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure time instead of counting instructions: several processors, disks that take their time
    #[arg(long)]
    timed: bool,
    /// Show the change against an earlier run: a directory of target/lab/runs
    #[arg(long, value_name = "RUN")]
    baseline: Option<String>,
    /// Say which rows there are, and measure nothing
    #[arg(long)]
    list: bool,
}

/// How a row can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Mode {
    Counted,
    Timed,
}

impl Mode {
    fn name(self) -> &'static str {
        match self {
            Self::Counted => "counted",
            Self::Timed => "timed",
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Counted => "instructions",
            Self::Timed => "nanoseconds",
        }
    }
}

/// A row, as the program in the guest lists it.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    id: String,
    what: String,
    /// What it counts, if not what [`Mode::unit`] says.
    unit: Option<String>,
    mode: Mode,
}

/// A number, or why there is none, as the program in the guest says it.
#[derive(Debug, Deserialize)]
struct Measured {
    row: String,
    fs: String,
    ns: Option<f64>,
}

/// Boots one machine, measures, prints the table, and keeps the numbers.
pub(crate) fn run(ctx: &Context, choice: Choice, arguments: &Arguments) -> Result<Exit> {
    if arguments.list {
        return list(ctx);
    }
    let mode = if arguments.timed {
        Mode::Timed
    } else {
        Mode::Counted
    };
    if mode == Mode::Counted && choice == Choice::Kvm {
        let what = "--accel kvm counts no instructions; it goes with --timed";
        return Err(failure(Exit::Usage, what));
    }
    let filesystems = filesystem::select(&arguments.fs)?;
    for fs in &filesystems {
        machine::require_image(fs)?;
    }
    let baseline = arguments
        .baseline
        .as_deref()
        .map(|run| earlier(ctx, run, mode))
        .transpose()?;
    let mut lab = match mode {
        Mode::Counted => Lab::counting(ctx, Variant::Base)?,
        Mode::Timed => Lab::open(ctx, Variant::Base, choice)?,
    };
    lab.memory = machine::MEMORY;
    let rows = select(rows(&lab.artifacts.claims)?, mode, &arguments.rows)?;

    let report = measure(&lab, mode, &filesystems, &rows, arguments.rounds)?;
    let outcome = VmOutcome::new(machine::NAME, &report);
    let lines = report.step(machine::STEP).map(|step| step.lines.as_slice());
    let mut bench = Bench::new(&report.release, &lab.accel, mode.unit(), &rows);
    for line in lines.unwrap_or_default() {
        let measured: Measured = serde_json::from_str(line)
            .with_context(|| format!("understanding what was measured: {line}"))?;
        if let Some(ns) = measured.ns {
            bench.enter(&measured.row, &measured.fs, ns);
        }
    }
    bench.settle(&filesystems);
    lab.dir
        .write(FILE, &(serde_json::to_string_pretty(&bench)? + "\n"))?;
    print!("{}", bench.table(&filesystems, baseline.as_ref()));
    for trouble in &outcome.troubles {
        ctx.ui.say("FAIL", &trouble.what);
    }
    let name = lab.dir.path().file_name().unwrap_or_default();
    let name = name.to_string_lossy();
    ctx.ui.say(
        "Files",
        format_args!("target/lab/runs/{name}/{FILE}; --baseline {name} shows what changes"),
    );
    Ok(worst(outcome.troubles.iter().map(|trouble| trouble.exit)))
}

fn measure(
    lab: &Lab<'_>,
    mode: Mode,
    filesystems: &[FileSystem],
    rows: &[Row],
    rounds: u32,
) -> Result<qemu_runner::Report> {
    let images = tempfile::tempdir().context("making a directory for images")?;
    let boot = machine::boot(mode, filesystems, rows, rounds, images.path())?;
    let numbers = rows.len() * filesystems.len() * usize::try_from(rounds)?;
    let text = format!("{} rows on {} file systems", rows.len(), filesystems.len());
    let step = lab
        .ctx
        .ui
        .counted("Bench", text.clone(), u64::try_from(numbers)?);
    let report = lab.boot(boot, &mut |event| {
        if matches!(event, Event::Line { step, .. } if step == machine::STEP) {
            step.tick();
        }
    })?;
    step.done(text);
    Ok(report)
}

/// The rows that the program knows.
fn rows(claims: &Path) -> Result<Vec<Row>> {
    let list = output(command(claims).arg("bench-rows")).context("listing the rows")?;
    serde_json::from_str(&list).context("understanding the list of rows")
}

/// Those of a mode whose name one of the patterns matches; all of them if there is none.
fn select(rows: Vec<Row>, mode: Mode, patterns: &[String]) -> Result<Vec<Row>> {
    let rows: Vec<Row> = rows.into_iter().filter(|row| row.mode == mode).collect();
    let matches = |row: &Row, pattern: &String| glob(pattern.as_bytes(), row.id.as_bytes());
    for pattern in patterns {
        if !rows.iter().any(|row| matches(row, pattern)) {
            let mode = mode.name();
            let what = format!(
                "no row that is {mode} is called \"{pattern}\": `cargo xtask bench --list` shows all"
            );
            return Err(failure(Exit::Usage, what));
        }
    }
    let wanted =
        |row: &Row| patterns.is_empty() || patterns.iter().any(|pattern| matches(row, pattern));
    Ok(rows.into_iter().filter(wanted).collect())
}

fn list(ctx: &Context) -> Result<Exit> {
    setup::ensure(ctx)?;
    for row in rows(&guest::build(ctx)?.claims)? {
        println!("{:<7}  {:<22}  {}", row.mode.name(), row.id, row.what);
    }
    Ok(Exit::Passed)
}

/// The numbers of an earlier run.
fn earlier(ctx: &Context, run: &str, mode: Mode) -> Result<Bench> {
    let path = RunDir::find(ctx, Some(run))?.path().join(FILE);
    let text = std::fs::read(&path).map_err(|error| {
        let what = format!("{}: {error}; runs of `bench` have one", path.display());
        failure(Exit::NothingRan, what)
    })?;
    let bench: Bench = serde_json::from_slice(&text)
        .with_context(|| format!("understanding {}", path.display()))?;
    if bench.unit() != mode.unit() {
        let (theirs, ours) = (bench.unit(), mode.unit());
        let what = format!("{run} has {theirs}, which cannot be compared with {ours}");
        return Err(failure(Exit::Usage, what));
    }
    Ok(bench)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: &str, mode: Mode) -> Row {
        Row {
            id: id.to_owned(),
            what: String::new(),
            unit: None,
            mode,
        }
    }

    #[test]
    fn rows_are_chosen_by_mode_and_pattern() {
        let all = vec![
            row("dio_write_4k", Mode::Counted),
            row("dio_write_4_writers", Mode::Timed),
            row("mount", Mode::Counted),
        ];
        let ids = |patterns: &[&str]| {
            let patterns: Vec<_> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
            let rows = select(all.clone(), Mode::Counted, &patterns)?;
            Ok::<_, anyhow::Error>(rows.into_iter().map(|row| row.id).collect::<Vec<_>>())
        };
        assert_eq!(ids(&[]).unwrap(), ["dio_write_4k", "mount"]);
        assert_eq!(ids(&["dio_*"]).unwrap(), ["dio_write_4k"]);
        assert!(ids(&["*writers"]).is_err());
    }
}
