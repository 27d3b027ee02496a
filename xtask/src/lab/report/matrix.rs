// SPDX-License-Identifier: GPL-2.0

//! The matrix: a row for each claim, a column for each file system.

use super::claim::anchor;
use crate::lab::catalogue::{Finding, Verdict};
use crate::lab::matrix::{Comparison, Row};
use maud::{Markup, html};

/// How many claims each file system keeps, as bars.
pub(super) fn tallies(comparison: &Comparison) -> Markup {
    html! {
        section.tallies aria-label="How many claims each keeps" {
            @for fs in &comparison.filesystems {
                @let (kept, tried) = comparison.kept_of(fs);
                @let percent = 100 * kept / tried.max(1);
                div.tally {
                    span.name { (fs) }
                    svg viewBox="0 0 100 6" preserveAspectRatio="none" aria-hidden="true" {
                        rect.rest width="100" height="6" {}
                        rect.kept width=(percent) height="6" {}
                    }
                    span.count { (kept) " of " (tried) }
                }
            }
        }
    }
}

/// The table; each cell leads to its evidence.
pub(super) fn table(comparison: &Comparison) -> Markup {
    html! {
        div.matrix id="matrix" tabindex="0" role="region" aria-label="Matrix of verdicts" {
            table {
                thead {
                    tr {
                        th scope="col" { "claim" }
                        @for fs in &comparison.filesystems { th scope="col" { (fs) } }
                    }
                }
                tbody {
                    @for row in &comparison.claims { (table_row(comparison, row)) }
                }
            }
        }
    }
}

fn table_row(comparison: &Comparison, row: &Row) -> Markup {
    html! {
        tr {
            th scope="row" {
                a href=(format!("#{}", row.id)) {
                    b { (row.id) } " " span { (row.name.replace('_', " ")) }
                }
            }
            @for fs in &comparison.filesystems {
                td { @if let Some(finding) = row.verdicts.get(fs) { (cell(row, fs, finding)) } }
            }
        }
    }
}

fn cell(row: &Row, fs: &str, finding: &Finding) -> Markup {
    html! {
        a class=(format!("verdict {}", class(finding.verdict)))
            href=(format!("#{}", anchor(&row.id, fs))) title=(finding.detail)
        { (finding.verdict) }
    }
}

/// What the words mean.
pub(super) fn legend() -> Markup {
    html! {
        dl.legend {
            @for (verdict, meaning) in Verdict::MEANINGS {
                div {
                    dt { span class=(format!("verdict {}", class(verdict))) { (verdict) } }
                    dd { (meaning) }
                }
            }
        }
    }
}

/// The class that gives a verdict its colour.
pub(super) fn class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Kept => "kept",
        Verdict::Skip | Verdict::NotRun => "skip",
        Verdict::Error | Verdict::FalseError => "told",
        Verdict::Stale | Verdict::Lost | Verdict::Torn | Verdict::Hang => "broken",
    }
}
