// SPDX-License-Identifier: GPL-2.0

//! `kernel.lock`: which kernel source everybody tests with.

use crate::cache::write_atomically;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// A package of kernel source, named down to its bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Pin {
    /// The suite of the archive it was found in.
    pub(crate) suite: String,
    /// The package, such as `linux-source-7.3`.
    pub(crate) package: String,
    /// The package's version.
    pub(crate) version: String,
    /// The size of the package in bytes.
    pub(crate) size: u64,
    /// The SHA-256 of the package.
    pub(crate) sha256: String,
}

impl Pin {
    /// Where the pin lies in the repository.
    pub(crate) fn path(repo: &Path) -> PathBuf {
        repo.join("kernel.lock")
    }

    /// Reads the repository's pin.
    pub(crate) fn read(repo: &Path) -> Result<Self> {
        let path = Self::path(repo);
        let text = std::fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("understanding {}", path.display()))
    }

    /// Replaces the repository's pin.
    pub(crate) fn write(&self, repo: &Path) -> Result<()> {
        let mut text = serde_json::to_string_pretty(self).context("describing the pin")?;
        text.push('\n');
        write_atomically(&Self::path(repo), text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_survives_being_written() {
        let dir = tempfile::tempdir().unwrap();
        let pin = Pin {
            suite: "stable-backports".into(),
            package: "linux-source-7.3".into(),
            version: "7.3.4-1".into(),
            size: 5,
            sha256: "ab".into(),
        };
        pin.write(dir.path()).unwrap();
        assert_eq!(Pin::read(dir.path()).unwrap(), pin);
    }

    #[test]
    fn the_repository_holds_a_sound_pin() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let pin = Pin::read(repo).unwrap();
        assert_eq!(pin.sha256.len(), 64);
        assert!(pin.package.starts_with("linux-source-"));
    }
}
