// SPDX-License-Identifier: GPL-2.0

//! A limit on memory, page cache included: control groups, version 2.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::path::PathBuf;

use crate::sys::check;

/// A control group with a limit on memory, in which this process is as long as it lives.
#[derive(Debug)]
pub struct Group(PathBuf);

impl Group {
    /// Makes the group and enters it, or says why not.
    pub fn enter() -> Result<Self, String> {
        let root = Path::new("/sys/fs/cgroup");
        if !root.join("cgroup.procs").exists() {
            mount(root).map_err(|error| format!("no control groups: {error}"))?;
        }
        let group = Self(root.join(format!("cohfs-claims-{}", std::process::id())));
        let enter = || -> io::Result<()> {
            // It may be switched on already, and is not for us to switch in a container.
            let _ = fs::write(root.join("cgroup.subtree_control"), "+memory");
            fs::create_dir(&group.0)?;
            fs::write(group.0.join("cgroup.procs"), "0")
        };
        enter().map_err(|error| format!("no control group: {error}"))?;
        Ok(group)
    }

    /// Reclaims `bytes`, or as many as can be had.
    pub fn reclaim(&self, bytes: u64) -> io::Result<()> {
        fs::write(self.0.join("memory.reclaim"), bytes.to_string())
    }

    /// Limits it to `room` more bytes than it uses; gives the limit in bytes.
    pub fn limit(&self, room: u64) -> Result<u64, String> {
        let limit = || -> io::Result<u64> {
            let bytes = self.number("memory.current")? + room;
            fs::write(self.0.join("memory.max"), bytes.to_string())?;
            Ok(bytes)
        };
        limit().map_err(|error| format!("no limit on memory: {error}"))
    }

    /// Raises the limit until there is `room` beside what cannot be reclaimed: a process that grows
    /// is to find no page cache left, and not to be killed. Without a limit it does nothing.
    pub fn leave_room(&self, room: u64) -> io::Result<()> {
        let Ok(limit) = self.number("memory.max") else {
            return Ok(());
        };
        let stat = fs::read_to_string(self.0.join("memory.stat"))?;
        let cached = stat.lines().find_map(|line| line.strip_prefix("file "));
        let cached: u64 = cached.and_then(|bytes| bytes.parse().ok()).unwrap_or(0);
        let wanted = self.number("memory.current")?.saturating_sub(cached) + room;
        if wanted > limit {
            fs::write(self.0.join("memory.max"), wanted.to_string())?;
        }
        Ok(())
    }

    fn number(&self, name: &str) -> io::Result<u64> {
        let text = fs::read_to_string(self.0.join(name))?;
        text.trim().parse().map_err(io::Error::other)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group that stays behind is empty and disturbs nobody.
        let _ = fs::write("/sys/fs/cgroup/cgroup.procs", "0");
        let _ = fs::remove_dir(&self.0);
    }
}

/// Mounts the control groups at `at`.
fn mount(at: &Path) -> io::Result<()> {
    let at = CString::new(at.as_os_str().as_bytes())?;
    let kind = c"cgroup2".as_ptr();
    // SAFETY: The strings end in a zero, and no data is given.
    check(unsafe { libc::mount(kind, at.as_ptr(), kind, 0, std::ptr::null()) })?;
    Ok(())
}
