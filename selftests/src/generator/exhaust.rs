// SPDX-License-Identifier: GPL-2.0

//! Uses up what a small file system has: its blocks, its inodes, and the room for names. Nothing
//! may be lost, what fails must leave nothing behind, and in the end as much is free as before.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::FileType;
use rustix::fs::Mode;
use rustix::fs::OFlags;
use rustix::io::Errno;

use super::content::Content;
use super::content::pattern;
use super::free;
use crate::mount::Mount;

/// The directory in which everything happens.
const WORK: &str = "work";

/// How many bytes are written at a time, in turn; with one byte the last block is found.
const SIZES: [usize; 5] = [1_000, 10_000, 4_096, 65_536, 1];

/// A file that is filled, and what it must hold.
struct Filled {
    path: PathBuf,
    file: File,
    content: Content,
}

/// Uses up one thing in a directory; says what must be the same for every file system.
type Exhaust = fn(&Path) -> Result<String>;

/// Uses up one thing after the other in `dir`, where a file system is mounted that nobody else
/// works on. Returns what must be the same for every file system of this format.
pub fn run(dir: &Path) -> Result<String> {
    let mut facts = Vec::new();
    let tries: [(&str, Exhaust); 3] = [("blocks", blocks), ("inodes", inodes), ("names", names)];
    for (what, exhaust) in tries {
        let before = free(dir)?;
        let work = dir.join(WORK);
        fs::create_dir(&work).with_context(|| format!("making {}", work.display()))?;
        let fact = exhaust(&work).with_context(|| format!("using up {what}"))?;
        fs::remove_dir_all(&work).context("removing everything")?;
        let after = free(dir)?;
        ensure!(
            before == after,
            "after using up {what} {after:?} blocks and inodes are free, before it {before:?}"
        );
        facts.push(fact);
    }
    Ok(facts.join("\n"))
}

/// Writes to several files in turn until no block is left.
fn blocks(work: &Path) -> Result<String> {
    let names = ["a", "b", "c", "d"];
    let files = names.map(|name| Filled::new(work.join(name)));
    let mut files = files.into_iter().collect::<Result<Vec<_>>>()?;
    let sparse = Filled::new(work.join("sparse"))?;
    let mut seed = 0;
    for size in SIZES {
        let mut stuck = 0;
        while stuck < files.len() {
            stuck = 0;
            for file in &mut files {
                seed += 1;
                stuck += usize::from(!file.append(size, seed)?);
            }
        }
    }
    let (left, inodes) = free(work)?;
    ensure!(left == 0, "{left} blocks are free on a disk that is full");

    no_space("a write into a hole", sparse.file.write_at(&[1], 1 << 20))?;
    ensure!(
        sparse.file.metadata()?.len() == 0,
        "what failed made the file larger"
    );
    no_space("mkdir", fs::create_dir(work.join("dir")))?;
    no_space("a slow link", symlink("t".repeat(200), work.join("link")))?;
    ensure!(
        free(work)? == (0, inodes),
        "what failed took a block or an inode"
    );
    symlink("fast", work.join("link")).context("a link without a block")?;
    for file in &mut files {
        let bytes = pattern(seed, 700);
        let written = file
            .file
            .write_at(&bytes, 300)
            .context("writing over what is there")?;
        file.content.write(300, &bytes[..written]);
    }
    for file in &files {
        file.check()?;
        file.file.sync_all().context("syncing")?;
    }
    let paths: Vec<_> = files.into_iter().map(Filled::close).collect();
    drop(sparse);
    let mounted = work.parent().context("there is no parent")?;
    Mount::of(mounted)
        .and_then(|mount| mount.again())
        .context("unmounting and mounting")?;
    for (path, content) in paths {
        let file = OpenOptions::new().read(true).write(true).open(&path)?;
        Filled {
            path,
            file,
            content,
        }
        .check()
        .context("after unmounting")?;
    }
    Ok("blocks: none is left".to_owned())
}

/// Makes files until no inode is left.
fn inodes(work: &Path) -> Result<String> {
    let (_, left) = free(work)?;
    for number in 0..left {
        let path = work.join(format!("file {number}"));
        File::create_new(path).with_context(|| format!("making file {number} of {left}"))?;
    }
    let (blocks, left_now) = free(work)?;
    ensure!(
        left_now == 0,
        "{left_now} inodes are free after {left} files"
    );
    let path = |name: &str| work.join(name);
    no_space("creat", File::create_new(path("new")))?;
    no_space("mkdir", fs::create_dir(path("new")))?;
    no_space("symlink", symlink("fast", path("new")))?;
    let mode = Mode::from_bits_retain(0o600);
    let fifo = rustix::fs::mknodat(CWD, path("new"), FileType::Fifo, mode, 0);
    no_space("mknod", fifo.map_err(io::Error::from))?;
    let nameless = rustix::fs::open(work, OFlags::TMPFILE | OFlags::RDWR, mode);
    no_space("a file without a name", nameless.map_err(io::Error::from))?;
    ensure!(!path("new").exists(), "a name was left behind");
    ensure!(free(work)? == (blocks, 0), "what failed took a block");

    fs::hard_link(path("file 0"), path("link")).context("a link without an inode")?;
    fs::remove_file(path("file 1")).context("removing a file")?;
    fs::create_dir(path("dir")).context("making a directory of a free inode")?;
    fs::rename(path("file 2"), path("dir/file")).context("renaming")?;
    ensure!(
        fs::metadata(path("link"))?.nlink() == 2,
        "the link count is wrong"
    );
    let found = fs::read_dir(work)?.count() as u64;
    ensure!(found == left, "{found} names are there, and not {left}");
    Ok(format!("inodes: {left} files"))
}

