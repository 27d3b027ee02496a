// SPDX-License-Identifier: GPL-2.0

//! `fallocate`: ranges that become zero, with their blocks given back or with blocks below.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;

use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use super::PAGE;
use crate::file::ClaimFile;
use crate::full_disk::FullDisk;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Disk;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;
use crate::window;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "P1",
        name: "punched_range_is_zero_and_its_blocks_are_free",
        rule: "fallocate(2), FALLOC_FL_PUNCH_HOLE",
        summary: "Ranges of a file are punched that begin and end within blocks, hold none, some \
                  or many of them, or reach beyond the end. After each the file is what it was, \
                  with zeros there, by read(2), through a mapping and on the disk; its size is what \
                  it was, and it has fewer blocks. Then a byte is written into each hole: around it \
                  there are zeros, not what the blocks held before.",
        needs: Needs::SMALL_BLOCKS,
        expect: Expect::KEPT,
        files: &[],
        run: punched_range_is_zero_and_its_blocks_are_free,
    },
    Claim {
        id: "P2",
        name: "store_beside_and_into_a_punched_block_is_kept",
        rule: "fallocate(2); page_mkwrite on a hole allocates",
        summary: "A page that is mapped and was stored to has its second block punched. What is \
                  stored to the page after that, into the hole and beside it, is on the disk after \
                  msync: no page may stay writable over a hole.",
        needs: Needs::SMALL_BLOCKS,
        expect: Expect::KEPT,
        files: &[],
        run: store_beside_and_into_a_punched_block_is_kept,
    },
    Claim {
        id: "P3",
        name: "punch_waits_for_direct_write_over_it",
        rule: "C4: who frees blocks waits for the writes in flight",
        summary: "A range is punched while a direct write of it is in flight on a slow disk. The \
                  punch comes after the write: when it returns the write is over, the range is \
                  zero, and what else was written is there. Else the write would end in blocks that \
                  are somebody else's by then.",
        needs: Needs {
            disk: Disk::SlowWrites,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "p3.dat",
            size: 64 * PAGE,
        }],
        run: punch_waits_for_direct_write_over_it,
    },
    Claim {
        id: "P4",
        name: "zeroed_range_is_zero_and_has_blocks",
        rule: "fallocate(2), FALLOC_FL_ZERO_RANGE",
        summary: "A range over data and a hole is zeroed: it reads as zeros from the cache and the \
                  disk, and no block of it is missing. The file grows to hold the range, or with \
                  FALLOC_FL_KEEP_SIZE does not. Modes that are not there are EOPNOTSUPP.",
        needs: Needs::SMALL_BLOCKS,
        expect: Expect::KEPT,
        files: &[],
        run: zeroed_range_is_zero_and_has_blocks,
    },
    Claim {
        id: "P5",
        name: "zeroing_on_a_full_disk_is_told_and_leaves_the_size",
        rule: "ENOSPC of fallocate(2)",
        summary: "On a full disk a hole beyond the end of a file is zeroed: that is ENOSPC, and the \
                  file is as long as before. Punching the file gives its blocks back, so that a \
                  write of as many finds room.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: zeroing_on_a_full_disk_is_told_and_leaves_the_size,
    },
];

const BLOCK: u64 = 1024;

/// Pages of the files of P1 and P4: more than the pointers in an inode lead to.
const PAGES: u64 = 160;

/// Calls `fallocate`, or skips the claim if there is no such thing.
fn fallocate(file: &File, mode: FallocateFlags, start: u64, len: u64) -> Result<()> {
    match rustix::fs::fallocate(file, mode, start, len) {
        Err(Errno::OPNOTSUPP) => Err(skip(format!("no fallocate with {mode:?}"))),
        done => done.with_context(|| format!("{mode:?} of {len} bytes at {start}")),
    }
}

fn punch(file: &File, start: u64, len: u64) -> Result<()> {
    let mode = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    fallocate(file, mode, start, len)
}

/// Requires that the file is `expected`, by read(2) and through a mapping.
fn require(judge: &mut Judge, file: &ClaimFile, expected: &[u8], what: &str) -> Result<()> {
    let mapping = file.map(Share::Shared)?;
    let sources = [
        ("read", file.read(0, expected.len())?),
        (
            "mapping",
            mapping.load(0, expected.len().min(mapping.len())),
        ),
    ];
    compare(judge, sources, expected, what);
    Ok(())
}

/// Requires that the file on the disk is `expected`.
fn require_on_disk(judge: &mut Judge, file: &ClaimFile, expected: &[u8]) -> Result<()> {
    judge.synced("fsync", file.file().sync_all());
    let (found, source) = file.on_disk(0, expected.len())?;
    compare(judge, [(source, found)], expected, "at the end");
    Ok(())
}

