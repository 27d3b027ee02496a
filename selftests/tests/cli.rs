// SPDX-License-Identifier: GPL-2.0

//! The `claims` program as its callers see it.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::process::Output;

use serde_json::Value;

/// Claims that change nothing outside their directory and need no privilege.
const HARMLESS: [&str; 6] = ["T01", "T02", "T04", "T11", "T13", "K5"];

fn claims(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_claims"))
        .args(arguments)
        .output()
        .expect("the claims program starts")
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).expect("the output is UTF-8")
}

fn path(dir: &Path) -> &str {
    dir.to_str().expect("the directory's name is UTF-8")
}

/// The outcomes among the lines of a run.
fn outcomes(output: &Output) -> Vec<Value> {
    let lines = stdout(output)
        .lines()
        .filter_map(|line| line.strip_prefix("# {"));
    lines
        .map(|line| serde_json::from_str(&format!("{{{line}")).expect("JSON"))
        .collect()
}

#[test]
fn list_says_what_the_runner_must_know() {
    let output = claims(&["list", "--json"]);
    assert!(output.status.success());
    let list: Vec<Value> = serde_json::from_str(stdout(&output)).unwrap();
    for claim in &list {
        for key in ["id", "name", "rule", "summary"] {
            assert!(claim[key].is_string(), "{key} of {claim}");
        }
        for key in ["faults", "ioctl", "device"] {
            assert!(claim["needs"][key].is_boolean(), "{key} of {claim}");
        }
        assert!(claim["needs"]["disk"].is_string());
        for policy in ["none", "seed", "mainline", "strict"] {
            assert!(claim["expect"][policy].is_array(), "{policy} of {claim}");
        }
    }
    let t21 = list
        .iter()
        .find(|claim| claim["id"] == "T21")
        .expect("there is a T21");
    assert_eq!(t21["name"], "store_during_direct_write");
    assert_eq!(t21["needs"]["block_size"], 1024);
    assert_eq!(t21["needs"]["disk"], "slow-writes");
    assert_eq!(t21["expect"]["mainline"], serde_json::json!(["lost"]));
    let needs = list
        .iter()
        .find(|claim| claim["id"] == "T01")
        .map(|claim| &claim["needs"]);
    assert_eq!(needs.expect("there is a T01")["block_size"], Value::Null);
}

#[test]
fn harmless_claims_run_on_any_directory_twice() {
    let dir = tempfile::tempdir().unwrap();
    for round in ["new files", "files that an earlier run left"] {
        let list = HARMLESS.join(",");
        let output = claims(&["run", "--dir", path(dir.path()), "--claim", &list]);
        let text = stdout(&output);
        let plan = format!("KTAP version 1\n1..{}\n", HARMLESS.len());
        assert!(text.starts_with(&plan), "{round}: {text}");
        let found = outcomes(&output);
        assert_eq!(found.len(), HARMLESS.len(), "{round}: {text}");
        for (number, (outcome, id)) in found.iter().zip(HARMLESS).enumerate() {
            assert_eq!(outcome["claim"], id);
            let verdict = outcome["verdict"].as_str().unwrap();
            assert!(["kept", "skip"].contains(&verdict), "{round}: {outcome}");
            assert!(
                text.contains(&format!("\nok {} {id}.", number + 1)),
                "{round}: {text}"
            );
        }
        let skipped = found.iter().all(|outcome| outcome["verdict"] == "skip");
        assert_eq!(
            output.status.code(),
            Some(if skipped { 4 } else { 0 }),
            "{round}: {text}"
        );
    }
}

#[test]
fn a_claim_that_does_not_come_back_is_a_hang() {
    let dir = tempfile::tempdir().unwrap();
    let place = path(dir.path());
    let output = claims(&["run", "--dir", place, "--claim", "T01", "--timeout", "0"]);
    assert_eq!(outcomes(&output)[0]["verdict"], "hang");
    assert!(stdout(&output).contains("\nnot ok 1 T01."));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_claim_that_cannot_start_is_told_as_an_error() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("t01.dat"), "too short").unwrap();
    let output = claims(&["run", "--dir", path(dir.path()), "--claim", "T01"]);
    let outcome = &outcomes(&output)[0];
    assert_eq!(outcome["verdict"], "error");
    assert!(
        outcome["detail"]
            .as_str()
            .unwrap()
            .contains("has 9 bytes instead of 65536")
    );
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn prepared_files_are_the_same_wherever_they_are_made() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let mut digests = Vec::new();
    for dir in [&one, &two] {
        assert!(
            claims(&["prepare", "--dir", path(dir.path())])
                .status
                .success()
        );
        digests.push(claims(&["digest", "--dir", path(dir.path())]));
    }
    assert_eq!(stdout(&digests[0]), stdout(&digests[1]));
    assert!(
        stdout(&digests[0])
            .lines()
            .any(|line| line.ends_with("  t01.dat  65536  0644"))
    );
    let few = tempfile::tempdir().unwrap();
    claims(&[
        "prepare",
        "--dir",
        path(few.path()),
        "--claim",
        "T21",
        "--claim",
        "Sc",
    ]);
    assert_eq!(fs::read_dir(few.path()).unwrap().count(), 2);
}

#[test]
fn the_generator_makes_the_same_tree_from_the_same_seed() {
    let generate = |dir: &Path, seed| {
        claims(&[
            "generate",
            "--steps",
            "80",
            "--seed",
            seed,
            "--dir",
            path(dir),
        ])
    };
    let dirs = ["7", "7", "8"].map(|seed| (tempfile::tempdir().unwrap(), seed));
    let trees = dirs.each_ref().map(|(dir, seed)| {
        let output = generate(dir.path(), seed);
        assert!(output.status.success(), "{}", stdout(&output));
        let output = claims(&["digest", "--everything", "--dir", path(dir.path())]);
        stdout(&output).to_owned()
    });
    assert!(trees[0].lines().count() > 5, "{}", trees[0]);
    assert_eq!(trees[0], trees[1]);
    assert_ne!(trees[0], trees[2]);
    let again = generate(dirs[0].0.path(), "7");
    assert_eq!(again.status.code(), Some(1), "there is a tree already");
}

#[test]
fn wrong_usage_is_status_2() {
    for arguments in [
        &["run"][..],
        &["run", "--dir", "/nonexistent-directory"],
        &["run", "--dir", "/tmp", "--claim", "T99"],
        &["digest", "--dir", "/nonexistent-directory"],
    ] {
        assert_eq!(claims(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
