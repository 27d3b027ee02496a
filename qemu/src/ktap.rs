// SPDX-License-Identifier: GPL-2.0

//! Reads KTAP, version 1, as programs print it: other lines in between, and the `# ` that
//! kselftest's runner puts before what it passes on.

use std::fmt;

use serde::Serialize;

/// One result line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Test {
    /// Its number in the plan.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// What it came to.
    pub result: Verdict,
    /// The diagnostic lines before it, without their mark.
    pub diagnostics: Vec<String>,
}

/// What a test came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// `ok`.
    Passed,
    /// `not ok`, and no directive that excuses it.
    Failed,
    /// `# SKIP`, with the reason.
    Skipped(String),
    /// `not ok … # XFAIL` or `# TODO`, with the reason.
    ExpectedFailure(String),
}

/// Everything a program said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Results {
    /// The number of tests announced.
    pub plan: Option<u32>,
    /// The results, as they came.
    pub tests: Vec<Test>,
    /// Whether the program gave up with `Bail out!`.
    pub bailed_out: bool,
}

/// Why results cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incomplete {
    /// There is no plan.
    NoPlan,
    /// The program gave up.
    BailedOut,
    /// A test of the plan has no result.
    Missing(u32),
    /// A number came twice, or is beyond the plan.
    Stray(u32),
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoPlan => write!(f, "no KTAP plan (a line like 1..3)"),
            Self::BailedOut => write!(f, "the program bailed out"),
            Self::Missing(number) => write!(f, "test {number} of the plan has no result"),
            Self::Stray(number) => write!(f, "result {number} came twice or is not in the plan"),
        }
    }
}

impl std::error::Error for Incomplete {}

/// Reads the lines of one program.
///
/// If its plan carries the mark of kselftest's runner, so do its results; otherwise a marked line
/// is a diagnostic, even if it looks like the result of a test inside a test.
pub fn read<'a>(lines: impl IntoIterator<Item = &'a str>) -> Results {
    let lines: Vec<&str> = lines.into_iter().map(str::trim_end).collect();
    let marked = !lines.iter().any(|line| plan(line).is_some());
    let mut results = Results::default();
    let mut diagnostics = Vec::new();
    for line in lines {
        let bare = line.strip_prefix("# ");
        let spoken = if marked { bare.unwrap_or(line) } else { line };
        if let Some(plan) = plan(spoken) {
            results.plan = results.plan.or(Some(plan));
        } else if let Some(test) = result(spoken) {
            results.tests.push(Test {
                diagnostics: std::mem::take(&mut diagnostics),
                ..test
            });
        } else if spoken.starts_with("Bail out!") {
            results.bailed_out = true;
        } else if let Some(bare) = bare {
            diagnostics.push(bare.to_owned());
        }
    }
    results
}

impl Results {
    /// Checks that every test of the plan has one result and no other came.
    ///
    /// # Errors
    ///
    /// The first thing that is missing or too much.
    pub fn complete(&self) -> Result<(), Incomplete> {
        let plan = self.plan.ok_or(Incomplete::NoPlan)?;
        if self.bailed_out {
            return Err(Incomplete::BailedOut);
        }
        let mut seen = vec![false; usize::try_from(plan).unwrap_or_default()];
        for test in &self.tests {
            let slot = usize::try_from(test.number)
                .ok()
                .and_then(|number| seen.get_mut(number.wrapping_sub(1)));
            match slot {
                Some(seen) if !*seen => *seen = true,
                _ => return Err(Incomplete::Stray(test.number)),
            }
        }
        let missing = (1..=plan).zip(&seen).find(|(_, seen)| !**seen);
        missing.map_or(Ok(()), |(number, _)| Err(Incomplete::Missing(number)))
    }
}

fn plan(line: &str) -> Option<u32> {
    let plan = line.strip_prefix("1..")?;
    plan.split(" # ").next()?.trim().parse().ok()
}

fn result(line: &str) -> Option<Test> {
    let (passed, rest) = match line.strip_prefix("not ok ") {
        Some(rest) => (false, rest),
        None => (true, line.strip_prefix("ok ")?),
    };
    let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let number = number.parse().ok()?;
    let (name, directive) = match rest.strip_prefix("# ") {
        Some(directive) => ("", directive),
        None => rest.split_once(" # ").unwrap_or((rest, "")),
    };
    let name = name.trim_start_matches("- ").trim();
    let (word, reason) = directive.split_once(' ').unwrap_or((directive, ""));
    let result = match (passed, word.to_ascii_uppercase().as_str()) {
        (_, "SKIP") => Verdict::Skipped(reason.to_owned()),
        (false, "XFAIL" | "TODO") => Verdict::ExpectedFailure(reason.to_owned()),
        (true, _) => Verdict::Passed,
        (false, _) => Verdict::Failed,
    };
    Some(Test {
        number,
        name: name.to_owned(),
        result,
        diagnostics: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_results_directives_and_diagnostics() {
        let results = read([
            "KTAP version 1",
            "1..4",
            "# {\"claim\":\"T01\"}",
            "ok 1 T01.name",
            "[  3.14] printk in between",
            "not ok 2 - T02.name",
            "ok 3 T03.name # SKIP no second disk",
            "not ok 4 T04.name # XFAIL known",
        ]);
        assert_eq!(results.complete(), Ok(()));
        assert_eq!(results.tests[0].diagnostics, ["{\"claim\":\"T01\"}"]);
        assert_eq!(results.tests[1].result, Verdict::Failed);
        assert_eq!(results.tests[1].name, "T02.name");
        assert_eq!(
            results.tests[2].result,
            Verdict::Skipped("no second disk".into())
        );
        assert_eq!(
            results.tests[3].result,
            Verdict::ExpectedFailure("known".into())
        );
    }

    #[test]
    fn reads_through_the_mark_of_kselftests_runner() {
        let results = read(["# 1..1", "# # detail", "# not ok 1 a"]);
        assert_eq!(results.complete(), Ok(()));
        assert_eq!(results.tests[0].result, Verdict::Failed);
    }

    #[test]
    fn a_skip_is_one_without_a_name_and_in_small_letters() {
        let results = read(["1..2", "ok 1 # SKIP why", "ok 2 a # skip why"]);
        let skipped = Verdict::Skipped("why".into());
        assert!(
            results.tests.iter().all(|test| test.result == skipped),
            "{results:?}"
        );
    }

    #[test]
    fn a_test_inside_a_test_is_not_its_result() {
        let results = read(["1..1", "# 1..1", "# ok 1 inner"]);
        assert_eq!(results.complete(), Err(Incomplete::Missing(1)));
    }

    #[test]
    fn half_a_plan_is_not_complete() {
        assert_eq!(
            read(["1..2", "ok 1 a"]).complete(),
            Err(Incomplete::Missing(2))
        );
        assert_eq!(read(["ok 1 a"]).complete(), Err(Incomplete::NoPlan));
        assert_eq!(
            read(["1..1", "ok 1 a", "ok 1 a"]).complete(),
            Err(Incomplete::Stray(1))
        );
        assert_eq!(
            read(["1..1", "ok 2 a"]).complete(),
            Err(Incomplete::Stray(2))
        );
        assert_eq!(
            read(["1..1", "ok 1 a", "Bail out! disk"]).complete(),
            Err(Incomplete::BailedOut)
        );
    }
}
