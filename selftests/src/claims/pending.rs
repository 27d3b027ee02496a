// SPDX-License-Identifier: GPL-2.0

//! Asynchronous direct writes to a file of which something else could not be written out.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::IFlags;
use rustix::fs::ioctl_getflags;
use rustix::fs::ioctl_setflags;

use super::PAGE;
use super::asynchronous::by_each_kind;
use super::errors::FAULTS;
use super::errors::fail_to_write_out;
use super::errors::require_told;
use super::errors::settle;
use super::scratch::Scratch;
use super::volume::mounted_as_ext;
use crate::device::Device;
use crate::mount::make_ext2;
use crate::null_disk::NullDisk;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;
use crate::window;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T29b",
        name: "asynchronous_write_is_not_told_of_another_range_s_error",
        rule: "B2 T29, C2.4",
        summary: "Page 0 could not be written out and the error is pending; an asynchronous direct \
                  write of page 2, by libaio and by io_uring, is done. The error is for fsync, which \
                  still returns it.",
        needs: FAULTS,
        // It writes out first, and the patch of 2004 does so in a way that tells of every error.
        expect: Expect {
            seed: &[Verdict::FalseError],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t29b.dat",
            size: 4 * PAGE,
        }],
        run: asynchronous_write_is_not_told_of_another_range_s_error,
    },
    Claim {
        id: "T29c",
        name: "asynchronous_write_that_syncs_tells_of_its_sync",
        rule: "C2.4, open(2): O_SYNC, chattr(1): +S",
        summary: "Page 0 of a file with the attribute +S could not be written out, and one \
                  descriptor was told. An asynchronous direct write of page 2 by another syncs the \
                  file, and so learns of the error: it returns that, or leaves it to the next fsync. \
                  Success twice has swallowed it.",
        needs: FAULTS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t29c.dat",
            size: 4 * PAGE,
        }],
        run: asynchronous_write_that_syncs_tells_of_its_sync,
    },
    Claim {
        id: "T29d",
        name: "durable_asynchronous_write_syncs_what_leads_to_it",
        rule: "C2.4, open(2): O_DSYNC",
        summary: "A file is new, its bytes are on the disk, and its inode is not. The disk says that it has \
                  no cache, so that nobody need flush it. An asynchronous direct write with O_DSYNC \
                  writes its bytes, and the inode too, or nobody finds them after a crash.",
        needs: Needs {
            device: true,
            // Whatever else is written just then looks like the inode.
            chance: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[],
        run: durable_asynchronous_write_syncs_what_leads_to_it,
    },
    Claim {
        id: "T29e",
        name: "durable_asynchronous_write_flushes_what_leads_to_it",
        rule: "C2.4, open(2): O_DSYNC",
        summary: "A file is new, and all of it is in the cache of a disk that loses its cache with the \
                  power. The disk can write around that. An asynchronous direct write with O_DSYNC \
                  does so with its bytes, and has the disk flush the rest, or nobody finds them after \
                  the power was lost.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: durable_asynchronous_write_flushes_what_leads_to_it,
    },
];

const PAGE_LEN: usize = PAGE as usize;

fn asynchronous_write_is_not_told_of_another_range_s_error(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    by_each_kind(|kind, judge| {
        fail_to_write_out(&file, judge)?;
        let bytes = file.bytes(2 * PAGE, PAGE_LEN, 3);
        match kind.write(&direct, &bytes, 2 * PAGE) {
            Ok(_) => file.judge_disk(judge, 2 * PAGE, PAGE_LEN, |_| vec![3])?,
            Err(error) => judge.find(
                Verdict::FalseError,
                format!("the write of a page that is in order returned {error}"),
            ),
        }
        require_told(&file, judge)?;
        settle(&file)
    })
}