/// Makes names until the directory cannot grow any more.
fn names(work: &Path) -> Result<String> {
    let (dir, other) = (work.join("dir"), work.join("other"));
    fs::create_dir(&dir)?;
    fs::create_dir(&other)?;
    let mut ballast = Filled::new(work.join("ballast"))?;
    let target = work.join("target");
    File::create(&target)?;
    for (seed, size) in (1..).zip(SIZES) {
        while ballast.append(size, seed)? {}
    }
    // A few blocks are left for the directory. That many bytes are in no tree's first blocks.
    let size = ballast.content.size() - 6 * 4096;
    ballast.content.truncate(size);
    ballast.file.set_len(size).context("cutting the ballast")?;

    let name = |number: u64| dir.join(format!("{number}-{}", "n".repeat(180)));
    let mut count = 0;
    loop {
        match fs::hard_link(&target, name(count)) {
            Ok(()) => count += 1,
            Err(error) if is_no_space(&error) => break,
            Err(error) => return Err(error).context("making a link"),
        }
    }
    let inodes = free(work)?;
    let long = dir.join("m".repeat(255));
    no_space("a new file", File::create_new(&long))?;
    no_space("mkdir", fs::create_dir(&long))?;
    let outside = other.join("outside");
    fs::hard_link(&target, &outside).context("making a link elsewhere")?;
    no_space(
        "renaming into a full directory",
        fs::rename(&outside, &long),
    )?;
    ensure!(
        outside.exists() && !long.exists(),
        "a rename that failed was done"
    );
    ensure!(
        free(work)? == inodes,
        "what failed took a block or an inode"
    );
    fs::rename(&outside, name(0)).context("renaming what is another name of it")?;
    fs::remove_file(&outside).context("removing the other name")?;

    let found = fs::read_dir(&dir)?.count() as u64;
    ensure!(found == count, "{found} names are there, and not {count}");
    let links = fs::metadata(&target)?.nlink();
    ensure!(links == count + 1, "{links} links, and not {}", count + 1);
    for number in 0..count {
        let found = fs::symlink_metadata(name(number));
        found.with_context(|| format!("looking for name {number}"))?;
    }
    fs::remove_file(name(0)).context("removing a name")?;
    rustix::fs::linkat(CWD, &target, CWD, name(0), AtFlags::empty()).context("using its room")?;
    ballast.check()?;
    Ok(format!("names: {count} links"))
}

impl Filled {
    fn new(path: PathBuf) -> Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create_new(true);
        let file = options.open(&path);
        let file = file.with_context(|| format!("making {}", path.display()))?;
        Ok(Self {
            path,
            file,
            content: Content::default(),
        })
    }

    /// Writes at the end. False if there is no space; then a part may have been written.
    fn append(&mut self, size: usize, seed: u64) -> Result<bool> {
        let bytes = pattern(seed, size);
        match rustix::io::pwrite(self.file.as_fd(), &bytes, self.content.size()) {
            Ok(count) => {
                self.content.write(self.content.size(), &bytes[..count]);
                Ok(count == size)
            }
            Err(Errno::NOSPC) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("writing {}", self.path.display())),
        }
    }

    /// Compares all of it.
    fn check(&self) -> Result<()> {
        let path = self.path.display();
        let size = self.file.metadata()?.len();
        ensure!(
            size == self.content.size(),
            "{path} has {size} bytes, and not {}",
            self.content.size()
        );
        let mut at = 0;
        while at < size {
            let wanted = self.content.read(at, 65_536);
            let mut found = vec![0; wanted.len()];
            self.file.read_exact_at(&mut found, at)?;
            ensure!(
                wanted == found,
                "{path} has other bytes in the 64 KiB from {at}"
            );
            at += wanted.len() as u64;
        }
        Ok(())
    }

    /// Closes it.
    fn close(self) -> (PathBuf, Content) {
        (self.path, self.content)
    }
}

fn is_no_space(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOSPC)
}

/// The disk must be too full for what was tried.
fn no_space<T>(what: &str, result: io::Result<T>) -> Result<()> {
    match result {
        Err(error) if is_no_space(&error) => Ok(()),
        Err(error) => Err(error).context(format!("{what} on a full disk")),
        Ok(_) => bail!("{what} succeeded on a full disk"),
    }
}
