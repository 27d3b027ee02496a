// SPDX-License-Identifier: GPL-2.0

//! `bench.json` as bars.

use maud::{Markup, html};
use serde::Deserialize;
use std::collections::BTreeMap;

/// `bench.json`, as far as it is drawn.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Benchmarks {
    /// What is counted, such as `ns`.
    #[serde(default)]
    unit: String,
    rows: Vec<Row>,
}

/// What was measured.
#[derive(Clone, Debug, Deserialize)]
struct Row {
    id: String,
    /// Its own unit, if rows differ.
    #[serde(default)]
    unit: Option<String>,
    fs: BTreeMap<String, Measured>,
    #[serde(default)]
    ratio: Option<f64>,
}

/// The runs of one row on one file system.
#[derive(Clone, Debug, Deserialize)]
struct Measured {
    median: f64,
    #[serde(default)]
    min: Option<f64>,
    #[serde(default)]
    max: Option<f64>,
}

/// Units of a picture that the longest bar takes.
const LENGTH: f64 = 100.0;

/// The benchmarks, each file system with a bar as long as its median, and a line from the least to
/// the most.
pub(super) fn section(bench: &Benchmarks) -> Markup {
    html! {
        section.bench id="bench" {
            h2 { "Benchmarks" }
            @for row in &bench.rows {
                @let unit = row.unit.as_ref().unwrap_or(&bench.unit);
                div.row {
                    h3 {
                        (row.id.replace('_', " "))
                        @if let Some(ratio) = row.ratio {
                            span.small { (format!("ratio {ratio:.2}")) }
                        }
                    }
                    @for (fs, measured) in &row.fs { (bar(fs, measured, longest(row), unit)) }
                }
            }
        }
    }
}

fn longest(row: &Row) -> f64 {
    let all = row
        .fs
        .values()
        .flat_map(|measured| [Some(measured.median), measured.max].into_iter().flatten());
    all.fold(0.0, f64::max)
}

fn bar(fs: &str, measured: &Measured, longest: f64, unit: &str) -> Markup {
    let scaled = |value: f64| {
        let share = if longest > 0.0 { value / longest } else { 0.0 };
        format!("{:.2}", (share * LENGTH).clamp(0.0, LENGTH))
    };
    html! {
        div.bar {
            span.name { (fs) }
            svg viewBox="0 0 100 10" preserveAspectRatio="none" role="img"
                aria-label=(format!("{fs}: {} {unit}", measured.median))
            {
                rect.median y="1" height="8" width=(scaled(measured.median)) {}
                @if let (Some(min), Some(max)) = (measured.min, measured.max) {
                    line.spread x1=(scaled(min)) x2=(scaled(max)) y1="5" y2="5" {}
                }
            }
            span.count { (figure(measured.median)) " " (unit) }
        }
    }
}

/// A number with as many digits as tell something.
fn figure(value: f64) -> String {
    match value.abs() {
        100.0.. => format!("{value:.0}"),
        10.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_bar_fills_the_picture_and_the_others_are_in_proportion() {
        let text = r#"{"schema":1,"unit":"ns","rows":[{"id":"dio_write_4k","ratio":0.5,"fs":{
            "ext2":{"median":200.0,"min":190.0,"max":400.0,"runs":5},
            "cohfs":{"median":100.0,"min":100.0,"max":100.0,"runs":5}}}]}"#;
        let page = section(&serde_json::from_str(text).unwrap()).into_string();
        assert!(page.contains(r#"width="50.00""#), "{page}");
        assert!(page.contains(r#"width="25.00""#), "{page}");
        assert!(page.contains(r#"x2="100.00""#), "{page}");
        assert!(page.contains("ratio 0.50"), "{page}");
    }
}
