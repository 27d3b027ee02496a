// SPDX-License-Identifier: GPL-2.0

//! The verb `diff`: what two runs do not agree on.

use super::matrix::Comparison;
use super::report::read;
use super::results::Summary;
use super::rundir::RunDir;
use crate::context::Context;
use crate::exit::{Exit, failure};
use anyhow::Result;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The answer to everything that a run asked: by what was asked, in the order of names.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answers(BTreeMap<String, String>);

impl Answers {
    /// Each cell of a matrix.
    fn of_comparison(comparison: &Comparison) -> Self {
        let cells = comparison.claims.iter().flat_map(|row| {
            row.verdicts.iter().map(|(fs, finding)| {
                let asked = format!("{} {} on {fs}", row.id, row.name.replace('_', " "));
                (asked, finding.verdict.to_string())
            })
        });
        Self(cells.collect())
    }

    /// Each test.
    fn of_summary(summary: &Summary) -> Self {
        let tests = summary.tests.iter();
        Self(
            tests
                .map(|test| (format!("{} {}", test.suite, test.name), test.status.clone()))
                .collect(),
        )
    }

    /// How often each answer was given.
    fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for answer in self.0.values() {
            *counts.entry(answer.as_str()).or_default() += 1;
        }
        counts
    }
}

/// What a run is compared by.
enum Run {
    Verdicts(Answers),
    Tests(Answers),
}

impl Run {
    fn read(ctx: &Context, name: Option<&str>) -> Result<Self> {
        let dir = RunDir::find(ctx, name)?;
        if let Some(comparison) = read::<Comparison>(&dir, "compare.json")? {
            return Ok(Self::Verdicts(Answers::of_comparison(&comparison)));
        }
        match read::<Summary>(&dir, "summary.json")? {
            Some(summary) if !summary.tests.is_empty() => {
                Ok(Self::Tests(Answers::of_summary(&summary)))
            }
            _ => Err(failure(
                Exit::NothingRan,
                format!(
                    "{} has neither a compare.json nor a summary.json with tests",
                    dir.path().display()
                ),
            )),
        }
    }
}

/// Prints what changed. Status 1 if anything did.
pub(crate) fn run(ctx: &Context, before: &str, after: Option<&str>) -> Result<Exit> {
    let (before, after) = match (Run::read(ctx, Some(before))?, Run::read(ctx, after)?) {
        (Run::Verdicts(before), Run::Verdicts(after)) | (Run::Tests(before), Run::Tests(after)) => {
            (before, after)
        }
        _ => {
            return Err(failure(
                Exit::Usage,
                "one of the runs has verdicts, the other tests: there is nothing to compare",
            ));
        }
    };
    print!("{}", tell(&before, &after));
    Ok(match before == after {
        true => Exit::Passed,
        false => Exit::Failed,
    })
}

fn tell(before: &Answers, after: &Answers) -> String {
    let mut text = String::new();
    let mut changed = 0;
    for (asked, old) in &before.0 {
        if let Some(new) = after.0.get(asked).filter(|new| *new != old) {
            let _ = writeln!(text, "changed  {asked}: {old} -> {new}");
            changed += 1;
        }
    }
    let only = |these: &Answers, those: &Answers, word: &str| {
        let these = these.0.iter();
        let lines: Vec<String> = these
            .filter(|(asked, _)| !those.0.contains_key(*asked))
            .map(|(asked, answer)| format!("{word:<7}  {asked}: {answer}\n"))
            .collect();
        (lines.len(), lines.concat())
    };
    let (gone, lines) = only(before, after, "gone");
    text += &lines;
    let (new, lines) = only(after, before, "new");
    text += &lines;
    let (then, now) = (before.counts(), after.counts());
    for answer in then
        .keys()
        .chain(now.keys().filter(|key| !then.contains_key(*key)))
    {
        let count = |counts: &BTreeMap<&str, usize>| counts.get(answer).copied().unwrap_or(0);
        let _ = writeln!(text, "{answer:<11} {:>5} -> {}", count(&then), count(&now));
    }
    let same = before.0.len() - changed - gone;
    let _ = writeln!(
        text,
        "{changed} changed, {gone} gone, {new} new, {same} the same"
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(pairs: &[(&str, &str)]) -> Answers {
        let pairs = pairs.iter();
        Answers(
            pairs
                .map(|&(asked, answer)| (asked.to_owned(), answer.to_owned()))
                .collect(),
        )
    }

    #[test]
    fn what_changed_came_and_went_is_told() {
        let before = answers(&[
            ("T01 on ext2", "kept"),
            ("T21 on ext2", "lost"),
            ("X", "skip"),
        ]);
        let after = answers(&[
            ("T01 on ext2", "kept"),
            ("T21 on ext2", "kept"),
            ("Y", "torn"),
        ]);
        let expected = "\
changed  T21 on ext2: lost -> kept
gone     X: skip
new      Y: torn
kept            1 -> 2
lost            1 -> 0
skip            1 -> 0
torn            0 -> 1
1 changed, 1 gone, 1 new, 1 the same
";
        assert_eq!(tell(&before, &after), expected);
    }
}
