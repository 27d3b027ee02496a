// SPDX-License-Identifier: GPL-2.0

//! The file system as a whole: mounted again, and mounted otherwise.
//!
//! These claims unmount the file system that they are tried on, so nobody else may use it, and
//! leave it mounted as it was.

use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::MetadataExt;

use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::PAGE;
use super::scratch::Scratch;
use crate::device::Device;
use crate::handle::Handle;
use crate::judge::Judge;
use crate::mount::Mount;
use crate::registry::Claim;
use crate::registry::Disk;
use crate::registry::Expect;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;
use crate::window;
use crate::window::Flight;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "V1",
        name: "handle_finds_the_file_until_it_is_gone",
        rule: "open_by_handle_at(2), Documentation/filesystems/nfs/exporting.rst",
        summary: "Handles of a file deep down and of its directory find them again after the file \
                  system was unmounted and mounted, also when nothing of the way there is cached; \
                  and `..` leads to the root from there. When the file is removed, and its number is \
                  another's, the handle is stale; so is one that is made up.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: handle_finds_the_file_until_it_is_gone,
    },
    Claim {
        id: "V2",
        name: "read_only_is_read_only_and_ends",
        rule: "mount(2), MS_REMOUNT",
        summary: "The file system is remounted read-only: what was written is on the disk, and \
                  every change is EROFS. It cannot be, while a file is open for writing. Remounted \
                  for writing, it is written again.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: read_only_is_read_only_and_ends,
    },
    Claim {
        id: "V6",
        name: "options_do_what_they_say_and_are_shown",
        rule: "ext2(5)",
        summary: "grpid gives a new file the group of its directory, minixdf counts what the format \
                  takes for itself, and /proc/mounts shows them. What is always so, orlov and \
                  noquota, is taken. What a file system does not have is refused, and it stays \
                  as it was.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: options_do_what_they_say_and_are_shown,
    },
    Claim {
        id: "V7",
        name: "mounted_with_sync_all_is_written_when_it_returns",
        rule: "mount(8): sync",
        summary: "The file system is remounted with sync, and nothing is dirty. A file is made, \
                  written, cut, grown, linked, renamed and removed, and so on: each has made the \
                  device write something before it returns.",
        needs: Needs {
            device: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[],
        run: mounted_with_sync_all_is_written_when_it_returns,
    },
    Claim {
        id: "V11",
        name: "reader_elsewhere_does_not_wait_for_a_cut_that_syncs",
        rule: "C2.5, mount(8): sync",
        summary: "The file system is remounted with sync, on a slow disk. While a file is cut and the \
                  cut is on its way to the disk, its first page is read, which is not cached: that is \
                  over before the cut is.",
        needs: Needs {
            device: true,
            disk: Disk::SlowWrites,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[],
        run: reader_elsewhere_does_not_wait_for_a_cut_that_syncs,
    },
];

/// Looks at what is mounted on the claim's directory, or skips the claim.
pub(super) fn mounted(stage: &Stage<'_>) -> Result<Mount> {
    Mount::of(stage.dir()?).map_err(|error| skip(format!("nothing of its own is mounted: {error}")))
}

/// As [`mounted`], for what only the family of ext2 has; otherwise `what` is the reason of the skip.
pub(super) fn mounted_as_ext(stage: &Stage<'_>, what: &str) -> Result<Mount> {
    let mount = mounted(stage)?;
    match mount.is_ext() {
        true => Ok(mount),
        false => Err(skip(what)),
    }
}

/// Skips the claim on all file systems but cohfs: for claims of many threads without a window that could be
/// proved.
pub(super) fn require_cohfs(stage: &Stage<'_>) -> Result<()> {
    match is_cohfs(stage) {
        true => Ok(()),
        false => Err(skip(
            "nobody promises it here, and what these threads come upon is chance",
        )),
    }
}

/// Says whether the claim is tried on cohfs.
pub(super) fn is_cohfs(stage: &Stage<'_>) -> bool {
    mounted(stage).is_ok_and(|mount| mount.is_cohfs())
}

/// Says whether the claim is tried where nobody's bytes are to be lost or old, with `coherency=strict`.
pub(super) fn is_strict(stage: &Stage<'_>) -> bool {
    mounted(stage).is_ok_and(|mount| mount.shows("coherency=strict"))
}

/// Unmounts and mounts again, or skips the claim if somebody uses it.
pub(super) fn again(mount: &Mount) -> Result<()> {
    match mount.again() {
        Err(Errno::BUSY | Errno::PERM) => Err(skip("it cannot be unmounted")),
        done => done.context("mounting it again"),
    }
}

/// Remounts with options, or skips the claim if there are none such.
pub(super) fn remount(mount: &Mount, options: &str) -> Result<()> {
    match mount.change(options) {
        Err(Errno::INVAL) => Err(skip(format!("it takes no {options}"))),
        done => done.with_context(|| format!("remounting with {options}")),
    }
}

/// Requires that `done` failed with `errno`.
pub(super) fn fails<T>(judge: &mut Judge, what: &str, done: io::Result<T>, errno: i32) {
    let found = done.err().map(|error| error.raw_os_error());
    judge.require(found == Some(Some(errno)), Verdict::Error, || {
        format!("{what}: {found:?}, not {errno}")
    });
}

fn handle_finds_the_file_until_it_is_gone(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted(stage)?;
    let mut judge = Judge::new();
    let room = Scratch::new(stage)?;
    let deep = room.join("a/b/c");
    fs::create_dir_all(&deep)?;
    let path = deep.join("file");
    fs::write(&path, b"what it holds")?;
    let handles = match (Handle::of(&path), Handle::of(&deep)) {
        (Ok(file), Ok(dir)) => [file, dir],
        (file, _) => return Err(skip(format!("there are no handles: {:?}", file.err()))),
    };
    again(&mount)?;
    let root = File::open(stage.dir()?)?;
    let dir = handles[1]
        .open(&root)
        .context("opening the directory by its handle")?;
    let names = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&dir));
    let up = fs::metadata(format!("{names}/../../../.."))?;
    judge.require(up.ino() == root.metadata()?.ino(), Verdict::Error, || {
        format!("four directories up is inode {}", up.ino())
    });
    let file = handles[0]
        .open(&root)
        .context("opening the file by its handle")?;
    let held = io::read_to_string(&file)?;
    judge.require(held == "what it holds", Verdict::Lost, || {
        format!("the file holds {held:?}")
    });
    let number = file.metadata()?.ino();
    drop((file, dir));

    fs::remove_file(&path)?;
    fails(&mut judge, "removed", handles[0].open(&root), libc::ESTALE);
    let mut others = 0..64;
    let reused = others.any(|n| {
        let other = deep.join(n.to_string());
        fs::write(&other, b"another").is_ok()
            && fs::metadata(&other).is_ok_and(|stat| stat.ino() == number)
    });
    if reused {
        fails(
            &mut judge,
            "another's number",
            handles[0].open(&root),
            libc::ESTALE,
        );
    } else {
        judge.fact("the number was not given to another file");
    }
    for number in [0_u32, 1, 7, 0x7fff_ffff] {
        let made_up = handles[0].changed(|bytes| {
            if let Some(place) = bytes.get_mut(..4) {
                place.copy_from_slice(&number.to_ne_bytes());
            }
        });
        fails(&mut judge, "made up", made_up.open(&root), libc::ESTALE);
    }
    drop(root);
    drop(room);
    Ok(judge.outcome())
}

