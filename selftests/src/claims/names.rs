// SPDX-License-Identifier: GPL-2.0

//! Names that are moved and links that are counted.

use std::fs;
use std::fs::File;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::fs::RawDir;
use rustix::fs::RenameFlags;
use rustix::io::Errno;

use super::PAGE;
use super::scratch::Scratch;
use super::scratch::touch;
use crate::device::Device;
use crate::judge::Judge;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "N2",
        name: "file_without_name_gets_one_or_goes",
        rule: "open(2): O_TMPFILE and linkat",
        summary: "A file is made without a name and written; linkat gives it one, under which its \
                  bytes are. Another one is only closed: its inode and its blocks are free again.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "n2.dat",
            size: PAGE,
        }],
        run: file_without_name_gets_one_or_goes,
    },
    Claim {
        id: "N3",
        name: "exchanged_names_and_their_parents_agree",
        rule: "rename(2): RENAME_EXCHANGE, RENAME_NOREPLACE",
        summary: "A file and a directory in two directories change places, then two directories \
                  do: inode numbers, link counts and every .. are right each time. NOREPLACE over \
                  a name and EXCHANGE with none are refused. Skipped where there is no EXCHANGE.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "n3.dat",
            size: PAGE,
        }],
        run: exchanged_names_and_their_parents_agree,
    },
    Claim {
        id: "N4",
        name: "links_end_at_the_limit_with_an_error",
        rule: "link(2): EMLINK",
        summary: "A file is given names until there may be no more: the error is EMLINK, the count \
                  is that of the names, and after one is removed there is room for one. Skipped \
                  where 33,000 are not enough.",
        // One size will do.
        needs: Needs {
            block_size: Some(4096),
            patience: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "n4.dat",
            size: PAGE,
        }],
        run: links_end_at_the_limit_with_an_error,
    },
];

/// Free inodes and blocks of the file system, once all is written.
fn free(dir: &Path) -> Result<(u64, u64)> {
    let dir = File::open(dir)?;
    sys::sync_fs(&dir)?;
    let stat = rustix::fs::fstatvfs(&dir)?;
    Ok((stat.f_ffree, stat.f_bfree))
}

fn file_without_name_gets_one_or_goes(stage: &Stage<'_>) -> Result<Outcome> {
    let scratch = Scratch::new(stage)?;
    let mut judge = Judge::new();
    let unnamed = || -> Result<File> {
        let flags = OFlags::TMPFILE | OFlags::RDWR;
        match rustix::fs::open(scratch.path(), flags, Mode::from(0o600)) {
            Ok(fd) => Ok(File::from(fd)),
            Err(Errno::OPNOTSUPP) => Err(skip("this file system has no O_TMPFILE")),
            Err(error) => Err(error).context("opening a file without a name"),
        }
    };
    let bytes = vec![0x5a; 20_000];
    let mut file = unnamed()?;
    file.write_all(&bytes)?;
    let links = file.metadata()?.nlink();
    judge.require(links == 0, Verdict::Stale, || {
        format!("a file without a name has {links} links")
    });
    let fd = format!("/proc/self/fd/{}", file.as_raw_fd());
    let name = scratch.join("name");
    rustix::fs::linkat(CWD, fd, CWD, &name, AtFlags::SYMLINK_FOLLOW).context("naming it")?;
    let found = fs::metadata(&name)?;
    judge.require(
        found.nlink() == 1 && found.ino() == file.metadata()?.ino(),
        Verdict::Stale,
        || format!("named, it has {} links", found.nlink()),
    );
    drop(file);
    judge.require(fs::read(&name)? == bytes, Verdict::Lost, || {
        "under its name are other bytes".to_owned()
    });

    let before = free(scratch.path())?;
    let mut file = unnamed()?;
    file.write_all(&bytes)?;
    judge.synced("fsync of a file without a name", file.sync_all());
    drop(file);
    let after = free(scratch.path())?;
    judge.require(before == after, Verdict::Lost, || {
        format!("free inodes and blocks were {before:?}, and are {after:?}")
    });
    judge.require(
        fs::read_dir(scratch.path())?.count() == 1,
        Verdict::Stale,
        || "there are other names than the one given".to_owned(),
    );
    Ok(judge.outcome())
}

/// The inode that the directory itself says is its parent: a path with `..` in it is walked in memory.
fn dotdot(dir: &Path) -> Result<u64> {
    let dir = File::open(dir)?;
    let mut room = [MaybeUninit::uninit(); 1024];
    let mut entries = RawDir::new(&dir, &mut room);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if entry.file_name() == c".." {
            return Ok(entry.ino());
        }
    }
    anyhow::bail!("a directory has no ..")
}

