// SPDX-License-Identifier: GPL-2.0

//! A file system to measure on, and the files that scenarios keep there.

use std::fs::File;
use std::fs::OpenOptions;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::mount::Mount;
use crate::sys;
use crate::verdict::skip;

/// A directory of a file system under a name.
#[derive(Debug)]
pub struct Place {
    name: String,
    dir: PathBuf,
}

impl Place {
    /// Takes `dir` as it is.
    ///
    /// # Errors
    ///
    /// It is not a directory.
    pub fn new(name: &str, dir: &Path) -> Result<Self> {
        anyhow::ensure!(dir.is_dir(), "{} is not a directory", dir.display());
        Ok(Self {
            name: name.to_owned(),
            dir: dir.to_owned(),
        })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The path of `name` in the directory.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The directory.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is mounted on the directory, or a skip.
    pub(super) fn mount(&self) -> Result<Mount> {
        Mount::of(&self.dir).map_err(|error| skip(format!("not mounted: {error}")))
    }

    /// Makes an empty file, or empties it.
    pub(super) fn empty(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .with_context(|| format!("creating {}", path.display()))
    }

    /// The file of `len` bytes, none of them a hole. It stays for later rounds.
    pub(super) fn filled(&self, len: usize) -> Result<Filled> {
        let name = format!("filled-{len}");
        let path = self.path(&name);
        let there = path.metadata().is_ok_and(|meta| meta.len() == len as u64);
        let file = if there {
            OpenOptions::new().read(true).write(true).open(&path)?
        } else {
            self.empty(&name)?
        };
        if !there {
            let piece = vec![0xA5; len.min(1 << 20)];
            for at in (0..len).step_by(piece.len()) {
                file.write_all_at(&piece[..piece.len().min(len - at)], at as u64)?;
            }
        }
        file.sync_all()?;
        let direct = self.open_direct(&name)?;
        Ok(Filled { file, direct, len })
    }

    /// Opens a file for direct I/O, or skips the scenario.
    pub(super) fn open_direct(&self, name: &str) -> Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(self.path(name))
            .map_err(|error| skip(format!("direct I/O: {error}")))
    }
}

/// A file whose blocks are all there.
#[derive(Debug)]
pub(super) struct Filled {
    /// Opened for buffered I/O.
    pub(super) file: File,
    /// Opened for direct I/O.
    pub(super) direct: File,
    /// Its size in bytes.
    pub(super) len: usize,
}

impl Filled {
    /// Has nothing of it in the page cache.
    pub(super) fn chill(&self) -> Result<()> {
        self.file.sync_all()?;
        for _ in 0..100 {
            sys::drop_cache(&self.file)?;
            if sys::cachestat(&self.file, 0, 0)?.cached == 0 {
                return Ok(());
            }
            std::thread::yield_now();
        }
        Err(skip("the cache cannot be emptied"))
    }

    /// Has all of it in the page cache and clean, as somebody leaves it who read it from end to
    /// end.
    pub(super) fn warm(&self) -> Result<()> {
        self.chill()?;
        self.read_all()
    }

    /// Reads it from end to end.
    pub(super) fn read_all(&self) -> Result<()> {
        let mut piece = vec![0; self.len.min(1 << 20)];
        for at in (0..self.len).step_by(piece.len()) {
            let len = piece.len().min(self.len - at);
            self.file.read_exact_at(&mut piece[..len], at as u64)?;
        }
        Ok(())
    }

    /// Maps all of it.
    pub(super) fn map(&self) -> Result<Mapping> {
        Mapping::with_readahead(&self.file, self.len, Share::Shared).context("mapping the file")
    }
}

/// The nanoseconds that `work` takes for each of `count`.
pub(super) fn per(count: usize, work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_nanos() as f64 / count as f64)
}
