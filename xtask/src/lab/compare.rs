// SPDX-License-Identifier: GPL-2.0

//! The verbs `run` and `compare`: the same claims on several file systems, each in a machine of
//! its own, on copies of one set of images.

use super::accel::Choice;
use super::boot::{self, Boot, Lab, side_by_side};
use super::catalogue::{self, Claim, Finding, Verdict};
use super::filesystem::{self, FileSystem};
use super::images::{self, Bench};
use super::matrix::Comparison;
use super::mkfs;
use super::on_host;
use super::outcome::{VmOutcome, worst};
use super::plan;
use super::report;
use super::results::{Results, Status, TestResult};
use crate::artifacts::Variant;
use crate::context::Context;
use crate::exit::Exit;
use anyhow::{Context as _, Result};
use qemu_runner::Event;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// What to compare.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// File systems, separated by commas: cohfs, cohfs-mainline, cohfs-seed, cohfs-none, ext2, ext4,
    /// ext4-nojournal, ext3, xfs, btrfs, f2fs, exfat, tmpfs, nfs, raw; "policies" stands for the first
    /// four, "all" for everything
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        default_value = "ext2,policies"
    )]
    fs: Vec<String>,
    /// Only the claims whose id or name matches
    #[arg(long = "claim", value_name = "GLOB")]
    claims: Vec<String>,
    /// Instead, a directory of this machine, of whatever file system, under the kernel that runs;
    /// what others would notice is left out
    #[arg(long, value_name = "PATH", conflicts_with = "fs")]
    dir: Option<PathBuf>,
    /// Leave nothing out: I/O errors on demand, writes to the device, a file system that is frozen
    /// or full
    #[arg(long, requires = "dir")]
    disturb: bool,
}

impl Arguments {
    /// The patterns that choose claims.
    pub(super) fn claims(&self) -> &[String] {
        &self.claims
    }

    /// Whether others may notice.
    pub(super) fn disturb(&self) -> bool {
        self.disturb
    }
}

/// The block size of claims that do not care.
const BLOCK_SIZE: u32 = 4096;

/// How long a machine may take beside its claims, in seconds on a fast one.
const SECONDS: u32 = 120;

/// How long it may take for each claim. What hangs is found long before, by the time of a claim or by
/// silence.
const SECONDS_EACH: u32 = 2;

/// What somebody sees who looks for the first time, within a minute: what both keep, and each way in
/// which ext2 fails.
const TOUR: [&str; 27] = [
    "T01", "T02", "T03", "T04", "T06", "T07", "T08", "T10", "T11", "T14", "T15", "T17", "T19",
    "T21", "T23", "T24b", "T25", "T27", "T29", "T35", "T40", "T58", "T61", "T63", "T68", "N2",
    "F03",
];

/// What `run` compares.
pub(crate) fn tour() -> Arguments {
    Arguments {
        fs: vec!["ext2".to_owned(), "cohfs".to_owned()],
        claims: TOUR.map(str::to_owned).to_vec(),
        dir: None,
        disturb: false,
    }
}

/// Boots one machine for each file system, prints the matrix, and keeps it.
pub(crate) fn run(ctx: &Context, choice: Choice, arguments: &Arguments) -> Result<Exit> {
    if let Some(dir) = &arguments.dir {
        return on_host::run(ctx, dir, arguments);
    }
    let began = Instant::now();
    let filesystems = filesystem::select(&arguments.fs)?;
    let lab = Lab::open(ctx, Variant::Base, choice)?;
    let claims = catalogue::load(&lab.artifacts.claims)?;
    let claims = catalogue::select(claims, &arguments.claims)?;
    let benches = images::benches(&claims, &[BLOCK_SIZE]);
    let masters = tempfile::tempdir().context("making a directory for images")?;
    make_images(&lab, &benches, masters.path())?;
    let troubles = mkfs::make_images(&lab, &filesystems, &benches, masters.path())?;

    let total = filesystems.len()
        * benches
            .iter()
            .map(|bench| bench.claims.len())
            .sum::<usize>();
    let step = ctx.ui.counted(
        "Claims",
        format!("{} on {} file systems", claims.len(), filesystems.len()),
        u64::try_from(total)?,
    );
    let on_event = |event: &Event| {
        if is_result(event) {
            step.tick();
        }
    };
    // Who takes longest begins, so that no processor is idle at the end.
    let mut queue: Vec<_> = filesystems.iter().enumerate().collect();
    queue.sort_by_key(|(_, fs)| !fs.slow);
    // Half of the time with one more than there are processors all of them wait.
    let outcomes = side_by_side(queue, lab.at_once(2), |(number, fs)| {
        let outcome = try_claims(&lab, fs, &benches, masters.path(), &on_event)?;
        Ok((number, outcome))
    });
    let mut outcomes = outcomes.into_iter().collect::<Result<Vec<_>>>()?;
    outcomes.sort_by_key(|(number, _)| *number);
    let outcomes: Vec<_> = outcomes.into_iter().map(|(_, outcome)| outcome).collect();
    step.done(format_args!(
        "{} on {} file systems",
        claims.len(),
        filesystems.len()
    ));

    let comparison = tabulate(&lab, &claims, &outcomes);
    lab.dir.write("compare.json", &comparison.to_json()?)?;
    let results = Results {
        tests: filesystems
            .iter()
            .zip(&outcomes)
            .flat_map(|(fs, outcome)| judge(ctx, fs, &claims, outcome))
            .collect(),
        splats: outcomes.iter().map(|outcome| outcome.splats).sum(),
        time: began.elapsed(),
        kernel: comparison.kernel.clone(),
        variant: Variant::Base.name(),
    };
    results.write(&lab.dir)?;
    report::keep_claims(&lab.dir, &claims)?;
    report::write(&lab.dir)?;
    print!("{}", comparison.table());
    for trouble in &troubles {
        ctx.ui
            .say("FAIL", format_args!("making images: {}", trouble.what));
    }
    let exit = say_what_is_wrong(ctx, &results, &outcomes);
    let exit = worst(troubles.iter().map(|trouble| trouble.exit).chain([exit]));
    hint(&lab, exit);
    Ok(exit)
}

