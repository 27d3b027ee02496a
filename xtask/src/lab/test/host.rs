// SPDX-License-Identifier: GPL-2.0

//! Tests that cargo runs: the model, the claims' program, the lab itself, and the runner against
//! guests that go wrong.

use super::Group;
use crate::artifacts::Artifacts;
use crate::context::Context;
use crate::lab::results::{Status, TestResult};
use crate::process::cargo;
use anyhow::{Context as _, Result};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Every test of the workspace that needs no kernel.
pub(super) fn tests(ctx: &Context) -> Result<Group> {
    let mut command = cargo();
    command
        .current_dir(&ctx.repo)
        .args(["test", "--workspace", "--no-fail-fast"]);
    run(ctx, "host", "the workspace's own tests", &mut command)
}

/// The runner's tests, which boot a kernel.
pub(super) fn runner(ctx: &Context, artifacts: &Artifacts) -> Result<Group> {
    let mut command = cargo();
    command
        .current_dir(&ctx.repo)
        .args([
            "test",
            "-p",
            "qemu-runner",
            "--test",
            "boot",
            "--no-fail-fast",
        ])
        .args(["--", "--ignored", "--test-threads=1"])
        .env("COHFS_TEST_QEMU", &artifacts.qemu)
        .env("COHFS_TEST_KERNEL", &artifacts.kernel_image)
        .env("COHFS_TEST_INIT", &artifacts.init)
        .env("COHFS_TEST_BUSYBOX", &artifacts.busybox);
    run(
        ctx,
        "runner",
        "the runner and guests that go wrong",
        &mut command,
    )
}

fn run(ctx: &Context, suite: &str, what: &str, command: &mut Command) -> Result<Group> {
    let began = Instant::now();
    let step = ctx.ui.step("Test", what);
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {}", command.get_program().display()))?;
    step.done(what);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut tests = read(suite, &text);
    let told = tests
        .iter()
        .any(|test| matches!(test.status, Status::Failed(_)));
    if !output.status.success() && !told {
        // It did not compile, or a test took the whole program with it.
        tests.push(result(
            suite,
            "cargo test",
            Status::Failed(format!("{complaints}\n{text}")),
        ));
    }
    // libtest tells the time of a program, not of a test.
    let count = u32::try_from(tests.len().max(1)).unwrap_or(u32::MAX);
    let time = began.elapsed() / count;
    let tests = tests
        .into_iter()
        .map(|test| TestResult { time, ..test })
        .collect();
    Ok(Group {
        tests,
        ..Group::default()
    })
}

/// Reads what libtest prints: a line for each test, and what the failed ones said.
fn read(suite: &str, text: &str) -> Vec<TestResult> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.split_once(" ... "));
    let tests = lines.filter_map(|(name, outcome)| {
        let name = name.trim_end_matches(" - should panic");
        let status = match outcome.split_whitespace().next()? {
            "ok" => Status::Passed,
            "FAILED" => Status::Failed(said(text, name)),
            // Longer runs of what runs anyway, and the runner's, which are a group of their own.
            _ => return None,
        };
        Some(result(suite, name, status))
    });
    tests.collect()
}

/// What a failed test printed.
fn said(text: &str, name: &str) -> String {
    let head = format!("---- {name} stdout ----");
    let rest = text.split_once(&head).map_or("", |(_, rest)| rest);
    let end = rest
        .find("\n---- ")
        .or_else(|| rest.find("\nfailures:"))
        .unwrap_or(rest.len());
    rest[..end].trim().to_owned()
}

fn result(suite: &str, name: &str, status: Status) -> TestResult {
    TestResult {
        suite: suite.to_owned(),
        name: name.to_owned(),
        status,
        time: Duration::ZERO,
        detail: String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "running 3 tests\ntest a::b ... ok\ntest c ... ignored, long\n\
        test d ... FAILED\n\nfailures:\n\n---- d stdout ----\nwhy\n\nfailures:\n    d\n";

    #[test]
    fn each_test_that_ran_is_read() {
        let tests = read("host", OUTPUT);
        let names: Vec<_> = tests.iter().map(|test| test.name.as_str()).collect();
        assert_eq!(names, ["a::b", "d"]);
        assert_eq!(tests[1].status, Status::Failed("why".to_owned()));
    }
}
