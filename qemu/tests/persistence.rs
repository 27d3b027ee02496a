// SPDX-License-Identifier: GPL-2.0

//! What the runner does with a guest that does not come up, shown with an emulator that is none.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemu_runner::{ATTEMPTS, Accel, Deadlines, End, Job, Machine, Report, run_persistently};

const NONCE: &str = "the nonce";

const DEADLINES: Deadlines = Deadlines {
    overall: Duration::from_secs(60),
    silence: Duration::from_secs(60),
};

/// Panics whenever it is started; from the attempt given as `begins` on, after it has said hello.
fn persist(dir: &Path, begins: u32) -> (Report, Vec<PathBuf>) {
    let emulator = dir.join("emulator");
    let events = dir.join("events.jsonl");
    let text = format!(
        r#"#!/bin/sh
echo started >> {0}/starts
if [ $(wc -l < {0}/starts) -ge {begins} ]; then
    echo '{{"ev":"hello","nonce":"{NONCE}","uptime":1.0,"release":"7.3.4"}}' > {1}
fi
echo '[    1.000000] Kernel panic - not syncing: nothing to run'
"#,
        dir.display(),
        events.display()
    );
    fs::write(&emulator, text).expect("the emulator is written");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(&emulator, executable).expect("it can be started");
    let machine = Machine {
        init: emulator.clone(),
        kernel: emulator.clone(),
        emulator,
        files: Vec::new(),
        disks: Vec::new(),
        cpus: 1,
        memory: 64,
        append: Vec::new(),
        accel: Accel::tcg("there is no emulator"),
    };
    let job = Job {
        nonce: NONCE.to_owned(),
        steps: Vec::new(),
    };
    let mut kept = Vec::new();
    let report = run_persistently(
        &machine,
        &job,
        &DEADLINES,
        dir,
        &mut |_| (),
        &mut |_, console| kept.push(console.to_owned()),
    );
    (report.expect("it starts"), kept)
}

fn starts(dir: &Path) -> usize {
    let text = fs::read_to_string(dir.join("starts")).expect("it was started");
    text.lines().count()
}

#[test]
fn a_guest_that_never_comes_up_is_given_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let (report, kept) = persist(dir.path(), u32::MAX);
    assert_eq!(report.end, End::Panicked);
    assert!(!report.began());
    assert!(report.excerpt.contains("nothing to run"));
    assert_eq!(starts(dir.path()), ATTEMPTS as usize);
    assert_eq!(kept.len(), ATTEMPTS as usize - 1);
    assert!(kept.iter().all(|console| console.exists()));
}

#[test]
fn a_guest_that_comes_up_late_is_not_given_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let (report, kept) = persist(dir.path(), 2);
    assert!(report.began());
    assert_eq!((starts(dir.path()), kept.len()), (2, 1));
}

#[test]
fn a_guest_that_fails_at_its_job_is_not_tried_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let (report, kept) = persist(dir.path(), 1);
    assert_eq!(report.end, End::Panicked);
    assert_eq!((starts(dir.path()), kept.len()), (1, 0));
}
