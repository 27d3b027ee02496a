// SPDX-License-Identifier: GPL-2.0

//! A file system inside a file.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::scratch::Scratch;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::loop_device::Backing;
use crate::loop_device::LoopDevice;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[Claim {
    id: "T70",
    name: "loop_device_and_direct_writer_share_a_file",
    rule: "B4 T70, C2.2, C2.5",
    summary: "The first part of a file is a loop device with an ext2 file system in it, by turns \
              through the page cache and around it; its files are written in both ways while another \
              thread writes the rest of the outer file directly. Both find their bytes each time, and \
              what was left inside is there after each change of the way.",
    needs: Needs::NOTHING,
    // What is kept in the cache of the outer file when the way changes is old, or goes over the new.
    expect: Expect {
        none: &[
            Verdict::Kept,
            Verdict::Stale,
            Verdict::Torn,
            Verdict::Lost,
            Verdict::Error,
        ],
        // Somebody dirtied another page of the file, and whoever wrote directly is told: the outer
        // writer, or the loop device.
        seed: &[Verdict::Kept, Verdict::FalseError, Verdict::Error],
        ..Expect::KEPT
    },
    files: &[FileSpec {
        name: "t70.dat",
        size: INSIDE + OUTSIDE,
    }],
    run: loop_device_and_direct_writer_share_a_file,
}];

const PAGE_LEN: usize = PAGE as usize;

/// The loop device is so long, and so much is behind it.
const INSIDE: u64 = 1 << 20;
const OUTSIDE: u64 = 8 * PAGE;

/// How long a loop device lives, and the fewest rounds in it.
const TIME: Duration = Duration::from_millis(400);
const FEWEST: u16 = 3;

/// What is left inside from one loop device to the next.
const LEFT: &str = "left";

fn loop_device_and_direct_writer_share_a_file(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let scratch = Scratch::new(stage)?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mut left: Option<Vec<u8>> = None;
    let mut version = 1;
    for backing in [Backing::Cached, Backing::Direct, Backing::Cached] {
        let device = LoopDevice::new(file.file(), INSIDE, backing)?;
        if left.is_none() {
            device.make_ext2()?;
        }
        let mounted = device.mount(scratch.path())?;
        if let Some(left) = &left {
            let found = fs::read(scratch.join(LEFT)).context("reading what was left inside")?;
            judge.require(found == *left, Verdict::Lost, || {
                format!("{backing:?}: what was left inside is not there")
            });
        }
        let over = AtomicBool::new(false);
        let (found, rounds) = thread::scope(|scope| {
            let outer = scope.spawn(|| write_outside(&file, &direct, &mut version, &over));
            let rounds = write_inside(scratch.path(), &mut judge);
            over.store(true, SeqCst);
            (
                outer.join().expect("the outer writer does not panic"),
                rounds,
            )
        });
        judge.absorb(found?);
        judge.fact(format!("{backing:?}: {} rounds inside", rounds?));
        let bytes = file.bytes(0, 3 * PAGE_LEN, version);
        fs::write(scratch.join(LEFT), &bytes).context("leaving a file inside")?;
        left = Some(bytes);
        mounted.unmount()?;
        drop(device);
        file.judge_everywhere(&mut judge, None, INSIDE, OUTSIDE as usize, |_| {
            vec![version]
        })?;
        let (disk, way) = file.on_disk(0, INSIDE as usize)?;
        let cached = file.read(0, INSIDE as usize)?;
        judge.require(disk == cached, Verdict::Stale, || {
            format!("{backing:?}: read(2) and {way} differ in what is inside")
        });
        if !judge.is_clean() {
            break;
        }
    }
    // The pattern again, for who compares the file later.
    file.fill(1)?;
    Ok(judge.outcome())
}

/// Writes what is behind the loop device directly, page by page, and reads it again.
fn write_outside(
    file: &ClaimFile,
    direct: &File,
    version: &mut u16,
    over: &AtomicBool,
) -> Result<Judge> {
    let mut judge = Judge::new();
    while !over.load(SeqCst) && judge.is_clean() && *version < u16::MAX {
        *version += 1;
        for at in (INSIDE..INSIDE + OUTSIDE).step_by(PAGE_LEN) {
            let written = file.write_direct(direct, at, PAGE_LEN, *version);
            judge.wrote("a direct write outside", &written, PAGE_LEN);
            file.judge_read(&mut judge, at, PAGE_LEN, |_| vec![*version])?;
        }
    }
    judge.fact(format!("up to version {version} outside"));
    Ok(judge)
}

/// Writes a file in `dir` by write(2) and directly, and looks at it in every way.
fn write_inside(dir: &Path, judge: &mut Judge) -> Result<u16> {
    let file = ClaimFile::create(dir, "inside", 0)?;
    let direct = file.open_direct()?;
    let (began, len, mut rounds) = (Instant::now(), 8 * PAGE_LEN, 0);
    while (rounds < FEWEST || began.elapsed() < TIME) && judge.is_clean() && rounds < 1000 {
        let version = 2 * rounds + 1;
        file.write(0, len, version)?;
        file.judge_everywhere(judge, None, 0, len, |_| vec![version])?;
        let written = file.write_direct(&direct, 2 * PAGE, 4 * PAGE_LEN, version + 1);
        judge.wrote("a direct write inside", &written, 4 * PAGE_LEN);
        let wanted = |sector| match sector / 8 {
            2..6 => vec![version + 1],
            _ => vec![version],
        };
        file.judge_everywhere(judge, None, 0, len, wanted)?;
        rounds += 1;
    }
    Ok(rounds)
}
