// SPDX-License-Identifier: GPL-2.0

//! What was measured, as data (`bench.json`) and as a table for people.

use super::super::filesystem::FileSystem;
use super::Row;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{Attribute, Cell, CellAlignment, ContentArrangement, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The one that is measured against the others.
const OURS: &str = "cohfs";

/// `bench.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Bench {
    /// The version of this format.
    schema: u32,
    /// The kernel's release.
    kernel: String,
    /// `kvm` or `tcg`.
    accel: String,
    /// Of every number but the ratios, where a row does not say another.
    unit: String,
    /// The rows.
    rows: Vec<BenchRow>,
}

/// A row on every file system.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct BenchRow {
    id: String,
    /// What it is the time of.
    #[serde(default)]
    what: String,
    /// What it counts, if not what the others do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unit: Option<String>,
    /// By file system; one on which it cannot be measured is not there.
    fs: BTreeMap<String, Sample>,
    /// Of ours to the least of the others.
    ratio: Option<f64>,
}

/// What the rounds gave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Sample {
    median: f64,
    min: f64,
    max: f64,
    runs: usize,
    #[serde(skip)]
    values: Vec<f64>,
}

impl Sample {
    fn settle(&mut self) {
        self.values.sort_by(f64::total_cmp);
        let (values, runs) = (&self.values, self.values.len());
        let (Some(&min), Some(&max)) = (values.first(), values.last()) else {
            return;
        };
        let median = (values[(runs - 1) / 2] + values[runs / 2]) / 2.0;
        [self.median, self.min, self.max] =
            [median, min, max].map(|value| (value * 10.0).round() / 10.0);
        self.runs = runs;
    }

    /// The distance of the extremes, in parts of the median.
    fn spread(&self) -> f64 {
        (self.max - self.min) / self.median
    }
}

impl Bench {
    /// Rows without numbers.
    pub(super) fn new(kernel: &str, accel: &qemu_runner::Accel, unit: &str, rows: &[Row]) -> Self {
        let row = |row: &Row| BenchRow {
            id: row.id.clone(),
            what: row.what.clone(),
            unit: row.unit.clone(),
            fs: BTreeMap::new(),
            ratio: None,
        };
        Self {
            schema: 1,
            kernel: kernel.to_owned(),
            accel: accel.name().to_owned(),
            unit: unit.to_owned(),
            rows: rows.iter().map(row).collect(),
        }
    }

    /// What the numbers are of.
    pub(super) fn unit(&self) -> &str {
        &self.unit
    }

    /// Enters the number of a round.
    pub(super) fn enter(&mut self, row: &str, fs: &str, value: f64) {
        if let Some(row) = self.rows.iter_mut().find(|known| known.id == row) {
            let sample = row.fs.entry(fs.to_owned()).or_default();
            sample.values.push(value);
        }
    }

    /// Computes medians and ratios, when all rounds are entered.
    pub(super) fn settle(&mut self, filesystems: &[FileSystem]) {
        for row in &mut self.rows {
            row.fs.values_mut().for_each(Sample::settle);
            row.ratio = row.ratio(filesystems);
        }
    }

