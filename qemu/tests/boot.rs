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
        // The tables of the firmware are not what is tested, and a debug kernel reads them for long.
        append: vec!["acpi=off".into()],
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
    named("shell", script, timeout)
}

fn named(name: &str, script: &str, timeout: u64) -> Step {
    let argv = ["/bin/busybox", "sh", "-c", script]
        .map(String::from)
        .to_vec();
    Step::new(name, Action::Run { argv, timeout })
}

/// The outcome of a step that was run to its end.
fn outcome(report: &Report, name: &str) -> Outcome {
    let step = report.step(name);
    let outcome = step.and_then(|step| step.outcome.clone());
    outcome.unwrap_or_else(|| panic!("{name} has no end: {step:?}"))
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn a_good_guest_is_finished() {
    let machine = machine();
    let report = boot(
        &machine,
        vec![
            named("greets", "echo hello; exit 3", 60).expecting(Expect::Exit(vec![3])),
            named("only talks", "echo WARNING: only words >&2", 60),
            named(
                "half a plan",
                "echo KTAP version 1; echo 1..2; echo ok 1 a",
                60,
            ),
        ],
        DEADLINES,
    );
    assert_eq!(
        (&report.end, report.fault(), report.complete),
        (&End::Finished, None, true)
    );
    assert_eq!(report.exit_status(), 0);
    let lines = |name| &report.step(name).expect("the step was run").lines;
    assert_eq!(lines("greets"), &["hello"]);
    assert_eq!(outcome(&report, "greets"), Outcome::AsExpected);
    let half = ktap::read(lines("half a plan").iter().map(String::as_str));
    assert_eq!(half.complete(), Err(ktap::Incomplete::Missing(2)));
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn steps_that_fail_are_failures_and_a_required_one_ends_the_job() {
    let machine = Machine {
        append: vec!["acpi=off".into(), "kmemleak=off".into()],
        ..machine()
    };
    let optional = |step| Step {
        required: false,
        ..step
    };
    let report = boot(
        &machine,
        vec![
            optional(Step::new("no leak detector", Action::Kmemleak)),
            optional(named("does not end", "sleep 3600", 2)),
            named("fails", "exit 1", 60),
            write("/tmp/never", ""),
        ],
        DEADLINES,
    );
    assert_eq!((&report.end, report.exit_status()), (&End::Finished, 1));
    assert!(!report.complete && report.step("/tmp/never").is_none());
    for (name, reason) in [
        ("no leak detector", "kmemleak"),
        ("does not end", "killed after 2 s"),
        ("fails", "1"),
    ] {
        let outcome = outcome(&report, name);
        assert!(
            matches!(&outcome, Outcome::Failed(why) if why.contains(reason)),
            "{name}: {outcome:?}"
        );
    }
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn warnings_and_taint_are_faults() {
    let machine = machine();
    let report = boot(
        &machine,
        vec![
            write("/dev/kmsg", "<4>WARNING: made by a test"),
            write("/proc/sys/kernel/tainted", "64"),
        ],
        DEADLINES,
    );
    assert_eq!((&report.end, report.taint), (&End::Finished, 64));
    assert_eq!(report.splats.len(), 1, "{:?}", report.splats);
    assert_eq!(report.splats[0].step.as_deref(), Some("step /dev/kmsg"));
    let only_tainted = Report {
        splats: Vec::new(),
        ..report.clone()
    };
    let only_warned = Report { taint: 0, ..report };
    for report in [only_tainted, only_warned] {
        assert!(report.fault().is_some());
        assert_eq!(report.exit_status(), 3);
    }
}

#[test]
#[ignore = "boots a kernel: cargo xtask test"]
fn disks_are_as_slow_and_as_bad_as_asked() {
    let image = || {
        let image = tempfile::NamedTempFile::new().expect("an image");
        image.as_file().set_len(1 << 20).expect("its size");
        image
    };
    let (slow, fast, bad) = (image(), image(), image());
    let disk = |image: &tempfile::NamedTempFile| Disk {
        serial: "disk".into(),
        image: image.path().into(),
        ..Disk::default()
    };
    let machine = Machine {
        disks: vec![
            Disk {
                writes_per_second: Some(2),
                ..disk(&slow)
            },
            disk(&fast),
            Disk {
                errors: vec![ErrorRange {
                    first: 64,
                    count: 8,
                    writes: false,
                }],
                ..disk(&bad)
            },
        ],
        ..machine()
    };
    let write = |name: &str, node: &str| {
        let dd = format!("dd if=/dev/zero of={node} bs=4096 count=6 oflag=direct 2>/dev/null");
        named(name, &dd, 60)
    };
    let read = |block: u32| {
        format!("dd if=/dev/vdc of=/dev/null bs=4096 count=1 skip={block} iflag=direct 2>/dev/null")
    };
    let script = format!("{} && ! {} && {}", read(7), read(8), read(9));
    let report = boot(
        &machine,
        vec![
            write("slow", "/dev/vda"),
            write("fast", "/dev/vdb"),
            named("bad", &script, 60),
        ],
        DEADLINES,
    );
    let ms = |name| report.step(name).expect("the step was run").ms;
    let (slow, fast) = (ms("slow"), ms("fast"));
    assert!(
        slow > 1500 && slow > fast,
        "6 writes at 2 a second took {slow} ms, unlimited {fast} ms"
    );
    assert_eq!(outcome(&report, "bad"), Outcome::AsExpected);
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
fn a_guest_that_ends_early_is_lost() {
    let machine = machine();
    let report = boot(
        &machine,
        vec![shell("/bin/busybox reboot -f", 60)],
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