fn read_only_is_read_only_and_ends(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted(stage)?;
    let mut judge = Judge::new();
    let room = Scratch::new(stage)?;
    let path = room.join("file");
    fs::write(&path, b"before")?;
    let writer = File::options().append(true).open(&path)?;
    let busy = mount.change("ro");
    judge.require(busy == Err(Errno::BUSY), Verdict::Error, || {
        format!("read-only with a file open for writing: {busy:?}")
    });
    drop(writer);
    mount.change("ro").context("remounting read-only")?;
    fails(&mut judge, "write", fs::write(&path, b"now"), libc::EROFS);
    fails(
        &mut judge,
        "create",
        File::create(room.join("new")),
        libc::EROFS,
    );
    fails(&mut judge, "remove", fs::remove_file(&path), libc::EROFS);
    fails(
        &mut judge,
        "mkdir",
        fs::create_dir(room.join("dir")),
        libc::EROFS,
    );
    let held = fs::read_to_string(&path)?;
    judge.require(held == "before", Verdict::Lost, || {
        format!("it holds {held:?}")
    });
    mount.change("rw").context("remounting for writing")?;
    fs::write(&path, b"after")?;
    again(&mount)?;
    let held = fs::read_to_string(&path)?;
    judge.require(held == "after", Verdict::Lost, || {
        format!("then it holds {held:?}")
    });
    Ok(judge.outcome())
}

