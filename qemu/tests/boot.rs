// SPDX-License-Identifier: GPL-2.0

//! The runner against guests that go wrong, each in a way of its own. Boots a real kernel.
//!
//! `COHFS_TEST_QEMU` names the emulator, `COHFS_TEST_KERNEL` a `bzImage`, `COHFS_TEST_INIT` the
//! static `lab-init`, and `COHFS_TEST_BUSYBOX` a static busybox. `cargo xtask test` sets them and
//! runs these tests, which are ignored otherwise.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use qemu_runner::{
    Accel, Action, Deadlines, Disk, End, ErrorRange, Expect, GuestFile, Job, Machine, Outcome,
    Report, Step, ktap, run,
};

const DEADLINES: Deadlines = Deadlines {
    overall: Duration::from_secs(240),
    silence: Duration::from_secs(60),
};

/// The machine of these tests.
fn machine() -> Machine {
    let path =
        |name| PathBuf::from(std::env::var_os(name).unwrap_or_else(|| panic!("{name} is set")));
    Machine {
        emulator: path("COHFS_TEST_QEMU"),
        kernel: path("COHFS_TEST_KERNEL"),
        init: path("COHFS_TEST_INIT"),
        files: vec![GuestFile {
            from: path("COHFS_TEST_BUSYBOX"),
            to: "/bin/busybox".into(),
        }],
        disks: Vec::new(),
        cpus: 1,
        memory: 384,
        append: Vec::new(),
        accel: Accel::tcg("these tests are about the runner"),
    }
}

fn boot(machine: &Machine, steps: Vec<Step>, deadlines: Deadlines) -> Report {
    let dir = tempfile::tempdir().expect("a directory for the run");
    boot_in(dir.path(), machine, steps, deadlines)
}

fn boot_in(dir: &Path, machine: &Machine, steps: Vec<Step>, deadlines: Deadlines) -> Report {
    let job = Job {
        nonce: qemu_runner::accel::nonce(),
        steps,
    };
    let report = run(machine, &job, &deadlines, dir, &mut |_| ()).expect("QEMU starts");
    if report.fault().is_some() {
        let console = fs::read_to_string(&report.console).unwrap_or_default();
        eprintln!(
            "{:?}\n{}",
            report.end,
            console.lines().rev().take(5).collect::<Vec<_>>().join("\n")
        );
    }
    report
}

fn write(path: &str, text: &str) -> Step {
    Step::new(
        path,
        Action::Write {
            path: path.into(),
            text: text.into(),
        },
    )
}

