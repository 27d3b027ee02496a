// SPDX-License-Identifier: GPL-2.0

//! Holes and the end of a file: what a block held before it was given to the file, and what was
//! stored beyond the end, is seen by nobody.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::volume::is_cohfs;
use crate::aligned::Aligned;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pattern::SECTOR;
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
use crate::window::Flight;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "H1",
        name: "hole_fill_never_shows_old_blocks",
        rule: "issue 3: never garbage; fs/iomap: a block before its bytes",
        summary: "The blocks of a file are freed by truncation, so that the next write into its \
                  holes gets them back with the old bytes on the disk. The write's source is a \
                  mapping that is read in slowly, after the blocks were taken. Whoever reads the \
                  hole meanwhile sees zeros or the new bytes, never the old ones.",
        needs: Needs {
            disk: Disk::SlowReads,
            device: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[
            FileSpec {
                name: "h1.dat",
                size: PAGES * PAGE,
            },
            FileSpec {
                name: "h1-source.dat",
                size: 4 * PAGE,
            },
        ],
        run: hole_fill_never_shows_old_blocks,
    },
    Claim {
        id: "H2",
        name: "store_into_hole_never_shows_old_blocks",
        rule: "issue 3: page_mkwrite on a hole allocates",
        summary: "As H1, but the holes are filled by stores to a shared mapping, while two other \
                  threads read them directly and by read(2) all the time. A direct read may be refused \
                  with EIO: where blocks are taken at write-out, the kernel does so to one that comes \
                  between a store and its block. On cohfs it is not.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "h2.dat",
            size: PAGES * PAGE,
        }],
        run: store_into_hole_never_shows_old_blocks,
    },
    Claim {
        id: "H3",
        name: "bytes_stored_beyond_end_do_not_surface",
        rule: "C1 row 13, C2.1",
        summary: "A process maps the last page of a file and stores beyond the end. Then the file \
                  grows: by truncation, by a write and by a direct write further on, with and \
                  without a sync in between. What was beyond the end is zero, in the cache, in \
                  the mapping and on the disk.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "h3.dat",
            size: 4 * PAGE,
        }],
        run: bytes_stored_beyond_end_do_not_surface,
    },
];

const PAGES: u64 = 64;
const PAGE_LEN: usize = PAGE as usize;

/// How often the holes of H2 are filled.
const ROUNDS: usize = 12;

/// Frees the blocks of the file from `start` on, which hold version 1 on the disk, and makes that
/// part a hole. What is before it stays, so that the same blocks are the nearest ones again.
fn free_blocks(file: &ClaimFile, start: u64) -> Result<()> {
    file.fill(1)?;
    let resize = || -> Result<()> {
        file.set_len(start)?;
        file.set_len(file.size())?;
        Ok(file.file().sync_all()?)
    };
    resize().context("making a part of the file a hole")
}

/// Judges bytes of a file that is being filled with version 2: each sector is that, or zeros.
fn judge_filling(judge: &mut Judge, file: &ClaimFile, source: &str, start: u64, bytes: &[u8]) {
    for (at, sector) in (start..).step_by(SECTOR).zip(bytes.chunks(SECTOR)) {
        if sector.iter().any(|byte| *byte != 0) {
            file.judge_bytes(judge, source, at, sector, Verdict::Stale, |_| vec![2]);
        }
    }
}

/// Where each page of the file is on the device.
fn places(file: &ClaimFile) -> Result<HashSet<u64>> {
    let device = file.device()?;
    let mut places = HashSet::new();
    for page in 0..file.size() / PAGE {
        places.extend(device.locate(file.file(), page * PAGE)?.map(|(at, _)| at));
    }
    Ok(places)
}

fn hole_fill_never_shows_old_blocks(stage: &Stage<'_>) -> Result<Outcome> {
    let (file, source) = (stage.file()?, stage.file_number(1)?);
    let mut judge = Judge::new();
    let device = file.device()?;
    let direct = file.open_direct_read_only()?;
    let reader = source.open_direct_read_only()?;
    // What the source holds is what is to be in the page of the hole.
    let hole = PAGES / 2 * PAGE;
    for _ in 0..window::ATTEMPTS {
        file.fill(1)?;
        let before = places(&file)?;
        free_blocks(&file, hole)?;
        source
            .file()
            .write_all_at(&file.bytes(hole, PAGE_LEN, 2), 0)?;
        source.file().sync_all()?;
        source.chill()?;
        let mapping = source.map(Share::SharedReadOnly)?;
        let collision = window::collide(
            device,
            Flight::Read,
            || source.read_direct(&reader, 3 * PAGE, PAGE_LEN).map(drop),
            || mapping.write_to(0, PAGE_LEN, file.file(), hole),
            || -> Result<_> {
                let cached = file.read(hole, PAGE_LEN)?;
                Ok((cached, file.read_direct(&direct, hole, PAGE_LEN)?))
            },
        )?;
        let (cached, around) = collision.meanwhile?;
        judge_filling(&mut judge, &file, "read", hole, &cached);
        judge_filling(&mut judge, &file, "direct read", hole, &around);
        judge.wrote("the write into the hole", &collision.slow, PAGE_LEN);
        file.judge_everywhere(&mut judge, None, hole, PAGE_LEN, |_| vec![2])?;
        let place = device.locate(file.file(), hole)?;
        let reused = place.is_some_and(|(at, _)| before.contains(&at));
        if !judge.is_clean() || (collision.open && reused) {
            return Ok(judge.outcome());
        }
    }
    Err(window::never_open(
        "the source was never read slowly into a block that held old bytes",
    ))
}

