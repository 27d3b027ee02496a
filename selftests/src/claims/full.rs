// SPDX-License-Identifier: GPL-2.0

//! A file system that runs out of blocks, and of inodes: nothing that was taken is lost, and
//! everything comes back.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use crate::full_disk::FullDisk;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::sys::Ended;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "F01",
        name: "full_disk_keeps_what_it_took_and_gives_everything_back",
        rule: "ENOSPC of write(2)",
        summary: "Two files are written in turns until the disk is full, and read back from the \
                  disk: every byte that write(2) took is there. They are removed: statfs says what \
                  it said before.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: full_disk_keeps_what_it_took_and_gives_everything_back,
    },
    Claim {
        id: "F02",
        name: "every_inode_can_be_used_and_comes_back",
        rule: "ENOSPC of open(2)",
        summary: "Files and directories are made until there is no inode left: as many as statfs \
                  said there were. They are removed: statfs says what it said before.",
        // One size will do: the images of all have as many inodes.
        needs: Needs {
            block_size: Some(1024),
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[],
        run: every_inode_can_be_used_and_comes_back,
    },
    Claim {
        id: "F03",
        name: "store_into_a_hole_of_a_full_disk_is_told_at_once",
        rule: "SIGBUS of mmap(2)",
        summary: "A file of holes is mapped, the disk is filled, and every page of the file is \
                  stored to: the first for which there is no block is a SIGBUS, for afterwards \
                  there is nobody left to tell.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: store_into_a_hole_of_a_full_disk_is_told_at_once,
    },
];

/// Most bytes, and most inodes, that these claims fill up; a larger file system is left alone.
const MOST_BYTES: u64 = 64 << 20;
const MOST_INODES: u64 = 20_000;

/// What is written at a time.
const CHUNK: u64 = 4 * PAGE;

/// A directory that is removed with all that is in it.
#[derive(Debug)]
struct Room {
    dir: PathBuf,
    /// Free blocks and inodes before, as a plain user may not count on.
    free: (u64, u64),
}