fn shell(script: &str, timeout: u64) -> Step {
    let argv = ["/bin/busybox", "sh", "-c", script]
        .map(String::from)
        .to_vec();
    Step::new("shell", Action::Run { argv, timeout })
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_good_guest_is_finished() {
    let machine = machine();
    let report = boot(
        &machine,
        vec![shell("echo hello; exit 3", 60).expecting(Expect::Exit(vec![3]))],
        DEADLINES,
    );
    assert_eq!(
        (&report.end, report.fault(), report.complete),
        (&End::Finished, None, true)
    );
    let step = report.step("shell").expect("the step was run");
    assert_eq!(step.lines, ["hello"]);
    assert_eq!(step.outcome, Some(Outcome::AsExpected));
    assert_eq!(report.exit_status(), 0);
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_guest_that_crashes_has_panicked() {
    let machine = machine();
    let report = boot(&machine, vec![write("/proc/sysrq-trigger", "c")], DEADLINES);
    assert_eq!(report.end, End::Panicked);
    assert_eq!(report.exit_status(), 3);
    assert!(!report.complete);
    let excerpt = &report.excerpt;
    assert!(excerpt.contains("sysrq"), "no cause in: {excerpt}");
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_guest_that_hangs_is_not_waited_for() {
    let machine = machine();
    let short = Deadlines {
        overall: Duration::from_secs(40),
        ..DEADLINES
    };
    let report = boot(&machine, vec![shell("while :; do :; done", 3600)], short);
    assert!(matches!(report.end, End::Hung(_)), "{:?}", report.end);
    assert_eq!(report.exit_status(), 5);
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_guest_that_goes_silent_is_hung() {
    let machine = machine();
    let script = tempfile::NamedTempFile::new().expect("a script");
    fs::write(
        script.path(),
        "#!/bin/busybox sh\nexec /bin/busybox sleep 3600\n",
    )
    .expect("its text");
    // Longer than a starved kernel takes to say its next word while it boots.
    let short = Deadlines {
        silence: Duration::from_secs(40),
        ..DEADLINES
    };
    let dir = tempfile::tempdir().expect("a directory for the run");
    let report = boot_in(
        dir.path(),
        &Machine {
            init: script.path().into(),
            ..machine
        },
        Vec::new(),
        short,
    );
    assert_eq!(report.end, End::Hung("silent for 40 s".into()));
    let console = fs::read_to_string(dir.path().join("console.log")).expect("the console is kept");
    assert!(
        console.contains("sysrq:"),
        "the kernel was asked what its tasks do: {console}"
    );
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_guest_that_powers_off_early_is_lost() {
    let machine = machine();
    let report = boot(
        &machine,
        vec![shell("/bin/busybox poweroff -f", 60)],
        DEADLINES,
    );
    assert!(matches!(report.end, End::Lost(_)), "{:?}", report.end);
    assert_eq!(report.exit_status(), 6);
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_kernel_that_is_none_is_lost() {
    let machine = machine();
    let kernel = machine.init.clone();
    let report = boot(&Machine { kernel, ..machine }, Vec::new(), DEADLINES);
    assert!(
        matches!(report.end, End::Lost(_) | End::Hung(_)),
        "{:?}",
        report.end
    );
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn half_a_plan_is_not_passed() {
    let machine = machine();
    let report = boot(
        &machine,
        vec![shell("echo KTAP version 1; echo 1..2; echo ok 1 a", 60)],
        DEADLINES,
    );
    assert_eq!(report.end, End::Finished);
    let lines = &report.step("shell").expect("the step was run").lines;
    let results = ktap::read(lines.iter().map(String::as_str));
    assert_eq!(results.complete(), Err(ktap::Incomplete::Missing(2)));
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_warning_on_the_console_is_a_fault() {
    let machine = machine();
    let report = boot(
        &machine,
        vec![write("/dev/kmsg", "<4>WARNING: made by a test")],
        DEADLINES,
    );
    assert_eq!(report.end, End::Finished);
    assert_eq!(report.splats.len(), 1, "{:?}", report.splats);
    assert_eq!(report.splats[0].step.as_deref(), Some("step /dev/kmsg"));
    assert_eq!(report.exit_status(), 3);
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_warning_that_a_program_prints_is_none() {
    let machine = machine();
    let report = boot(
        &machine,
        vec![shell("echo WARNING: only words >&2", 60)],
        DEADLINES,
    );
    assert_eq!((report.fault(), report.exit_status()), (None, 0));
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_leak_detector_that_is_not_there_is_a_failure() {
    let machine = Machine {
        append: vec!["kmemleak=off".into()],
        ..machine()
    };
    let report = boot(
        &machine,
        vec![Step::new("leaks", Action::Kmemleak)],
        DEADLINES,
    );
    assert_eq!((&report.end, report.exit_status()), (&End::Finished, 1));
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_tainted_kernel_is_a_fault() {
    let machine = machine();
    let report = boot(
        &machine,
        vec![write("/proc/sys/kernel/tainted", "64")],
        DEADLINES,
    );
    assert_eq!((report.taint, report.exit_status()), (64, 3));
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_step_that_fails_ends_the_job() {
    let machine = machine();
    let report = boot(
        &machine,
        vec![shell("exit 1", 60), write("/tmp/never", "")],
        DEADLINES,
    );
    assert_eq!(report.end, End::Finished);
    assert!(!report.complete && report.step("/tmp/never").is_none());
    assert!(matches!(
        report.step("shell").and_then(|step| step.outcome.clone()),
        Some(Outcome::Failed(_))
    ));
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_program_that_does_not_end_is_killed() {
    let machine = machine();
    let report = boot(&machine, vec![shell("sleep 3600", 2)], DEADLINES);
    assert_eq!(report.end, End::Finished);
    let outcome = report.step("shell").and_then(|step| step.outcome.clone());
    assert!(matches!(outcome, Some(Outcome::Failed(why)) if why.contains("killed after 2 s")));
    assert_eq!(report.exit_status(), 1);
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn an_error_range_fails_and_nothing_beside_it_does() {
    let machine = machine();
    let image = tempfile::NamedTempFile::new().expect("an image");
    image.as_file().set_len(1 << 20).expect("its size");
    let errors = vec![ErrorRange {
        first: 64,
        count: 8,
        writes: false,
    }];
    let disk = Disk {
        serial: "bad".into(),
        image: image.path().into(),
        errors,
        ..Disk::default()
    };
    let read = |sector: u32| {
        format!(
            "dd if=/dev/vda of=/dev/null bs=4096 count=1 skip={} iflag=direct 2>/dev/null",
            sector / 8
        )
    };
    let script = format!("{} && ! {} && {}", read(56), read(64), read(72));
    let report = boot(
        &Machine {
            disks: vec![disk],
            ..machine
        },
        vec![shell(&script, 60)],
        DEADLINES,
    );
    assert_eq!(
        report.step("shell").and_then(|step| step.outcome.clone()),
        Some(Outcome::AsExpected)
    );
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_slow_disk_is_slow() {
    let machine = machine();
    let image = tempfile::NamedTempFile::new().expect("an image");
    image.as_file().set_len(1 << 20).expect("its size");
    let disk = |writes| Disk {
        serial: "slow".into(),
        image: image.path().into(),
        writes_per_second: writes,
        ..Disk::default()
    };
    let script = "dd if=/dev/zero of=/dev/vda bs=4096 count=6 oflag=direct 2>/dev/null";
    let seconds = |writes| {
        let machine = Machine {
            disks: vec![disk(writes)],
            ..machine.clone()
        };
        let report = boot(&machine, vec![shell(script, 60)], DEADLINES);
        report.step("shell").expect("the step was run").ms
    };
    let (slow, fast) = (seconds(Some(2)), seconds(None));
    assert!(
        slow > 1500 && slow > fast,
        "6 writes at 2 a second took {slow} ms, unlimited {fast} ms"
    );
}