/// Makes the images that the machines get copies of.
pub(crate) fn make_images(lab: &Lab<'_>, benches: &[Bench], dir: &Path) -> Result<()> {
    benches.iter().try_for_each(|bench| {
        let image = dir.join(format!("{}.img", bench.name()));
        images::prepare(&lab.artifacts.claims, bench, &image)
    })
}

/// Whether an event is the result line of a claim.
pub(crate) fn is_result(event: &Event) -> bool {
    matches!(event, Event::Line { text, .. } if text.starts_with("ok ") || text.starts_with("not ok "))
}

/// Tries the claims on one file system, in one machine. Its images stay if something is wrong.
pub(crate) fn try_claims(
    lab: &Lab<'_>,
    fs: &FileSystem,
    benches: &[Bench],
    masters: &Path,
    on_event: &dyn Fn(&Event),
) -> Result<VmOutcome> {
    let images = lab.dir.path().join(fs.name).join("images");
    std::fs::create_dir_all(&images).with_context(|| format!("creating {}", images.display()))?;
    let benches = &fs.mkfs.benches(benches)[..];
    let mut disks = Vec::new();
    for bench in benches {
        if let Some(master) = fs.master(masters, bench) {
            let image = images.join(format!("{}.img", bench.name()));
            images::copy(&master, &image)?;
            disks.push(bench.disk(image));
        }
    }
    let claims: usize = benches.iter().map(|bench| bench.claims.len()).sum();
    let boot = Boot {
        name: fs.name.to_owned(),
        cpus: boot::SEVERAL,
        disks,
        steps: plan::claims(fs, benches, lab.slowdown()),
        append: Vec::new(),
        files: Vec::new(),
        seconds: SECONDS + SECONDS_EACH * u32::try_from(claims)?,
    };
    let report = lab.boot(boot, &mut |event| on_event(event))?;
    let outcome = VmOutcome::of_claims(fs, &report, benches, &images)?;
    if outcome.troubles.is_empty() {
        std::fs::remove_dir_all(&images).context("removing images")?;
    }
    Ok(outcome)
}

fn tabulate(lab: &Lab<'_>, claims: &[Claim], outcomes: &[VmOutcome]) -> Comparison {
    let kernel = outcomes
        .iter()
        .map(|outcome| outcome.release.as_str())
        .find(|release| !release.is_empty())
        .unwrap_or(&lab.artifacts.kernel_release);
    let mut comparison = Comparison::new(kernel, &lab.accel, claims);
    for outcome in outcomes {
        comparison.filesystems.push(outcome.name.clone());
        for result in &outcome.results {
            comparison.enter(&outcome.name, &result.claim, &result.finding);
        }
    }
    comparison
}

