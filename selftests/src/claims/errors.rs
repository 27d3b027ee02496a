// SPDX-License-Identifier: GPL-2.0

//! Errors of the disk in and around direct writes: who is told, and what the cache holds then.

use std::fs::File;
use std::io;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::redirty::BLOCK;
use super::redirty::PRIME;
use crate::faults;
use crate::faults::FailingDevice;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Share;
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
use crate::window::Flight;

/// What claims about errors need.
pub(super) const FAULTS: Needs = Needs {
    faults: true,
    ..Needs::NOTHING
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T24",
        name: "cache_agrees_with_disk_after_device_error",
        rule: "B2 T24, C1 row 2, C2.1",
        summary: "A direct write covers two extents; the disk takes its time for the first and fails \
                  the second. Meanwhile read(2) caches a page of the first. Whatever the write \
                  returned, read(2), a direct read and the disk agree on every byte afterwards.",
        needs: Needs {
            disk: Disk::SlowWrites,
            ..FAULTS
        },
        expect: Expect {
            mainline: &[Verdict::Stale],
            ..Expect::STALE_WITHOUT
        },
        files: &[FileSpec {
            name: "t24.dat",
            size: PAGES * PAGE,
        }],
        run: cache_agrees_with_disk_after_device_error,
    },
    Claim {
        id: "T24b",
        name: "device_error_in_the_middle_leaves_an_exact_count",
        rule: "B2 T24, C1 row 6, C2.4, G9",
        summary: "A direct write covers two extents and the disk fails the second: the write returns \
                  the bytes of the first, which are on the disk, and the next write the error. EIO \
                  for the whole forgets bytes that were written.",
        needs: FAULTS,
        expect: Expect {
            none: &[Verdict::Error],
            seed: &[Verdict::Error],
            mainline: &[Verdict::Error],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t24b.dat",
            size: PAGES * PAGE,
        }],
        run: device_error_in_the_middle_leaves_an_exact_count,
    },
    Claim {
        id: "T25",
        name: "error_of_the_write_out_before_is_returned",
        rule: "B2 T25, A30, C1 row 8, C2.4",
        summary: "A page is dirty in block 3 and cannot be written out; block 0 of it is written \
                  directly. The write that met the error returns it, and so does fsync on another \
                  descriptor. Success instead has swallowed a real error of the disk.",
        needs: Needs {
            block_size: Some(1024),
            ..FAULTS
        },
        expect: Expect {
            none: &[Verdict::Lost],
            mainline: &[Verdict::Lost],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t25.dat",
            size: 4 * PAGE,
        }],
        run: error_of_the_write_out_before_is_returned,
    },
    Claim {
        id: "T29",
        name: "direct_read_is_not_told_of_another_range_s_error",
        rule: "B2 T29",
        summary: "Page 0 could not be written out and the error is pending; a direct read of page 2, \
                  which is as it should be, returns its bytes. The error is for fsync, which still \
                  returns it.",
        needs: FAULTS,
        // A direct read writes out first, and the kernel's way to do so tells of every error.
        expect: Expect {
            none: &[Verdict::FalseError],
            seed: &[Verdict::FalseError],
            mainline: &[Verdict::FalseError],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t29.dat",
            size: 4 * PAGE,
        }],
        run: direct_read_is_not_told_of_another_range_s_error,
    },
];

const PAGE_LEN: usize = PAGE as usize;
const PAGES: u64 = 20;

/// A place where one extent ends and the next begins, in bytes: block 12, the first that the inode
/// itself does not point to, is never one request with block 11. Both sides are whole pages.
fn border(file: &ClaimFile) -> Result<u64> {
    let device = file.device()?;
    let unit = device
        .unit(file.file())
        .context("asking for the block size")?;
    let place =
        |block| Ok::<_, anyhow::Error>(device.locate(file.file(), block * unit)?.map(|(at, _)| at));
    match (place(11)?, place(12)?) {
        (Some(before), Some(after)) if before + unit == after => {
            Err(skip("the file is one extent"))
        }
        _ => Ok(12 * unit),
    }
}

/// Writes version 2 to `len` bytes on either side of `border`; the second half fails.
fn write_half(
    file: &ClaimFile,
    direct: &File,
    border: u64,
    failing: &FailingDevice,
) -> io::Result<usize> {
    failing.pass(PAGE_LEN).map_err(io::Error::other)?;
    faults::fail_my_io(true).map_err(io::Error::other)?;
    let written = file.write_direct(direct, border - PAGE, 2 * PAGE_LEN, 2);
    faults::fail_my_io(false).map_err(io::Error::other)?;
    written
}

/// Skips the claim if the error did not come.
fn require_failure(written: &io::Result<usize>) -> Result<()> {
    match written {
        Ok(count) if *count == 2 * PAGE_LEN => Err(skip("the error did not come")),
        _ => Ok(()),
    }
}

