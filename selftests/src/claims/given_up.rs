// SPDX-License-Identifier: GPL-2.0

//! The file system as a whole, when it is not to be written: frozen, shut down, damaged.
//!
//! These claims unmount the file system that they are tried on, as those of [`super::volume`] do.

use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::scratch::Scratch;
use super::volume::again;
use super::volume::fails;
use super::volume::mounted;
use super::volume::mounted_as_ext;
use super::volume::remount;
use crate::device::Device;
use crate::freeze::Frozen;
use crate::judge::Judge;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::space;
use crate::space::Flush;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "V3",
        name: "nothing_is_written_while_it_is_frozen",
        rule: "ioctl(2), FIFREEZE",
        summary: "The file system is frozen with writers at work: by write(2), by creating files, \
                  by truncation and by fallocate. While it is frozen nothing of the disk changes, \
                  and what was written before can be read. When it is thawed, the writers go on.",
        needs: Needs {
            device: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[],
        run: nothing_is_written_while_it_is_frozen,
    },
    Claim {
        id: "V4",
        name: "shut_down_fails_everything_and_loses_nothing_synced",
        rule: "FS_IOC_SHUTDOWN",
        summary: "A file is written and synced, and the file system is shut down: reads, writes, \
                  syncs and new files are EIO. It is unmounted and mounted again, and the file is \
                  there. So it is if nothing was to be written out on the way.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: shut_down_fails_everything_and_loses_nothing_synced,
    },
    Claim {
        id: "V5",
        name: "damage_makes_it_read_only_if_asked_for",
        rule: "errors=continue|remount-ro of ext2(5)",
        summary: "A pointer to a block is overwritten on the disk. With errors=continue the read \
                  that meets it is an error, and the file system is still written; with \
                  errors=remount-ro it is read-only from then on. The pointer is put back.",
        needs: Needs {
            device: true,
            ..Needs::SMALL_BLOCKS
        },
        expect: Expect::KEPT,
        files: &[],
        run: damage_makes_it_read_only_if_asked_for,
    },
];

fn nothing_is_written_while_it_is_frozen(stage: &Stage<'_>) -> Result<Outcome> {
    /// How often the disk is looked at while it is frozen.
    const LOOKS: usize = 20;

    let file = stage.scratch("v3.dat", 64 * PAGE)?;
    let device = file.device()?;
    let room = Scratch::new(stage)?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let stop = AtomicBool::new(false);
    let work = |turn: u64| -> io::Result<()> {
        file.file()
            .write_all_at(&[turn as u8; 512], turn % 64 * PAGE)?;
        fs::write(room.join((turn % 8).to_string()), [turn as u8; 100])?;
        file.file().set_len((63 + turn % 2) * PAGE)
    };
    let written = thread::scope(|scope| -> Result<_> {
        let writer = scope.spawn(|| {
            let mut turn = 0;
            while !stop.load(Ordering::SeqCst) {
                work(turn)?;
                turn += 1;
            }
            Ok::<_, io::Error>(turn)
        });
        let looks = (|| -> Result<()> {
            let frozen = Frozen::new(stage.dir()?)?;
            let before = device.writes()?;
            for _ in 0..LOOKS {
                file.read(0, PAGE as usize)?;
                thread::sleep(std::time::Duration::from_millis(5));
            }
            let after = device.writes()?;
            judge.require(before == after, Verdict::Lost, || {
                format!("{} writes while it was frozen", after - before)
            });
            let done = writer.is_finished();
            judge.require(!done, Verdict::Error, || "the writer ended".to_owned());
            drop(frozen);
            Ok(())
        })();
        stop.store(true, Ordering::SeqCst);
        let turns = writer.join().expect("it does not panic");
        looks?;
        Ok(turns?)
    })?;
    judge.fact(format!("{written} turns of the writer"));
    work(1)?;
    Ok(judge.outcome())
}

