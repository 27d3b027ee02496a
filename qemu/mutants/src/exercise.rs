// SPDX-License-Identifier: GPL-2.0

//! What is done on a damaged file system: every name is looked at, every file read, and then names
//! and files are made, changed and removed. It goes on after errors, and ends: what is damaged may
//! be without end.

use std::fmt;
use std::fs::{self, DirEntry, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, RenameFlags};

/// How many names are looked at, and how deep.
const NAMES: usize = 2_000;
const DEPTH: usize = 20;

/// How many directories, and how many files, are worked on.
const WORK: usize = 12;

/// How much of a file is read from each end, in bytes.
const READ: u64 = 512 << 10;

/// What a file system came to.
#[derive(Debug, Default)]
pub(crate) struct Exercise {
    names: usize,
    done: usize,
    failed: usize,
    directories: Vec<PathBuf>,
    files: Vec<PathBuf>,
}

impl fmt::Display for Exercise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mounted, {} names, {} calls succeeded, {} failed",
            self.names, self.done, self.failed
        )
    }
}

impl Exercise {
    /// Works on the file system that is mounted on `root`.
    pub(crate) fn run(root: &Path) -> Self {
        let mut exercise = Self::default();
        exercise.walk(root, 0);
        // What was read may still be in memory; what follows meets the disk as well.
        let _ = fs::write("/proc/sys/vm/drop_caches", "3");
        for file in exercise.files.clone().iter().take(WORK) {
            exercise.change(file);
        }
        for directory in exercise.directories.clone().iter().take(WORK) {
            exercise.fill(directory);
        }
        exercise.note(sync(root));
        exercise
    }

    /// Counts a result and passes on what it brought.
    fn note<T>(&mut self, result: io::Result<T>) -> Option<T> {
        match result {
            Ok(value) => {
                self.done += 1;
                Some(value)
            }
            Err(_) => {
                self.failed += 1;
                None
            }
        }
    }

    fn walk(&mut self, directory: &Path, depth: usize) {
        self.directories.push(directory.to_owned());
        let Some(entries) = self.note(fs::read_dir(directory)) else {
            return;
        };
        for entry in entries {
            // An iterator that gave an error gives no more.
            let Some(entry) = self.note(entry) else {
                return;
            };
            self.names += 1;
            if self.names > NAMES {
                return;
            }
            self.look(&entry, depth);
        }
    }

    fn look(&mut self, entry: &DirEntry, depth: usize) {
        let path = entry.path();
        let Some(meta) = self.note(fs::symlink_metadata(&path)) else {
            return;
        };
        let kind = meta.file_type();
        if kind.is_dir() {
            if depth < DEPTH {
                self.walk(&path, depth + 1);
            }
        } else if kind.is_symlink() {
            self.note(fs::read_link(&path));
        } else if kind.is_file() {
            self.note(read(&path, meta.size()));
            self.files.push(path);
        }
        // Nothing else is opened: a device may be any device.
    }

    /// Changes a file that was there, and removes it.
    fn change(&mut self, path: &Path) {
        let opened = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags())
            .open(path);
        if let Some(file) = self.note(opened) {
            self.note(file.write_all_at(&[0x5a; 3_000], 0));
            let size = self.note(file.metadata()).map_or(0, |meta| meta.len());
            self.note(file.write_all_at(&[0xa5; 5_000], size.min(1 << 30)));
            self.note(file.sync_all());
            self.note(file.set_len(size / 2));
            self.note(file.write_all_at(&[0x11; 2_000], size / 4));
            self.note(file.set_len(0));
        }
        self.note(fs::hard_link(path, path.with_extension("link")));
        self.note(fs::remove_file(path));
    }

    /// Makes names of each kind in a directory, and removes most of them.
    fn fill(&mut self, directory: &Path) {
        let at = |name: &str| directory.join(name);
        for number in 0..4 {
            if let Some(file) = self.note(File::create_new(at(&format!("new-{number}")))) {
                self.note(file.write_all_at(&[number; 20_000], 0));
                // Past the direct blocks, and past those of one and of two levels.
                self.note(file.write_all_at(&[number; 700], 80 << 20));
                self.note(file.write_all_at(&[number; 700], 400_000));
                self.note(file.set_len(300_000));
            }
        }
        self.note(fs::create_dir(at("new-dir")));
        self.note(symlink("x".repeat(200), at("new-link")));
        self.note(fs::rename(at("new-0"), at("new-dir/moved")));
        self.note(fs::rename(at("new-1"), at("new-2")));
        let exchanged = rustix::fs::renameat_with(
            rustix::fs::CWD,
            at("new-2"),
            rustix::fs::CWD,
            at("new-dir"),
            RenameFlags::EXCHANGE,
        );
        self.note(exchanged.map_err(io::Error::from));
        for number in 0..40 {
            let name = at(&format!("{number:0>200}"));
            self.note(fs::hard_link(at("new-3"), name));
        }
        for number in (0..40).step_by(2) {
            self.note(fs::remove_file(at(&format!("{number:0>200}"))));
        }
        self.note(fs::remove_file(at("new-link")));
        self.note(fs::remove_dir(at("new-dir")));
    }
}

/// Reads both ends of a file.
fn read(path: &Path, size: u64) -> io::Result<()> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags())
        .open(path)?;
    let mut buffer = vec![0; 64 << 10];
    let step = u64::try_from(buffer.len()).unwrap_or(u64::MAX);
    for start in [0, size.saturating_sub(READ)] {
        let mut at = start;
        while at < start + READ && file.read_at(&mut buffer, at)? != 0 {
            at += step;
        }
    }
    Ok(())
}

fn sync(root: &Path) -> io::Result<()> {
    let root = rustix::fs::open(root, OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty())?;
    Ok(rustix::fs::syncfs(root)?)
}

/// What is opened must not be something else by now, nor keep us waiting.
fn flags() -> i32 {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    i32::try_from(flags.bits()).unwrap_or_default()
}
