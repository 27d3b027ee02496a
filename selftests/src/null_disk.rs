// SPDX-License-Identifier: GPL-2.0

//! Disks of memory with a cache of their own, as the kernel's `null_blk` makes them.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;

use rustix::io::Errno;
use rustix::mount::MountFlags;

use crate::verdict::skip;

/// Where the kernel takes what is to be made.
const CONFIGFS: &str = "/sys/kernel/config";

/// Its size, and that of its cache, in MiB.
const SIZE: &str = "64";
const CACHE: &str = "4";

/// A disk that keeps what is written in a cache until it is flushed, and can be told to write around that
/// (`FUA`). It goes when this is dropped; nothing of it is mounted then.
#[derive(Debug)]
pub struct NullDisk {
    config: PathBuf,
}

impl NullDisk {
    /// Makes one, or skips the claim.
    pub fn new() -> anyhow::Result<Self> {
        let refused = |error: io::Error| skip(format!("no null_blk disk can be had: {error}"));
        let root = Path::new(CONFIGFS);
        if !root.join("nullb").exists() {
            match rustix::mount::mount("none", root, "configfs", MountFlags::empty(), None) {
                Ok(()) | Err(Errno::BUSY) => {}
                Err(error) => return Err(refused(error.into())),
            }
        }
        let name = format!("cohfs-{}", std::process::id());
        let config = root.join("nullb").join(name);
        fs::create_dir(&config).map_err(refused)?;
        let disk = Self { config };
        for (attribute, value) in [
            ("size", SIZE),
            ("memory_backed", "1"),
            ("cache_size", CACHE),
            ("fua", "1"),
            ("power", "1"),
        ] {
            fs::write(disk.config.join(attribute), value).map_err(refused)?;
        }
        Ok(disk)
    }

    /// Its node in `/dev`.
    pub fn node(&self) -> PathBuf {
        // The driver calls it as its directory is called.
        Path::new("/dev").join(self.config.file_name().unwrap_or_default())
    }
}

impl Drop for NullDisk {
    fn drop(&mut self) {
        // Best effort: what is left is memory of a machine that ends soon.
        let _ = fs::write(self.config.join("power"), "0");
        let _ = fs::remove_dir(&self.config);
    }
}
