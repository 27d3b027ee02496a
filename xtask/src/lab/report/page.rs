// SPDX-License-Identifier: GPL-2.0

//! The page as a whole.

use super::{Content, bars, claim, matrix, tests_list};
use maud::{DOCTYPE, Markup, PreEscaped, html};

/// All of the page's looks, for light and dark, narrow and wide.
const STYLE: &str = include_str!("style.css");

/// Renders the page.
pub(super) fn render(content: &Content) -> String {
    let title = format!("cohfs lab {}", content.run);
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                (header(content))
                main {
                    @if let Some(comparison) = &content.comparison {
                        (matrix::tallies(comparison))
                        (matrix::table(comparison))
                        (matrix::legend())
                        @for row in &comparison.claims {
                            (claim::panel(comparison, row, &content.claims))
                        }
                    }
                    @if let Some(bench) = &content.bench { (bars::section(bench)) }
                    @if let Some(summary) = &content.summary { (tests_list::section(summary)) }
                }
            }
        }
    };
    page.into_string()
}

fn header(content: &Content) -> Markup {
    html! {
        header {
            h1 { "Who keeps which claim" }
            p.facts {
                @if let Some(comparison) = &content.comparison {
                    span { "Linux " (comparison.kernel) }
                    span title=(comparison.reason) { "under " (comparison.accel) }
                } @else if let Some(summary) = &content.summary {
                    span { "Linux " (summary.kernel) " (" (summary.variant) ")" }
                }
                @if let Some(summary) = &content.summary {
                    span { (summary.passed) " passed, " (summary.failed) " failed, "
                        (summary.skipped) " skipped" }
                    @if summary.splats > 0 {
                        span.bad { "complaints of kernels: " (summary.splats) }
                    }
                    span { (format!("{:.0} s", summary.seconds)) }
                }
                span { "run " (content.run) }
            }
        }
    }
}