fn asynchronous_write_that_syncs_tells_of_its_sync(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let no_attribute = |error| skip(format!("no attribute +S: {error}"));
    let flags = ioctl_getflags(file.file()).map_err(no_attribute)?;
    by_each_kind(|kind, judge| {
        let (direct, bystander) = (file.open_direct()?, file.open_read_only()?);
        fail_to_write_out(&file, judge)?;
        ioctl_setflags(file.file(), flags | IFlags::SYNC).map_err(no_attribute)?;
        // It is told, and what the kernel keeps besides for who knows no descriptors is gone.
        if bystander.sync_all().is_ok() {
            return Err(skip("the write-out did not fail"));
        }
        let written = kind.write(&direct, &file.bytes(2 * PAGE, PAGE_LEN, 3), 2 * PAGE);
        let synced = direct.sync_all();
        ioctl_setflags(file.file(), flags).context("taking the attribute +S away")?;
        judge.fact(format!(
            "the write returned {written:?}, and fsync then {synced:?}"
        ));
        judge.require(written.is_err() || synced.is_err(), Verdict::Lost, || {
            "the descriptor was never told of the failed write-out".to_owned()
        });
        settle(&file)
    })
}

/// A device of which the kernel believes that it has no cache of its own, as long as this lives.
struct Uncached {
    switch: PathBuf,
    before: String,
}

impl Uncached {
    fn new(device: &Device) -> Result<Self> {
        let switch = device.queue_setting("write_cache");
        let why = |error| skip(format!("{}: {error}", switch.display()));
        let before = fs::read_to_string(&switch).map_err(why)?;
        fs::write(&switch, "write through").map_err(why)?;
        Ok(Self { switch, before })
    }
}

impl Drop for Uncached {
    fn drop(&mut self) {
        // It was written just now.
        let _ = fs::write(&self.switch, self.before.trim());
    }
}

/// Opens a file so that a direct write to it is durable when it returns, or skips the claim.
fn open_durable(path: &Path) -> Result<File> {
    OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_DIRECT | libc::O_DSYNC)
        .open(path)
        .map_err(|error| skip(format!("no direct I/O here: {error}")))
}

fn durable_asynchronous_write_syncs_what_leads_to_it(stage: &Stage<'_>) -> Result<Outcome> {
    let room = Scratch::new(stage)?;
    by_each_kind(|kind, judge| {
        let path = room.join(kind.to_string());
        let file = File::create(&path)?;
        let device = Device::of(&file)?;
        if device.is_served() {
            return Err(skip("what a server has written by itself is not known"));
        }
        let _uncached = Uncached::new(&device)?;
        sys::sync_fs(&file)?;
        file.write_all_at(&[1; 4 * PAGE_LEN], 0)?;
        sys::start_writeback(&file, 0, 0)?;
        window::quiet(&device)?;
        let direct = open_durable(&path)?;
        let before = device.writes()?;
        let written = kind.write(&direct, &[2; PAGE_LEN], 0);
        let requests = device.writes()? - before;
        judge.wrote("the direct write", &written, PAGE_LEN);
        judge.require(requests > 1, Verdict::Lost, || {
            "nothing but the bytes was written: a crash now, and the file is empty".to_owned()
        });
        Ok(())
    })
}

fn durable_asynchronous_write_flushes_what_leads_to_it(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted_as_ext(stage, "the disk for it is made as ext2")?;
    let disk = NullDisk::new()?;
    make_ext2(&disk.node())?;
    let room = Scratch::new(stage)?;
    let other = mount.alike(&disk.node(), room.path())?;
    let outcome = by_each_kind(|kind, judge| {
        let path = room.join(kind.to_string());
        let file = File::create(&path)?;
        let device = Device::of(&file)?;
        let before = device.flushes()?;
        file.write_all_at(&[1; 4 * PAGE_LEN], 0)?;
        sys::sync_fs(&file)?;
        let synced = device.flushes()?;
        let written = kind.write(&open_durable(&path)?, &[2; PAGE_LEN], 0);
        let after = device.flushes()?;
        judge.wrote("the direct write", &written, PAGE_LEN);
        judge.fact(format!(
            "{} flushes by syncfs and {} by the write",
            synced - before,
            after - synced
        ));
        judge.require(after > before, Verdict::Lost, || {
            "nothing was flushed: without power now, and the file is empty".to_owned()
        });
        Ok(())
    });
    other.unmount()?;
    outcome
}
