// SPDX-License-Identifier: GPL-2.0

//! Asynchronous direct writes whose file, submitter or file system goes away under them.

use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::asynchronous::by_each_kind;
use super::redirty;
use super::redirty::PRIME;
use crate::aligned::Aligned;
use crate::device::Device;
use crate::file::ClaimFile;
use crate::freeze::Frozen;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pattern::SECTOR;
use crate::queue::Kind;
use crate::queue::Op;
use crate::registry::Claim;
use crate::registry::Disk;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::sys::Child;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::window;
use crate::window::Flight;

const SLOW: Needs = Needs {
    disk: Disk::SlowWrites,
    ..Needs::NOTHING
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T43",
        name: "killed_submitter_leaves_nothing_behind",
        rule: "B3 T43, C2.1, C2.5",
        summary: "A process submits a direct write and is killed before it is complete, while another \
                  loads the page. The load comes back when the device is done; cache and disk agree \
                  on what became of the write; the next direct write of the range goes through.",
        needs: SLOW,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t43.dat",
            size: 4 * PAGE,
        }],
        run: killed_submitter_leaves_nothing_behind,
    },
    Claim {
        id: "T44",
        name: "truncation_waits_for_asynchronous_write",
        rule: "B3 T44",
        summary: "While a direct write of a page is in flight, the file is truncated in front of it, \
                  and another file made of the blocks that are free then: the write never lands in \
                  the other file, and where the first one is extended again it has zeros.",
        needs: SLOW,
        expect: Expect::KEPT,
        files: &[],
        run: truncation_waits_for_asynchronous_write,
    },
    Claim {
        id: "T44b",
        name: "unlinked_file_keeps_its_blocks_during_asynchronous_write",
        rule: "B3 T44",
        summary: "While a direct write is in flight, its file is unlinked and its last descriptor \
                  closed, and another file made: the write never lands in the other file, and its \
                  completion has the exact count.",
        needs: SLOW,
        expect: Expect::KEPT,
        files: &[],
        run: unlinked_file_keeps_its_blocks_during_asynchronous_write,
    },
    Claim {
        id: "T45",
        name: "freeze_waits_for_asynchronous_write",
        rule: "B3 T45",
        summary: "The file system is frozen while a direct write is in flight: the freeze comes after \
                  the write's end. A store made while it is frozen changes nothing on the disk until \
                  it is thawed; then it goes on, and all is on the disk.",
        needs: SLOW,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t45.dat",
            size: 4 * PAGE,
        }],
        run: freeze_waits_for_asynchronous_write,
    },
];

const PAGE_LEN: usize = PAGE as usize;

/// How long after the device is done the rest of a write without submitter may take.
const REST: Duration = Duration::from_secs(5);

fn killed_submitter_leaves_nothing_behind(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let device = file.device()?;
    by_each_kind(|kind, judge| {
        file.fill(1)?;
        sys::sync_fs(file.file())?;
        let mapping = file.map(Share::SharedReadOnly)?;
        window::quiet(device)?;
        kind.write(&direct, &file.bytes(PRIME, PAGE_LEN, 1), PRIME)
            .context("the write ahead")?;
        let bytes = file.bytes(0, PAGE_LEN, 2);
        let submitter = Child::start(|| i32::from(kind.write(&direct, &bytes, 0).is_err()))
            .context("starting the submitter")?;
        window::wait_for("the submitter's write", || {
            Ok(device.in_flight()?.writes > 0)
        })?;
        let loaded = thread::scope(|scope| {
            let loader = scope.spawn(|| mapping.load(0, PAGE_LEN));
            // Kills it, and waits for its end.
            drop(submitter);
            loader.join().expect("a load does not panic")
        });
        let words = loaded.chunks(8).zip(bytes.chunks(8)).enumerate();
        let old = file.bytes(0, PAGE_LEN, 1);
        for (word, (found, new)) in words {
            let known = found == new || *found == old[word * 8..word * 8 + 8];
            judge.require(known, Verdict::Torn, || {
                format!("word {word} is {found:02x?}")
            });
        }
        window::quiet(device)?;
        let (deadline, either) = (Instant::now() + REST, |_| vec![1, 2]);
        let disk = file.on_disk(0, PAGE_LEN)?.0;
        while file.read(0, PAGE_LEN)? != disk && Instant::now() < deadline {
            thread::yield_now();
        }
        let agree = file.read(0, PAGE_LEN)? == disk && mapping.load(0, PAGE_LEN) == disk;
        judge.require(agree, Verdict::Stale, || "cache and disk differ".to_owned());
        file.judge_bytes(judge, "disk", 0, &disk, Verdict::Torn, either);
        let next = file.write_direct(&direct, 0, PAGE_LEN, 3);
        judge.wrote("the next direct write", &next, PAGE_LEN);
        file.judge_everywhere(judge, Some(&mapping), 0, PAGE_LEN, |_| vec![3])
    })
}