fn shut_down_fails_everything_and_loses_nothing_synced(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted(stage)?;
    let mut judge = Judge::new();
    // Otherwise what it was asked for is not known to be possible.
    again(&mount)?;
    let room = Scratch::new(stage)?;
    for flush in [Flush::All, Flush::Nothing] {
        let path = room.join(format!("{flush:?}"));
        let bytes: Vec<u8> = (0..=255).cycle().take(40 * PAGE as usize).collect();
        let file = File::create_new(&path)?;
        file.write_all_at(&bytes, 0)?;
        file.sync_all()?;
        File::open(room.path())?.sync_all()?;
        sys::sync_fs(&file)?;
        let dir = File::open(stage.dir()?)?;
        match space::shutdown(&dir, flush) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EPERM)) => {
                return Err(skip(format!("it cannot be shut down: {error}")));
            }
            done => done.context("FS_IOC_SHUTDOWN")?,
        }
        let cold = File::open(&path).and_then(|file| {
            sys::drop_cache(&file)?;
            file.read_exact_at(&mut [0; 512], 20 * PAGE)
        });
        fails(&mut judge, "read", cold, libc::EIO);
        fails(&mut judge, "write", file.write_all_at(b"x", 0), libc::EIO);
        fails(&mut judge, "fsync", file.sync_all(), libc::EIO);
        fails(
            &mut judge,
            "create",
            File::create(room.join("new")),
            libc::EIO,
        );
        fails(&mut judge, "cut", file.set_len(PAGE), libc::EIO);
        drop((file, dir));
        again(&mount)?;
        let found = fs::read(&path)?;
        judge.require(found == bytes, Verdict::Lost, || {
            format!("{flush:?}: the file that was synced is not there as it was")
        });
    }
    Ok(judge.outcome())
}

/// Where the super block has the state of the file system, in bytes from the start of the device.
const STATE: u64 = 1024 + 58;

/// Where the first pointer of the first block of pointers of a file is on the device, and the
/// pointer. The file has more than the twelve blocks that its inode leads to.
fn find_pointer(stage: &Stage<'_>, path: &Path) -> Result<(u64, u32)> {
    let file = File::open(path)?;
    let device = Device::of(&file)?;
    let unit = u64::from(sys::fibmap_unit(&file)?);
    let blocks = (sys::fibmap(&file, 11)?, sys::fibmap(&file, 12)?);
    for block in [blocks.0 + 1, blocks.1.saturating_sub(1)] {
        let place = u64::from(block) * unit;
        let found = device.read_at(place, 4)?;
        if found == blocks.1.to_le_bytes() {
            return Ok((place, blocks.1));
        }
    }
    Err(skip(format!(
        "no pointers near blocks {blocks:?} of {}",
        stage.dir()?.display()
    )))
}

fn damage_makes_it_read_only_if_asked_for(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted_as_ext(stage, "it has no errors=")?;
    let mut judge = Judge::new();
    let room = Scratch::new(stage)?;
    let path = room.join("damaged");
    fs::write(&path, vec![7; 64 << 10])?;
    sys::sync_fs(&File::open(stage.dir()?)?)?;
    let (place, pointer) = find_pointer(stage, &path)?;
    let mut state = [0; 2];
    mount.with_device(|device| device.read_exact_at(&mut state, STATE))?;
    for (option, read_only) in [("errors=continue", false), ("errors=remount-ro", true)] {
        mount.with_device(|device| device.write_all_at(&u32::MAX.to_le_bytes(), place))?;
        remount(&mount, option)?;
        let read = fs::read(&path);
        judge.require(read.is_err(), Verdict::Error, || {
            format!("{option}: the damaged file was read")
        });
        let wrote = fs::write(room.join("other"), b"x");
        let error = wrote.as_ref().err().and_then(io::Error::raw_os_error);
        let right = if read_only {
            error == Some(libc::EROFS)
        } else {
            wrote.is_ok()
        };
        judge.require(right, Verdict::Error, || {
            format!("{option}: then a write: {wrote:?}")
        });
        mount.with_device(|device| device.write_all_at(&pointer.to_le_bytes(), place))?;
    }
    // Else every later mount would warn.
    mount.with_device(|device| device.write_all_at(&state, STATE))?;
    let held = fs::read(&path)?;
    judge.require(held == vec![7; 64 << 10], Verdict::Lost, || {
        "the file is not what it was".to_owned()
    });
    Ok(judge.outcome())
}
