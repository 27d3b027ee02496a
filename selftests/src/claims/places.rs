// SPDX-License-Identifier: GPL-2.0

//! Where files lie: what is told of it, who relies on it, and what is free.

use std::fs::File;
use std::fs::OpenOptions;
use std::io::Seek as _;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use crate::judge::Judge;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::space;
use crate::space::Extent;
use crate::space::Swap;
use crate::sys;
use crate::sys::Ended;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "P6",
        name: "extents_are_those_of_fibmap",
        rule: "Documentation/filesystems/fiemap.rst",
        summary: "A file with holes of many sizes is made: FS_IOC_FIEMAP tells of each block that \
                  FIBMAP finds, where it finds it, and of no other.",
        needs: Needs {
            device: true,
            ..Needs::SMALL_BLOCKS
        },
        expect: Expect::KEPT,
        files: &[],
        run: extents_are_those_of_fibmap,
    },
    Claim {
        id: "P7",
        name: "holes_and_data_are_where_they_are",
        rule: "lseek(2), SEEK_HOLE and SEEK_DATA",
        summary: "In the same file SEEK_DATA and SEEK_HOLE go from the data to the hole and on, \
                  just as it was written, also before anything is on the disk. Beyond the end both \
                  are ENXIO.",
        needs: Needs::SMALL_BLOCKS,
        expect: Expect::KEPT,
        files: &[],
        run: holes_and_data_are_where_they_are,
    },
    Claim {
        id: "P8",
        name: "swapped_memory_comes_back",
        rule: "swapon(2)",
        summary: "A file is made swap, and memory is paged out to it, as /proc/swaps shows. The \
                  bytes come back. While it is swap, the file can be neither written, around the \
                  cache or through it, nor cut nor punched: ETXTBSY. Afterwards it can.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: swapped_memory_comes_back,
    },
    Claim {
        id: "P9",
        name: "leases_are_given_and_broken",
        rule: "fcntl(2), F_SETLEASE",
        summary: "A file that is open for reading gets a lease. Who opens it for writing without \
                  waiting is told EWOULDBLOCK until the lease is given back.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: leases_are_given_and_broken,
    },
    Claim {
        id: "P10",
        name: "trim_discards_what_is_free_and_nothing_else",
        rule: "FITRIM, fstrim(8)",
        summary: "All free space is discarded: as much as statfs says is free, and no more, while a \
                  file is written next to it. Afterwards every byte is there. Half of the device, \
                  and only long runs, are less. A range without a block, or beyond the device, is \
                  EINVAL.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: trim_discards_what_is_free_and_nothing_else,
    },
];

/// What of the file is data, in blocks of 1024 bytes: first, and one past the last.
const DATA: [(u64, u64); 7] = [
    (0, 1),
    (2, 5),
    (11, 13),
    (100, 130),
    (267, 269),
    (300, 302),
    (66_000, 66_003),
];

const BLOCK: u64 = 1024;

/// Writes the data of such a file.
fn write_data(file: &File) -> Result<()> {
    for (first, end) in DATA {
        let bytes = vec![0x5a; ((end - first) * BLOCK) as usize];
        file.write_all_at(&bytes, first * BLOCK)?;
    }
    Ok(())
}

/// All extents of a file, once it is written out; or skips the claim.
pub(super) fn extents(file: &File) -> Result<Vec<Extent>> {
    match space::fiemap(file, 0..u64::MAX, true) {
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
            Err(skip("there is no FS_IOC_FIEMAP"))
        }
        extents => extents.context("FS_IOC_FIEMAP"),
    }
}

fn extents_are_those_of_fibmap(stage: &Stage<'_>) -> Result<Outcome> {
    stage.insist_on_block_size()?;
    let file = stage.scratch("p6.dat", 66_010 * BLOCK)?;
    let mut judge = Judge::new();
    write_data(file.file())?;
    file.file().sync_all()?;
    let device = file.device()?;
    let extents = extents(file.file())?;
    let around = DATA
        .iter()
        .flat_map(|(first, end)| first.saturating_sub(2)..end + 2);
    for at in around.map(|block| block * BLOCK) {
        let extent = extents
            .iter()
            .find(|extent| (extent.logical..extent.logical + extent.length).contains(&at))
            .map(|extent| extent.physical + (at - extent.logical));
        let block = device.locate(file.file(), at)?.map(|(place, _)| place);
        judge.require(extent == block, Verdict::Error, || {
            format!("byte {at} is at {extent:?} by FIEMAP, at {block:?} by FIBMAP")
        });
    }
    let told = extents.iter().map(|extent| extent.length).sum::<u64>();
    let data = DATA.iter().map(|(first, end)| (end - first) * BLOCK);
    let data = data.sum::<u64>();
    judge.require(told == data, Verdict::Error, || {
        format!("{told} bytes are told of, {data} were written")
    });
    Ok(judge.outcome())
}

