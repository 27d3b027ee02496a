// SPDX-License-Identifier: GPL-2.0

//! `compare --dir`: the claims on a directory of the machine it stands on, under its own kernel and
//! without a virtual machine, as far as that is safe there.

use super::catalogue::{self, Claim};
use super::compare::{Arguments, fact};
use super::matrix::Comparison;
use super::outcome::findings;
use super::report;
use super::results::{Results, Status, TestResult};
use super::rundir::RunDir;
use crate::context::Context;
use crate::exit::{Exit, failure};
use crate::process::{command, output};
use crate::{guest, setup};
use anyhow::{Context as _, Result};
use qemu_runner::Accel;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Seconds that a claim may take.
const CLAIM_SECONDS: &str = "60";

/// Tries the claims in a directory of their own below `dir`.
pub(super) fn run(ctx: &Context, dir: &Path, arguments: &Arguments) -> Result<Exit> {
    let began = Instant::now();
    if !dir.is_dir() {
        let what = format!("{} is no directory", dir.display());
        return Err(failure(Exit::Usage, what));
    }
    setup::ensure(ctx)?;
    let program = guest::build(ctx)?.claims;
    let claims = catalogue::select(catalogue::load(&program)?, arguments.claims())?;
    let name = output(command("stat").args(["-f", "-c", "%T"]).arg(dir))
        .context("asking for the type of the file system")?
        .trim()
        .replace('/', "-");
    let lines = try_claims(ctx, &program, &claims, dir, arguments.disturb())?;
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut comparison = Comparison::new(release.trim(), &Accel::tcg(""), &claims);
    comparison.accel = "host".to_owned();
    comparison.reason = format!("in {}, without a virtual machine", dir.display());
    comparison.filesystems.push(name.clone());
    let mut tests = Vec::new();
    for claim in &claims {
        let Some((_, finding)) = findings(&lines).find(|(id, _)| *id == claim.id) else {
            let what = format!("{} gave no verdict: {}", claim.id, lines.join("\n"));
            return Err(failure(Exit::Failed, what));
        };
        comparison.enter(&name, &claim.id, &finding);
        tests.push(TestResult {
            suite: name.clone(),
            name: format!("{}.{}", claim.id, claim.name),
            status: fact(&finding),
            time: Duration::from_millis(finding.ms),
            detail: format!("{}: {}", finding.verdict, finding.detail),
        });
    }
    let results = Results {
        tests,
        splats: 0,
        time: began.elapsed(),
        kernel: comparison.kernel.clone(),
        variant: "host",
    };
    keep(ctx, &results, &comparison, &claims)?;
    let skipped = |test: &TestResult| matches!(test.status, Status::Skipped(_));
    Ok(match results.tests.iter().all(skipped) {
        true => Exit::NothingRan,
        false => Exit::Passed,
    })
}

/// Runs the program; returns what it prints.
fn try_claims(
    ctx: &Context,
    program: &Path,
    claims: &[Claim],
    dir: &Path,
    disturb: bool,
) -> Result<Vec<String>> {
    let scratch = tempfile::Builder::new()
        .prefix("claims.")
        .tempdir_in(dir)
        .with_context(|| format!("making a directory in {}", dir.display()))?;
    let mut run = command(program);
    run.args(["run", "--timeout", CLAIM_SECONDS, "--dir"])
        .arg(scratch.path());
    if !disturb {
        run.arg("--careful");
    }
    for claim in claims {
        run.args(["--claim", &claim.id]);
    }
    let what = format!("{} in {}", claims.len(), dir.display());
    let step = ctx
        .ui
        .counted("Claims", what.clone(), u64::try_from(claims.len())?);
    let mut child = run
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the claims")?;
    let said = child.stdout.take().context("its output is piped")?;
    let mut lines = Vec::new();
    for line in BufReader::new(said).lines() {
        let line = line.context("reading what the claims say")?;
        if line.starts_with("ok ") || line.starts_with("not ok ") {
            step.tick();
        }
        lines.push(line);
    }
    child.wait().context("waiting for the claims")?;
    step.done(what);
    Ok(lines)
}

fn keep(ctx: &Context, results: &Results, comparison: &Comparison, claims: &[Claim]) -> Result<()> {
    let dir = RunDir::create(ctx)?;
    dir.write("compare.json", &comparison.to_json()?)?;
    results.write(&dir)?;
    report::keep_claims(&dir, claims)?;
    report::write(&dir)?;
    print!("{}", comparison.table());
    let page = dir.path().join(report::PAGE);
    ctx.ui.say("Files", page.display());
    Ok(())
}