/// Tries a claim by the first interface there is: what it is about is the same for each.
fn by_one_kind(attempt: impl FnOnce(Kind, &mut Judge) -> Result<()>) -> Result<Outcome> {
    let mut judge = Judge::new();
    let kind = Kind::available()?[0];
    judge.fact(format!("by {kind}"));
    attempt(kind, &mut judge)?;
    Ok(judge.outcome())
}

/// Makes a file of four pages, all durable.
fn durable_file(stage: &Stage<'_>, name: &str) -> Result<ClaimFile> {
    let file = stage.scratch(name, 4 * PAGE)?;
    file.fill(1)?;
    sys::sync_fs(file.file())?;
    Ok(file)
}

/// Makes another file, which gets the blocks that are free now, and makes it durable. Finds
/// whether it got the byte `target` of the device while the write to that byte was in flight:
/// the disk keeps requests in order, so that what is written there later would hide it.
fn other_file(
    stage: &Stage<'_>,
    name: &str,
    target: Option<u64>,
    judge: &mut Judge,
) -> Result<ClaimFile> {
    let other = stage.scratch(name, 0)?;
    other.write(0, OTHER, 1)?;
    let device = other.device()?;
    // Before it is asked where the blocks are: that may write them out, and wait.
    let late = device.in_flight()?.writes > 0;
    for at in (0..OTHER as u64).step_by(SECTOR) {
        let place = device.locate(other.file(), at).ok().flatten();
        if target.is_some() && place.map(|(place, _)| place) == target {
            judge.fact("the other file got the block");
            judge.require(!late, Verdict::Torn, || {
                "another file got the block while the write to it was in flight".to_owned()
            });
        }
    }
    other.file().sync_all().context("syncing the other file")?;
    Ok(other)
}

/// Where byte `at` of the file is on the device, if that can be known.
fn place_of(file: &ClaimFile, at: u64) -> Result<Option<u64>> {
    let place = file.device()?.locate(file.file(), at).ok().flatten();
    Ok(place.map(|(place, _)| place))
}

const OTHER: usize = 8 * PAGE_LEN;

fn truncation_waits_for_asynchronous_write(stage: &Stage<'_>) -> Result<Outcome> {
    by_one_kind(|kind, judge| {
        let what = "the write was over before the truncation began";
        let (collision, file) = window::insist(what, || {
            let file = durable_file(stage, "t44.tmp")?;
            let direct = file.open_direct()?;
            let target = place_of(&file, 2 * PAGE)?;
            let write = |at, version| kind.write(&direct, &file.bytes(at, PAGE_LEN, version), at);
            let collision = window::collide(
                file.device()?,
                Flight::Write,
                || write(3 * PAGE, 1).map(drop),
                || write(2 * PAGE, 2),
                || -> Result<(ClaimFile, Judge)> {
                    let mut judge = Judge::new();
                    file.file().set_len(PAGE).context("truncating")?;
                    let other = other_file(stage, "t44-other.tmp", target, &mut judge)?;
                    Ok((other, judge))
                },
            )?;
            Ok((collision, file))
        })?;
        judge.wrote("the direct write", &collision.slow, PAGE_LEN);
        redirty::describe(judge, &collision);
        let (other, found) = collision.meanwhile?;
        judge.absorb(found);
        other.judge_everywhere(judge, None, 0, OTHER, |_| vec![1])?;
        file.file().set_len(4 * PAGE).context("extending again")?;
        judge.synced("fsync", file.file().sync_all());
        let (disk, way) = file.on_disk(PAGE, 3 * PAGE_LEN)?;
        for (way, bytes) in [("read", file.read(PAGE, 3 * PAGE_LEN)?), (way, disk)] {
            let zeros = bytes.iter().all(|byte| *byte == 0);
            judge.require(zeros, Verdict::Torn, || {
                format!("{way}: what was cut off is back")
            });
        }
        Ok(())
    })
}