fn options_do_what_they_say_and_are_shown(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted_as_ext(stage, "it has not the options of ext2")?;
    let mut judge = Judge::new();
    let room = Scratch::new(stage)?;
    std::os::unix::fs::chown(room.path(), None, Some(1234))?;
    let small = rustix::fs::statvfs(stage.dir()?)?.f_blocks;
    remount(&mount, "minixdf,grpid,orlov,noquota")?;
    judge.require(
        mount.shows("minixdf") && mount.shows("grpid"),
        Verdict::Error,
        || "/proc/mounts shows neither".to_owned(),
    );
    let large = rustix::fs::statvfs(stage.dir()?)?.f_blocks;
    judge.require(large > small, Verdict::Error, || {
        format!("{large} blocks with minixdf, {small} without")
    });
    fs::write(room.join("bsd"), b"x")?;
    remount(&mount, "bsddf,nogrpid")?;
    fs::write(room.join("sysv"), b"x")?;
    let groups = (
        fs::metadata(room.join("bsd"))?.gid(),
        fs::metadata(room.join("sysv"))?.gid(),
    );
    judge.require(groups == (1234, 0), Verdict::Error, || {
        format!("groups with and without grpid: {groups:?}")
    });
    for option in [
        "no-such-option",
        "errors=perhaps",
        "resuid=nobody",
        "minixdf=1",
    ] {
        let refused = mount.change(option);
        judge.require(refused.is_err(), Verdict::Error, || {
            format!("{option} was taken")
        });
    }
    judge.require(!mount.shows("minixdf"), Verdict::Error, || {
        "minixdf is shown although it was undone".to_owned()
    });
    Ok(judge.outcome())
}

fn mounted_with_sync_all_is_written_when_it_returns(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted(stage)?;
    let mut judge = Judge::new();
    let room = Scratch::new(stage)?;
    let at = |name: &str| room.join(name);
    let held = File::create(at("held"))?;
    held.set_len(100)?;
    let device = Device::of(&held)?;
    remount(&mount, "sync")?;
    let grow = |len| held.set_len(len);
    let xattr = || rustix::fs::setxattr(at("held"), "trusted.t", b"v", XattrFlags::empty());
    let found = rustix::fs::getxattr(at("held"), "trusted.t", &mut [0_u8; 1]);
    let has_xattrs = found != Err(Errno::OPNOTSUPP);
    let mut each = |what: &str, work: &dyn Fn() -> io::Result<()>| -> Result<()> {
        sys::sync_fs(&held)?;
        let before = device.writes()?;
        work().with_context(|| what.to_owned())?;
        let after = device.writes()?;
        judge.require(after > before, Verdict::Lost, || {
            format!("{what}: the device was written nothing")
        });
        Ok(())
    };
    each("create", &|| File::create(at("file")).map(drop))?;
    each("write", &|| held.write_all_at(b"bytes", 0))?;
    each("grow", &|| grow(1_000_000))?;
    each("cut", &|| grow(10))?;
    if has_xattrs {
        each("setxattr", &|| xattr().map_err(Into::into))?;
    }
    each("link", &|| fs::hard_link(at("file"), at("link")))?;
    each("rename", &|| fs::rename(at("link"), at("other")))?;
    each("symlink", &|| {
        std::os::unix::fs::symlink("file", at("fast"))
    })?;
    each("unlink", &|| fs::remove_file(at("other")))?;
    each("mkdir", &|| fs::create_dir(at("dir")))?;
    each("rmdir", &|| fs::remove_dir(at("dir")))?;
    remount(&mount, "async")?;
    Ok(judge.outcome())
}

fn reader_elsewhere_does_not_wait_for_a_cut_that_syncs(stage: &Stage<'_>) -> Result<Outcome> {
    const PAGES: u64 = 8;
    let mount = mounted(stage)?;
    if mount.shows("data=journal") {
        return Err(skip("who reads waits for the journal, or not, by chance"));
    }
    let file = stage.scratch("v11.tmp", PAGES * PAGE)?;
    let mut judge = Judge::new();
    file.fill(1)?;
    remount(&mount, "sync")?;
    let mut pages = PAGES;
    let what = "the cut was over before anybody could read";
    let tried = window::insist(what, || {
        file.chill()?;
        pages -= 1;
        let collision = window::collide(
            file.device()?,
            Flight::Write,
            || file.file().sync_all(),
            || file.file().set_len(pages * PAGE).map(|()| 0),
            || file.read(0, PAGE as usize),
        )?;
        Ok((collision, ()))
    });
    remount(&mount, "async")?;
    let (collision, ()) = tried?;
    collision.slow.context("cutting the file")?;
    let bytes = collision.meanwhile?;
    file.judge_bytes(&mut judge, "the read", 0, &bytes, Verdict::Stale, |_| {
        vec![1]
    });
    judge.require(collision.overtook, Verdict::FalseError, || {
        "who read elsewhere waited until the cut was on the disk".to_owned()
    });
    Ok(judge.outcome())
}
