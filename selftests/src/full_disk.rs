// SPDX-License-Identifier: GPL-2.0

//! A file system without free space, for as long as a claim wants it.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;

use crate::sys;
use crate::verdict::skip;

/// The name of the file that takes up the space; it has none as soon as it is open.
const NAME: &str = "full-disk.tmp";

/// More is not filled: this is somebody's real disk, or would take too long.
const MOST: u64 = 256 << 20;

/// Bytes written at once, ever fewer as space gets scarce.
const CHUNKS: [usize; 4] = [1 << 20, 64 << 10, 4 << 10, 1 << 10];

/// While it lives, the file system is full, even for root.
#[derive(Debug)]
pub struct FullDisk {
    /// Open and unlinked: the space is free again whatever becomes of this process.
    filler: File,
}

impl FullDisk {
    /// Fills the file system that holds `dir`, or skips the claim.
    pub fn new(dir: &Path) -> Result<Self> {
        let path = dir.join(NAME);
        let created = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path);
        let filler = created.map_err(|error| skip(format!("no file can be created: {error}")))?;
        std::fs::remove_file(&path).with_context(|| format!("unlinking {}", path.display()))?;
        let free = sys::free_space(&filler).context("asking for free space")?;
        if free > MOST {
            return Err(skip(format!("{} MiB are too many to fill", free >> 20)));
        }
        let full = Self { filler };
        full.fill().context("filling the disk")?;
        Ok(full)
    }

    fn fill(&self) -> io::Result<()> {
        let mut at = 0;
        for chunk in CHUNKS {
            let bytes = vec![0x5a; chunk];
            loop {
                match self.filler.write_at(&bytes, at) {
                    Ok(count) => at += count as u64,
                    Err(error) if error.raw_os_error() == Some(libc::ENOSPC) => break,
                    Err(error) => return Err(error),
                }
            }
        }
        self.filler.sync_all()
    }
}
