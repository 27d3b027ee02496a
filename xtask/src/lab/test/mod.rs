// SPDX-License-Identifier: GPL-2.0

//! The verb `test`: everything that is tested, on the host and in the debug kernel.

mod bad_images;
mod formats;
mod generator;
mod host;
mod lifecycle;
mod machine;
mod mutants;
mod panics;
mod policies;
mod storm;
mod suites;

use super::accel::Choice;
use super::boot::{Lab, side_by_side};
use super::outcome::{VmOutcome, worst};
use super::report;
use super::results::{Results, Status, TestResult};
use crate::artifacts::Variant;
use crate::check::CHECKS;
use crate::context::Context;
use crate::exit::Exit;
use crate::progress::duration;
use anyhow::Result;
use policies::Claims;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What to test.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Only what matches: a group (host, check, runner, claims, formats, bad-images, mutants,
    /// lifecycle, generator, storm, panic, suites), one of the suites (fsx, pjdfstest, fio, stress-ng, attributes), or a
    /// claim, such as T21
    #[arg(value_name = "FILTER")]
    filters: Vec<String>,
    /// All that can be tested, which takes hours, not a bounded part of it
    #[arg(long)]
    full: bool,
    /// In which kernel: the other one finds less, several times as fast
    #[arg(long, default_value = "debug")]
    variant: Variant,
    /// Only this mutant of each image, and random steps that depend on this number
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
}

impl Arguments {
    /// Whether the group is asked for: by name, or because nothing is.
    fn wants(&self, group: &str) -> bool {
        self.filters.is_empty() || self.filters.iter().any(|filter| filter == group)
    }

    /// The filters that name no group, and so name claims.
    fn claims(&self) -> Vec<String> {
        const GROUPS: [&str; 12] = [
            "host",
            "check",
            "runner",
            "claims",
            "formats",
            "bad-images",
            "lifecycle",
            "generator",
            "suites",
            storm::NAME,
            mutants::NAME,
            panics::NAME,
        ];
        let claims = self
            .filters
            .iter()
            .filter(|filter| !GROUPS.contains(&filter.as_str()) && !suites::is_suite(filter));
        claims.cloned().collect()
    }
}

/// How much of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What fits into every run of `test`.
    Bounded,
    /// All of it.
    Full,
}

/// What a group of tests came to.
#[derive(Default)]
pub(crate) struct Group {
    /// Its tests.
    tests: Vec<TestResult>,
    /// What asks for an exit status of its own.
    exits: Vec<Exit>,
    /// Complaints of kernels.
    splats: usize,
}

impl Group {
    /// A group of one machine: its own test and those that ran in it.
    fn of_machine(tests: Vec<TestResult>, outcome: &VmOutcome) -> Self {
        Self {
            tests,
            exits: outcome
                .troubles
                .iter()
                .map(|trouble| trouble.exit)
                .collect(),
            splats: outcome.splats,
        }
    }

    /// Adds another group.
    fn take(&mut self, group: Self) {
        self.tests.extend(group.tests);
        self.exits.extend(group.exits);
        self.splats += group.splats;
    }
}

/// Runs the tests and prints how each went; the last line says how many.
pub(crate) fn run(ctx: &Context, choice: Choice, arguments: &Arguments) -> Result<Exit> {
    let began = Instant::now();
    let lab = Lab::open(ctx, arguments.variant, choice)?;
    let mut all = Group::default();
    // Told as soon as it is known: who gives up before the end has that much.
    let tell_of = |job: Job| -> Result<Group> {
        let group = job(&lab)?;
        for test in &group.tests {
            ctx.ui.result(line(test));
        }
        Ok(group)
    };
    for group in side_by_side(jobs(&lab, arguments)?, lab.at_once(1), tell_of) {
        all.take(group?);
    }
    let results = Results {
        tests: all.tests,
        splats: all.splats,
        time: began.elapsed(),
        kernel: lab.artifacts.kernel_release.clone(),
        variant: arguments.variant.name(),
    };
    results.write(&lab.dir)?;
    report::write(&lab.dir)?;
    Ok(close(&results, &all.exits))
}