    /// The table, with a legend below it.
    pub(super) fn table(&self, filesystems: &[FileSystem], baseline: Option<&Self>) -> String {
        let mut table = Table::new();
        table
            .load_style(ASCII_MARKDOWN)
            .set_content_arrangement(ContentArrangement::Disabled);
        let names: Vec<&str> = filesystems.iter().map(|fs| fs.name).collect();
        let mut heads = vec!["row"];
        heads.extend(&names);
        heads.extend(["ratio", "spread"]);
        heads.extend(baseline.map(|_| "change"));
        table.set_header(
            heads
                .iter()
                .map(|head| Cell::new(head).add_attribute(Attribute::Bold)),
        );
        for row in &self.rows {
            let mut cells = vec![match &row.unit {
                Some(unit) => format!("{} ({unit})", row.id),
                None => row.id.clone(),
            }];
            let medians = names.iter().map(|&name| row.fs.get(name));
            cells.extend(
                medians.map(|sample| sample.map_or_else(none, |sample| number(sample.median))),
            );
            cells.push(row.ratio.map_or_else(none, |ratio| format!("{ratio:.2}")));
            let spread = row.fs.values().map(Sample::spread).fold(0.0, f64::max);
            cells.push(format!("{:.1} %", spread * 100.0));
            cells.extend(baseline.map(|earlier| change(row, earlier)));
            table.add_row(cells);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = table.to_string();
        let _ = write!(
            text,
            "\n\nMedians, in {} of Linux {} under {} where a row says nothing else. The ratio is that of {OURS} to the fastest of the \
             others\n(to itself under another policy where these cannot do it). The spread is that of \
             the file system\nwhose rounds differ most.\n",
            self.unit, self.kernel, self.accel
        );
        if let Some(earlier) = baseline {
            let _ = writeln!(
                text,
                "The change is that of {OURS} since the earlier run, on Linux {}.",
                earlier.kernel
            );
        }
        text
    }
}

impl BenchRow {
    /// Returns the ratio of ours to the fastest of the file systems that are not; where no other can
    /// do it, to the fastest of ours under another policy.
    fn ratio(&self, filesystems: &[FileSystem]) -> Option<f64> {
        let ours = self.fs.get(OURS)?.median;
        let fastest = |foreign: bool| {
            filesystems
                .iter()
                .filter(|fs| fs.name != OURS && fs.policy.is_none() == foreign)
                .filter_map(|fs| self.fs.get(fs.name))
                .map(|sample| sample.median)
                .min_by(f64::total_cmp)
        };
        let ratio = ours / fastest(true).or_else(|| fastest(false))?;
        Some((ratio * 1000.0).round() / 1000.0)
    }
}

fn none() -> String {
    "–".to_owned()
}

/// How much ours changed since an earlier run.
fn change(row: &BenchRow, earlier: &Bench) -> String {
    let before = earlier.rows.iter().find(|before| before.id == row.id);
    let before = before.and_then(|row| row.fs.get(OURS));
    match (before, row.fs.get(OURS)) {
        (Some(before), Some(now)) => {
            format!("{:+.1} %", (now.median / before.median - 1.0) * 100.0)
        }
        (None, Some(_)) => "new".to_owned(),
        _ => none(),
    }
}

/// `62.66 M`, `7,250`, `56.1`.
fn number(value: f64) -> String {
    if value >= 1e6 {
        return format!("{:.2} M", value / 1e6);
    }
    if value < 100.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::Mode;
    use super::*;
    use crate::lab::filesystem;

    fn bench(values: &[(&str, &str, f64)]) -> (Bench, Vec<FileSystem>) {
        let names = ["ext2", "ext4", "cohfs", "cohfs-mainline"].map(str::to_owned);
        let filesystems = filesystem::select(&names).unwrap();
        let row = |id: &str| Row {
            id: id.to_owned(),
            what: String::new(),
            unit: (id == "b").then(|| "bytes".to_owned()),
            mode: Mode::Counted,
        };
        let accel = qemu_runner::Accel::counting();
        let mut bench = Bench::new("7.3.4", &accel, "instructions", &[row("a"), row("b")]);
        for &(row, fs, value) in values {
            bench.enter(row, fs, value);
        }
        bench.settle(&filesystems);
        (bench, filesystems)
    }

    #[test]
    fn a_number_is_the_median_and_compared_with_the_fastest_other() {
        let (bench, filesystems) = bench(&[
            ("a", "cohfs", 900.0),
            ("a", "cohfs", 1000.0),
            ("a", "cohfs", 9000.0),
            ("a", "ext2", 2000.0),
            ("a", "ext4", 4000.0),
            ("a", "cohfs-mainline", 1.0),
            ("b", "cohfs", 3.0),
            ("b", "cohfs-mainline", 2.0),
        ]);
        assert_eq!(bench.rows[0].ratio, Some(0.5));
        assert_eq!(bench.rows[1].ratio, Some(1.5));
        let table = bench.table(&filesystems, None);
        assert!(table.contains("1,000"), "{table}");
        assert!(table.contains("| b (bytes) |"), "{table}");
        assert!(table.contains("810.0 %"), "{table}");
    }

    #[test]
    fn a_change_is_that_of_ours() {
        let (before, _) = bench(&[("a", "cohfs", 200.0)]);
        let (now, filesystems) = bench(&[("a", "cohfs", 150.0), ("b", "cohfs", 1.0)]);
        let text = serde_json::to_string(&before).unwrap();
        let table = now.table(&filesystems, Some(&serde_json::from_str(&text).unwrap()));
        assert!(table.contains("-25.0 %"), "{table}");
        assert!(table.contains("new"), "{table}");
    }

    #[test]
    fn numbers_are_short() {
        for (value, text) in [
            (62_660_000.0, "62.66 M"),
            (7250.4, "7,250"),
            (161_000.0, "161,000"),
            (157.0, "157"),
            (56.14, "56.1"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