fn store_into_hole_never_shows_old_blocks(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct_read_only()?;
    let (may_refuse, refused) = (!is_cohfs(stage), AtomicU32::new(0));
    let read_directly = |at: u64| match file.read_direct(&direct, at, PAGE_LEN) {
        Err(error) if may_refuse && error.raw_os_error() == Some(libc::EIO) => {
            refused.fetch_add(1, Relaxed);
            Ok(Vec::new())
        }
        read => Ok(read?),
    };
    let mut judge = Judge::new();
    for _ in 0..ROUNDS {
        free_blocks(&file, PAGE)?;
        let mapping = file.map(Share::Shared)?;
        let all = file.size() as usize;
        let found: Vec<Result<Judge>> = std::thread::scope(|scope| {
            let readers = [
                scope.spawn(|| read_while_filled(&file, "read", |at| file.read(at, PAGE_LEN))),
                scope.spawn(|| read_while_filled(&file, "direct read", read_directly)),
            ];
            for at in (PAGE_LEN..all).step_by(PAGE_LEN) {
                mapping.store(at, &file.bytes(at as u64, PAGE_LEN, 2));
            }
            readers
                .map(|reader| reader.join().expect("a reader does not panic"))
                .into()
        });
        for found in found {
            judge.absorb(found?);
        }
        let rest = all - PAGE_LEN;
        file.judge_everywhere(&mut judge, Some(&mapping), PAGE, rest, |_| vec![2])?;
        if !judge.is_clean() {
            break;
        }
    }
    match refused.into_inner() {
        0 => {}
        times => judge.fact(format!("{times} direct reads returned EIO")),
    }
    Ok(judge.outcome())
}

/// Reads every page of the hole until its last byte is filled, and judges each. What `read` gives may be
/// nothing.
///
/// A store of a word at a time can be seen half done, so only intact old sectors count.
fn read_while_filled(
    file: &ClaimFile,
    source: &str,
    read: impl Fn(u64) -> Result<Vec<u8>>,
) -> Result<Judge> {
    let mut judge = Judge::new();
    let old = |at: u64| file.bytes(at, SECTOR, 1);
    for page in 1..PAGES {
        // Until the page is filled; then to the next.
        for _ in 0..10_000 {
            let bytes = read(page * PAGE)?;
            for (at, sector) in (page * PAGE..).step_by(SECTOR).zip(bytes.chunks(SECTOR)) {
                judge.require(*sector != *old(at), Verdict::Stale, || {
                    format!("{source}: byte {at} of the hole holds what the block held before")
                });
            }
            let last = (page + 1) * PAGE - SECTOR as u64;
            if !judge.is_clean() || bytes.ends_with(&file.bytes(last, SECTOR, 2)) {
                break;
            }
        }
    }
    Ok(judge)
}

/// How a file grows.
type Grow = fn(&ClaimFile, &File) -> io::Result<()>;

fn bytes_stored_beyond_end_do_not_surface(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let ways: [(&str, Grow); 3] = [
        ("truncation", |file, _| file.file().set_len(file.size())),
        ("a write", |file, _| {
            let last = file.bytes(3 * PAGE, PAGE_LEN, 2);
            file.file().write_all_at(&last, 3 * PAGE)
        }),
        ("a direct write", |file, direct| {
            let last = Aligned::from(&file.bytes(3 * PAGE, PAGE_LEN, 2));
            direct.write_all_at(&last, 3 * PAGE)
        }),
    ];
    // The first is within a block, the second at the end of one where blocks are small.
    for end in [PAGE + 104, PAGE + 1024] {
        for (way, grow) in &ways {
            for sync in [false, true] {
                file.set_len(file.size())?;
                file.fill(1)?;
                file.set_len(end)?;
                let mapping = file.map(Share::Shared)?;
                mapping.store(end as usize, &vec![0xee; (2 * PAGE - end) as usize]);
                if sync {
                    file.file().sync_all()?;
                    mapping.store(2 * PAGE_LEN - 8, &[0xdd; 8]);
                }
                match grow(&file, &direct) {
                    Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                        return Err(skip("no direct writes of a page on this file system"));
                    }
                    grown => grown.with_context(|| format!("growing the file by {way}"))?,
                }
                let what = format!("after {way} from {end}, synced: {sync}");
                judge_tail(&mut judge, &file, &mapping, end, &what)?;
            }
        }
    }
    Ok(judge.outcome())
}

/// Judges that the rest of the second page is zeros from `end` on, wherever one looks.
fn judge_tail(
    judge: &mut Judge,
    file: &ClaimFile,
    mapping: &Mapping,
    end: u64,
    what: &str,
) -> Result<()> {
    let len = (2 * PAGE - end) as usize;
    let cached = file.read(end, len)?;
    let mapped = mapping.load(end as usize, len);
    file.file().sync_all()?;
    let (disk, _) = file.on_disk(end, len)?;
    for (source, bytes) in [("read", cached), ("load", mapped), ("disk", disk)] {
        let dirt = bytes.iter().filter(|byte| **byte != 0).count();
        judge.require(dirt == 0, Verdict::Torn, || {
            format!("{source}, {what}: {dirt} bytes that were beyond the end")
        });
    }
    file.judge_read(judge, 0, end as usize, |_| vec![1])
}
