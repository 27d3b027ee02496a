// SPDX-License-Identifier: GPL-2.0

//! pjdfstest: what POSIX says of every call that takes a name. It runs on stock ext2 as well;
//! what stock ext2 fails too is not ours to fix.

use super::Suite;
use crate::crates::Crate;
use crate::lab::boot::{self, BUSYBOX, Lab};
use crate::lab::filesystem::{COHFS, EXT2};
use crate::lab::results::Status;
use crate::lab::test::machine::{Machine, group, result, script, told};
use crate::lab::test::{Extent, Group};
use anyhow::Result;
use qemu_runner::{Action, Report, Step};
use std::collections::BTreeMap;
use std::time::Duration;

const NAME: &str = "pjdfstest";

pub(super) const SUITE: Suite = Suite {
    name: NAME,
    prepare: |ctx| PJDFSTEST.ensure(ctx).map(drop),
    tests,
};

const PJDFSTEST: Crate = Crate {
    name: "pjdfstest",
    version: "0.2.2",
};

/// The calls and the tests of each, by the beginnings of their names. Each call has a process of
/// its own: most of the time is spent waiting for clocks.
///
/// Left out is `link_count_max`. It makes 32,000 names in one directory, each of which is looked
/// for among all others first: hours in the debug kernel, on stock ext2 as on cohfs.
const CALLS: [(&str, &[&str]); 15] = [
    ("chmod", &[""]),
    ("chown", &[""]),
    ("ftruncate", &[""]),
    ("link", &["changed", "e", "remove", "share", "unchanged"]),
    ("mkdir", &[""]),
    ("mkfifo", &[""]),
    ("mknod", &[""]),
    ("open", &[""]),
    ("posix_fallocate", &[""]),
    ("rename", &[""]),
    ("rmdir", &[""]),
    ("symlink", &[""]),
    ("truncate", &[""]),
    ("unlink", &[""]),
    ("utimensat", &[""]),
];

/// Times are stored in seconds: a change shows after one.
const CONFIGURATION: &str = "\
    [features]\nrename_ctime = {}\nutime_now = {}\nutimensat = {}\n\
    [dummy_auth]\nentries = [[\"nobody\", \"nobody\"], [\"tests\", \"tests\"]]\n\
    [settings]\nnaptime = 1.1\n";

const PASSWD: &str = "root:x:0:0::/:\nnobody:x:65534:65534::/:\ntests:x:1000:1000::/:\n";
const GROUP: &str = "root:x:0:\nnobody:x:65534:\ntests:x:1000:\n";

/// How a test of the suite ended.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// With what it says.
    Failed(String),
    Skipped(String),
}

/// Runs the suite on both file systems side by side and compares.
fn tests(lab: &Lab<'_>, _extent: Extent) -> Result<Group> {
    const SECONDS: u32 = 30;
    let mut machine = Machine::new(lab, NAME)?;
    machine.cpus = boot::ONE;
    machine.program(PJDFSTEST.ensure(lab.ctx)?, "/bin/pjdfstest");
    // Programs that some tests start.
    let links = format!(
        "for name in mount umount sleep which; do {BUSYBOX} ln -s {BUSYBOX} /bin/$name; done"
    );
    machine.steps.push(script("programs", &links, 60, &[0]));
    machine.text("/etc/passwd", PASSWD)?;
    machine.text("/etc/group", GROUP)?;
    machine.text("/etc/pjdfstest.toml", CONFIGURATION)?;
    machine.text(
        "/etc/remount.toml",
        &format!("{CONFIGURATION}allow_remount = true\n"),
    )?;
    let timeout = u64::from(SECONDS * lab.slowdown());
    let run = |fs: &str, call: &str, configuration: &str, pattern: &str| {
        let text = format!(
            "{BUSYBOX} chmod 777 /mnt/{fs}; export NO_COLOR=1\n\
             pjdfstest -c /etc/{configuration}.toml -p /mnt/{fs} -s /tmp {pattern} 2>&1"
        );
        script(&format!("{call} on {fs}"), &text, timeout, &[0, 1])
    };
    let mut lanes = Vec::new();
    for fs in [&EXT2, &COHFS] {
        machine.scratch(fs.name, fs, 1024, 64)?;
        lanes.extend(CALLS.map(|(call, tests)| {
            let patterns: Vec<_> = tests
                .iter()
                .map(|test| format!("tests::{call}::{test}"))
                .collect();
            vec![run(fs.name, call, "pjdfstest", &patterns.join(" "))]
        }));
    }
    machine
        .steps
        .push(Step::optional("calls", Action::Together { lanes }));
    // Nothing else may be open when a file system becomes read-only.
    for fs in [&EXT2, &COHFS] {
        machine
            .steps
            .push(run(fs.name, "remount", "remount", "::erofs"));
    }
    let (report, outcome) = machine.boot(SECONDS * 3)?;
    let (theirs, ours) = (verdicts(&report, EXT2.name), verdicts(&report, COHFS.name));
    // The machine's time is that of the tests, in equal shares.
    let count = u32::try_from(ours.len().max(1)).unwrap_or(u32::MAX);
    let time = Duration::from_secs_f64(report.seconds) / count;
    let mut tests: Vec<_> = ours
        .iter()
        .map(|(name, verdict)| {
            let status = told(judge(verdict, theirs.get(name)), &report);
            result(NAME, name.clone(), status, time)
        })
        .collect();
    let mut failed = |name: &str, why: &str| {
        let status = told(Status::Failed(why.to_owned()), &report);
        tests.push(result(NAME, name, status, time));
    };
    for name in theirs.keys().filter(|name| !ours.contains_key(*name)) {
        failed(name, "it ran on stock ext2 only");
    }
    if theirs.is_empty() {
        failed("stock ext2", "nothing ran");
    }
    Ok(group(tests, &outcome))
}

