// SPDX-License-Identifier: GPL-2.0

//! The tests of a run: what failed first, then each suite, closed.

use crate::lab::results::{Recorded, Summary};
use maud::{Markup, html};

/// The tests by suite.
pub(super) fn section(summary: &Summary) -> Markup {
    let mut suites: Vec<&str> = Vec::new();
    for test in &summary.tests {
        if !suites.contains(&test.suite.as_str()) {
            suites.push(&test.suite);
        }
    }
    html! {
        @if !suites.is_empty() {
            section.tests id="tests" {
                h2 { "Tests" }
                @for suite in suites {
                    @let tests = || summary.tests.iter().filter(|test| test.suite == suite);
                    @let count = |status: &str| tests().filter(|test| test.status == status).count();
                    details open[count("failed") > 0] {
                        summary {
                            b { (suite) }
                            span.small {
                                (count("passed")) " passed, " (count("failed")) " failed, "
                                (count("skipped")) " skipped"
                            }
                        }
                        ul { @for test in tests() { (entry(test)) } }
                    }
                }
            }
        }
    }
}

fn entry(test: &Recorded) -> Markup {
    let class = match test.status.as_str() {
        "passed" => "kept",
        "skipped" => "skip",
        _ => "broken",
    };
    html! {
        li {
            span class=(format!("verdict {class}")) { (test.status) }
            " " (test.name) " "
            span.small { (format!("{:.1} s", test.seconds)) }
            @if !test.why.is_empty() { pre { (test.why) } }
        }
    }
}
