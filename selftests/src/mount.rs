// SPDX-License-Identifier: GPL-2.0

//! Unmounts a file system and mounts it again as it was or otherwise; or makes another, and mounts that.

use std::ffi::CStr;
use std::ffi::CString;
use std::fs::File;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::process::Command;
use std::process::Stdio;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::ensure;
use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::Timespec;
use rustix::fs::Timestamps;
use rustix::fs::UTIME_NOW;
use rustix::io::Errno;
use rustix::mount::MountFlags;
use rustix::mount::UnmountFlags;

use crate::sys;
use crate::verdict::skip;

/// How long the kernel may hold a file after its last user: khugepaged does, while it looks at a
/// mapping of it, and so does io_uring, until a work item has cleaned up.
const PATIENCE: Duration = Duration::from_secs(20);

/// What is mounted on a directory.
#[derive(Debug)]
pub struct Mount {
    dir: PathBuf,
    source: PathBuf,
    kind: String,
    flags: MountFlags,
    options: CString,
    /// Flags and options as they stand in the table, and what else is told there.
    shown: String,
}

/// Options that are not the file system's own.
const FLAGS: [(&str, MountFlags); 13] = [
    ("rw", MountFlags::empty()),
    ("async", MountFlags::empty()),
    ("relatime", MountFlags::empty()),
    ("ro", MountFlags::RDONLY),
    ("nosuid", MountFlags::NOSUID),
    ("nodev", MountFlags::NODEV),
    ("noexec", MountFlags::NOEXEC),
    ("noatime", MountFlags::NOATIME),
    ("nodiratime", MountFlags::NODIRATIME),
    ("sync", MountFlags::SYNCHRONOUS),
    ("dirsync", MountFlags::DIRSYNC),
    // What ext4 shows of its state.
    (BROKEN, MountFlags::empty()),
    ("shutdown", MountFlags::empty()),
];

/// How ext4 shows that it is read-only because its journal could not be written.
const BROKEN: &str = "emergency_ro";

impl Mount {
    /// Looks at what is mounted on `dir`; `EINVAL` if nothing is, as `umount(2)` says it.
    pub fn of(dir: &Path) -> Result<Self, Errno> {
        let table = std::fs::read_to_string("/proc/self/mounts").map_err(|_| Errno::IO)?;
        let last = table.lines().rev().find_map(|line| Self::read(line, dir));
        last.ok_or(Errno::INVAL)
    }

    /// Reads a line of `/proc/self/mounts`.
    fn read(line: &str, dir: &Path) -> Option<Self> {
        let mut words = line.split(' ');
        let (source, at, kind, shown) =
            (words.next()?, words.next()?, words.next()?, words.next()?);
        let (flags, options) = split(shown).ok()?;
        (Path::new(at) == dir).then(|| Self {
            dir: dir.to_owned(),
            source: source.into(),
            kind: kind.to_owned(),
            flags,
            options,
            shown: shown.to_owned(),
        })
    }

    /// Unmounts and mounts. What could not be unmounted stays mounted.
    pub fn again(&self) -> Result<(), Errno> {
        // A loop device that nobody has open goes when it is unmounted.
        let _held = File::open(&self.source);
        self.unmount()?;
        self.remake()
    }

    /// Mounts it as it was; nothing of it is mounted.
    pub fn remake(&self) -> Result<(), Errno> {
        let options = Some(self.options.as_c_str());
        rustix::mount::mount(&self.source, &self.dir, &*self.kind, self.flags, options)
    }

    /// Remounts with `options`; it is mounted for writing unless `ro` is among them.
    pub fn change(&self, options: &str) -> Result<(), Errno> {
        let (flags, options) = split(options)?;
        rustix::mount::mount_remount(&self.dir, flags, options.as_c_str())
    }

    /// Has `work` done on the device while nothing of it is mounted.
    pub fn with_device(&self, work: impl FnOnce(&File) -> io::Result<()>) -> anyhow::Result<()> {
        self.unmount().context("unmounting it")?;
        let done = File::options()
            .read(true)
            .write(true)
            .open(&self.source)
            .and_then(|device| {
                // What an earlier claim had fail is told to the first who asks: not to us.
                let _ = device.sync_all();
                work(&device)?;
                device.sync_all()
            });
        self.remake().context("mounting it again")?;
        done.with_context(|| format!("writing {}", self.source.display()))
    }

