// SPDX-License-Identifier: GPL-2.0

//! Who is told of a collision of a direct write with a store: nobody, for nobody did wrong.
//!
//! Mainline notes the collision as a writeback error of the file, so that whoever syncs it next is
//! told that the disk failed, be it a database whose own writes are all in order.

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::redirty;
use super::redirty::BLOCK;
use crate::aligned::Aligned;
use crate::device::Device;
use crate::faults;
use crate::faults::FailingDevice;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::kernel_log::KernelLog;
use crate::mapping::Share;
use crate::pattern::SECTOR;
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
use crate::watch::ErrorWatch;
use crate::window;
use crate::window::Flight;

const SLOW_SMALL: Needs = Needs {
    disk: Disk::SlowWrites,
    ..Needs::SMALL_BLOCKS
};

/// Mainline blames whoever syncs; the others tell the writer, or nobody.
const SYNC_IS_BLAMED: Expect = Expect {
    mainline: &[Verdict::FalseError],
    ..Expect::KEPT
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T22",
        name: "store_during_synced_direct_write",
        rule: "B2 T22, C1 row 14",
        summary: "As T21 with O_DSYNC, on a disk with a volatile cache and again without: both the \
                  write and the store survive, and the write says the same on either disk. Mainline \
                  answers EIO on the one and success on the other, for the same loss.",
        needs: SLOW_SMALL,
        // Who syncs after every synced write, whatever the disk, is told each time.
        expect: Expect {
            seed: &[Verdict::Error],
            mainline: &[Verdict::Error, Verdict::Lost],
            ..Expect::LOST_WITHOUT
        },
        files: &[FileSpec {
            name: "t22.dat",
            size: 4 * PAGE,
        }],
        run: store_during_synced_direct_write,
    },
    Claim {
        id: "T27",
        name: "innocent_bystander_is_told_of_no_error",
        rule: "B2 T27, C1 row 1, C2.4",
        summary: "A log writer appends by write(2) on its own descriptor, elsewhere in the file, \
                  while a direct write and a store collide: its fsync succeeds, and its bytes are \
                  on the disk.",
        needs: SLOW_SMALL,
        expect: SYNC_IS_BLAMED,
        files: &[FileSpec {
            name: "t27.dat",
            size: 4 * PAGE,
        }],
        run: innocent_bystander_is_told_of_no_error,
    },
    Claim {
        id: "T28",
        name: "no_descriptor_is_told_of_a_collision",
        rule: "B2 T28, C2.4",
        summary: "Three descriptors are open when a direct write and a store collide, a fourth is \
                  opened afterwards; each syncs twice. The disk never failed, so none is told that \
                  it did; the detail lists who was.",
        needs: SLOW_SMALL,
        expect: SYNC_IS_BLAMED,
        files: &[FileSpec {
            name: "t28.dat",
            size: 4 * PAGE,
        }],
        run: no_descriptor_is_told_of_a_collision,
    },
    Claim {
        id: "T30",
        name: "collisions_raise_no_alarm",
        rule: "B2 T30, C2.4, C2.6",
        summary: "Four pages are written directly, and each is stored to while its write is in \
                  flight: the kernel log has no alarm of possible data corruption and fsync \
                  succeeds. Mainline has an alarm for the first ten collisions of a day, and none for \
                  others.",
        needs: Needs {
            disk: Disk::SlowWrites,
            ..Needs::NOTHING
        },
        expect: SYNC_IS_BLAMED,
        files: &[FileSpec {
            name: "t30.dat",
            size: 2 * COLLISIONS * PAGE,
        }],
        run: collisions_raise_no_alarm,
    },
    Claim {
        id: "T32",
        name: "msync_is_told_of_no_error",
        rule: "B2 T32, C2.4",
        summary: "Whoever stored during a direct write calls msync(MS_SYNC) on the mapping after \
                  it: the disk never failed, so msync succeeds and the store is on the disk.",
        needs: SLOW_SMALL,
        expect: SYNC_IS_BLAMED,
        files: &[FileSpec {
            name: "t32.dat",
            size: 4 * PAGE,
        }],
        run: msync_is_told_of_no_error,
    },
    Claim {
        id: "T31",
        name: "watcher_is_told_of_device_errors_only",
        rule: "B2 T31, C2.4",
        summary: "A program watches the file system by fanotify for FAN_FS_ERROR. A direct write and a \
                  store collide, and of that it hears nothing; then the disk fails a direct write, and \
                  it hears of that once. Skipped where the file system cannot be watched.",
        needs: Needs {
            faults: true,
            ..SLOW_SMALL
        },
        // A collision is an error of nobody's disk under any policy; iomap tells of the other one.
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t31.dat",
            size: 4 * PAGE,
        }],
        run: watcher_is_told_of_device_errors_only,
    },
];

