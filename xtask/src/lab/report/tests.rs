// SPDX-License-Identifier: GPL-2.0

//! A page made of everything that can be in one.

use super::bars::Benchmarks;
use super::{Content, page};
use crate::lab::catalogue::{Act, Claim, DiskKind, Finding, Needs, Verdict};
use crate::lab::matrix::{Comparison, Row};
use crate::lab::results::{Recorded, Summary};
use crate::process::find_program;
use std::collections::BTreeMap;
use std::process::Command;

const EVIL: &str = "<script>alert(1)</script> & \"quotes\"";

fn finding(verdict: Verdict, detail: &str, log: &[&str]) -> Finding {
    Finding {
        verdict,
        detail: detail.to_owned(),
        ms: 1234,
        log: log.iter().map(|&line| line.to_owned()).collect(),
    }
}

fn act(actor: &str, step: &str, from: u8, to: u8) -> Act {
    Act {
        actor: actor.to_owned(),
        step: step.to_owned(),
        from,
        to,
    }
}

fn content() -> Content {
    let claim = Claim {
        id: "T21".to_owned(),
        name: "store_during_direct_write".to_owned(),
        rule: "B2 T21".to_owned(),
        summary: "While a direct write is in flight, the page is stored to.".to_owned(),
        needs: Needs {
            block_size: None,
            disk: DiskKind::SlowWrites,
            faults: false,
            ioctl: false,
            device: false,
            patience: false,
        },
        expect: BTreeMap::new(),
        timeline: vec![
            act("writer", "direct write of block 0", 0, 6),
            act("disk", "in flight", 1, 6),
            act("storer", "store to block 3", 3, 3),
        ],
    };
    let verdicts = [
        ("cohfs", finding(Verdict::Kept, "", &[])),
        ("ext2", finding(Verdict::Lost, EVIL, &["collision", EVIL])),
        (
            "tmpfs",
            finding(Verdict::Skip, "direct I/O on tmpfs is not real", &[]),
        ),
    ];
    let row = Row {
        id: claim.id.clone(),
        name: claim.name.clone(),
        verdicts: verdicts
            .into_iter()
            .map(|(fs, finding)| (fs.to_owned(), finding))
            .collect(),
    };
    let mut comparison = Comparison::new("7.3.4", &qemu_runner::Accel::tcg("asked for"), &[]);
    comparison.filesystems = ["cohfs", "ext2", "tmpfs"].map(str::to_owned).to_vec();
    comparison.claims = vec![row];
    let test = Recorded {
        suite: "ext2".to_owned(),
        name: "machine".to_owned(),
        status: "failed".to_owned(),
        seconds: 1.5,
        why: EVIL.to_owned(),
    };
    let summary = serde_json::json!({
        "schema": 1, "passed": 2, "failed": 1, "skipped": 1, "splats": 0, "seconds": 61.0,
        "kernel": "7.3.4", "variant": "base", "tests": [test],
    });
    let bench = serde_json::json!({"schema": 1, "unit": "ns", "rows": [
        {"id": "dio_write_4k", "ratio": 1.1, "fs": {"ext2": {"median": 5.0}}},
    ]});
    Content {
        run: "20261126T120000Z".to_owned(),
        summary: serde_json::from_value::<Summary>(summary).ok(),
        comparison: Some(comparison),
        claims: vec![claim],
        bench: serde_json::from_value::<Benchmarks>(bench).ok(),
    }
}

#[test]
fn every_cell_leads_to_its_evidence() {
    let page = page::render(&content());
    for fs in ["cohfs", "ext2", "tmpfs"] {
        assert!(page.contains(&format!("href=\"#T21.{fs}\"")), "{fs}");
        assert!(page.contains(&format!("<article id=\"T21.{fs}\"")), "{fs}");
        let command = format!("cargo xtask compare --fs {fs} --claim T21");
        assert!(page.contains(&command), "{fs}");
    }
    assert!(page.contains("the page is stored to."));
    assert!(page.contains("store to block 3"));
    assert_eq!(page.matches("class=\"flight\"").count(), 1);
    assert!(page.contains("direct I/O on tmpfs is not real"));
}

#[test]
fn what_was_seen_is_text_and_never_markup() {
    let page = page::render(&content());
    assert!(!page.contains("<script"), "the page has no script at all");
    // The detail twice, for it is a title too; the log; the reason of a failed test.
    assert_eq!(page.matches("&lt;script&gt;").count(), 4);
}

#[test]
fn nothing_comes_from_outside() {
    let page = page::render(&content());
    for outside in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(outside), "{outside}");
    }
}

#[test]
fn every_link_has_a_target() {
    let page = page::render(&content());
    let targets = page.split("href=\"#").skip(1);
    for target in targets.filter_map(|rest| rest.split('"').next()) {
        assert!(page.contains(&format!("id=\"{target}\"")), "{target}");
    }
}

/// A browser makes a tree of the page, and shows what is behind a cell when the address points there.
#[test]
fn a_browser_opens_it() {
    const SECONDS: &str = "120";
    // No part of the page: it asks the browser what is shown.
    const QUESTION: &str = "<script>
        const shown = () => getComputedStyle(document.getElementById('T21')).display;
        const before = shown();
        location.hash = '#T21.ext2';
        document.documentElement.dataset.shown = before + ' ' + shown();
        </script></body>";
    let Some(chromium) = find_program("chromium") else {
        eprintln!("skip: no chromium on this machine");
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    let page = page::render(&content()).replace("</body>", QUESTION);
    std::fs::write(&file, page).unwrap();
    let browser = Command::new("timeout")
        .args(["--kill-after=5", SECONDS])
        .arg(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu"])
        .args(["--disable-quic", "--disable-background-networking"])
        .args(["--no-first-run", "--disable-component-update"])
        .args(["--disable-sync", "--dump-dom"])
        .arg(format!("--user-data-dir={}", dir.path().display()))
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap();
    if !browser.status.success() {
        eprintln!("skip: no answer of chromium: {:?}", browser.status);
        return;
    }
    let dom = String::from_utf8_lossy(&browser.stdout);
    assert_eq!(dom.matches("<article").count(), 3, "{dom}");
    assert!(dom.contains("<h1>Who keeps which claim</h1>"), "{dom}");
    assert!(dom.contains("data-shown=\"none flex\""), "{dom}");
}