fn holes_and_data_are_where_they_are(stage: &Stage<'_>) -> Result<Outcome> {
    const SIZE: u64 = 66_010 * BLOCK;
    stage.insist_on_block_size()?;
    let file = stage.scratch("p7.dat", SIZE)?;
    let mut judge = Judge::new();
    write_data(file.file())?;
    for when in ["dirty", "on disk"] {
        let mut open = file.file();
        let seek = |hole: bool, from: u64| {
            let whence = if hole {
                rustix::fs::SeekFrom::Hole(from)
            } else {
                rustix::fs::SeekFrom::Data(from)
            };
            rustix::fs::seek(open, whence)
        };
        if seek(true, 0) == Ok(SIZE) {
            return Err(skip("this file system takes all of a file for data"));
        }
        let mut last = 0;
        for (first, end) in DATA.map(|(first, end)| (first * BLOCK, end * BLOCK)) {
            let found = [seek(false, last), seek(true, first), seek(true, end)];
            let right = [Ok(first), Ok(end), Ok(end)];
            judge.require(found == right, Verdict::Error, || {
                format!("{when}: from {last}, {first}, {end}: {found:?}, not {right:?}")
            });
            last = end;
        }
        let beyond = [seek(false, last), seek(true, SIZE), seek(false, SIZE)];
        judge.require(
            beyond
                .iter()
                .all(|found| *found == Err(rustix::io::Errno::NXIO)),
            Verdict::Error,
            || format!("{when}: beyond the data and the end: {beyond:?}"),
        );
        // Where the offset is afterwards, the next read begins.
        let at = seek(false, BLOCK)?;
        judge.require(open.stream_position()? == at, Verdict::Error, || {
            "SEEK_DATA did not move the offset".to_owned()
        });
        file.file().sync_all()?;
        file.chill()?;
    }
    Ok(judge.outcome())
}

/// How much is swapped to the file of that name, in KiB.
fn swapped(path: &std::path::Path) -> Result<u64> {
    let table = std::fs::read_to_string("/proc/swaps").context("reading /proc/swaps")?;
    let line = table
        .lines()
        .find(|line| line.starts_with(&*path.to_string_lossy()));
    let used = line.and_then(|line| line.split_whitespace().nth(3));
    Ok(used.and_then(|used| used.parse().ok()).unwrap_or(0))
}

fn swapped_memory_comes_back(stage: &Stage<'_>) -> Result<Outcome> {
    const SIZE: u64 = 256 * PAGE;
    const WORDS: usize = (128 * PAGE / 8) as usize;
    let file = stage.scratch("p8.dat", SIZE)?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let direct = file.open_direct()?;
    let swap = match Swap::on(file.path(), file.file(), SIZE) {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::EPERM | libc::ENOSYS | libc::EINVAL)
            ) =>
        {
            return Err(skip(format!("no swap: {error}")));
        }
        swap => swap.context("swapon")?,
    };
    let refused = [
        (
            "a direct write",
            file.write_direct(&direct, 0, PAGE as usize, 2).map(drop),
        ),
        ("a write", file.file().write_all_at(b"x", 0)),
        ("a cut", file.file().set_len(PAGE)),
        (
            "a punch",
            rustix::fs::fallocate(
                file.file(),
                rustix::fs::FallocateFlags::PUNCH_HOLE | rustix::fs::FallocateFlags::KEEP_SIZE,
                0,
                PAGE,
            )
            .map_err(Into::into),
        ),
    ];
    for (what, done) in refused {
        let error = done.as_ref().err().and_then(std::io::Error::raw_os_error);
        let right = error == Some(libc::ETXTBSY);
        judge.require(right, Verdict::Lost, || {
            format!("{what} into swap: {done:?}")
        });
    }
    let memory: Vec<u64> = (1..).take(WORDS).collect();
    let start = memory.as_ptr().addr().next_multiple_of(PAGE as usize);
    let len = memory.as_ptr().addr() + WORDS * 8 - start;
    // SAFETY: Whole pages of memory that is ours: their bytes stay what they are.
    let advised = unsafe {
        libc::madvise(
            std::ptr::with_exposed_provenance_mut(start),
            len / PAGE as usize * PAGE as usize,
            libc::MADV_PAGEOUT,
        )
    };
    sys::check(advised).context("MADV_PAGEOUT")?;
    let used = swapped(file.path())?;
    judge.fact(format!("{used} KiB were swapped out"));
    if used == 0 {
        return Err(skip("nothing was swapped out"));
    }
    let wrong = (1..)
        .zip(&memory)
        .filter(|(right, word)| right != *word)
        .count();
    judge.require(wrong == 0, Verdict::Lost, || {
        format!("{wrong} words are wrong")
    });
    swap.off().context("swapoff")?;
    let wrong = (1..)
        .zip(&memory)
        .filter(|(right, word)| right != *word)
        .count();
    judge.require(wrong == 0, Verdict::Lost, || {
        format!("{wrong} words are wrong after swapoff")
    });
    file.write(0, PAGE as usize, 3)?;
    file.file().set_len(PAGE)?;
    Ok(judge.outcome())
}