/// A group of tests that is run beside others.
type Job = Box<dyn FnOnce(&Lab<'_>) -> Result<Group> + Send>;

/// The groups, those that take the longest first.
fn jobs(lab: &Lab<'_>, arguments: &Arguments) -> Result<Vec<Job>> {
    let mut groups: Vec<Job> = Vec::new();
    let extent = if arguments.full {
        Extent::Full
    } else {
        Extent::Bounded
    };
    let names = arguments.claims();
    if arguments.wants("claims") || !names.is_empty() {
        let claims = Arc::new(Claims::prepare(lab, &names, extent)?);
        for policy in policies::policies() {
            let claims = Arc::clone(&claims);
            groups.push(Box::new(move |lab| claims.tests(lab, &policy)));
        }
    }
    if arguments.wants("runner") {
        groups.push(Box::new(|lab| host::runner(lab.ctx, &lab.artifacts)));
    }
    let (host, check) = (arguments.wants("host"), arguments.wants("check"));
    if host || check {
        // One after the other: cargo has one lock for both.
        groups.push(Box::new(move |lab| {
            let mut group = Group::default();
            if host {
                group = host::tests(lab.ctx)?;
            }
            if check {
                group.tests.extend(checks(lab.ctx).tests);
            }
            Ok(group)
        }));
    }
    if arguments.wants("lifecycle") {
        groups.push(Box::new(lifecycle::tests));
    }
    if arguments.wants("generator") {
        groups.extend(generator::machines(extent, arguments.seed));
    }
    if arguments.wants(storm::NAME) {
        groups.extend(storm::machines(extent));
    }
    groups.extend(suites::machines(
        lab.ctx,
        |suite| arguments.wants("suites") || arguments.wants(suite),
        extent,
    )?);
    if arguments.wants(mutants::NAME) {
        groups.extend(mutants::machines(arguments.seed, extent));
    }
    if arguments.wants(panics::NAME) {
        groups.push(Box::new(panics::tests));
    }
    if arguments.wants("bad-images") {
        groups.push(Box::new(bad_images::tests));
    }
    if arguments.wants("formats") {
        groups.push(Box::new(formats::tests));
    }
    Ok(groups)
}

/// The checks of the source, each as a test.
fn checks(ctx: &Context) -> Group {
    let tests = CHECKS.iter().map(|check| {
        let began = Instant::now();
        let step = ctx.ui.step("Check", check.name);
        let status = match (check.run)(ctx) {
            Ok(None) => Status::Passed,
            Ok(Some(findings)) => Status::Failed(findings),
            Err(error) => Status::Failed(format!("{error:#}")),
        };
        drop(step);
        TestResult {
            suite: "check".to_owned(),
            name: check.name.to_owned(),
            status,
            time: began.elapsed(),
            detail: String::new(),
        }
    });
    Group {
        tests: tests.collect(),
        ..Group::default()
    }
}

/// One line for a test.
fn line(test: &TestResult) -> String {
    let (verdict, why) = match &test.status {
        Status::Passed => ("PASS", ""),
        Status::Failed(why) => ("FAIL", why.lines().next().unwrap_or_default()),
        Status::Skipped(why) => ("SKIP", why.as_str()),
    };
    let separator = if why.is_empty() { "" } else { ": " };
    let time = test.time.as_secs_f64();
    format!(
        "{verdict:>12} [{time:>8.3}s] {} {}{separator}{why}",
        test.suite, test.name
    )
}

/// Repeats the failures with what is known of them, and counts.
fn close(results: &Results, exits: &[Exit]) -> Exit {
    println!("────────────");
    for test in &results.tests {
        if let Status::Failed(why) = &test.status {
            println!("        FAIL {} {}\n{}", test.suite, test.name, indent(why));
        }
    }
    let (passed, failed, skipped) = results.counts();
    println!(
        "     Summary [{}] files in target/lab/latest",
        duration(results.time)
    );
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    let failed = (failed > 0).then_some(Exit::Failed);
    let nothing = (passed == 0 && failed.is_none()).then_some(Exit::NothingRan);
    worst(exits.iter().copied().chain(failed).chain(nothing))
}

fn indent(text: &str) -> String {
    let lines = text.lines().map(|line| format!("             {line}"));
    lines.collect::<Vec<_>>().join("\n")
}

/// A test from a step of a machine.
fn from_step(suite: &str, name: &str, report: &qemu_runner::Report, step: &str) -> TestResult {
    use qemu_runner::Outcome;
    let step = report.step(step);
    let status = match step.and_then(|step| step.outcome.as_ref()) {
        Some(Outcome::AsExpected) => Status::Passed,
        Some(Outcome::Failed(why)) => {
            let lines = step.map(|step| step.lines.join("\n")).unwrap_or_default();
            Status::Failed(format!("{why}\n{lines}"))
        }
        None => Status::Failed("it did not end".to_owned()),
    };
    TestResult {
        suite: suite.to_owned(),
        name: name.to_owned(),
        status: machine::told(status, report),
        time: Duration::from_millis(step.map_or(0, |step| step.ms)),
        detail: String::new(),
    }
}
