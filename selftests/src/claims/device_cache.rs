// SPDX-License-Identifier: GPL-2.0

//! The block device under a file, seen by itself.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

const DEVICE: Needs = Needs {
    device: true,
    ..Needs::NOTHING
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T66",
        name: "readers_never_notice_flushed_buffers",
        rule: "B4 T66, A26",
        summary: "The buffers of a mounted device are flushed by BLKFLSBUF and the cache of a file is \
                  dropped, again and again, while two threads read the file and two the device where \
                  the file is, by read(2): each read succeeds and has the right bytes.",
        needs: DEVICE,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t66.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: readers_never_notice_flushed_buffers,
    },
    Claim {
        id: "T67",
        name: "device_has_the_bytes_when_direct_write_returns",
        rule: "B4 T67, C2.1",
        summary: "A file is written directly, where it is not cached, cached, dirty through a mapping, \
                  and a hole: as soon as each write returns, before any fsync, a direct read of the \
                  device has its bytes. What a buffered read of the device saw before may stay.",
        needs: DEVICE,
        expect: Expect::KEPT,
        files: &[],
        run: device_has_the_bytes_when_direct_write_returns,
    },
];

const PAGES: usize = 16;
const PAGE_LEN: usize = PAGE as usize;

/// How long the buffers of T66 are flushed, and how often at least.
const TIME: Duration = Duration::from_millis(1200);
const FEWEST: u32 = 8;

/// Opens the device of `file` for buffered reads, or skips the claim.
fn open_device(file: &ClaimFile) -> Result<File> {
    let device = file.device()?;
    if !device.is_readable(file.file()) {
        return Err(skip(
            "the device cannot be read, or its blocks not be found",
        ));
    }
    File::open(device.node()).with_context(|| format!("opening {}", device.node().display()))
}

fn readers_never_notice_flushed_buffers(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let device = open_device(&file)?;
    let mut judge = Judge::new();
    file.fill(1)?;
    sys::sync_fs(file.file())?;
    let places: Vec<(u64, usize)> = (0..PAGES as u64)
        .map(|page| {
            let place = file.device()?.locate(file.file(), page * PAGE)?;
            let (at, run) = place.context("a page of the file is a hole")?;
            Ok((at, PAGE_LEN.min(run as usize)))
        })
        .collect::<Result<_>>()?;
    let flush = || sys::flush_buffers(&device).map_err(|error| skip(format!("BLKFLSBUF: {error}")));
    // What somebody read of the device before the file was written is gone from here on.
    flush()?;
    let over = AtomicBool::new(false);
    let read = |by_device: bool| -> Result<(Judge, u64)> {
        let (mut judge, mut reads) = (Judge::new(), 0);
        while !over.load(SeqCst) && judge.is_clean() {
            for (start, (at, len)) in (0..).step_by(PAGE_LEN).zip(&places) {
                let (way, mut bytes) = ("read of the device", vec![0; *len]);
                if by_device {
                    device.read_exact_at(&mut bytes, *at).context(way)?;
                    file.judge_bytes(&mut judge, way, start, &bytes, Verdict::Stale, |_| vec![1]);
                } else {
                    file.judge_read(&mut judge, start, PAGE_LEN, |_| vec![1])?;
                }
                reads += 1;
            }
        }
        Ok((judge, reads))
    };
    let (flushes, reads) = thread::scope(|scope| {
        let read = &read;
        let readers = [true, true, false, false].map(|way| scope.spawn(move || read(way)));
        let flush_often = || -> Result<u32> {
            let (began, mut flushes) = (Instant::now(), 0);
            while flushes < FEWEST || began.elapsed() < TIME {
                flush()?;
                sys::drop_cache(file.file())?;
                flushes += 1;
            }
            Ok(flushes)
        };
        let flushes = flush_often();
        over.store(true, SeqCst);
        let reads = readers.map(|reader| reader.join().expect("a reader does not panic"));
        (flushes, reads)
    });
    let mut sum = 0;
    for read in reads {
        let (found, reads) = read?;
        judge.absorb(found);
        sum += reads;
    }
    judge.fact(format!("{} flushes, {sum} reads", flushes?));
    // Nobody is left with what was read of the device.
    flush()?;
    Ok(judge.outcome())
}

fn device_has_the_bytes_when_direct_write_returns(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.scratch("t67.tmp", 4 * PAGE)?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    // The last page stays a hole.
    file.write(0, 3 * PAGE_LEN, 1)?;
    file.file().sync_all()?;
    file.chill()?;
    let device = open_device(&file)?;
    let mapping = file.map(Share::Shared)?;
    let place = file.device()?.locate(file.file(), PAGE)?;
    let (alias, run) = place.context("a page that was written is a hole")?;
    let mut cached = vec![0; PAGE_LEN.min(run as usize)];
    device.read_exact_at(&mut cached, alias)?;
    mapping.load_word(PAGE_LEN / 8);
    mapping.store(2 * PAGE_LEN, &file.bytes(2 * PAGE, PAGE_LEN, 2));
    for (page, state) in ["not cached", "cached", "dirty", "a hole"]
        .iter()
        .enumerate()
    {
        let at = page as u64 * PAGE;
        let written = file.write_direct(&direct, at, PAGE_LEN, 3);
        judge.wrote(
            &format!("the direct write of what is {state}"),
            &written,
            PAGE_LEN,
        );
        let disk = file.device()?.read(file.file(), at, PAGE_LEN)?;
        file.judge_bytes(&mut judge, state, at, &disk, Verdict::Lost, |_| vec![3]);
    }
    let before = cached.clone();
    device.read_exact_at(&mut cached, alias)?;
    judge.fact(if cached == before {
        "a buffered read of the device still sees what it saw"
    } else {
        "a buffered read of the device sees the new bytes"
    });
    Ok(judge.outcome())
}