fn exchanged_names_and_their_parents_agree(stage: &Stage<'_>) -> Result<Outcome> {
    let scratch = Scratch::new(stage)?;
    let mut judge = Judge::new();
    let [a, b] = ["a", "b"].map(|name| scratch.join(name));
    let (file, dir) = (a.join("one"), b.join("two"));
    fs::create_dir(&a)?;
    fs::create_dir(&b)?;
    touch(&file)?;
    fs::create_dir_all(dir.join("inside"))?;
    let [one, two] = [fs::metadata(&file)?.ino(), fs::metadata(&dir)?.ino()];

    let move_to =
        |from: &Path, to: &Path, flags| rustix::fs::renameat_with(CWD, from, CWD, to, flags);
    let refused = move_to(&file, &dir, RenameFlags::NOREPLACE);
    judge.require(refused == Err(Errno::EXIST), Verdict::Lost, || {
        format!("NOREPLACE over a name returned {refused:?}")
    });
    if move_to(&file, &dir, RenameFlags::EXCHANGE) == Err(Errno::INVAL) {
        return Err(skip("this file system exchanges no names"));
    }
    // What each name is now; links of the parents; the parent that the directory's `..` leads to.
    let mut look = |what: &str,
                    names: [(&Path, u64); 2],
                    links: [u64; 2],
                    parents: &[(&Path, &Path)]|
     -> Result<()> {
        for (path, ino) in names {
            let found = fs::symlink_metadata(path)?.ino();
            judge.require(found == ino, Verdict::Lost, || {
                format!("{what}: {} is inode {found}, not {ino}", path.display())
            });
        }
        for (parent, links) in [&a, &b].into_iter().zip(links) {
            let found = fs::metadata(parent)?.nlink();
            judge.require(found == links, Verdict::Stale, || {
                format!(
                    "{what}: {} has {found} links, not {links}",
                    parent.display()
                )
            });
        }
        for (dir, parent) in parents {
            let (up, at) = (dotdot(dir)?, fs::metadata(parent)?.ino());
            judge.require(up == at, Verdict::Lost, || {
                format!("{what}: .. of {} is inode {up}, not {at}", dir.display())
            });
        }
        Ok(())
    };
    look(
        "file and directory",
        [(&file, two), (&dir, one)],
        [3, 2],
        &[(&file, &a)],
    )?;

    let other = b.join("other");
    fs::create_dir(&other)?;
    let three = fs::metadata(&other)?.ino();
    move_to(&file, &other, RenameFlags::EXCHANGE).context("exchanging two directories")?;
    look(
        "two directories",
        [(&file, three), (&other, two)],
        [3, 3],
        &[(&file, &a), (&other, &b)],
    )?;
    let missing = move_to(&other, &b.join("none"), RenameFlags::EXCHANGE);
    judge.require(missing == Err(Errno::NOENT), Verdict::Lost, || {
        format!("EXCHANGE with no name returned {missing:?}")
    });
    let inside = fs::read_dir(&other)?.count();
    judge.require(inside == 1, Verdict::Lost, || {
        format!("{inside} names are in the directory that had one")
    });
    Ok(judge.outcome())
}

fn links_end_at_the_limit_with_an_error(stage: &Stage<'_>) -> Result<Outcome> {
    const MOST: u64 = 33_000;
    if Device::of(&File::open(stage.dir()?)?).is_ok_and(|device| device.is_served()) {
        return Err(skip(format!(
            "an NFS server writes each link down before it answers, and {MOST} take minutes"
        )));
    }
    let scratch = Scratch::new(stage)?;
    let mut judge = Judge::new();
    let first = scratch.join("first");
    touch(&first)?;
    // In directories of some hundred names: this is not about large ones.
    let name = |number: u64| scratch.join(format!("{}/{number}", number / 500));
    let mut links = 1;
    let error = loop {
        if links > MOST {
            return Err(skip(format!("{MOST} links are not enough")));
        }
        if links % 500 == 0 || links == 1 {
            fs::create_dir(scratch.join(format!("{}", links / 500)))?;
        }
        match fs::hard_link(&first, name(links)) {
            Ok(()) => links += 1,
            Err(error) => break error,
        }
    };
    judge.fact(format!("{links} links"));
    judge.require(
        error.raw_os_error() == Some(libc::EMLINK),
        Verdict::Error,
        || format!("one link too many returned {error}"),
    );
    let found = fs::metadata(&first)?.nlink();
    judge.require(found == links, Verdict::Stale, || {
        format!("{found} links are counted, not {links}")
    });
    fs::remove_file(name(links / 2))?;
    fs::hard_link(&first, name(links)).context("linking again after a name was removed")?;
    let found = fs::metadata(&first)?.nlink();
    judge.require(found == links, Verdict::Stale, || {
        format!("{found} links are counted after one was replaced, not {links}")
    });
    Ok(judge.outcome())
}