fn compare<const N: usize>(
    judge: &mut Judge,
    sources: [(&str, Vec<u8>); N],
    expected: &[u8],
    what: &str,
) {
    for (source, found) in sources {
        let wrong = found.iter().zip(expected).position(|(a, b)| a != b);
        judge.require(wrong.is_none(), Verdict::Lost, || {
            let at = wrong.unwrap_or_default();
            format!(
                "{what}: {source}: byte {at} is {:#x}, not {:#x}",
                found[at], expected[at]
            )
        });
    }
}

fn punched_range_is_zero_and_its_blocks_are_free(stage: &Stage<'_>) -> Result<Outcome> {
    const SIZE: u64 = PAGES * PAGE - 300;
    stage.insist_on_block_size()?;
    let ranges = [
        (100, 50),
        (BLOCK, BLOCK),
        (3 * BLOCK + 7, BLOCK - 6),
        (11 * BLOCK, 3 * BLOCK),
        (20 * PAGE + 1, 30 * PAGE),
        (100 * PAGE - 1, 2),
        (268 * BLOCK - 5, 300 * BLOCK),
        (SIZE - 700, PAGE),
        (SIZE, PAGE),
    ];
    let file = stage.scratch("p1.dat", SIZE)?;
    let mut judge = Judge::new();
    let mut expected = file.bytes(0, SIZE as usize, 1);
    file.fill(1)?;
    for (start, len) in ranges {
        let before = file.file().metadata()?.blocks();
        punch(file.file(), start, len)?;
        let end = (start + len).min(SIZE).max(start.min(SIZE));
        expected[start.min(SIZE) as usize..end as usize].fill(0);
        let what = format!("{len} bytes at {start} punched");
        require(&mut judge, &file, &expected, &what)?;
        let stat = file.file().metadata()?;
        judge.require(stat.len() == SIZE, Verdict::Lost, || {
            format!("{what}: the size is {}", stat.len())
        });
        let whole = (end / BLOCK).saturating_sub(start.div_ceil(BLOCK)) * BLOCK / 512;
        judge.require(stat.blocks() + whole <= before, Verdict::Error, || {
            format!(
                "{what}: {} of {before} sectors are left, {whole} should be free",
                stat.blocks()
            )
        });
    }
    for (start, len) in ranges.into_iter().filter(|range| range.0 < SIZE) {
        let at = (start + len / 2).min(SIZE - 1);
        file.file().write_all_at(b"x", at)?;
        expected[at as usize] = b'x';
    }
    require(&mut judge, &file, &expected, "a byte in each hole")?;
    require_on_disk(&mut judge, &file, &expected)?;
    Ok(judge.outcome())
}

fn store_beside_and_into_a_punched_block_is_kept(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.scratch("p2.dat", 8 * PAGE)?;
    let mut judge = Judge::new();
    let mut expected = file.bytes(0, file.size() as usize, 1);
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    let block = BLOCK as usize;
    for page in (0..8).map(|page| page * PAGE as usize) {
        for at in [page, page + block] {
            mapping.store(at, &[b'a'; 8]);
            expected[at..at + 8].fill(b'a');
        }
        punch(file.file(), (page + block) as u64, BLOCK)?;
        expected[page + block..page + 2 * block].fill(0);
        for at in [page + 8, page + block + 8, page + 2 * block] {
            mapping.store(at, &[b'b'; 8]);
            expected[at..at + 8].fill(b'b');
        }
        judge.synced("msync", mapping.sync());
    }
    require_on_disk(&mut judge, &file, &expected)?;
    Ok(judge.outcome())
}

fn punch_waits_for_direct_write_over_it(stage: &Stage<'_>) -> Result<Outcome> {
    const PAGE_LEN: usize = PAGE as usize;
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    for number in 2..2 + window::ATTEMPTS {
        file.fill(1)?;
        let prime = file.bytes(0, PAGE_LEN, 1);
        let write = file.bytes(16 * PAGE, 16 * PAGE_LEN, number);
        let collision =
            window::during_direct_write(&file, &direct, (0, &prime), (16 * PAGE, &write), || {
                punch(file.file(), 20 * PAGE, 4 * PAGE)
            })?;
        collision.meanwhile?;
        judge.wrote("the direct write", &collision.slow, write.len());
        if !collision.open {
            continue;
        }
        judge.require(!collision.overtook, Verdict::Lost, || {
            "the blocks were given back while a write to them was in flight".to_owned()
        });
        let mut expected = write;
        expected[4 * PAGE_LEN..8 * PAGE_LEN].fill(0);
        let cached = file.read(16 * PAGE, expected.len())?;
        file.file().sync_all()?;
        let (stored, _) = file.on_disk(16 * PAGE, expected.len())?;
        for (source, found) in [("read", cached), ("disk", stored)] {
            judge.require(found == expected, Verdict::Stale, || {
                format!("{source}: not the write with a hole in it")
            });
        }
        return Ok(judge.outcome());
    }
    Err(window::never_open("no direct write was in flight"))
}

