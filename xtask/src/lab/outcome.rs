// SPDX-License-Identifier: GPL-2.0

//! What came of a machine: the findings of its claims, and everything that went wrong besides.

use super::catalogue::{Finding, Verdict};
use super::filesystem::FileSystem;
use super::images::{self, Bench};
use super::plan;
use crate::exit::Exit;
use anyhow::Result;
use qemu_runner::{Outcome, Report, StepReport, ktap};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// What a claim came to on a disk.
#[derive(Clone, Debug)]
pub(crate) struct ClaimResult {
    /// The claim's id.
    pub(crate) claim: String,
    /// The name of the disk.
    pub(crate) bench: String,
    /// What was found.
    pub(crate) finding: Finding,
}

/// Something that went wrong and is no finding of a claim's.
#[derive(Clone, Debug)]
pub(crate) struct Trouble {
    /// The exit status it asks for.
    pub(crate) exit: Exit,
    /// What it is.
    pub(crate) what: String,
}

/// Everything about one machine.
#[derive(Clone, Debug)]
pub(crate) struct VmOutcome {
    /// The machine's name.
    pub(crate) name: String,
    /// What the claims came to.
    pub(crate) results: Vec<ClaimResult>,
    /// What else went wrong.
    pub(crate) troubles: Vec<Trouble>,
    /// Kernel faults among it.
    pub(crate) splats: usize,
    /// The kernel's release.
    pub(crate) release: String,
    /// Seconds on the host.
    pub(crate) seconds: f64,
    /// Its console.
    pub(crate) console: PathBuf,
    /// What of it tells most, if the machine itself went wrong.
    pub(crate) excerpt: String,
}

/// The diagnostic line before a claim's result.
#[derive(Deserialize)]
struct Diagnostic {
    claim: String,
    #[serde(flatten)]
    finding: Finding,
}

/// What the claims' program found, by id, from the lines that it printed.
pub(crate) fn findings(lines: &[String]) -> impl Iterator<Item = (String, Finding)> {
    let results = ktap::read(lines.iter().map(String::as_str));
    results.tests.into_iter().filter_map(|test| {
        let mut last = test.diagnostics.iter().rev();
        let Diagnostic { claim, finding } =
            last.find_map(|line| serde_json::from_str(line).ok())?;
        Some((claim, finding))
    })
}

impl VmOutcome {
    /// Takes what every machine says of itself: how it ended, and which steps failed.
    pub(crate) fn new(name: &str, report: &Report) -> Self {
        let mut troubles = Vec::new();
        if let Some(what) = report.fault() {
            troubles.push(Trouble {
                exit: exit_of(report),
                what,
            });
        }
        for step in &report.steps {
            match &step.outcome {
                Some(Outcome::AsExpected) => {}
                Some(Outcome::Failed(why)) => troubles.push(Trouble {
                    exit: Exit::Failed,
                    what: format!("{}: {why}", step.name),
                }),
                None => troubles.push(Trouble {
                    exit: exit_of(report),
                    what: format!("{}: it had begun and did not end", step.name),
                }),
            }
        }
        if !report.complete && troubles.is_empty() {
            troubles.push(Trouble {
                exit: Exit::VmLost,
                what: "not every step was run".to_owned(),
            });
        }
        Self {
            name: name.to_owned(),
            results: Vec::new(),
            troubles,
            splats: report.splats.len(),
            release: report.release.clone(),
            seconds: report.seconds,
            console: report.console.clone(),
            excerpt: report
                .fault()
                .map_or_else(String::new, |_| report.excerpt.clone()),
        }
    }

    /// Takes the claims' findings, and where the disks hold ext2 compares what two drivers read, and
    /// has `e2fsck` look at the images.
    pub(crate) fn of_claims(
        fs: &FileSystem,
        report: &Report,
        benches: &[Bench],
        images: &Path,
    ) -> Result<Self> {
        let mut outcome = Self::new(fs.name, report);
        for bench in benches {
            outcome.take_claims(bench, report.step(&plan::claims_step(bench)));
            let before = report.step(&plan::digest_step(bench));
            let after = report.step(&plan::digest_again_step(bench));
            if let (Some(before), Some(after)) = (before, after) {
                outcome.compare_digests(&bench.name(), before, after);
            }
            if fs.is_ext2() {
                outcome.check_image(&images.join(format!("{}.img", bench.name())))?;
            }
        }
        Ok(outcome)
    }