/// Holds a verdict against that on stock ext2.
fn judge(ours: &Verdict, theirs: Option<&Verdict>) -> Status {
    match (ours, theirs) {
        (Verdict::Passed, _) => Status::Passed,
        (Verdict::Failed(why), Some(Verdict::Failed(_))) => {
            Status::Skipped(format!("stock ext2 fails it too: {why}"))
        }
        (Verdict::Failed(why), _) => Status::Failed(format!("{why}\nstock ext2 passes it")),
        (Verdict::Skipped(_), Some(Verdict::Passed)) => {
            Status::Failed("it was skipped, and stock ext2 passes it".to_owned())
        }
        (Verdict::Skipped(why), _) => Status::Skipped(why.clone()),
    }
}

/// The verdicts of all processes that ran on a file system, by the test's name.
fn verdicts(report: &Report, fs: &str) -> BTreeMap<String, Verdict> {
    let mut verdicts = BTreeMap::new();
    let calls = CALLS.iter().map(|(call, _)| *call);
    for call in calls.chain(["remount"]) {
        if let Some(step) = report.step(&format!("{call} on {fs}")) {
            verdicts.extend(read(&step.lines));
        }
    }
    verdicts
}

/// Reads what the program prints: a line for each test, and below it, indented, why.
fn read(lines: &[String]) -> BTreeMap<String, Verdict> {
    let mut verdicts = BTreeMap::new();
    let mut lines = lines.iter().peekable();
    while let Some(line) = lines.next() {
        let Some((name, outcome)) = line.split_once(char::is_whitespace) else {
            continue;
        };
        let mut why = String::new();
        while let Some(more) = lines.next_if(|line| line.starts_with(char::is_whitespace)) {
            if !why.is_empty() {
                why.push(' ');
            }
            why += more.trim();
        }
        let verdict = match outcome.trim() {
            "ok" => Verdict::Passed,
            "FAILED" => Verdict::Failed(why),
            // Those tests have their turn in a run of their own.
            "skipped" if why.contains("allow_remount") => continue,
            "skipped" => Verdict::Skipped(why),
            _ => continue,
        };
        verdicts.insert(name.to_owned(), verdict);
    }
    verdicts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_is_read_with_its_reason() {
        let said = "rename::a                  ok\n\
                    chmod::b::fifo             FAILED\n\tassertion failed\n\t  left: 1\n\
                    open::c                    skipped\n\trequires features: x\n\
                    open::d                    skipped\n\tRemounts (allow_remount) are not\n\
                    \nSummary: 1 failed, 2 skipped, 1 passed, 4 total\n";
        let lines: Vec<_> = said.lines().map(str::to_owned).collect();
        let read = read(&lines);
        assert_eq!(read.len(), 3);
        assert_eq!(read["rename::a"], Verdict::Passed);
        assert_eq!(
            read["chmod::b::fifo"],
            Verdict::Failed("assertion failed left: 1".to_owned())
        );
        assert_eq!(
            read["open::c"],
            Verdict::Skipped("requires features: x".to_owned())
        );
    }

    #[test]
    fn only_what_stock_ext2_passes_counts() {
        let failed = Verdict::Failed("no".to_owned());
        let skipped = Verdict::Skipped("x".to_owned());
        assert_eq!(judge(&Verdict::Passed, Some(&failed)), Status::Passed);
        assert!(matches!(judge(&failed, Some(&failed)), Status::Skipped(_)));
        for theirs in [Some(&Verdict::Passed), None] {
            assert!(matches!(judge(&failed, theirs), Status::Failed(_)));
        }
        let passed = Some(&Verdict::Passed);
        assert!(matches!(judge(&skipped, passed), Status::Failed(_)));
        assert!(matches!(judge(&skipped, None), Status::Skipped(_)));
    }
}
