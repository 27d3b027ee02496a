// SPDX-License-Identifier: GPL-2.0

//! What is behind a cell: the claim, its interleaving, and the evidence of each verdict.

use super::matrix::class;
use crate::lab::catalogue::{Act, Claim, Finding};
use crate::lab::matrix::{Comparison, Row};
use crate::lab::timeline::ticks;
use maud::{Markup, html};

/// The name of the place where a verdict is explained.
pub(super) fn anchor(claim: &str, fs: &str) -> String {
    format!("{claim}.{fs}")
}

/// Everything about a claim. It is shown while it, or something in it, is where the address points.
pub(super) fn panel(comparison: &Comparison, row: &Row, claims: &[Claim]) -> Markup {
    let claim = claims.iter().find(|claim| claim.id == row.id);
    html! {
        section.claim id=(row.id) aria-label=(row.id) {
            div.head {
                h2 { (row.id) " " (row.name.replace('_', " ")) }
                a.close href="#matrix" aria-label="Close" { "×" }
            }
            @if let Some(claim) = claim {
                p { (claim.summary) }
                p.small { "Stands for " (claim.rule) }
                @if !claim.timeline.is_empty() { (timeline(&claim.timeline)) }
            }
            @for fs in &comparison.filesystems {
                @if let Some(finding) = row.verdicts.get(fs) { (evidence(row, fs, finding)) }
            }
        }
    }
}

fn evidence(row: &Row, fs: &str, finding: &Finding) -> Markup {
    html! {
        article id=(anchor(&row.id, fs)) {
            h3 {
                (fs) " "
                span class=(format!("verdict {}", class(finding.verdict))) { (finding.verdict) }
                span.small { (finding.ms) " ms" }
            }
            @if !finding.detail.is_empty() { p.detail { (finding.detail) } }
            @if !finding.log.is_empty() {
                pre aria-label="What the kernel said meanwhile" { (finding.log.join("\n")) }
            }
            code { "cargo xtask compare --fs " (fs) " --claim " (row.id) }
        }
    }
}

/// The interleaving: a line for each act, with its place in time as a picture.
fn timeline(acts: &[Act]) -> Markup {
    let ticks = ticks(acts);
    html! {
        div.timeline role="list" aria-label="The interleaving, time from left to right" {
            @for act in acts {
                div.act role="listitem" {
                    span.actor { (act.actor) }
                    span.step { (act.step) }
                    (strip(act, ticks))
                }
            }
        }
    }
}

/// Units of the picture for each tick.
const TICK: u32 = 10;

fn strip(act: &Act, ticks: u8) -> Markup {
    let place = |tick: u8| u32::from(tick) * TICK;
    let length = place(act.to + 1) - place(act.from);
    let kind = match (act.actor.as_str(), act.from == act.to) {
        ("disk", _) => "flight",
        (_, true) => "instant",
        (_, false) => "long",
    };
    html! {
        svg viewBox=(format!("0 0 {} 10", place(ticks))) preserveAspectRatio="none" role="img"
            aria-label=(format!("from tick {} to {}", act.from, act.to))
        {
            @for tick in 1..ticks {
                line x1=(place(tick)) x2=(place(tick)) y1="0" y2="10" {}
            }
            rect class=(kind) x=(place(act.from) + 1) y="2" width=(length - 2) height="6" rx="1.5" {}
        }
    }
}
