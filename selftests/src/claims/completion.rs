// SPDX-License-Identifier: GPL-2.0

//! What a completion means: from then on everybody sees the bytes, by whatever way they were sent.

use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::asynchronous::by_each_kind;
use super::redirty::PRIME;
use crate::aligned::Aligned;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::queue::Kind;
use crate::queue::Op;
use crate::queue::Queue;
use crate::queue::Uring;
use crate::queue::uring::Link;
use crate::registry::Claim;
use crate::registry::Disk;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;
use crate::window;

const SLOW: Needs = Needs {
    disk: Disk::SlowWrites,
    ..Needs::NOTHING
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T38",
        name: "completion_implies_visibility",
        rule: "B3 T38, C2.1",
        summary: "Four threads write a page each, asynchronously and directly, again and again; \
                  each takes the completion and at once reads, loads and reads directly. Two others \
                  cache all pages all the while. Nobody who took a completion sees an older version.",
        needs: Needs::NOTHING,
        // Whether a page is cached just before a write is chance.
        expect: Expect {
            none: &[Verdict::Stale, Verdict::Kept],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t38.dat",
            size: WRITERS as u64 * PAGE,
        }],
        run: completion_implies_visibility,
    },
    Claim {
        id: "T39",
        name: "page_cached_between_device_and_completion",
        rule: "B3 T39, A29",
        summary: "An asynchronous direct write is submitted while nothing of the file is cached. As \
                  soon as the device is done with it, and before anybody asks for the completion, \
                  the page is loaded: it is new then, and stays so after the completion.",
        needs: SLOW,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t39.dat",
            size: 4 * PAGE,
        }],
        run: page_cached_between_device_and_completion,
    },
    Claim {
        id: "T40",
        name: "registered_buffers_are_as_good_as_others",
        rule: "B3 T40",
        summary: "io_uring reads and writes by registered buffers and files see and are seen by all \
                  other ways. A ring that polls is served or told EOPNOTSUPP; what it asked for \
                  leaves nothing behind that a write of the same range would wait for.",
        needs: Needs {
            chance: true,
            ..Needs::NOTHING
        },
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t40.dat",
            size: 4 * PAGE,
        }],
        run: registered_buffers_are_as_good_as_others,
    },
    Claim {
        id: "T42",
        name: "chain_of_direct_write_read_and_fsync",
        rule: "B3 T42",
        summary: "io_uring is given a chain: a direct write of a page that is cached, a buffered \
                  read of it, fsync. Each link starts when the one before is done: the read has the \
                  new bytes, and fsync succeeds.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t42.dat",
            size: 4 * PAGE,
        }],
        run: chain_of_direct_write_read_and_fsync,
    },
];

const PAGE_LEN: usize = PAGE as usize;
const WRITERS: usize = 4;

/// T38 goes on for so long, or for so many versions, whatever comes first.
const TIME: Duration = Duration::from_secs(2);
const VERSIONS: u16 = 20_000;

fn completion_implies_visibility(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let kinds = Kind::available()?;
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    let (over, end) = (AtomicBool::new(false), Instant::now() + TIME);
    let write = |page: usize| -> Result<(Judge, u16)> {
        let mut judge = Judge::new();
        let mut queue = kinds[page % kinds.len()].open(1)?;
        let at = page as u64 * PAGE;
        let mut version = 1;
        while judge.is_clean() && version < VERSIONS && Instant::now() < end {
            version += 1;
            let bytes = file.bytes(at, PAGE_LEN, version);
            queue.submit(0, Op::Write, &direct, at, Aligned::from(&bytes))?;
            let done = queue.reap(true)?.context("a completion")?;
            judge.wrote("an asynchronous write", &done.result, PAGE_LEN);
            let ways = [
                ("load", mapping.load(at as usize, PAGE_LEN)),
                ("read", file.read(at, PAGE_LEN)?),
                ("direct read", file.read_direct(&direct, at, PAGE_LEN)?),
            ];
            for (way, bytes) in ways {
                let wanted = |_| vec![version];
                file.judge_bytes(&mut judge, way, at, &bytes, Verdict::Stale, wanted);
            }
        }
        Ok((judge, version))
    };
    let cache = |by_read: bool| {
        while !over.load(Ordering::Relaxed) {
            if by_read {
                // What it sees is the writers' business.
                let _ = file.read(0, mapping.len());
            } else {
                mapping.touch();
            }
        }
    };
    let results: Vec<Result<(Judge, u16)>> = thread::scope(|scope| {
        for by_read in [true, false] {
            scope.spawn(move || cache(by_read));
        }
        let writers: Vec<_> = (0..WRITERS)
            .map(|page| scope.spawn(move || write(page)))
            .collect();
        let results = writers
            .into_iter()
            .map(|writer| writer.join().expect("the writers do not panic"))
            .collect();
        over.store(true, Ordering::Relaxed);
        results
    });
    let mut versions = Vec::new();
    for result in results {
        let (found, version) = result?;
        judge.absorb(found);
        versions.push(version);
    }
    judge.fact(format!(
        "{} writes",
        versions.iter().map(|v| u32::from(*v)).sum::<u32>()
    ));
    let wanted = |sector: u64| vec![versions[sector as usize / 8]];
    file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), wanted)?;
    let mut outcome = judge.outcome();
    if outcome.verdict == Verdict::Torn {
        // Of a mixture a part is old, and which of both is met first is chance.
        outcome.verdict = Verdict::Stale;
    }
    Ok(outcome)
}

