// SPDX-License-Identifier: GPL-2.0

//! A direct write that goes through the page cache, beside one that does not.

use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::redirty::BLOCK;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::pattern::SECTOR;
use crate::queue::Kind;
use crate::registry::Claim;
use crate::registry::Disk;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::window;
use crate::window::Flight;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[Claim {
    id: "T37",
    name: "write_into_hole_beside_asynchronous_write_is_no_error",
    rule: "B3 T37, C1 row 3, C2.4",
    summary: "An asynchronous direct write of a page's first block is in flight. A direct write into \
              the hole behind it goes through the cache, and is still copying when the first is \
              complete, so that the page is dirty. Nothing is lost: nobody is told of an error.",
    needs: Needs {
        disk: Disk::SlowWrites,
        ..Needs::SMALL_BLOCKS
    },
    // Mainline of cohfs makes the submitter wait, so that the two do not meet.
    expect: Expect::KEPT,
    files: &[FileSpec {
        name: "t37-source.dat",
        size: PIECES as u64 * PAGE,
    }],
    run: write_into_hole_beside_asynchronous_write_is_no_error,
}];

/// The hole is filled from so many pages, a sector of each, that are not in memory: each has to be
/// read first, and meanwhile what is already copied is dirty.
const PIECES: usize = 600;
const HOLE: usize = PIECES * SECTOR;
const START: u64 = BLOCK as u64;

/// Where the write goes that takes the first, free, place in the queue of a slow disk.
const PRIME: u64 = 1 << 20;

/// A slow disk takes a write so long after the one before it.
const PERIOD: Duration = Duration::from_millis(500);

fn write_into_hole_beside_asynchronous_write_is_no_error(stage: &Stage<'_>) -> Result<Outcome> {
    let source = stage.file()?;
    let file = stage.scratch("t37.tmp", PRIME + PAGE)?;
    let direct = file.open_direct()?;
    let kind = Kind::available()?[0];
    let mut judge = Judge::new();
    // How long before the end of the one write the other begins: it takes some tens or hundreds
    // of milliseconds, depending on the machine.
    let mut ahead = Duration::from_millis(100);
    for _ in 0..2 * window::ATTEMPTS {
        file.file().set_len(0).context("truncating")?;
        file.write(0, BLOCK, 1)?;
        file.write(PRIME, PAGE as usize, 1)?;
        sys::sync_fs(file.file())?;
        file.chill()?;
        source.chill()?;
        let from = source.map(Share::SharedReadOnly)?;
        let (block, prime) = (file.bytes(0, BLOCK, 2), file.bytes(PRIME, BLOCK, 1));
        window::quiet(file.device()?)?;
        kind.write(&direct, &prime, PRIME)
            .context("the write ahead")?;
        let primed = Instant::now();
        let collision = window::collide(
            file.device()?,
            Flight::Write,
            || Ok(()),
            || {
                // Not to wait for something: to let the disk's clock run down.
                thread::sleep((primed + PERIOD - ahead).saturating_duration_since(Instant::now()));
                kind.write(&direct, &block, 0)
            },
            || from.write_starts(0..PIECES, SECTOR, &direct, START),
        )?;
        if collision.overtook {
            ahead /= 2;
            continue;
        }
        if !collision.open {
            ahead *= 2;
            continue;
        }
        judge.wrote("the asynchronous write", &collision.slow, BLOCK);
        judge.wrote("the write into the hole", &collision.meanwhile, HOLE);
        judge.synced("fsync", file.file().sync_all());
        file.judge_read(&mut judge, 0, BLOCK, |_| vec![2])?;
        file.judge_disk(&mut judge, 0, BLOCK, |_| vec![2])?;
        let wanted: Vec<u8> = (0..PIECES)
            .flat_map(|page| from.load(page * PAGE as usize, SECTOR))
            .collect();
        let (disk, way) = file.on_disk(START, HOLE)?;
        for (way, found) in [("read", file.read(START, HOLE)?), (way, disk)] {
            let what = || format!("{way}: the filled hole is not what was written");
            judge.require(found == wanted, Verdict::Lost, what);
        }
        return Ok(judge.outcome());
    }
    Err(window::never_open(
        "the one write never ended in the middle of the other",
    ))
}
