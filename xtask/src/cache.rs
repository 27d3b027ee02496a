// SPDX-License-Identifier: GPL-2.0

//! The cache outside the repository: packages, unpacked sources, built kernels, tools.
//!
//! Every entry is a directory with a lock file beside it and a marker inside. Work is done
//! in place, under the lock; the marker is renamed into being as the very last step. An
//! interrupted build therefore is neither mistaken for a finished one nor started over:
//! `make` continues where it was. Two programs that want one entry take turns.

use crate::progress::Ui;
use anyhow::{Context as _, Result};
use rustix::fs::{FlockOperation, flock};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The name of the marker that says an entry is complete.
const MARKER: &str = "cohfs-complete.json";

/// The cache directory.
#[derive(Clone, Debug)]
pub(crate) struct Cache {
    root: PathBuf,
}

impl Cache {
    /// `$COHFS_CACHE_DIR`, or `cohfs` in the user's cache directory.
    pub(crate) fn from_env() -> Result<Self> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let root = set("COHFS_CACHE_DIR")
            .map(PathBuf::from)
            .or_else(|| set("XDG_CACHE_HOME").map(|dir| PathBuf::from(dir).join("cohfs")))
            .or_else(|| set("HOME").map(|dir| PathBuf::from(dir).join(".cache/cohfs")))
            .ok_or_else(|| {
                crate::exit::missing("neither COHFS_CACHE_DIR, XDG_CACHE_HOME nor HOME is set")
            })?;
        let root = std::path::absolute(&root)?;
        std::fs::create_dir_all(&root)
            .with_context(|| format!("creating the cache directory {}", root.display()))?;
        Ok(Self { root })
    }

    /// The directory itself.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the cache.
    pub(crate) fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Opens the entry `relative` under its lock, as [`Entry::open`] does.
    pub(crate) fn entry(&self, relative: impl AsRef<Path>, ui: &Ui) -> Result<Entry> {
        Entry::open(self.path(relative), ui)
    }
}

fn lock_path(dir: &Path) -> PathBuf {
    let mut name = dir.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// What the marker of a complete entry says, or `None` if `dir` is not complete.
pub(crate) fn read_marker<T: DeserializeOwned>(dir: &Path) -> Option<T> {
    serde_json::from_slice(&std::fs::read(dir.join(MARKER)).ok()?).ok()
}

/// A directory under its exclusive lock, which ends with this value.
#[must_use]
pub(crate) struct Entry {
    dir: PathBuf,
    _lock: File,
}

impl Entry {
    /// Takes the lock of the directory `dir`, creating both. Waits, saying so, while
    /// somebody else works on it.
    pub(crate) fn open(dir: PathBuf, ui: &Ui) -> Result<Self> {
        let lock = lock_path(&dir);
        let create = || {
            std::fs::create_dir_all(&dir)
                .with_context(|| format!("creating the directory {}", dir.display()))
        };
        create()?;
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&lock)
            .with_context(|| format!("opening the lock {}", lock.display()))?;
        if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
            let mut holder = String::new();
            file.read_to_string(&mut holder)?;
            let holder = holder.trim();
            let _step = ui.step(
                "Waiting",
                format!("process {holder} is at work in {}", dir.display()),
            );
            flock(&file, FlockOperation::LockExclusive)
                .with_context(|| format!("waiting for the lock {}", lock.display()))?;
        }
        file.set_len(0)?;
        file.rewind()?;
        write!(file, "{}", std::process::id())?;
        // Whoever cleared the cache meanwhile took the directory, but not the lock.
        create()?;
        Ok(Self { dir, _lock: file })
    }

    /// The entry's directory.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes everything in the entry, to begin anew.
    pub(crate) fn empty(&self) -> Result<()> {
        std::fs::remove_dir_all(&self.dir)
            .and_then(|()| std::fs::create_dir_all(&self.dir))
            .with_context(|| format!("emptying {}", self.dir.display()))
    }

    /// What was said when the entry was completed, or `None`.
    pub(crate) fn complete<T: DeserializeOwned>(&self) -> Option<T> {
        read_marker(&self.dir)
    }

    /// Marks the entry complete.
    pub(crate) fn mark_complete(&self, what: &impl Serialize) -> Result<()> {
        write_atomically(
            &self.dir.join(MARKER),
            &serde_json::to_vec_pretty(what).context("describing a cache entry")?,
        )
    }
}

/// Replaces `path` by `bytes` in one step: a reader sees the old file or the new one.
pub(crate) fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let doing = || format!("writing {}", path.display());
    let mut file = tempfile::NamedTempFile::new_in(dir).with_context(doing)?;
    file.write_all(bytes).with_context(doing)?;
    file.as_file()
        .set_permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .with_context(doing)?;
    file.persist(path).with_context(doing)?;
    Ok(())
}

/// The SHA-256 of a file, in lower-case hexadecimal.
pub(crate) fn sha256_file(path: &Path) -> Result<String> {
    let doing = || format!("reading {} to check it", path.display());
    let mut file = File::open(path).with_context(doing)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).with_context(doing)?;
        if count == 0 {
            return Ok(hex(&hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
    }
}

/// A short key over several parts; their order and their boundaries matter.
pub(crate) fn key(parts: &[&str]) -> String {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update((part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    hex(&hasher.finalize())[..16].to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scratch() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache {
            root: dir.path().to_owned(),
        };
        (dir, cache)
    }

    #[test]
    fn an_entry_is_complete_only_once_it_was_marked() {
        let (_dir, cache) = scratch();
        let entry = cache.entry("kernel/abc", &Ui::new()).unwrap();
        assert_eq!(entry.complete::<String>(), None);
        entry.mark_complete(&"7.3.4").unwrap();
        assert_eq!(entry.complete::<String>().as_deref(), Some("7.3.4"));
        entry.empty().unwrap();
        assert_eq!(entry.complete::<String>(), None);
    }

    #[test]
    fn a_second_taker_waits_for_the_first() {
        let (_dir, cache) = scratch();
        let first = cache.entry("src/x", &Ui::new()).unwrap();
        let other = cache.clone();
        let second = std::thread::spawn(move || {
            let entry = other.entry("src/x", &Ui::new()).unwrap();
            entry.complete::<u32>()
        });
        std::thread::sleep(std::time::Duration::from_millis(50));
        first.mark_complete(&7_u32).unwrap();
        drop(first);
        assert_eq!(second.join().unwrap(), Some(7));
    }

    #[test]
    fn hashes_are_the_standard_ones() {
        let (dir, _cache) = scratch();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        assert_eq!(
            sha256_file(&path).unwrap(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn keys_tell_boundaries_apart() {
        assert_ne!(key(&["ab", "c"]), key(&["a", "bc"]));
        assert_eq!(key(&["a"]).len(), 16);
    }
}