fn unlinked_file_keeps_its_blocks_during_asynchronous_write(stage: &Stage<'_>) -> Result<Outcome> {
    by_one_kind(|kind, judge| {
        let what = "the write was over before the other file was made";
        let (collision, ()) = window::insist(what, || {
            let file = durable_file(stage, "t44b.tmp")?;
            let direct = file.open_direct()?;
            let device = Device::of(file.file())?;
            let target = place_of(&file, 0)?;
            let (prime, bytes) = (file.bytes(PRIME, PAGE_LEN, 1), file.bytes(0, PAGE_LEN, 2));
            kind.write(&direct, &prime, PRIME)
                .context("the write ahead")?;
            let gone = AtomicBool::new(false);
            let collision = window::collide(
                &device,
                Flight::Write,
                || Ok(()),
                || {
                    let mut queue = kind.open(1).map_err(io::Error::other)?;
                    queue.submit(0, Op::Write, &direct, 0, Aligned::from(&bytes))?;
                    // The name goes with the one, the last descriptor with the other.
                    drop(file);
                    drop(direct);
                    gone.store(true, Ordering::SeqCst);
                    queue.reap(true)?.map_or(Ok(0), |done| done.result)
                },
                || {
                    window::wait_for("unlinking", || Ok(gone.load(Ordering::SeqCst)))?;
                    let mut judge = Judge::new();
                    let other = other_file(stage, "t44b-other.tmp", target, &mut judge)?;
                    anyhow::Ok((other, judge))
                },
            )?;
            Ok((collision, ()))
        })?;
        judge.wrote("the direct write", &collision.slow, PAGE_LEN);
        redirty::describe(judge, &collision);
        let (other, found) = collision.meanwhile?;
        judge.absorb(found);
        other.judge_everywhere(judge, None, 0, OTHER, |_| vec![1])
    })
}

fn freeze_waits_for_asynchronous_write(stage: &Stage<'_>) -> Result<Outcome> {
    let (dir, file) = (stage.dir()?, stage.file()?);
    let direct = file.open_direct()?;
    let device = file.device()?;
    by_one_kind(|kind, judge| {
        for _ in 0..window::ATTEMPTS {
            file.fill(1)?;
            let mapping = file.map(Share::Shared)?;
            mapping.touch();
            sys::sync_fs(file.file())?;
            let write = |at, version| kind.write(&direct, &file.bytes(at, PAGE_LEN, version), at);
            let collision = window::collide(
                device,
                Flight::Write,
                || write(PRIME, 1).map(drop),
                || write(0, 2),
                || -> Result<Judge> {
                    let frozen = Frozen::new(dir)?;
                    store_while_frozen(&file, &mapping, frozen)
                },
            )?;
            let found = collision.meanwhile?;
            if !collision.open {
                continue;
            }
            judge.wrote("the direct write", &collision.slow, PAGE_LEN);
            judge.absorb(found);
            let wanted = |sector| match sector {
                0..8 => vec![2],
                8 => vec![3],
                _ => vec![1],
            };
            return file.judge_everywhere(judge, Some(&mapping), 0, 2 * PAGE_LEN, wanted);
        }
        Err(window::never_open("the write was over before the freeze"))
    })
}

/// Stores to page 1 on the frozen file system, and thaws it when the store waits or is done.
fn store_while_frozen(file: &ClaimFile, mapping: &Mapping, frozen: Frozen) -> Result<Judge> {
    let mut judge = Judge::new();
    let left = file.device()?.in_flight()?.writes;
    judge.require(left == 0, Verdict::Error, || {
        format!("frozen, and {left} writes are in flight")
    });
    thread::scope(|scope| {
        // Thawed before the storer is waited for, whatever happens.
        let frozen = frozen;
        let (send, receive) = mpsc::channel();
        let storer = scope.spawn(move || {
            // Nobody to tell is an error above.
            let _ = send.send(sys::thread_id());
            mapping.store(PAGE_LEN, &file.bytes(PAGE, SECTOR, 3));
        });
        let thread = receive.recv().context("the storer's number")?;
        window::wait_for("the store to wait", || {
            Ok(storer.is_finished() || sys::is_stuck(thread)?)
        })?;
        judge.fact(if storer.is_finished() {
            "a store went through while frozen"
        } else {
            "a store waited while frozen"
        });
        let (disk, way) = file.on_disk(PAGE, PAGE_LEN)?;
        file.judge_bytes(&mut judge, way, PAGE, &disk, Verdict::Torn, |_| vec![1]);
        drop(frozen);
        storer.join().expect("a store does not panic");
        Ok(judge)
    })
}
