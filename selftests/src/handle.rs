// SPDX-License-Identifier: GPL-2.0

//! Files by handle: what NFS keeps of a file.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::fd::FromRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::sys::check;

/// `MAX_HANDLE_SZ`.
const ROOM: usize = 128;

/// The handle of a file, `struct file_handle`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle {
    len: u32,
    kind: i32,
    bytes: [u8; ROOM],
}

impl Handle {
    /// Asks for the handle of `path`.
    pub fn of(path: &Path) -> io::Result<Self> {
        let mut handle = Self {
            len: ROOM as u32,
            kind: 0,
            bytes: [0; ROOM],
        };
        let mut mount = 0;
        let path = CString::new(path.as_os_str().as_bytes())?;
        // SAFETY: A string that ends in a NUL, a handle with as much room as it says, and an `int`.
        let result = unsafe {
            libc::syscall(
                libc::SYS_name_to_handle_at,
                libc::AT_FDCWD,
                path.as_ptr(),
                &raw mut handle,
                &raw mut mount,
                0,
            )
        };
        check(result as i32)?;
        Ok(handle)
    }

    /// Opens the file for reading, on the file system that `dir` is of.
    pub fn open(&self, dir: &File) -> io::Result<File> {
        let mut handle = *self;
        // SAFETY: A whole handle; the kernel only reads as much as it says.
        let result = unsafe {
            libc::syscall(
                libc::SYS_open_by_handle_at,
                dir.as_raw_fd(),
                &raw mut handle,
                libc::O_RDONLY,
            )
        };
        let fd = check(result as i32)?;
        // SAFETY: Opened just now, and nobody else's.
        Ok(unsafe { File::from_raw_fd(fd) })
    }

    /// The same handle with other bytes.
    pub fn changed(&self, change: impl FnOnce(&mut [u8])) -> Self {
        let mut changed = *self;
        change(&mut changed.bytes[..self.len as usize]);
        changed
    }
}