impl Room {
    fn new(stage: &Stage<'_>) -> Result<Self> {
        let dir = stage.dir()?.join(stage.claim.id);
        let _ = fs::remove_dir_all(&dir);
        let parent = File::open(stage.dir()?)?;
        sys::sync_fs(&parent)?;
        let stat = rustix::fs::fstatvfs(&parent)?;
        let bytes = stat.f_bfree.saturating_mul(stat.f_frsize);
        if bytes > MOST_BYTES || stat.f_ffree > MOST_INODES {
            return Err(skip(format!(
                "{} MiB and {} inodes are free, too many to fill up",
                bytes >> 20,
                stat.f_ffree
            )));
        }
        let free = (stat.f_bfree, stat.f_ffree);
        fs::create_dir(&dir)?;
        Ok(Self { dir, free })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// Removes it, and requires that all it took is free again.
    fn remove(self, judge: &mut Judge) -> Result<()> {
        fs::remove_dir_all(&self.dir)?;
        let parent = File::open(self.dir.parent().context("it has a parent")?)?;
        judge.synced("syncfs", sys::sync_fs(&parent));
        let stat = rustix::fs::fstatvfs(&parent)?;
        let (blocks, inodes) = self.free;
        for (what, before, after) in [
            ("blocks", blocks, stat.f_bfree),
            ("inodes", inodes, stat.f_ffree),
        ] {
            judge.fact(format!("{before} {what} were free before"));
            judge.require(before == after, Verdict::Lost, || {
                format!("{after} {what} are free, {before} were before")
            });
        }
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// The bytes of a file at `start`: every word says where it is.
fn bytes(start: u64, len: usize) -> Vec<u8> {
    (start..)
        .step_by(8)
        .take(len.div_ceil(8))
        .flat_map(|place| (place + 1).to_le_bytes())
        .take(len)
        .collect()
}

/// Appends to the files in turns until the disk is full. Returns their sizes in bytes.
fn fill(files: &[File]) -> io::Result<Vec<u64>> {
    let mut sizes = vec![0; files.len()];
    for index in (0..files.len()).cycle() {
        let place = sizes[index];
        let whole = CHUNK - place % CHUNK;
        match files[index].write_at(&bytes(place, whole as usize), place) {
            Ok(len) => sizes[index] += len as u64,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
            Err(error) => return Err(error),
        }
    }
    Ok(sizes)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create_new(true).open(path)
}

fn full_disk_keeps_what_it_took_and_gives_everything_back(stage: &Stage<'_>) -> Result<Outcome> {
    let room = Room::new(stage)?;
    let mut judge = Judge::new();
    let files = [create(&room.path("a"))?, create(&room.path("b"))?];
    let sizes = fill(&files)?;
    judge.fact(format!("{sizes:?} bytes were written"));
    for (file, size) in files.iter().zip(sizes) {
        file.sync_all().context("syncing what write(2) took")?;
        sys::drop_cache(file)?;
        let found = file.metadata()?.len();
        judge.require(found == size, Verdict::Lost, || {
            format!("a file has {found} bytes, write(2) took {size}")
        });
        for place in (0..size).step_by(CHUNK as usize) {
            let mut read = vec![0; CHUNK.min(size - place) as usize];
            file.read_exact_at(&mut read, place)?;
            judge.require(read == bytes(place, read.len()), Verdict::Lost, || {
                format!("the bytes at {place} are not what was written")
            });
        }
    }
    drop(files);
    room.remove(&mut judge)?;
    Ok(judge.outcome())
}

/// Makes a directory, or a file in the one that was made last: few entries are searched fast.
fn make_one_more(room: &Room, made: u64) -> io::Result<()> {
    const EACH: u64 = 100;

    let dir = room.path(&(made / EACH).to_string());
    match made % EACH {
        0 => fs::create_dir(dir),
        file => create(&dir.join(file.to_string())).map(drop),
    }
}

fn every_inode_can_be_used_and_comes_back(stage: &Stage<'_>) -> Result<Outcome> {
    let room = Room::new(stage)?;
    let mut judge = Judge::new();
    if room.free.1 == 0 {
        return Err(skip("its inodes are not counted, and so never used up"));
    }
    // One is the room itself.
    let free = room.free.1.saturating_sub(1);
    let mut made = 0;
    loop {
        match make_one_more(&room, made) {
            Ok(()) => made += 1,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
            Err(error) => return Err(error.into()),
        }
    }
    judge.fact(format!("{made} files and directories were made"));
    let blocks = rustix::fs::statvfs(&room.dir)?.f_bfree;
    if blocks == 0 {
        return Err(skip("blocks ran out before the inodes"));
    }
    judge.require(made == free, Verdict::Lost, || {
        format!("{made} were made, for {free} there were inodes")
    });
    room.remove(&mut judge)?;
    Ok(judge.outcome())
}

fn store_into_a_hole_of_a_full_disk_is_told_at_once(stage: &Stage<'_>) -> Result<Outcome> {
    /// More than can be left of a disk that is full.
    const PAGES: u64 = 64;

    let room = Room::new(stage)?;
    let mut judge = Judge::new();
    let holes = create(&room.path("holes"))?;
    holes.set_len(PAGES * PAGE)?;
    let full = FullDisk::new(&room.dir)?;
    let ended = sys::in_child(|| {
        let Ok(mapping) = Mapping::new(&holes, (PAGES * PAGE) as usize, Share::Shared) else {
            return 1;
        };
        for page in 0..PAGES {
            mapping.store_word((page * PAGE / 8) as usize, 1);
        }
        0
    })?;
    match ended {
        Ended::Signal(libc::SIGBUS) => {}
        Ended::Status(0) => judge.find(
            Verdict::Lost,
            format!("{PAGES} pages were stored to, and there are no blocks for them"),
        ),
        ended => anyhow::bail!("the child ended with {ended:?}"),
    }
    drop((holes, full));
    room.remove(&mut judge)?;
    Ok(judge.outcome())
}