fn cache_agrees_with_disk_after_device_error(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let border = border(&file)?;
    let mut judge = Judge::new();
    let what = "the direct write was over before the read began";
    let (collision, ()) = window::insist(what, || {
        file.fill(1)?;
        sys::sync_fs(file.file())?;
        let failing = FailingDevice::new(file.device()?)?;
        let collision = window::collide(
            file.device()?,
            Flight::Write,
            || file.write_direct(&direct, PRIME, PAGE_LEN, 1).map(drop),
            || write_half(&file, &direct, border, &failing),
            || file.read(border - PAGE, PAGE_LEN),
        )?;
        Ok((collision, ()))
    })?;
    require_failure(&collision.slow)?;
    collision.meanwhile?;
    judge.fact(match &collision.slow {
        Ok(count) => format!("the direct write returned {count}"),
        Err(error) => format!("the direct write returned {error}"),
    });
    let cached = file.read(border - PAGE, 2 * PAGE_LEN)?;
    let direct = file
        .read_direct(&direct, border - PAGE, 2 * PAGE_LEN)
        .context("the direct read")?;
    let (disk, source) = file.on_disk(border - PAGE, 2 * PAGE_LEN)?;
    for (way, bytes) in [("a direct read", &direct), (source, &disk)] {
        judge.require(*bytes == cached, Verdict::Stale, || {
            format!("read(2) and {way} differ")
        });
    }
    let either = |_| vec![1, 2];
    for bytes in [&cached, &disk] {
        file.judge_bytes(
            &mut judge,
            "read",
            border - PAGE,
            bytes,
            Verdict::Torn,
            either,
        );
    }
    settle(&file)?;
    Ok(judge.outcome())
}

fn device_error_in_the_middle_leaves_an_exact_count(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let border = border(&file)?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let failing = FailingDevice::new(file.device()?)?;
    let written = write_half(&file, &direct, border, &failing);
    require_failure(&written)?;
    let told = !judge.wrote("the direct write", &written, PAGE_LEN);
    let (disk, _) = file.on_disk(border - PAGE, PAGE_LEN)?;
    if told && disk == file.bytes(border - PAGE, PAGE_LEN, 2) {
        judge.fact("but the first extent is on the disk");
    }
    faults::fail_my_io(true)?;
    let next = file.write_direct(&direct, border, PAGE_LEN, 2);
    faults::fail_my_io(false)?;
    judge.require(next.is_err(), Verdict::Lost, || {
        format!("the next direct write returned {next:?} on a disk that fails")
    });
    drop(failing);
    let wanted = |sector| match sector {
        _ if sector * 512 >= border => vec![1, 2],
        _ if told => vec![2, 1],
        _ => vec![2],
    };
    file.judge_disk(&mut judge, border - PAGE, 2 * PAGE_LEN, wanted)?;
    settle(&file)?;
    Ok(judge.outcome())
}

fn error_of_the_write_out_before_is_returned(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.require_direct(&direct, 0, BLOCK, 1)?;
    let bystander = file.open_read_only()?;
    let mapping = file.map(Share::Shared)?;
    mapping.touch();
    mapping.store(3 * BLOCK, &file.bytes(3 * BLOCK as u64, BLOCK, 2));
    let failing = FailingDevice::new(file.device()?)?;
    failing.once()?;
    faults::fail_my_io(true)?;
    let written = file.write_direct(&direct, 0, BLOCK, 3);
    faults::fail_my_io(false)?;
    drop(failing);
    let told = written.is_err();
    judge.require(told, Verdict::Lost, || {
        format!("the direct write returned {written:?}: the error of the write-out is swallowed")
    });
    let synced = bystander.sync_all();
    judge.fact(match &synced {
        Ok(()) => "fsync returned 0".to_owned(),
        Err(error) => format!("fsync returned {error}"),
    });
    judge.require(synced.is_err(), Verdict::Lost, || {
        "fsync does not tell that a page could not be written out".to_owned()
    });
    let wanted = |sector| match sector {
        0..2 if told => vec![1, 3],
        0..2 => vec![3],
        6..8 => vec![2],
        _ => vec![1],
    };
    file.judge_read(&mut judge, 0, PAGE_LEN, wanted)?;
    drop(mapping);
    settle(&file)?;
    Ok(judge.outcome())
}

fn direct_read_is_not_told_of_another_range_s_error(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    fail_to_write_out(&file, &mut judge)?;
    match file.read_direct(&direct, 2 * PAGE, PAGE_LEN) {
        Ok(bytes) => {
            let way = "direct read";
            file.judge_bytes(&mut judge, way, 2 * PAGE, &bytes, Verdict::Stale, |_| {
                vec![1]
            });
        }
        Err(error) => judge.find(
            Verdict::FalseError,
            format!("the direct read of a page that is in order returned {error}"),
        ),
    }
    require_told(&file, &mut judge)?;
    settle(&file)?;
    Ok(judge.outcome())
}

/// Fills the file with version 1, and page 0 with version 2 that the disk does not take: an error is
/// pending then that nobody was told of.
pub(super) fn fail_to_write_out(file: &ClaimFile, judge: &mut Judge) -> Result<()> {
    file.fill(1)?;
    file.write(0, PAGE_LEN, 2)?;
    let failing = FailingDevice::new(file.device()?)?;
    faults::fail_my_io(true)?;
    let started = sys::start_writeback(file.file(), 0, PAGE);
    faults::fail_my_io(false)?;
    drop(failing);
    window::written_out(file, 0, PAGE)?;
    judge.fact(format!("starting the write-out returned {started:?}"));
    Ok(())
}

/// Requires that fsync tells of [`fail_to_write_out`].
///
/// # Errors
///
/// Skips the claim if the bytes are on the disk: nothing failed.
pub(super) fn require_told(file: &ClaimFile, judge: &mut Judge) -> Result<()> {
    if file.file().sync_all().is_err() {
        return Ok(());
    }
    let (disk, _) = file.on_disk(0, PAGE_LEN)?;
    if disk == file.bytes(0, PAGE_LEN, 2) {
        return Err(skip("the write-out did not fail"));
    }
    judge.find(Verdict::Lost, "fsync does not tell of the failed write-out");
    Ok(())
}

/// Leaves things as they were found: cache and disk are the same for those who compare them, and no
/// error waits for the next who asks the file system whether all is well.
pub(super) fn settle(file: &ClaimFile) -> Result<()> {
    // It was for us.
    let _ = sys::sync_fs(file.file());
    file.fill(1)
}
