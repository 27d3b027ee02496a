// SPDX-License-Identifier: GPL-2.0

//! Readers beside asynchronous direct writes, and bytes that are on their way to somebody else.

use std::io::Read as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::asynchronous::by_each_kind;
use super::volume::is_strict;
use crate::aligned::Aligned;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::pattern;
use crate::pattern::SECTOR;
use crate::pattern::Seen;
use crate::queue::Kind;
use crate::queue::Op;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::transfer;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T51",
        name: "readers_keep_up_with_asynchronous_writes",
        rule: "B4 T51, C2.1, fstests generic/418 and generic/451",
        summary: "Eight direct writes of different lengths are kept in flight by one queue; three \
                  threads read all pages by read(2) meanwhile. No read shows a version of a page that \
                  is older than the last whose completion was taken before the read began. With \
                  coherency=strict none shows a mixture; elsewhere a page that is read while a write is \
                  on its way may hold some of both, until that ends.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t51.dat",
            size: PARTS as u64 * PART,
        }],
        run: readers_keep_up_with_asynchronous_writes,
    },
    Claim {
        id: "T53",
        name: "bytes_sent_before_direct_write_stay_as_they_were",
        rule: "B4 T53, C4 residual limits",
        summary: "Four pages of a file are sent to a socket by sendfile(2) and not received; then they \
                  are written directly, and one of them stored to. What is received is of one version \
                  page by page, without the store, and what is sent afterwards is new.",
        needs: Needs::NOTHING,
        // The page in the socket is still that of the cache, or, where sendfile copies, was it.
        expect: Expect {
            none: &[Verdict::Torn, Verdict::Stale, Verdict::Lost],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t53.dat",
            size: 4 * PAGE,
        }],
        run: bytes_sent_before_direct_write_stay_as_they_were,
    },
];

const PAGE_LEN: usize = PAGE as usize;

/// T51 writes so many parts of the file, each of up to so many bytes, for so long by each interface.
const PARTS: usize = 8;
const PART: u64 = 4 * PAGE;
const READERS: usize = 3;
const TIME: Duration = Duration::from_millis(700);
const FEWEST: u64 = 64;

/// The versions of a part of a file that may be seen.
#[derive(Debug)]
struct Part {
    /// The last one that was submitted.
    begun: AtomicU16,
    /// The last one whose completion was taken.
    done: AtomicU16,
}

fn readers_keep_up_with_asynchronous_writes(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mixes = !is_strict(stage);
    by_each_kind(|kind, judge| {
        file.fill(1)?;
        let parts: Vec<Part> = (0..PARTS)
            .map(|_| Part {
                begun: AtomicU16::new(1),
                done: AtomicU16::new(1),
            })
            .collect();
        let over = AtomicBool::new(false);
        let (writes, reads) = thread::scope(|scope| {
            let read = || read_parts(&file, &parts, mixes, &over);
            let readers = [(); READERS].map(|()| scope.spawn(read));
            let writes = write_parts(&file, kind, &parts, judge);
            over.store(true, SeqCst);
            let reads = readers.map(|reader| reader.join().expect("a reader does not panic"));
            (writes, reads)
        });
        let mut rounds = 0;
        for read in reads {
            let (found, count) = read?;
            judge.absorb(found);
            rounds += count;
        }
        judge.fact(format!("{} writes, {rounds} rounds of reads", writes?));
        let wanted = |sector: u64| {
            let last = parts[(sector * 512 / PART) as usize].done.load(SeqCst);
            vec![match sector * 512 % PART {
                0..PAGE => last,
                _ => last_whole(last),
            }]
        };
        file.judge_everywhere(judge, None, 0, file.size() as usize, wanted)
    })
}

