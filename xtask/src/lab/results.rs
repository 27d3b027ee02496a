// SPDX-License-Identifier: GPL-2.0

//! Results for machines to read: `summary.json`, `results.ktap`, `junit.xml`. All three are
//! renderings of one list of tests.

use super::rundir::RunDir;
use anyhow::{Context as _, Result};
use quick_junit::{NonSuccessKind, TestCase, TestCaseStatus, TestSuite};
use serde::{Deserialize, Serialize};
use std::fmt::Write as _;
use std::time::Duration;

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// As it must.
    Passed,
    /// Otherwise; this is what was seen.
    Failed(String),
    /// It could not be tried; this is why.
    Skipped(String),
}

/// One test of a run.
#[derive(Clone, Debug)]
pub(crate) struct TestResult {
    /// What it belongs to, such as the machine it ran in.
    pub(crate) suite: String,
    /// Its name in there.
    pub(crate) name: String,
    /// How it ended.
    pub(crate) status: Status,
    /// How long it took.
    pub(crate) time: Duration,
    /// What it has to say that is no failure.
    pub(crate) detail: String,
}

/// Everything there is to say about a run.
#[derive(Clone, Debug)]
pub(crate) struct Results {
    /// What ran.
    pub(crate) tests: Vec<TestResult>,
    /// Complaints of kernels.
    pub(crate) splats: usize,
    /// How long all of it took.
    pub(crate) time: Duration,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The kernel's variant.
    pub(crate) variant: &'static str,
}

/// `summary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Summary {
    schema: u32,
    /// How many passed.
    pub(crate) passed: usize,
    /// How many failed.
    pub(crate) failed: usize,
    /// How many were skipped.
    pub(crate) skipped: usize,
    /// Complaints of kernels.
    pub(crate) splats: usize,
    /// How long all of it took.
    pub(crate) seconds: f64,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// The kernel's variant.
    pub(crate) variant: String,
    /// What ran.
    #[serde(default)]
    pub(crate) tests: Vec<Recorded>,
}

/// A test in `summary.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    /// What it belongs to.
    pub(crate) suite: String,
    /// Its name in there.
    pub(crate) name: String,
    /// `passed`, `failed` or `skipped`.
    pub(crate) status: String,
    /// How long it took.
    pub(crate) seconds: f64,
    /// What was seen if it failed, or why it was skipped.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) why: String,
}

impl From<&TestResult> for Recorded {
    fn from(test: &TestResult) -> Self {
        let (status, why) = match &test.status {
            Status::Passed => ("passed", ""),
            Status::Failed(why) => ("failed", why.as_str()),
            Status::Skipped(why) => ("skipped", why.as_str()),
        };
        Self {
            suite: test.suite.clone(),
            name: test.name.clone(),
            status: status.to_owned(),
            seconds: test.time.as_secs_f64(),
            why: why.to_owned(),
        }
    }
}

impl Results {
    /// How many passed, failed, and were skipped.
    pub(crate) fn counts(&self) -> (usize, usize, usize) {
        let count = |wanted: fn(&Status) -> bool| {
            self.tests
                .iter()
                .filter(|test| wanted(&test.status))
                .count()
        };
        (
            count(|status| *status == Status::Passed),
            count(|status| matches!(status, Status::Failed(_))),
            count(|status| matches!(status, Status::Skipped(_))),
        )
    }

    /// Writes the three files.
    pub(crate) fn write(&self, dir: &RunDir) -> Result<()> {
        let (passed, failed, skipped) = self.counts();
        let summary = Summary {
            schema: 1,
            passed,
            failed,
            skipped,
            splats: self.splats,
            seconds: self.time.as_secs_f64(),
            kernel: self.kernel.clone(),
            variant: self.variant.to_owned(),
            tests: self.tests.iter().map(Recorded::from).collect(),
        };
        dir.write(
            "summary.json",
            &(serde_json::to_string_pretty(&summary)? + "\n"),
        )?;
        dir.write("results.ktap", &self.ktap())?;
        dir.write("junit.xml", &self.junit()?)
    }

    fn ktap(&self) -> String {
        let mut text = format!("KTAP version 1\n1..{}\n", self.tests.len());
        for (number, test) in (1..).zip(&self.tests) {
            // A name must not look like a directive.
            let name = format!("{}.{}", test.suite, test.name).replace([' ', '#'], "_");
            let diagnostic = match &test.status {
                Status::Failed(why) => why,
                _ => &test.detail,
            };
            for line in diagnostic.lines() {
                let _ = writeln!(text, "# {line}");
            }
            let _ = match &test.status {
                Status::Passed => writeln!(text, "ok {number} {name}"),
                Status::Failed(_) => writeln!(text, "not ok {number} {name}"),
                Status::Skipped(why) => {
                    writeln!(text, "ok {number} {name} # SKIP {}", why.replace('\n', " "))
                }
            };
        }
        text
    }

    fn junit(&self) -> Result<String> {
        let mut report = quick_junit::Report::new("cohfs");
        report.set_time(self.time);
        let mut suites: Vec<TestSuite> = Vec::new();
        for test in &self.tests {
            let status = match &test.status {
                Status::Passed => TestCaseStatus::success(),
                Status::Failed(why) => {
                    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
                    status.set_message(why.lines().next().unwrap_or_default());
                    status.set_description(why.clone());
                    status
                }
                Status::Skipped(why) => {
                    let mut status = TestCaseStatus::skipped();
                    status.set_message(why.clone());
                    status
                }
            };
            let mut case = TestCase::new(test.name.clone(), status);
            case.set_classname(test.suite.clone()).set_time(test.time);
            if !test.detail.is_empty() {
                case.set_system_out(test.detail.clone());
            }
            match suites
                .iter_mut()
                .find(|suite| suite.name.as_str() == test.suite)
            {
                Some(suite) => suite.add_test_case(case),
                None => {
                    let mut suite = TestSuite::new(test.suite.clone());
                    suite.add_property(("kernel", self.kernel.as_str()));
                    suite.add_property(("variant", self.variant));
                    suite.add_test_case(case);
                    suites.push(suite);
                    suites.last_mut().expect("one was pushed")
                }
            };
        }
        report.add_test_suites(suites);
        report.to_string().context("writing junit.xml")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let test = |name: &str, status| TestResult {
            suite: "vm".to_owned(),
            name: name.to_owned(),
            status,
            time: Duration::from_millis(5),
            detail: String::new(),
        };
        Results {
            tests: vec![
                test("a b", Status::Passed),
                test("c", Status::Failed("broke\n<here>".to_owned())),
                test("d", Status::Skipped("no disk".to_owned())),
            ],
            splats: 0,
            time: Duration::from_secs(1),
            kernel: "7.3.4".to_owned(),
            variant: "debug",
        }
    }

    #[test]
    fn what_is_written_as_ktap_reads_back() {
        let ktap = results().ktap();
        let read = qemu_runner::ktap::read(ktap.lines());
        assert_eq!(read.complete(), Ok(()));
        assert_eq!(read.tests[0].name, "vm.a_b");
        assert_eq!(read.tests[1].diagnostics, ["broke", "<here>"]);
        assert_eq!(
            read.tests[2].result,
            qemu_runner::ktap::Verdict::Skipped("no disk".into())
        );
    }

    #[test]
    fn junit_counts_and_escapes() {
        let xml = results().junit().unwrap();
        assert!(xml.contains(r#"tests="3""#), "{xml}");
        assert!(xml.contains(r#"failures="1""#), "{xml}");
        assert!(xml.contains("&lt;here&gt;"), "{xml}");
    }
}
