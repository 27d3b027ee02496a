// SPDX-License-Identifier: GPL-2.0

//! Where directories and the blocks of growing files are put, and what options change about that.

use std::collections::BTreeSet;
use std::fs;
use std::fs::File;
use std::io;
use std::io::Write as _;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Result;

use super::PAGE;
use super::places::extents;
use super::scratch::Scratch;
use super::super_block::Geometry;
use super::volume::again;
use super::volume::mounted_as_ext;
use super::volume::remount;
use crate::judge::Judge;
use crate::mount::make_ext2;
use crate::null_disk::NullDisk;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys::check;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "V12",
        name: "directories_of_the_root_are_spread_and_others_are_not",
        rule: "ext2(5): orlov",
        summary: "On a new volume of several groups directories are made in the root: each is in a \
                  group of its own. What is made in one of them, a directory or a file, is in its \
                  group.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: directories_of_the_root_are_spread_and_others_are_not,
    },
    Claim {
        id: "V13",
        name: "files_grow_in_windows_of_their_own",
        rule: "ext2(5): reservation",
        summary: "Two files grow by turns, a page at a time, and each page is synced: each file is in \
                  a few pieces. Remounted with noreservation, two others are in pieces of a page.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: files_grow_in_windows_of_their_own,
    },
    Claim {
        id: "A9",
        name: "size_of_windows_is_what_was_set_or_cannot_be",
        rule: "ioctl(2): ENOTTY",
        summary: "The size of a file's window is set and asked for, EXT2_IOC_SETRSVSZ and GETRSVSZ: it \
                  is what was set. Where there are no such commands, both say ENOTTY.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: size_of_windows_is_what_was_set_or_cannot_be,
    },
];

fn directories_of_the_root_are_spread_and_others_are_not(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted_as_ext(stage, "the disk for it is made as ext2")?;
    let disk = NullDisk::new()?;
    make_ext2(&disk.node())?;
    let geometry = Geometry::of(&File::open(disk.node())?)?;
    let room = Scratch::new(stage)?;
    let other = mount.alike(&disk.node(), room.path())?;
    let group = |path: &Path| -> Result<u64> {
        let number = fs::metadata(path)?.ino();
        Ok((number - 1) / u64::from(geometry.inodes_per_group))
    };
    let mut judge = Judge::new();
    let mut groups = BTreeSet::new();
    // The group of the root has directories already.
    for number in 1..geometry.groups {
        let dir = room.join(number.to_string());
        fs::create_dir(&dir)?;
        let at = group(&dir)?;
        judge.require(groups.insert(at), Verdict::Error, || {
            format!("two directories of the root are in group {at}")
        });
        let (below, file) = (dir.join("below"), dir.join("file"));
        fs::create_dir(&below)?;
        File::create(&file)?;
        for path in [&below, &file] {
            let found = group(path)?;
            judge.require(found == at, Verdict::Error, || {
                format!(
                    "{} is in group {found}, and its directory in {at}",
                    path.display()
                )
            });
        }
    }
    judge.fact(format!("{} directories", groups.len()));
    other.unmount()?;
    Ok(judge.outcome())
}

/// Has two new files grow by turns to so many pages each. Returns in how many pieces each is.
fn pieces(room: &Scratch, names: [&str; 2], pages: usize) -> Result<[usize; 2]> {
    let mut files = Vec::new();
    for name in names {
        files.push(File::create(room.join(name))?);
    }
    for _ in 0..pages {
        for file in &mut files {
            file.write_all(&[7; PAGE as usize])?;
            file.sync_data()?;
        }
    }
    let count = |file: &File| -> Result<usize> {
        let extents = extents(file)?;
        let apart = extents
            .windows(2)
            .filter(|pair| pair[0].physical + pair[0].length != pair[1].physical);
        Ok(1 + apart.count())
    };
    Ok([count(&files[0])?, count(&files[1])?])
}

fn files_grow_in_windows_of_their_own(stage: &Stage<'_>) -> Result<Outcome> {
    const PAGES: usize = 64;
    let mount = mounted_as_ext(stage, "it has no windows")?;
    let mut judge = Judge::new();
    let room = Scratch::new(stage)?;
    let with = pieces(&room, ["a", "b"], PAGES)?;
    remount(&mount, "noreservation")?;
    let shown = mount.shows("noreservation");
    let without = pieces(&room, ["c", "d"], PAGES);
    // As it was mounted before.
    again(&mount)?;
    let without = without?;
    if !shown {
        return Err(skip("it has no noreservation"));
    }
    judge.fact(format!("{with:?} pieces, {without:?} without windows"));
    for (with, without) in with.into_iter().zip(without) {
        judge.require(with <= PAGES / 4, Verdict::Error, || {
            format!("{PAGES} pages are in {with} pieces")
        });
        judge.require(without >= PAGES / 2, Verdict::Error, || {
            format!("with noreservation they are in {without}")
        });
    }
    Ok(judge.outcome())
}

fn size_of_windows_is_what_was_set_or_cannot_be(stage: &Stage<'_>) -> Result<Outcome> {
    const EXT2_IOC_GETRSVSZ: u32 = 0x8008_6605;
    const EXT2_IOC_SETRSVSZ: u32 = 0x4008_6606;
    const BLOCKS: u32 = 64;
    let room = Scratch::new(stage)?;
    let file = File::create(room.join("file"))?;
    file.write_all_at(b"x", 0)?;
    let command = |command: u32, blocks: &mut u64| -> io::Result<i32> {
        // SAFETY: Each reads or writes an integer, which is no longer than a `long`.
        check(unsafe { libc::ioctl(file.as_raw_fd(), command as libc::Ioctl, blocks) })
    };
    let mut blocks = u64::from(BLOCKS);
    let set = command(EXT2_IOC_SETRSVSZ, &mut blocks);
    let mut found = 0;
    let got = command(EXT2_IOC_GETRSVSZ, &mut found);
    let mut judge = Judge::new();
    match (&set, &got) {
        (Ok(_), Ok(_)) => {
            // ext2 says that it is a `long` and writes an `int`.
            let found = found as u32;
            judge.require(found == BLOCKS, Verdict::Error, || {
                format!("{BLOCKS} blocks were set, and it has {found}")
            });
        }
        (Err(set), Err(got)) => {
            judge.fact("there are no such commands");
            for error in [set, got] {
                judge.require(
                    error.raw_os_error() == Some(libc::ENOTTY),
                    Verdict::Error,
                    || format!("the command is not there, and the error {error}"),
                );
            }
        }
        _ => judge.find(
            Verdict::Error,
            format!("setting returned {set:?}, getting {got:?}"),
        ),
    }
    Ok(judge.outcome())
}
