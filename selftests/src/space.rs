// SPDX-License-Identifier: GPL-2.0

//! System calls about the space that files take: who lies where, what is given back, swap.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::sys::check;

/// An extent of a file, in bytes, as `FS_IOC_FIEMAP` tells of it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Where it is in the file.
    pub logical: u64,
    /// Where it is on the device.
    pub physical: u64,
    /// How long it is.
    pub length: u64,
    reserved64: [u64; 2],
    /// `FIEMAP_EXTENT_*`.
    pub flags: u32,
    reserved: [u32; 3],
}

/// Set in the last extent of a file.
pub const EXTENT_LAST: u32 = 1;

/// How many extents [`fiemap`] asks for at once.
const BATCH: usize = 32;

/// `struct fiemap`, with room for extents.
#[repr(C)]
struct Fiemap {
    start: u64,
    length: u64,
    flags: u32,
    mapped: u32,
    count: u32,
    reserved: u32,
    extents: [Extent; BATCH],
}

/// The extents of `file` that are in `range`, at least partly. With `sync` what is dirty is written
/// out before.
pub fn fiemap(file: impl AsFd, range: Range<u64>, sync: bool) -> io::Result<Vec<Extent>> {
    const FS_IOC_FIEMAP: u32 = 0xC020_660B;
    const FLAG_SYNC: u32 = 1;
    let (mut found, mut start) = (Vec::new(), range.start);
    while start < range.end {
        let mut map = Fiemap {
            start,
            length: range.end - start,
            flags: if sync { FLAG_SYNC } else { 0 },
            mapped: 0,
            count: BATCH as u32,
            reserved: 0,
            extents: [Extent::default(); BATCH],
        };
        // SAFETY: A whole `fiemap` with room for as many extents as it says.
        check(unsafe {
            libc::ioctl(
                file.as_fd().as_raw_fd(),
                FS_IOC_FIEMAP as libc::Ioctl,
                &raw mut map,
            )
        })?;
        let extents = &map.extents[..map.mapped as usize];
        found.extend_from_slice(extents);
        match extents.last() {
            Some(last) if last.flags & EXTENT_LAST == 0 => start = last.logical + last.length,
            _ => break,
        }
    }
    Ok(found)
}

/// `struct fstrim_range`, all of it in bytes.
#[repr(C)]
struct TrimRange {
    start: u64,
    len: u64,
    least: u64,
}

/// Discards the free space from byte `start` on, where `least` bytes lie together. Returns how much.
pub fn trim(dir: &File, start: u64, len: u64, least: u64) -> io::Result<u64> {
    const FITRIM: u32 = 0xC018_5879;
    let mut range = TrimRange { start, len, least };
    // SAFETY: `FITRIM` reads and writes an `fstrim_range`, which `range` is.
    check(unsafe { libc::ioctl(dir.as_raw_fd(), FITRIM as libc::Ioctl, &raw mut range) })?;
    Ok(range.len)
}

/// What becomes of what is dirty when a file system is [shut down](shutdown).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flush {
    /// It is written out.
    All = 0,
    /// Nothing is.
    Nothing = 2,
}

/// Shuts the file system of `dir` down.
pub fn shutdown(dir: &File, flush: Flush) -> io::Result<()> {
    const FS_IOC_SHUTDOWN: u32 = 0x8004_587D;
    let how = flush as u32;
    // SAFETY: `FS_IOC_SHUTDOWN` reads a `u32`, which `how` is.
    check(unsafe {
        libc::ioctl(
            dir.as_raw_fd(),
            FS_IOC_SHUTDOWN as libc::Ioctl,
            &raw const how,
        )
    })?;
    Ok(())
}

/// Takes a lease of `file`, `F_RDLCK` or `F_WRLCK`; or gives it back, `F_UNLCK`.
pub fn lease(file: &File, kind: i32) -> io::Result<()> {
    // SAFETY: `F_SETLEASE` only takes integers.
    check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, kind) })?;
    Ok(())
}

/// A file that the kernel swaps to, until it is dropped.
#[derive(Debug)]
pub struct Swap(CString);

impl Swap {
    /// Makes an area of swap of the `size` bytes of `file`, and has the kernel use it.
    pub fn on(path: &Path, file: &File, size: u64) -> io::Result<Self> {
        use std::os::unix::fs::FileExt;
        const PAGE: u64 = 4096;
        // `union swap_header`: the version, the last page, and how many are bad; the magic ends the
        // first page.
        let header = [1, (size / PAGE - 1) as u32, 0];
        file.write_all_at(&header.map(u32::to_ne_bytes).concat(), 1024)?;
        file.write_all_at(b"SWAPSPACE2", PAGE - 10)?;
        file.sync_all()?;
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: A string that ends in a NUL.
        check(unsafe { libc::swapon(path.as_ptr(), 0) })?;
        Ok(Self(path))
    }

    /// Has the kernel read everything back, and use it no more.
    pub fn off(self) -> io::Result<()> {
        // SAFETY: A string that ends in a NUL.
        let result = check(unsafe { libc::swapoff(self.0.as_ptr()) });
        std::mem::forget(self);
        result.map(drop)
    }
}

impl Drop for Swap {
    fn drop(&mut self) {
        // SAFETY: A string that ends in a NUL. It may fail, and then the disk stays in use.
        unsafe { libc::swapoff(self.0.as_ptr()) };
    }
}