/// Keeps a write of each part in flight, by turns of one page and of the whole part; returns how many
/// there were.
fn write_parts(file: &ClaimFile, kind: Kind, parts: &[Part], judge: &mut Judge) -> Result<u64> {
    let direct = file.open_direct()?;
    let mut queue = kind.open(PARTS as u32)?;
    let (began, mut writes, mut in_flight) = (Instant::now(), 0, 0);
    let mut next: Vec<usize> = (0..PARTS).collect();
    loop {
        let goes_on = judge.is_clean() && (writes < FEWEST || began.elapsed() < TIME);
        for part in next.drain(..).filter(|_| goes_on) {
            let version = parts[part].begun.load(SeqCst) + 1;
            if version == u16::MAX {
                continue;
            }
            let (at, len) = (part as u64 * PART, len_of(version));
            parts[part].begun.store(version, SeqCst);
            let buffer = Aligned::from(&file.bytes(at, len, version));
            queue.submit(part as u64, Op::Write, &direct, at, buffer)?;
            in_flight += 1;
        }
        if in_flight == 0 {
            return Ok(writes);
        }
        let done = queue.reap(true)?.context("a completion")?;
        let part = done.tag as usize;
        let version = parts[part].begun.load(SeqCst);
        if judge.wrote("a direct write", &done.result, len_of(version)) {
            parts[part].done.store(version, SeqCst);
        }
        next.push(part);
        writes += 1;
        in_flight -= 1;
    }
}

/// Whole parts and single pages by turns.
fn len_of(version: u16) -> usize {
    if version.is_multiple_of(2) {
        PART as usize
    } else {
        PAGE_LEN
    }
}

/// The last version up to `version` that was of a whole part.
fn last_whole(version: u16) -> u16 {
    (version & !1).max(1)
}

/// Reads the first sector of the first and of the last page of each part again and again, and judges it by
/// what was done before. While a part is written, a sector may be a mixture if it `mixes`.
fn read_parts(
    file: &ClaimFile,
    parts: &[Part],
    mixes: bool,
    over: &AtomicBool,
) -> Result<(Judge, u64)> {
    let (mut judge, mut rounds) = (Judge::new(), 0);
    while !over.load(SeqCst) && judge.is_clean() {
        for (at, part) in (0..).step_by(PART as usize).zip(parts) {
            let done = part.done.load(SeqCst);
            let bytes = file.read(at, PART as usize)?;
            let begun = part.begun.load(SeqCst);
            for page in [0, 3] {
                let oldest = if page == 0 { done } else { last_whole(done) };
                let (start, first) = (at + page * PAGE, (page * PAGE) as usize);
                let sector = &bytes[first..first + SECTOR];
                let seen = pattern::look(file.id(), start / SECTOR as u64, sector);
                if mixes && done < begun && seen == Seen::Torn {
                    continue;
                }
                file.judge_bytes(&mut judge, "read", start, sector, Verdict::Stale, |_| {
                    (oldest..=begun).collect()
                });
            }
        }
        rounds += 1;
    }
    Ok((judge, rounds))
}

fn bytes_sent_before_direct_write_stay_as_they_were(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let len = file.size() as usize;
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    mapping.touch();
    let (sender, mut receiver) = UnixStream::pair().context("making a socket pair")?;
    // Whoever receives too little waits for ever otherwise.
    receiver.set_read_timeout(Some(Duration::from_secs(5)))?;
    let mut receive = || -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        receiver.read_exact(&mut bytes).context("receiving")?;
        Ok(bytes)
    };
    let sent = transfer::send(&sender, file.file(), 0, len);
    judge.wrote("sendfile", &sent, len);
    let written = file.write_direct(&direct, 0, len, 2);
    judge.wrote("the direct write", &written, len);
    mapping.store(SECTOR, &file.bytes(SECTOR as u64, SECTOR, 3));
    let early = receive()?;
    let mut olds = 0;
    for (at, page) in (0..).step_by(PAGE_LEN).zip(early.chunks(PAGE_LEN)) {
        let [old, new] = [1, 2].map(|version| page == file.bytes(at, PAGE_LEN, version));
        judge.require(old || new, Verdict::Torn, || {
            format!("the page at {at} was received neither old nor new")
        });
        olds += u32::from(old);
    }
    judge.fact(format!("{olds} pages were received as they had been"));
    let wanted = |sector| vec![if sector == 1 { 3 } else { 2 }];
    let sent = transfer::send(&sender, file.file(), 0, len);
    judge.wrote("the second sendfile", &sent, len);
    let (late, way) = (receive()?, "what was sent later");
    file.judge_bytes(&mut judge, way, 0, &late, Verdict::Stale, wanted);
    file.judge_everywhere(&mut judge, Some(&mapping), 0, len, wanted)?;
    Ok(judge.outcome())
}
