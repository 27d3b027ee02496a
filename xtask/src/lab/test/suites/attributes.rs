// SPDX-License-Identifier: GPL-2.0

//! What the authors of `getfattr`, `setfattr`, `getfacl` and `setfacl` test these with; and, by these
//! programs, the labels that a security module gives new files.

use super::{Suite, TOOLS_DIR, add_tools};
use crate::bundle::Recipe;
use crate::lab::boot::{self, BUSYBOX, Lab};
use crate::lab::filesystem::{COHFS, EXT2};
use crate::lab::outcome::VmOutcome;
use crate::lab::plan;
use crate::lab::results::Status;
use crate::lab::test::machine::{Machine, group, result, script, told};
use crate::lab::test::{Extent, Group};
use anyhow::Result;
use qemu_runner::{Action, Expect, Report, Step};
use std::time::Duration;

const NAME: &str = "attributes";

pub(super) const SUITE: Suite = Suite {
    name: NAME,
    prepare: |ctx| TOOLS.image(ctx).map(drop),
    tests,
};

/// The programs, what their tests call, and the tests.
const TOOLS: Recipe = Recipe {
    name: NAME,
    packages: &[
        "acl",
        "attr",
        "bash",
        "coreutils",
        "grep",
        "mawk",
        "perl",
        "sed",
    ],
    sources: &["acl", "attr"],
    megabytes: 30,
    launchers: &[],
};

/// The tests: the package, and the file in its directory `test`. Left out are those for NFS, of which
/// the authors expect that they fail.
const TESTS: [(&str, &str); 15] = [
    ("acl", "cp"),
    ("acl", "getfacl-lfs"),
    ("acl", "getfacl-noacl"),
    ("acl", "getfacl-recursive"),
    ("acl", "malformed-restore"),
    ("acl", "misc"),
    ("acl", "root/getfacl"),
    ("acl", "root/permissions"),
    ("acl", "root/restore"),
    ("acl", "root/setfacl"),
    ("acl", "sbits-restore"),
    ("acl", "setfacl-X"),
    ("acl", "utf8-filenames"),
    ("attr", "attr"),
    ("attr", "root/getfattr"),
];

/// What the security module is to label files with, and its attribute.
const LABEL: &str = "of-cohfs";
const ATTRIBUTE: &str = "security.SMACK64";

/// Makes one file of each kind, and says which attributes one without a name has. A label that no file
/// has yet takes a block of its own, for which there is no room in the end.
const MAKE: &str = r#"
    own=/proc/self/attr/smack/current
    test -e $own || exec echo nobody labels files
    set -e
    echo $LABEL > $own
    mkdir dir; touch file; ln -s file link; ln -s $(printf %300s | tr ' ' x) long
    mkfifo fifo; mknod device c 1 3
    perl -e 'sysopen F, ".", 020200002 or die; system "getfattr -m - /proc/$$/fd/" . fileno F'
    dd if=/dev/zero of=full bs=1k 2> /dev/null || true
    echo another > $own
    if touch none 2> /dev/null; then echo made
    elif test -e none; then echo left
    else echo refused; fi
    rm full"#;

/// Says what the label of each file is.
const LOOK: &str = "\
    for name in dir file link long fifo device; do \
    echo $name $(getfattr -h --only-values -n $ATTRIBUTE $name); done";

/// What [`LOOK`] is to say of each.
const FILES: [&str; 6] = ["dir", "file", "link", "long", "fifo", "device"];

/// Runs the tests in one machine; labels are looked at in another, as they show up among attributes.
fn tests(lab: &Lab<'_>, _extent: Extent) -> Result<Group> {
    let mut group = of_packages(lab)?;
    group.take(of_labels(lab)?);
    Ok(group)
}

/// How long a machine may take, and each of its steps, in seconds on a fast one.
const SECONDS: u32 = 60;

fn of_packages(lab: &Lab<'_>) -> Result<Group> {
    let mut machine = furnished(lab, NAME)?;
    machine.scratch(COHFS.name, &COHFS, 1024, 8)?;
    machine.steps.extend(TESTS.map(|(package, test)| {
        let tests = format!("/usr/src/{package}/test");
        let run = format!("exec perl {tests}/run {tests}/{test}.test 2>&1");
        inside(lab, format!("{package}: {test}"), COHFS.name, &run)
    }));
    let (report, outcome) = boot(machine)?;
    let tests = TESTS.map(|(package, test)| {
        let name = format!("{package}: {test}");
        let step = report.step(&name);
        let status = judge(step.map_or(&[], |step| &step.lines));
        let time = Duration::from_millis(step.map_or(0, |step| step.ms));
        result(NAME, name, told(status, &report), time)
    });
    Ok(group(tests.into(), &outcome))
}

fn of_labels(lab: &Lab<'_>) -> Result<Group> {
    let mut machine = furnished(lab, "labels")?;
    machine.append = vec!["lsm=smack".to_owned()];
    for fs in [&EXT2, &COHFS] {
        let name = fs.name;
        machine.scratch(name, fs, 1024, 8)?;
        let dir = format!("/mnt/{name}");
        machine.steps.extend([
            inside(lab, made(name), name, MAKE),
            plan::umount(&format!("{name}, for a moment"), &dir),
            plan::mount(&format!("{name} again"), name, fs, &dir, false),
            inside(lab, found(name), name, LOOK),
        ]);
    }
    let (report, outcome) = boot(machine)?;
    let time = Duration::from_secs_f64(report.seconds);
    let tests = [EXT2.name, COHFS.name].map(|fs| {
        let name = format!("new files have the labels of their makers on {fs}");
        result(NAME, name, told(labels(&report, fs), &report), time / 2)
    });
    Ok(group(tests.into(), &outcome))
}