fn leases_are_given_and_broken(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.scratch("p9.dat", PAGE)?;
    let path = file.path().to_owned();
    let mut judge = Judge::new();
    let write = || {
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&path);
        match opened {
            Ok(_) => 0,
            Err(error) => error.raw_os_error().unwrap_or(1),
        }
    };
    let reader = file.open_read_only()?;
    drop(file);
    let reader = {
        // The file is gone with the value; a lease wants that nobody has it open for writing.
        drop(reader);
        std::fs::write(&path, b"x")?;
        File::open(&path)?
    };
    // SAFETY: To ignore a signal runs no code of ours; whoever breaks the lease sends it.
    unsafe { libc::signal(libc::SIGIO, libc::SIG_IGN) };
    space::lease(&reader, libc::F_RDLCK).context("asking for a lease")?;
    let broken = sys::in_child(write)?;
    judge.require(
        broken == Ended::Status(libc::EWOULDBLOCK),
        Verdict::Error,
        || format!("who opened it for writing ended with {broken:?}"),
    );
    space::lease(&reader, libc::F_UNLCK).context("giving the lease back")?;
    let free = sys::in_child(write)?;
    judge.require(free == Ended::Status(0), Verdict::Error, || {
        format!("without the lease it ended with {free:?}")
    });
    std::fs::remove_file(&path)?;
    Ok(judge.outcome())
}

fn trim_discards_what_is_free_and_nothing_else(stage: &Stage<'_>) -> Result<Outcome> {
    const ALL: u64 = u64::MAX;
    let file = stage.scratch("p10.dat", 256 * PAGE)?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let dir = File::open(stage.dir()?)?;
    sys::sync_fs(&dir)?;
    let stat = rustix::fs::fstatvfs(&dir)?;
    let (free, total) = (stat.f_bfree * stat.f_frsize, stat.f_blocks * stat.f_frsize);
    let trimmed = match space::trim(&dir, 0, ALL, 0) {
        Err(error)
            if matches!(
                error.raw_os_error(),
                Some(libc::ENOTTY | libc::EOPNOTSUPP | libc::EPERM)
            ) =>
        {
            return Err(skip(format!("nothing can be discarded: {error}")));
        }
        trimmed => trimmed.context("FITRIM")?,
    };
    judge.fact(format!("{trimmed} of {free} free bytes were discarded"));
    judge.require(
        trimmed <= free && trimmed >= free / 2,
        Verdict::Error,
        || format!("{trimmed} bytes were discarded, {free} are free"),
    );
    for (what, start, len, least) in [("half", 0, total / 2, 0), ("long runs", 0, ALL, 1 << 20)] {
        let part = space::trim(&dir, start, len, least).context("FITRIM of a part")?;
        judge.require(part <= trimmed, Verdict::Error, || {
            format!("{what}: {part} bytes, more than {trimmed} for all")
        });
    }
    for (what, start, len, least) in [
        ("beyond the device", 1 << 50, PAGE, 0),
        ("less than a block", 0, 511, 0),
        ("runs that no group has", 0, ALL, 1 << 40),
    ] {
        let refused = space::trim(&dir, start, len, least);
        let error = refused
            .as_ref()
            .err()
            .and_then(std::io::Error::raw_os_error);
        judge.require(error == Some(libc::EINVAL), Verdict::Error, || {
            format!("{what}: {refused:?}")
        });
    }
    let after = rustix::fs::fstatvfs(&dir)?.f_bfree * stat.f_frsize;
    judge.require(after == free, Verdict::Lost, || {
        format!("{after} bytes are free, {free} were before")
    });
    let expected = file.bytes(0, file.size() as usize, 1);
    file.chill()?;
    for (source, found) in [
        ("read", file.read(0, expected.len())?),
        ("disk", file.on_disk(0, expected.len())?.0),
    ] {
        judge.require(found == expected, Verdict::Lost, || {
            format!("{source}: bytes of a file were discarded")
        });
    }
    Ok(judge.outcome())
}