const PAGE_LEN: usize = PAGE as usize;

/// How long an error may be on its way to who watches.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

const COLLISIONS: u64 = 4;

/// Whether the kernel believes that the disk may forget what it was not told to flush.
#[derive(Debug)]
struct WriteCache {
    path: PathBuf,
    before: String,
}

impl WriteCache {
    const KINDS: [&'static str; 2] = ["write back", "write through"];

    fn of(device: &Device) -> Result<Self> {
        let path = device.queue_setting("write_cache");
        let before = fs::read_to_string(&path)
            .map_err(|error| skip(format!("{} cannot be read: {error}", path.display())))?;
        Ok(Self { path, before })
    }

    fn set(&self, kind: &str) -> Result<()> {
        fs::write(&self.path, kind)
            .map_err(|error| skip(format!("{} stays as it is: {error}", self.path.display())))
    }
}

impl Drop for WriteCache {
    fn drop(&mut self) {
        // Best effort: nobody but T22 looks at it.
        let _ = fs::write(&self.path, self.before.trim());
    }
}

fn store_during_synced_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct_synced()?;
    let cache = WriteCache::of(file.device()?)?;
    let mut judge = Judge::new();
    for kind in WriteCache::KINDS {
        cache.set(kind)?;
        judge.fact(kind);
        let store = redirty::store_block(&file);
        redirty::judge_store(&file, &mut judge, redirty::pwrite(&direct), store)?;
    }
    Ok(judge.outcome())
}

/// Has a direct write of block 0 and a store to block 3 collide. What becomes of them is T21's
/// business; the error that the direct write itself may get is its own.
fn collide(file: &ClaimFile, judge: &mut Judge) -> Result<crate::mapping::Mapping> {
    let direct = file.open_direct()?;
    let write = redirty::pwrite(&direct);
    let (collision, mapping) = redirty::collide(file, BLOCK, 3 * BLOCK, write)?;
    redirty::describe(judge, &collision);
    judge.fact(match &collision.slow {
        Ok(count) => format!("the direct write returned {count}"),
        Err(error) => format!("the direct write returned {error}"),
    });
    Ok(mapping)
}

fn innocent_bystander_is_told_of_no_error(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let log = fs::OpenOptions::new()
        .write(true)
        .open(file.path())
        .context("opening the file for the log writer")?;
    let mut judge = Judge::new();
    let _mapping = collide(&file, &mut judge)?;
    log.write_all_at(&file.bytes(2 * PAGE, SECTOR, 4), 2 * PAGE)
        .context("writing the log")?;
    judge.synced("the log writer's fsync", log.sync_all());
    let logged = |sector| vec![if sector == 16 { 4 } else { 1 }];
    file.judge_disk(&mut judge, 2 * PAGE, PAGE_LEN, logged)?;
    Ok(judge.outcome())
}