/// Turns the findings in one machine into tests. On a foreign file system a verdict is a fact and
/// the test is that there is one; on ours it must be as designed. A claim that could not be tried
/// is excused, which is not to pass: where the design says so, if a busy machine did not open its
/// window, or in a kernel of the user's that may lack something. That slow disks are slow has a test of
/// its own, and so has a policy that keeps by [chance](chances) what it does not promise.
pub(crate) fn judge(
    ctx: &Context,
    fs: &FileSystem,
    claims: &[Claim],
    outcome: &VmOutcome,
) -> Vec<TestResult> {
    let own_kernel = ctx.options.kdir.is_some();
    let mut tests: Vec<_> = outcome
        .results
        .iter()
        .filter_map(|result| {
            let claim = claims.iter().find(|claim| claim.id == result.claim)?;
            let finding = &result.finding;
            let status = match (fs.policy, finding.verdict) {
                (Some(policy), Verdict::Skip)
                    if own_kernel || claim.is_race() || claim.accepts(policy, Verdict::Skip) =>
                {
                    fact(finding)
                }
                (Some(policy), verdict) if claim.accepts(policy, verdict) => Status::Passed,
                (None, _) | (_, Verdict::NotRun) => fact(finding),
                (Some(policy), Verdict::Kept) if claim.is_chancy() => Status::Skipped(format!(
                    "kept by chance, not {}: {}",
                    claim.expected(policy),
                    finding.detail
                )),
                (Some(policy), verdict) => Status::Failed(format!(
                    "{verdict}, expected {}: {}",
                    claim.expected(policy),
                    finding.detail
                )),
            };
            Some(TestResult {
                suite: outcome.name.clone(),
                name: format!("{}.{} on {}", claim.id, claim.name, result.bench),
                status,
                time: Duration::from_millis(finding.ms),
                detail: format!("{}: {}", finding.verdict, finding.detail),
            })
        })
        .collect();
    tests.extend(chances(fs, claims, outcome));
    tests.push(machine_test(outcome));
    tests
}

/// The test that a policy which keeps a promise only by chance does not keep most of them: if it did,
/// the claims would have stopped to look.
fn chances(fs: &FileSystem, claims: &[Claim], outcome: &VmOutcome) -> Option<TestResult> {
    let policy = fs.policy?;
    let chancy = outcome.results.iter().filter(|result| {
        claims.iter().any(|claim| {
            claim.id == result.claim && claim.is_chancy() && !claim.accepts(policy, Verdict::Kept)
        })
    });
    let verdicts = chancy.map(|result| result.finding.verdict);
    let tried = verdicts.filter(|verdict| !matches!(verdict, Verdict::Skip | Verdict::NotRun));
    let (kept, others): (Vec<_>, Vec<_>) = tried.partition(|verdict| *verdict == Verdict::Kept);
    let status = match (kept.len(), others.len()) {
        (0, 0) => return None,
        (kept, others) if kept > others => Status::Failed(format!(
            "{kept} claims were kept by chance, and only {others} not"
        )),
        _ => Status::Passed,
    };
    Some(TestResult {
        suite: outcome.name.clone(),
        name: "what is kept by chance is mostly not kept".to_owned(),
        status,
        time: Duration::ZERO,
        detail: String::new(),
    })
}

/// A verdict that nothing is expected of: that there is one is the test.
pub(super) fn fact(finding: &Finding) -> Status {
    match finding.verdict {
        Verdict::NotRun => Status::Failed(finding.detail.clone()),
        Verdict::Skip => Status::Skipped(finding.detail.clone()),
        _ => Status::Passed,
    }
}

/// The test that a machine as a whole went well.
pub(crate) fn machine_test(outcome: &VmOutcome) -> TestResult {
    let troubles: Vec<_> = outcome
        .troubles
        .iter()
        .map(|trouble| trouble.what.as_str())
        .collect();
    TestResult {
        suite: outcome.name.clone(),
        name: "machine, images and steps".to_owned(),
        status: if troubles.is_empty() {
            Status::Passed
        } else {
            let console = outcome.console.display();
            let (what, said) = (troubles.join("\n"), &outcome.excerpt);
            Status::Failed(format!("{what}\n{said}\nconsole: {console}"))
        },
        time: Duration::from_secs_f64(outcome.seconds),
        detail: String::new(),
    }
}

/// Says on stderr what is not as it should be, and settles the exit status.
fn say_what_is_wrong(ctx: &Context, results: &Results, outcomes: &[VmOutcome]) -> Exit {
    for test in &results.tests {
        if let Status::Failed(why) = &test.status {
            ctx.ui
                .say("FAIL", format_args!("{} {}: {why}", test.suite, test.name));
        }
    }
    let (passed, failed, skipped) = results.counts();
    ctx.ui.say(
        "Summary",
        format_args!("{passed} as designed, {failed} not, {skipped} skipped"),
    );
    let claims_failed = (failed > 0).then_some(Exit::Failed);
    let nothing = (passed + failed == outcomes.len() && skipped > 0).then_some(Exit::NothingRan);
    let troubles = outcomes.iter().flat_map(|outcome| &outcome.troubles);
    worst(
        troubles
            .map(|trouble| trouble.exit)
            .chain(claims_failed)
            .chain(nothing),
    )
}

fn hint(lab: &Lab<'_>, exit: Exit) {
    let say = |verb, text: String| lab.ctx.ui.say(verb, text);
    let latest = lab.ctx.results().join("latest");
    let latest = latest
        .strip_prefix(&lab.ctx.repo)
        .unwrap_or(&latest)
        .display()
        .to_string();
    say(
        "Files",
        format!("{latest}/ (report.html, compare.json, one console.log for each machine)"),
    );
    if exit == Exit::Passed {
        say(
            "Next",
            "cargo xtask explain T21 · cargo xtask shell · make test".to_owned(),
        );
    }
}