fn zeroed_range_is_zero_and_has_blocks(stage: &Stage<'_>) -> Result<Outcome> {
    const SIZE: u64 = 20 * PAGE;
    stage.insist_on_block_size()?;
    let zero = FallocateFlags::ZERO_RANGE;
    let file = stage.scratch("p4.dat", SIZE)?;
    let mut judge = Judge::new();
    let mut expected = file.bytes(0, SIZE as usize, 1);
    file.fill(1)?;
    punch(file.file(), 4 * PAGE, 6 * PAGE)?;
    expected[4 * PAGE as usize..10 * PAGE as usize].fill(0);

    let (start, len) = (2 * PAGE + 100, 6 * PAGE);
    fallocate(file.file(), zero, start, len)?;
    expected[start as usize..(start + len) as usize].fill(0);
    require(&mut judge, &file, &expected, "zeroed within")?;
    if let Ok(device) = file.device() {
        let places = (start / BLOCK..(start + len) / BLOCK).map(|block| block * BLOCK);
        let holes = places
            .map(|at| device.locate(file.file(), at))
            .filter(|place| matches!(place, Ok(None)))
            .count();
        judge.require(holes == 0, Verdict::Error, || {
            format!("{holes} of the zeroed blocks are holes")
        });
    }
    fallocate(
        file.file(),
        zero | FallocateFlags::KEEP_SIZE,
        SIZE - 5,
        PAGE,
    )?;
    expected[SIZE as usize - 5..].fill(0);
    let kept = file.file().metadata()?.len();
    judge.require(kept == SIZE, Verdict::Error, || {
        format!("FALLOC_FL_KEEP_SIZE: {kept} bytes")
    });
    require(&mut judge, &file, &expected, "zeroed at the end")?;
    fallocate(file.file(), zero, SIZE - 5, PAGE)?;
    let grown = file.file().metadata()?.len();
    judge.require(grown == SIZE - 5 + PAGE, Verdict::Error, || {
        format!("the size is {grown}")
    });
    expected.resize(grown as usize, 0);
    require(&mut judge, &file, &expected, "zeroed beyond the end")?;
    require_on_disk(&mut judge, &file, &expected)?;
    for mode in [
        FallocateFlags::empty(),
        FallocateFlags::COLLAPSE_RANGE,
        FallocateFlags::INSERT_RANGE,
        FallocateFlags::UNSHARE_RANGE,
    ] {
        match rustix::fs::fallocate(file.file(), mode, 0, PAGE) {
            Ok(()) | Err(Errno::OPNOTSUPP) => {}
            Err(error) => judge.find(Verdict::Error, format!("{mode:?}: {error}")),
        }
    }
    Ok(judge.outcome())
}

fn zeroing_on_a_full_disk_is_told_and_leaves_the_size(stage: &Stage<'_>) -> Result<Outcome> {
    const LEN: u64 = 64 * PAGE;
    let file = stage.scratch("p5.dat", LEN)?;
    let mut judge = Judge::new();
    file.fill(1)?;
    // Before anything is filled: it may not be there at all.
    fallocate(file.file(), FallocateFlags::ZERO_RANGE, 0, PAGE)?;
    let _full = FullDisk::new(stage.dir()?)?;
    let grown = rustix::fs::fallocate(file.file(), FallocateFlags::ZERO_RANGE, LEN, LEN);
    judge.require(grown == Err(Errno::NOSPC), Verdict::Error, || {
        format!("zeroing {LEN} bytes on a full disk: {grown:?}")
    });
    let size = file.file().metadata()?.len();
    judge.require(size == LEN, Verdict::Error, || {
        format!("the file has {size} bytes, and had {LEN}")
    });
    punch(file.file(), 0, LEN)?;
    let written: io::Result<()> = file
        .write(0, (LEN / 2) as usize, 2)
        .map_err(io::Error::other);
    judge.require(written.is_ok(), Verdict::Error, || {
        format!("a write into what was given back: {written:?}")
    });
    Ok(judge.outcome())
}
