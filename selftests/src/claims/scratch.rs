// SPDX-License-Identifier: GPL-2.0

//! A directory of a claim's own.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;

use crate::registry::Stage;

/// An empty directory for the claim; removed, with all that is in it, when it is dropped.
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes it anew.
    pub(super) fn new(stage: &Stage<'_>) -> Result<Self> {
        let path = stage
            .dir()?
            .join(format!("{}.d", stage.claim.id.to_lowercase()));
        if path.exists() {
            fs::remove_dir_all(&path).context("removing what an earlier run left")?;
        }
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Self(path))
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The path of a name in it.
    pub(super) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes an empty file.
pub(super) fn touch(path: &Path) -> Result<()> {
    File::create_new(path)
        .map(drop)
        .with_context(|| format!("making {}", path.display()))
}