    /// Mounts again what is read-only because an error broke it: ext4, which says so.
    pub fn mend(&self) -> Result<(), Errno> {
        if !["ext3", "ext4"].contains(&&*self.kind) {
            return Ok(());
        }
        // It may give its journal up when that is next written out, and finds out the time after.
        let now = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_NOW,
        };
        let now = Timestamps {
            last_access: now,
            last_modification: now,
        };
        for _ in 0..2 {
            let _ = rustix::fs::utimensat(CWD, &self.dir, &now, AtFlags::empty());
            let _ = File::open(&self.dir).and_then(|dir| sys::sync_fs(&dir));
        }
        match self.shows(BROKEN) {
            true => self.again(),
            false => Ok(()),
        }
    }

    /// Whether the file system is cohfs.
    pub fn is_cohfs(&self) -> bool {
        self.kind == "cohfs"
    }

    /// Whether the file system is of the family of ext2, with its options.
    pub fn is_ext(&self) -> bool {
        ["cohfs", "ext2", "ext3", "ext4"].contains(&&*self.kind)
    }

    /// Mounts what is on the device at `node` on `dir`, in the same way, or skips the claim if it cannot
    /// be: ext3 wants a journal.
    pub fn alike<'a>(&self, node: &Path, dir: &'a Path) -> anyhow::Result<Mounted<'a>> {
        let mounted = Mounted::new(node, dir, &self.kind, &self.options);
        mounted.map_err(|error| match error.downcast_ref() {
            Some(&Errno::INVAL) => {
                let options = self.options.to_string_lossy();
                skip(format!("it cannot be {} with {options}", self.kind))
            }
            _ => error,
        })
    }

    /// The options that `/proc/mounts` shows now.
    pub fn shown(&self) -> Result<String, Errno> {
        Self::of(&self.dir).map(|now| now.shown)
    }

    /// Whether it shows this one.
    pub fn shows(&self, option: &str) -> bool {
        let shown = self.shown();
        shown.is_ok_and(|shown| shown.split(',').any(|shown| shown == option))
    }

    /// Mounts it with `options`; nothing of it is mounted.
    pub fn mount(&self, options: &str) -> Result<(), Errno> {
        let (flags, options) = split(options)?;
        let options = Some(options.as_c_str());
        rustix::mount::mount(&self.source, &self.dir, &*self.kind, flags, options)
    }

    /// Unmounts it, if it is mounted; waits for a while if somebody uses it.
    pub fn unmount(&self) -> Result<(), Errno> {
        match unmount(&self.dir) {
            Err(Errno::INVAL) => Ok(()),
            done => done,
        }
    }
}

/// Unmounts what is mounted on `dir`; waits for a while if somebody uses it.
fn unmount(dir: &Path) -> Result<(), Errno> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match rustix::mount::unmount(dir, UnmountFlags::empty()) {
            Err(Errno::BUSY) if Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(50));
            }
            done => return done,
        }
    }
}

/// Makes an ext2 file system on the device at `node`, or skips the claim if there is no program for that.
pub fn make_ext2(node: &Path) -> anyhow::Result<()> {
    for words in [&["mke2fs", "-q"][..], &["/bin/busybox", "mke2fs"]] {
        let made = Command::new(words[0])
            .args(&words[1..])
            .arg("-F")
            .arg(node)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .status();
        match made {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            made => {
                let status = made.context("starting mke2fs")?;
                ensure!(status.success(), "mke2fs: {status}");
                return Ok(());
            }
        }
    }
    Err(skip("no mke2fs"))
}

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    /// Mounts what is on the device at `node` on `dir`.
    pub fn new(node: &Path, dir: &'a Path, kind: &str, options: &CStr) -> anyhow::Result<Self> {
        rustix::mount::mount(node, dir, kind, MountFlags::empty(), Some(options))
            .with_context(|| format!("mounting {}", node.display()))?;
        Ok(Self(dir))
    }

    /// Unmounts it; as [`Mount::unmount`], waits for a while if somebody uses it. If that is in vain, it goes
    /// when its last file is closed.
    pub fn unmount(self) -> anyhow::Result<()> {
        unmount(self.0).with_context(|| format!("unmounting {}", self.0.display()))?;
        std::mem::forget(self);
        Ok(())
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        // What went wrong was told already; it goes when its last file is closed.
        let _ = rustix::mount::unmount(self.0, UnmountFlags::DETACH);
    }
}

/// Takes out of `options` what mount(2) has as flags.
fn split(options: &str) -> Result<(MountFlags, CString), Errno> {
    let (mut flags, mut others) = (MountFlags::empty(), Vec::new());
    for option in options.split(',') {
        match FLAGS.iter().find(|(name, _)| *name == option) {
            Some((_, flag)) => flags |= *flag,
            None => others.push(option),
        }
    }
    let others = CString::new(others.join(",")).map_err(|_| Errno::INVAL)?;
    Ok((flags, others))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_options_of_the_file_system_are_kept() {
        let line = "/dev/vda /mnt/a cohfs rw,nodev,relatime,coherency=seed 0 0";
        let mount = Mount::read(line, Path::new("/mnt/a")).unwrap();
        assert_eq!(mount.source, Path::new("/dev/vda"));
        assert_eq!(
            (&*mount.kind, &*mount.options),
            ("cohfs", c"coherency=seed")
        );
        assert_eq!(mount.flags, MountFlags::NODEV);
        assert!(Mount::read(line, Path::new("/mnt")).is_none());
    }
}