/// A machine with the bundle, in which a root is laid out.
fn furnished<'a>(lab: &'a Lab<'a>, name: &'static str) -> Result<Machine<'a>> {
    let mut machine = Machine::new(lab, name)?;
    machine.cpus = boot::ONE;
    add_tools(&mut machine, &TOOLS)?;
    machine.steps.push(script("root", &furnish(), 60, &[0]));
    Ok(machine)
}

fn boot(mut machine: Machine<'_>) -> Result<(Report, VmOutcome)> {
    machine
        .steps
        .push(script("root as it was", &leave(), 60, &[0]));
    machine.boot(SECONDS)
}

/// A root to run in: the bundle's directories, and what nobody configured there.
const ROOT: &str = "/tests";

/// Those of the bundle, and what they are in the root, whose `bin` has links to some of the programs.
const FROM_BUNDLE: [(&str, &str); 4] = [
    ("bin", "programs"),
    ("lib", "lib"),
    ("lib64", "lib64"),
    ("usr", "usr"),
];

/// The name of the step that makes files with labels.
fn made(fs: &str) -> String {
    format!("labels on {fs}")
}

/// The name of the step that looks at them.
fn found(fs: &str) -> String {
    format!("labels on {fs}, mounted again")
}

/// What lays the root out. The tests are written for bash as the shell.
fn furnish() -> String {
    let bundle = format!("{TOOLS_DIR}/root");
    let mounts = FROM_BUNDLE
        .map(|(from, to)| format!("b mkdir {to}; b mount --bind {bundle}/{from} {to}\n"));
    format!(
        "set -e; b() {{ {BUSYBOX} \"$@\"; }}; b mkdir {ROOT}; cd {ROOT}; b mkdir bin dev etc mnt proc\n\
         {}b mount --bind /dev dev; b mount --bind /proc proc\n\
         b ln -s ../programs/bash bin/sh; b ln -s ../usr/bin/mawk bin/awk\n\
         for what in passwd group; do b cp usr/src/acl/test/test.$what etc/$what; done",
        mounts.concat()
    )
}

/// What unmounts what is mounted there.
fn leave() -> String {
    let dirs = FROM_BUNDLE.map(|(_, to)| to).join(" ");
    format!("for dir in dev proc {dirs}; do {BUSYBOX} umount {ROOT}/$dir || exit 1; done")
}

/// The status of a step that had nothing to run on.
const NO_MOUNT: i32 = 99;

/// A step that runs a script in that root, where the file system is `/mnt`.
fn inside(lab: &Lab<'_>, step: String, fs: &str, text: &str) -> Step {
    let timeout = u64::from(SECONDS * lab.slowdown());
    let enter = format!(
        "{BUSYBOX} mount --bind /mnt/{fs} {ROOT}/mnt || exit {NO_MOUNT}\n\
         {BUSYBOX} env PATH=/bin:/programs:/usr/bin LABEL={LABEL} ATTRIBUTE={ATTRIBUTE} \
         {BUSYBOX} chroot {ROOT} /bin/sh -c \"cd /mnt; $1\"\n\
         status=$?; {BUSYBOX} umount {ROOT}/mnt; exit $status"
    );
    let argv = [BUSYBOX, "sh", "-c", &enter, "sh", text]
        .map(str::to_owned)
        .to_vec();
    // Commands that fail are counted.
    let counts = (0..NO_MOUNT).collect();
    Step::optional(step, Action::Run { argv, timeout }).expecting(Expect::Exit(counts))
}

/// Holds the labels on a file system against what they should be.
fn labels(report: &Report, fs: &str) -> Status {
    let lines = |step: &str| report.step(step).map_or(&[][..], |step| &step.lines);
    let made = lines(&made(fs));
    if made == ["nobody labels files"] {
        let why = "this kernel has no Smack; the debug kernel of this lab has";
        return Status::Skipped(why.to_owned());
    }
    if !made.iter().any(|line| line == ATTRIBUTE) {
        return Status::Failed(format!("none on a file without a name: {made:?}"));
    }
    if made.last().is_none_or(|line| line != "refused") {
        let why = format!("a file was made though there was no room for its label: {made:?}");
        return Status::Failed(why);
    }
    let found = lines(&found(fs));
    let wanted = FILES.map(|name| format!("{name} {LABEL}"));
    match found == wanted {
        true => Status::Passed,
        false => Status::Failed(format!("mounted again: {found:?}, not {wanted:?}")),
    }
}

/// Reads what a test said: a line ends each command, others tell of what went wrong, and the last one
/// counts.
fn judge(lines: &[String]) -> Status {
    let failed = |line: &&String| line.ends_with(" -- failed");
    let ended = lines
        .last()
        .is_some_and(|line| line.ends_with(" passed, 0 failed)"));
    match lines.iter().find(failed) {
        Some(command) => Status::Failed(command.clone()),
        None if ended => Status::Passed,
        None => Status::Failed(format!("it did not come to its end: {:?}", lines.last())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_passes_if_all_its_commands_did() {
        let judge = |said: &str| judge(&said.lines().map(str::to_owned).collect::<Vec<_>>());
        let (right, wrong) = ("[1] $ touch f -- ok\n", "[2] $ ls -- failed\ng   != f\n");
        let count = |failed| format!("2 commands ({} passed, {failed} failed)", 2 - failed);
        assert_eq!(judge(&(right.to_owned() + &count(0))), Status::Passed);
        assert_eq!(
            judge(&(right.to_owned() + wrong + &count(1))),
            Status::Failed("[2] $ ls -- failed".to_owned())
        );
        assert!(matches!(judge(right), Status::Failed(_)));
        assert!(matches!(judge(""), Status::Failed(_)));
    }
}