fn page_cached_between_device_and_completion(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let device = file.device()?;
    by_each_kind(|kind, judge| {
        file.fill(1)?;
        sys::sync_fs(file.file())?;
        let mapping = file.map(Share::SharedReadOnly)?;
        window::quiet(device)?;
        let bytes = file.bytes(PRIME, PAGE_LEN, 1);
        kind.write(&direct, &bytes, PRIME)
            .context("the write ahead")?;
        let mut queue = kind.open(1)?;
        let buffer = Aligned::from(&file.bytes(0, PAGE_LEN, 2));
        queue.submit(0, Op::Write, &direct, 0, buffer)?;
        // In flight, or over already where the submitter is made to wait.
        let mut early = None;
        window::wait_for("the write", || {
            early = queue.reap(false)?;
            Ok(early.is_some() || device.in_flight()?.writes > 0)
        })?;
        let waited = early.is_some();
        window::quiet(device)?;
        let loaded = mapping.load(0, PAGE_LEN);
        if early.is_none() {
            early = queue.reap(false)?;
        }
        judge.fact(match (waited, &early) {
            (true, _) => "the submitter was made to wait",
            (false, None) => "loaded before the completion",
            (false, Some(_)) => "loaded as the completion came",
        });
        let done = match early {
            Some(done) => done,
            None => queue.reap(true)?.context("a completion")?,
        };
        judge.wrote("the direct write", &done.result, PAGE_LEN);
        // The device is done: what is read from it now is new, completion or not.
        let wanted = |_| vec![2];
        file.judge_bytes(judge, "early load", 0, &loaded, Verdict::Stale, wanted);
        file.judge_everywhere(judge, Some(&mapping), 0, PAGE_LEN, wanted)
    })
}

/// A ring, or the skip that says why there is none.
fn ring(opened: std::io::Result<Uring>) -> Result<Uring> {
    opened.map_err(|error| skip(format!("no {} here: {error}", Kind::IoUring)))
}

fn registered_buffers_are_as_good_as_others(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let mut fixed = ring(Uring::new(1))?;
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    mapping.touch();
    fixed
        .register(&direct, PAGE_LEN)
        .context("registering a buffer and a file")?;
    let mut bytes = file.bytes(0, PAGE_LEN, 2);
    let written = fixed.transfer_fixed(Op::Write, 0, &mut bytes);
    judge.wrote("the fixed write", &written, PAGE_LEN);
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, |_| vec![2])?;
    mapping.store(0, &file.bytes(0, PAGE_LEN, 3));
    bytes.fill(0);
    let read = fixed.transfer_fixed(Op::Read, 0, &mut bytes);
    judge.wrote("the fixed read", &read, PAGE_LEN);
    file.judge_bytes(&mut judge, "fixed read", 0, &bytes, Verdict::Stale, |_| {
        vec![3]
    });
    let mut polled = ring(Uring::polled(1))?;
    for (op, version) in [(Op::Write, 4), (Op::Read, 3)] {
        let buffer = Aligned::from(&file.bytes(0, PAGE_LEN, version));
        polled.submit(0, op, &direct, 0, buffer)?;
        let done = polled.reap(true)?.context("a completion")?;
        match done.result {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                judge.fact(format!("a polled {op:?} is refused"));
            }
            other => {
                judge.wrote(&format!("a polled {op:?}"), &other, PAGE_LEN);
            }
        }
    }
    let written = file.write_direct(&direct, 0, PAGE_LEN, 5);
    judge.wrote("the write after it", &written, PAGE_LEN);
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, |_| vec![5])?;
    Ok(judge.outcome())
}

fn chain_of_direct_write_read_and_fsync(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let mut ring = ring(Uring::new(4))?;
    file.fill(1)?;
    file.judge_read(&mut judge, 0, PAGE_LEN, |_| vec![1])?;
    for version in 2..10 {
        let bytes = file.bytes(0, PAGE_LEN, version);
        ring.submit_chain(vec![
            Link::Transfer(Op::Write, &direct, 0, Aligned::from(&bytes)),
            Link::Transfer(Op::Read, file.file(), 0, Aligned::zeroed(PAGE_LEN)),
            Link::Sync(file.file()),
        ])?;
        for _ in 0..3 {
            let done = ring.reap(true)?.context("a completion")?;
            match done.tag {
                0 => judge.wrote("the direct write", &done.result, PAGE_LEN),
                1 => {
                    let bytes = &done.buffer;
                    let wanted = |_| vec![version];
                    file.judge_bytes(&mut judge, "chained read", 0, bytes, Verdict::Stale, wanted);
                    judge.wrote("the read", &done.result, PAGE_LEN)
                }
                _ => judge.wrote("fsync", &done.result, 0),
            };
        }
    }
    file.judge_everywhere(&mut judge, None, 0, PAGE_LEN, |_| vec![9])?;
    Ok(judge.outcome())
}