    /// Notes something that went wrong.
    pub(crate) fn blame(&mut self, exit: Exit, what: impl Into<String>) {
        self.troubles.push(Trouble {
            exit,
            what: what.into(),
        });
    }

    fn take_claims(&mut self, bench: &Bench, step: Option<&StepReport>) {
        let lines = step.map_or(&[][..], |step| &step.lines);
        let results = ktap::read(lines.iter().map(String::as_str));
        if step.is_some()
            && let Err(why) = results.complete()
        {
            self.blame(Exit::Failed, format!("{}: {why}", plan::claims_step(bench)));
        }
        let mut found: Vec<_> = findings(lines).collect();
        for claim in &bench.claims {
            let position = found.iter().position(|(found, _)| found == claim);
            let finding = position.map(|position| found.swap_remove(position).1);
            if finding.is_none() && step.is_some_and(|step| step.outcome.is_some()) {
                let what = format!("{}: {claim} gave no verdict", plan::claims_step(bench));
                self.blame(Exit::Failed, what);
            }
            self.results.push(ClaimResult {
                claim: claim.clone(),
                bench: bench.name(),
                finding: finding.unwrap_or_else(|| Finding {
                    verdict: Verdict::NotRun,
                    detail: "the machine ended before it".to_owned(),
                    ms: 0,
                    log: Vec::new(),
                }),
            });
        }
    }

    /// Two drivers must read the same bytes from one image.
    pub(crate) fn compare_digests(&mut self, disk: &str, before: &StepReport, after: &StepReport) {
        let complete = |step: &StepReport| step.outcome == Some(Outcome::AsExpected);
        if !complete(before) || !complete(after) {
            return; // Which is told already.
        }
        if before.lines.is_empty() {
            self.blame(Exit::Failed, format!("{disk}: no files to compare"));
        }
        for line in &before.lines {
            if !after.lines.contains(line) {
                let what = format!("{disk}: stock ext2 reads something else than \"{line}\"");
                self.blame(Exit::Failed, what);
            }
        }
        if before.lines.len() != after.lines.len() {
            let what = format!(
                "{disk}: {} files, stock ext2 sees {}",
                before.lines.len(),
                after.lines.len()
            );
            self.blame(Exit::Failed, what);
        }
    }

    /// `e2fsck` must find nothing wrong with an image.
    pub(crate) fn check_image(&mut self, image: &Path) -> Result<()> {
        if let Some(said) = images::check(image)? {
            let what = format!("e2fsck -fn {} complains:\n{said}", image.display());
            self.blame(Exit::Failed, what);
        }
        Ok(())
    }
}

fn exit_of(report: &Report) -> Exit {
    match report.exit_status() {
        3 => Exit::KernelFault,
        5 => Exit::Hang,
        6 => Exit::VmLost,
        _ => Exit::Failed,
    }
}

/// The status that tells the most of several: a kernel fault before a hang before a lost machine
/// before a failure before nothing.
pub(crate) fn worst(exits: impl IntoIterator<Item = Exit>) -> Exit {
    const ORDER: [Exit; 5] = [
        Exit::KernelFault,
        Exit::Hang,
        Exit::VmLost,
        Exit::Failed,
        Exit::NothingRan,
    ];
    let exits: Vec<_> = exits.into_iter().collect();
    let worst = ORDER.into_iter().find(|exit| exits.contains(exit));
    worst.unwrap_or(Exit::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_fault_outranks_everything() {
        assert_eq!(
            worst([Exit::Failed, Exit::KernelFault, Exit::Hang]),
            Exit::KernelFault
        );
        assert_eq!(worst([Exit::Failed, Exit::Passed]), Exit::Failed);
        assert_eq!(worst([]), Exit::Passed);
    }
}
