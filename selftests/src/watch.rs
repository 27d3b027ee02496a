// SPDX-License-Identifier: GPL-2.0

//! What the kernel tells of errors of a file system, by `fanotify(7)` with `FAN_FS_ERROR`.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::io::Read as _;
use std::os::fd::AsRawFd as _;
use std::os::fd::FromRawFd as _;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;

use crate::sys::check;
use crate::verdict::skip;

/// An error that was told of, and how often since it was asked last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// Its number, positive.
    pub error: i32,
    /// How many errors the event stands for; the number is that of the first.
    pub count: u32,
}

/// Hears of the errors of one file system from when it is made.
#[derive(Debug)]
pub struct ErrorWatch(File);

impl ErrorWatch {
    /// Watches the file system of `dir`, or skips the claim: that takes root, and a file system that
    /// has file handles.
    pub fn new(dir: &Path) -> Result<Self> {
        let flags =
            libc::FAN_CLASS_NOTIF | libc::FAN_REPORT_FID | libc::FAN_NONBLOCK | libc::FAN_CLOEXEC;
        let refused = |error| {
            skip(format!(
                "errors of the file system cannot be watched: {error}"
            ))
        };
        // SAFETY: `fanotify_init` only takes integers.
        let group = check(unsafe { libc::fanotify_init(flags, 0) }).map_err(refused)?;
        // SAFETY: A new descriptor, which is nobody else's.
        let group = File::from(unsafe { OwnedFd::from_raw_fd(group) });
        let path = CString::new(dir.as_os_str().as_bytes()).context("the path")?;
        // SAFETY: `path` is a string that ends in zero.
        let marked = check(unsafe {
            libc::fanotify_mark(
                group.as_raw_fd(),
                libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM,
                libc::FAN_FS_ERROR,
                libc::AT_FDCWD,
                path.as_ptr(),
            )
        });
        marked.map_err(refused)?;
        Ok(Self(group))
    }

    /// What was told since.
    pub fn take(&self) -> Result<Vec<Told>> {
        let (mut buffer, mut told) = (vec![0; 4096], Vec::new());
        loop {
            match (&self.0).read(&mut buffer) {
                Ok(0) => return Ok(told),
                Ok(len) => told.extend(parse(&buffer[..len])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(told),
                Err(error) => return Err(error).context("reading what was told"),
            }
        }
    }
}

/// Finds the errors in a buffer of events: each is a `struct fanotify_event_metadata`, followed by
/// records that begin with a `struct fanotify_event_info_header`.
fn parse(mut events: &[u8]) -> Vec<Told> {
    let mut told = Vec::new();
    while let Some(event) = word(events, 0).and_then(|len| split(&mut events, len as usize)) {
        let mut records = half(event, 6)
            .and_then(|len| event.get(usize::from(len)..))
            .unwrap_or_default();
        while let Some(record) =
            half(records, 2).and_then(|len| split(&mut records, usize::from(len)))
        {
            if record[0] == libc::FAN_EVENT_INFO_TYPE_ERROR
                && let (Some(error), Some(count)) = (word(record, 4), word(record, 8))
            {
                let error = error.cast_signed();
                told.push(Told { error, count });
            }
        }
    }
    told
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|word| u32::from_ne_bytes(*word))
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    bytes
        .get(at..)?
        .first_chunk()
        .map(|half| u16::from_ne_bytes(*half))
}

/// Takes the first `len` bytes off, unless they are none, or more than there are.
fn split<'a>(bytes: &mut &'a [u8], len: usize) -> Option<&'a [u8]> {
    let (first, rest) = bytes.split_at_checked(len).filter(|_| len > 0)?;
    *bytes = rest;
    Some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_found_among_other_records() {
        let mut event = vec![0; 24];
        event[6..8].copy_from_slice(&24_u16.to_ne_bytes());
        // A record of another kind, then the error.
        event.extend([1, 0, 8, 0, 9, 9, 9, 9]);
        event.extend([libc::FAN_EVENT_INFO_TYPE_ERROR, 0, 12, 0]);
        event.extend(libc::EIO.to_ne_bytes());
        event.extend(2_u32.to_ne_bytes());
        let len = event.len() as u32;
        event[..4].copy_from_slice(&len.to_ne_bytes());
        let told = Told {
            error: libc::EIO,
            count: 2,
        };
        assert_eq!(parse(&[event.clone(), event.clone()].concat()), [told; 2]);
        // What is cut, or has no length, ends it.
        assert_eq!(parse(&event[..30]), []);
        assert_eq!(parse(&[0; 40]), []);
    }
}
