// SPDX-License-Identifier: GPL-2.0

//! fio: random reads and writes that check what they read, through each way to a file, and
//! through all of them side by side in one file.

use super::{Suite, TOOLS, add_tools, tool};
use crate::lab::boot::Lab;
use crate::lab::filesystem::COHFS;
use crate::lab::results::{Status, TestResult};
use crate::lab::test::machine::{Machine, group, result, script, told};
use crate::lab::test::{Extent, Group, from_step};
use anyhow::Result;
use qemu_runner::Report;

const NAME: &str = "fio";

pub(super) const SUITE: Suite = Suite {
    name: NAME,
    prepare: |ctx| TOOLS.image(ctx).map(drop),
    tests,
};

/// What all jobs do. The pattern of each block is checked soon after it was written, and again
/// when the file is read at the end.
const GLOBAL: &str = "\
    [global]\n\
    directory=/mnt/fio\nfallocate=none\nrw=randrw\nrwmixread=30\nverify=crc32c\n\
    verify_backlog=64\nverify_fatal=1\nverify_state_save=0\ntime_based=1\nthread=1\n";

/// The ways to a file. Blocks of direct I/O are multiples of those of the disk.
const BUFFERED: &str = "ioengine=psync\nbsrange=512-64k\nfsync=200\n";
const MAPPED: &str = "ioengine=mmap\nbsrange=4k-32k\nfsync=200\n";
const DIRECT: &str = "ioengine=psync\ndirect=1\nbsrange=512-128k\nblockalign=512\n";

/// The runs: their names, and the ways to a file that all take. The mapping comes first: fio
/// itself mistakes the place in a mapping that does not begin where the file does.
const RUNS: [(&str, &[&str]); 4] = [
    ("buffered", &[BUFFERED]),
    ("mmap", &[MAPPED]),
    ("direct", &[DIRECT]),
    ("mixed", &[MAPPED, BUFFERED, DIRECT]),
];

/// How many files, each with all ways to it.
const FILES: u32 = 2;

/// The size of a part, in bytes. Parts meet at the edge of a page: nearer to each other, not
/// every coherency keeps them apart, which is for the claims to try.
const PART: u32 = 16 << 20;

/// Runs each way, then all at once.
fn tests(lab: &Lab<'_>, extent: Extent) -> Result<Group> {
    let seconds: u32 = match extent {
        Extent::Bounded => 5,
        Extent::Full => 60,
    };
    let mut machine = Machine::new(lab, NAME)?;
    add_tools(&mut machine, &TOOLS)?;
    machine.scratch(NAME, &COHFS, 1024, 256)?;
    for (name, ways) in RUNS {
        machine.text(&format!("/etc/{name}.fio"), &job_file(name, ways, seconds))?;
        machine.steps.push(script(
            name,
            &format!("{} --minimal /etc/{name}.fio 2>&1", tool("fio")),
            u64::from(20 * lab.slowdown() + seconds),
            &[0],
        ));
    }
    let (report, outcome) = machine.boot(60 + 4 * seconds)?;
    let tests = RUNS.iter().map(|(name, _)| judge(name, &report)).collect();
    Ok(group(tests, &outcome))
}

/// Each way has a part of each file of its own.
fn job_file(name: &str, ways: &[&str], seconds: u32) -> String {
    let mut text = format!("{GLOBAL}runtime={seconds}\n");
    for file in 0..FILES {
        for (part, way) in (0_u32..).zip(ways) {
            text += &format!(
                "[{name}-{file}-{part}]\nfilename={name}-{file}\noffset={}\nsize={PART}\n{way}",
                part * PART
            );
        }
    }
    text
}

/// A run passes if its step did and every job of it read and wrote.
fn judge(name: &str, report: &Report) -> TestResult {
    let test = from_step(NAME, name, report, name);
    let lines = report.step(name).map(|step| step.lines.as_slice());
    match idle(lines.unwrap_or_default()) {
        Some(why) if test.status == Status::Passed => {
            result(NAME, name, told(Status::Failed(why), report), test.time)
        }
        _ => test,
    }
}

/// Why what fio says proves nothing, if so. It says a line for each job, with semicolons
/// between the fields; of these the error and what was read and written, in KiB.
fn idle(lines: &[String]) -> Option<String> {
    const FIELDS: [usize; 3] = [4, 5, 46];
    let mut jobs = lines
        .iter()
        .map(|line| line.split(';').collect::<Vec<_>>())
        .filter(|fields| fields.len() > FIELDS[2])
        .peekable();
    if jobs.peek().is_none() {
        return Some("fio did not say how it went".to_owned());
    }
    let (mut read, mut written) = (false, false);
    for fields in jobs {
        let [error, kib_read, kib_written] = FIELDS.map(|field| fields[field]);
        if error != "0" {
            return Some(format!("{} ended with the error {error}", fields[2]));
        }
        read |= kib_read != "0";
        written |= kib_written != "0";
    }
    (!read || !written).then(|| "nothing was read, or nothing written".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of fio's, after one that is not for machines.
    fn said(error: &str, read: &str) -> Vec<String> {
        let mut fields = vec!["3", "fio-3.33", "mixed-0", "0", error, read];
        fields.resize(46, "9");
        fields.extend(["120", "7"]);
        vec!["fio: a note".to_owned(), fields.join(";")]
    }

    #[test]
    fn a_run_that_did_nothing_proves_nothing() {
        assert_eq!(idle(&said("0", "7")), None);
        assert!(idle(&said("84", "7")).unwrap().contains("the error 84"));
        assert!(idle(&said("0", "0")).unwrap().contains("nothing was read"));
        assert!(idle(&[]).unwrap().contains("did not say"));
    }

    #[test]
    fn the_parts_of_a_file_do_not_overlap() {
        let text = job_file("mixed", &[BUFFERED, MAPPED], 5);
        assert!(text.contains("[mixed-1-1]\nfilename=mixed-1\n"));
        assert!(text.contains(&format!("offset={PART}\nsize={PART}\n")));
    }
}
