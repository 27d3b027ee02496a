// SPDX-License-Identifier: GPL-2.0

//! The comparison as data (`compare.json`) and as a table for people.

use super::catalogue::{Claim, Finding, Verdict};
use anyhow::Result;
use comfy_table::presets::ASCII_MARKDOWN;
use comfy_table::{Attribute, Cell, Color, ContentArrangement, Table};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// `compare.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Comparison {
    /// The version of this format.
    pub(crate) schema: u32,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// `kvm` or `tcg`.
    pub(crate) accel: String,
    /// Why that.
    pub(crate) reason: String,
    /// The columns.
    pub(crate) filesystems: Vec<String>,
    /// The rows.
    pub(crate) claims: Vec<Row>,
}

/// A claim and what each file system makes of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    /// The claim's id.
    pub(crate) id: String,
    /// The claim in words.
    pub(crate) name: String,
    /// By file system.
    pub(crate) verdicts: BTreeMap<String, Finding>,
}

impl Comparison {
    /// An empty comparison.
    pub(crate) fn new(kernel: &str, accel: &qemu_runner::Accel, claims: &[Claim]) -> Self {
        let row = |claim: &Claim| Row {
            id: claim.id.clone(),
            name: claim.name.clone(),
            verdicts: BTreeMap::new(),
        };
        Self {
            schema: 1,
            kernel: kernel.to_owned(),
            accel: accel.name().to_owned(),
            reason: accel.reason().to_owned(),
            filesystems: Vec::new(),
            claims: claims.iter().map(row).collect(),
        }
    }

    /// Enters what a claim came to.
    pub(crate) fn enter(&mut self, filesystem: &str, claim: &str, finding: &Finding) {
        if let Some(row) = self.claims.iter_mut().find(|row| row.id == claim) {
            row.verdicts.insert(filesystem.to_owned(), finding.clone());
        }
    }

    /// The table, with a legend below it. Fits the terminal.
    pub(crate) fn table(&self) -> String {
        let mut table = Table::new();
        table
            .load_style(ASCII_MARKDOWN)
            .set_content_arrangement(ContentArrangement::Dynamic);
        let heads = ["", "claim"]
            .into_iter()
            .chain(self.filesystems.iter().map(String::as_str));
        table.set_header(heads.map(|head| Cell::new(head).add_attribute(Attribute::Bold)));
        for row in &self.claims {
            let mut cells = vec![Cell::new(&row.id), Cell::new(row.name.replace('_', " "))];
            cells.extend(self.filesystems.iter().map(|fs| cell(row.verdicts.get(fs))));
            table.add_row(cells);
        }
        let mut text = table.to_string();
        let _ = writeln!(text);
        let _ = writeln!(text, "{:>5} {}", "", self.tally());
        text + LEGEND
    }

    /// How many claims each file system keeps, of those that could be tried.
    fn tally(&self) -> String {
        let of = |fs: &String| {
            let (kept, tried) = self.kept_of(fs);
            format!("{fs} keeps {kept} of {tried}")
        };
        self.filesystems
            .iter()
            .map(of)
            .collect::<Vec<_>>()
            .join(" · ")
    }

    /// How many claims a file system keeps, and how many could be tried.
    pub(crate) fn kept_of(&self, fs: &str) -> (usize, usize) {
        let verdicts: Vec<_> = self
            .claims
            .iter()
            .filter_map(|row| row.verdicts.get(fs))
            .map(|finding| finding.verdict)
            .filter(|verdict| !matches!(verdict, Verdict::Skip | Verdict::NotRun))
            .collect();
        let kept = verdicts.iter().filter(|&&verdict| verdict == Verdict::Kept);
        (kept.count(), verdicts.len())
    }

    /// As JSON.
    pub(crate) fn to_json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

const LEGEND: &str = "\
kept: the promise held · stale: old bytes were seen · lost: acknowledged bytes are gone · torn: a mixture
error: the caller was told · false-error: a bystander was hit · hang: no end · skip: could not be tried
";

fn cell(finding: Option<&Finding>) -> Cell {
    let Some(finding) = finding else {
        return Cell::new("");
    };
    let cell = Cell::new(finding.verdict);
    match finding.verdict {
        Verdict::Kept => cell.fg(Color::Green),
        Verdict::Skip | Verdict::NotRun => cell.fg(Color::DarkGrey),
        Verdict::Error | Verdict::FalseError => cell.fg(Color::Yellow),
        Verdict::Stale | Verdict::Lost | Verdict::Torn | Verdict::Hang => cell.fg(Color::Red),
    }
}
