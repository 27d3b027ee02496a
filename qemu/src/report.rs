// SPDX-License-Identifier: GPL-2.0

//! What came of a run.

use std::path::{Path, PathBuf};

use lab_proto::Outcome;
use serde::Serialize;

use crate::splat::{self, Splat};

/// How many lines of the console an excerpt has.
const EXCERPT_LINES: usize = 40;
/// How many of them may come before the first complaint.
const EXCERPT_BEFORE: usize = 3;

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The guest came to the end of its job and said so.
    Finished,
    /// The kernel gave up, or oopsed.
    Panicked,
    /// It went silent, or took too long; this is which.
    Hung(String),
    /// The machine ended without a word; this is what is known.
    Lost(String),
}

/// A step as it went.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// Its name.
    pub name: String,
    /// How it ended; `None` if it never did.
    pub outcome: Option<Outcome>,
    /// Milliseconds of the guest.
    pub ms: u64,
    /// What it printed.
    pub lines: Vec<String>,
    /// The taint flags after it.
    pub taint: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// What the kernel complained about.
    pub splats: Vec<Splat>,
    /// The steps that were begun.
    pub steps: Vec<StepReport>,
    /// Whether every step of the job was begun.
    pub complete: bool,
    /// Taint flags that are not those of an unsigned out-of-tree module.
    pub taint: u64,
    /// The release of the kernel.
    pub release: String,
    /// Seconds on the host.
    pub seconds: f64,
    /// The console, as a file.
    pub console: PathBuf,
    /// The lines of it that tell most: those around the first complaint of the kernel, or else the
    /// last ones.
    pub excerpt: String,
}

impl Report {
    /// Whether the guest came up and said that it begins with its job.
    pub fn began(&self) -> bool {
        !self.release.is_empty() || !self.steps.is_empty()
    }

    /// Says what is wrong with the run as a whole, apart from what its steps say.
    pub fn fault(&self) -> Option<String> {
        let end = match &self.end {
            End::Finished => None,
            End::Panicked => Some("the kernel panicked".to_owned()),
            End::Hung(why) => Some(format!("the guest hung: {why}")),
            End::Lost(why) => Some(format!("the machine was lost: {why}")),
        };
        let splat = || {
            self.splats.first().map(|splat| match &splat.step {
                Some(step) => format!("{} in {step}: {}", splat.kind, splat.line),
                None => format!("{}: {}", splat.kind, splat.line),
            })
        };
        let taint =
            || (self.taint != 0).then(|| format!("the kernel was tainted: {:#x}", self.taint));
        end.or_else(splat).or_else(taint)
    }

    /// The steps that did not come to what they must, those that never ended among them.
    pub fn failed(&self) -> impl Iterator<Item = &StepReport> {
        let well = Some(Outcome::AsExpected);
        self.steps.iter().filter(move |step| step.outcome != well)
    }

    /// The exit status of a run like this: 0 if nothing at all is wrong with it.
    pub fn exit_status(&self) -> u8 {
        match &self.end {
            End::Panicked => 3,
            _ if !self.splats.is_empty() || self.taint != 0 => 3,
            End::Hung(_) => 5,
            End::Lost(_) => 6,
            End::Finished if !self.complete || self.failed().next().is_some() => 1,
            End::Finished => 0,
        }
    }

    /// Returns a step by its name.
    pub fn step(&self, name: &str) -> Option<&StepReport> {
        self.steps.iter().find(|step| step.name == name)
    }
}

/// What tells most of a console.
pub(crate) fn excerpt(console: &Path) -> String {
    let text = std::fs::read(console).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let complaint = lines.iter().position(|line| splat::judge(line).is_some());
    let first = match complaint {
        Some(number) => number.saturating_sub(EXCERPT_BEFORE),
        None => lines.len().saturating_sub(EXCERPT_LINES),
    };
    let told: Vec<&str> = lines.into_iter().skip(first).take(EXCERPT_LINES).collect();
    told.join("\n")
}
