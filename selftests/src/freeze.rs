// SPDX-License-Identifier: GPL-2.0

//! A file system that is frozen, as for a snapshot of the disk under it.

use std::fs::File;
use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;

use crate::sys;
use crate::verdict::skip;

/// While it lives, nothing of the file system changes on the disk, and who would change it waits.
#[derive(Debug)]
pub struct Frozen(File);

impl Frozen {
    /// Waits for what is being written, and freezes the file system of `dir`; or skips the claim.
    pub fn new(dir: &Path) -> Result<Self> {
        let dir = File::open(dir).context("opening the directory")?;
        match sys::freeze(&dir) {
            Ok(()) => Ok(Self(dir)),
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::EPERM | libc::ENOTTY)
                ) =>
            {
                Err(skip(format!("the file system cannot be frozen: {error}")))
            }
            Err(error) => Err(error).context("freezing"),
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // Best effort: if it fails the next claim hangs, and says so.
        let _ = sys::thaw(&self.0);
    }
}

/// Thaws the file system of `dir`, for a claim that hangs and may have frozen it.
pub fn clear(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        // Best effort: it fails if nothing is frozen.
        let _ = sys::thaw(&dir);
    }
}