fn no_descriptor_is_told_of_a_collision(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    let early = [(); 3].map(|()| file.open_read_only());
    let _mapping = collide(&file, &mut judge)?;
    let late = file.open_read_only();
    for (number, descriptor) in early.into_iter().chain([late]).enumerate() {
        let descriptor = descriptor?;
        for time in ["first", "second"] {
            let name = match number {
                3 => "the late descriptor".to_owned(),
                _ => format!("descriptor {}", number + 1),
            };
            judge.synced(&format!("{name}: {time} fsync"), descriptor.sync_all());
        }
    }
    Ok(judge.outcome())
}

fn collisions_raise_no_alarm(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let device = file.device()?;
    let log = KernelLog::open()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    sys::sync_fs(file.file())?;
    let mapping = file.map(Share::Shared)?;
    log.skip_to_end()?;
    let (mut met, mut overtook) = (0, 0);
    // Every other page, or readahead would bring in what is written next.
    for at in (0..COLLISIONS).map(|number| 2 * number * PAGE) {
        let bytes = Aligned::from(&file.bytes(at, PAGE_LEN, 2));
        let store = at + 7 * SECTOR as u64;
        // The first goes through, the disk being idle; it makes the others wait.
        let collision = window::collide(
            device,
            Flight::Write,
            || Ok(()),
            || direct.write_at(&bytes, at),
            || {
                mapping.load_word(at as usize / 8);
                mapping.store(store as usize, &file.bytes(store, SECTOR, 3));
            },
        )?;
        met += u32::from(collision.open);
        overtook += u32::from(collision.overtook);
        if let Err(error) = collision.slow {
            // Told to the writer is not told to a bystander: T21 judges it.
            judge.fact(format!("a direct write: {error}"));
        }
    }
    judge.fact(format!("{met} stores began in time, {overtook} ended"));
    if met == 0 {
        return Err(window::never_open("all writes were over"));
    }
    redirty::require_collision(stage, overtook > 0)?;
    // The line after that of the possible data corruption names the file.
    let path = file.path().canonicalize().context("the file's path")?;
    let alarms = log.count(&format!("File: {}", path.display()))?;
    judge.require(alarms == 0, Verdict::FalseError, || {
        format!("the kernel log tells of possible data corruption {alarms} times")
    });
    judge.synced("fsync", file.file().sync_all());
    Ok(judge.outcome())
}

fn msync_is_told_of_no_error(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    let mapping = collide(&file, &mut judge)?;
    judge.synced("msync", mapping.sync());
    let at = 3 * BLOCK as u64;
    file.judge_disk(&mut judge, at, BLOCK, |_| vec![3])?;
    Ok(judge.outcome())
}

fn watcher_is_told_of_device_errors_only(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let watch = ErrorWatch::new(stage.dir()?)?;
    let mut judge = Judge::new();
    drop(collide(&file, &mut judge)?);
    let synced = file.file().sync_all();
    judge.fact(format!("fsync after the collision returned {synced:?}"));
    // What was told of the collision comes before what is told of this.
    let failing = FailingDevice::new(file.device()?)?;
    faults::fail_my_io(true)?;
    let written = file.write_direct(&direct, PAGE, PAGE_LEN, 4);
    faults::fail_my_io(false)?;
    drop(failing);
    if written.is_ok() {
        return Err(skip("the error did not come"));
    }
    let (deadline, mut told) = (Instant::now() + ON_ITS_WAY, watch.take()?);
    while told.is_empty() && Instant::now() < deadline {
        std::thread::yield_now();
        told = watch.take()?;
    }
    judge.fact(format!("told: {told:?}"));
    let count: u32 = told.iter().map(|told| told.count).sum();
    let all_of_disk = told.iter().all(|told| told.error == libc::EIO);
    judge.require(count > 0, Verdict::Lost, || {
        "the disk failed, and the watcher was not told".to_owned()
    });
    judge.require(count <= 1 && all_of_disk, Verdict::FalseError, || {
        format!("the disk failed once, and the watcher was told {count} times")
    });
    Ok(judge.outcome())
}
