// SPDX-License-Identifier: GPL-2.0

//! Moves bytes into and out of an open file, by every system call there is.

use std::fs::File;
use std::io::IoSlice;
use std::io::IoSliceMut;
use std::os::fd::BorrowedFd;

use rustix::fs::SeekFrom;
use rustix::io::Errno;
use rustix::pipe::SpliceFlags;

use super::content::PAGE;
use super::step::Copier;
use super::step::Reader;
use super::step::Writer;
use crate::aligned::Aligned;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::sys;
use crate::sys::Ended;

/// What fits into a pipe at once, in bytes.
const PIPE: usize = 32 * 1024;

/// The unit of direct I/O on every disk that we use, in bytes.
pub const SECTOR: usize = 512;

/// Writes `bytes` at `at`; returns how many were written. A store that a signal ended is `EFAULT`.
///
/// `careful` stores happen in a child, which a full disk may kill.
pub fn write(
    fd: BorrowedFd<'_>,
    writer: Writer,
    at: u64,
    bytes: &[u8],
    careful: bool,
) -> Result<usize, Errno> {
    let bytes = Aligned::from(bytes);
    match writer {
        Writer::Write => {
            rustix::fs::seek(fd, SeekFrom::Start(at))?;
            rustix::io::write(fd, &bytes)
        }
        Writer::Pwrite => rustix::io::pwrite(fd, &bytes, at),
        Writer::Pwritev => {
            let [first, second] = cuts(at, bytes.len());
            let pieces = [&bytes[..first], &bytes[first..second], &bytes[second..]];
            rustix::io::pwritev(fd, &pieces.map(IoSlice::new), at)
        }
        Writer::Splice => splice_in(fd, at, &bytes),
        Writer::Store if careful => store_carefully(fd, at, &bytes),
        Writer::Store => store(fd, at, &bytes),
    }
}

/// Reads up to `len` bytes at `at`.
pub fn read(fd: BorrowedFd<'_>, reader: Reader, at: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let mut buffer = Aligned::zeroed(len);
    let count = match reader {
        Reader::Pread | Reader::Direct => rustix::io::pread(fd, &mut *buffer, at)?,
        Reader::Preadv => {
            let [first, second] = cuts(at, len);
            let (head, rest) = buffer.split_at_mut(first);
            let (middle, tail) = rest.split_at_mut(second - first);
            rustix::io::preadv(fd, &mut [head, middle, tail].map(IoSliceMut::new), at)?
        }
        Reader::Splice => splice_out(fd, at, &mut buffer)?,
        Reader::Load => {
            let file = file(fd)?;
            let mapping = Mapping::new(&file, at as usize + len, Share::SharedReadOnly);
            return mapping
                .map(|mapping| mapping.load(at as usize, len))
                .map_err(errno);
        }
    };
    Ok(buffer[..count].to_vec())
}

/// Copies up to `len` bytes between two files; returns how many were copied.
pub fn copy(
    copier: Copier,
    (from, from_at): (BorrowedFd<'_>, u64),
    (to, at): (BorrowedFd<'_>, u64),
    len: usize,
) -> Result<usize, Errno> {
    match copier {
        Copier::Range => {
            let (mut from_at, mut at) = (from_at, at);
            rustix::fs::copy_file_range(from, Some(&mut from_at), to, Some(&mut at), len)
        }
        Copier::Sendfile => {
            let mut from_at = from_at;
            rustix::fs::seek(to, SeekFrom::Start(at))?;
            rustix::fs::sendfile(to, from, Some(&mut from_at), len)
        }
    }
}

/// Where three pieces of `len` bytes end: at sectors if the whole may be for direct I/O.
fn cuts(at: u64, len: usize) -> [usize; 2] {
    let unit = if at.is_multiple_of(SECTOR as u64) && len.is_multiple_of(SECTOR) {
        SECTOR
    } else {
        1
    };
    [len / 3 / unit * unit, len * 2 / 3 / unit * unit]
}

fn store(fd: BorrowedFd<'_>, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
    let file = file(fd)?;
    let mapping = Mapping::new(&file, at as usize + bytes.len(), Share::Shared).map_err(errno)?;
    mapping.store(at as usize, bytes);
    Ok(bytes.len())
}

/// Stores page by page, each in a child. A page takes all or nothing, for it is the first store that
/// faults; what was stored before an error counts, as for `write(2)`.
fn store_carefully(fd: BorrowedFd<'_>, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < bytes.len() {
        let at = at + done as u64;
        let page = (PAGE - at % PAGE) as usize;
        let piece = &bytes[done..bytes.len().min(done + page)];
        let child = sys::in_child(|| i32::from(store(fd, at, piece).is_err()));
        match child.map_err(errno)? {
            Ended::Status(0) => done += piece.len(),
            _ if done > 0 => break,
            _ => return Err(Errno::FAULT),
        }
    }
    Ok(done)
}

/// Writes by way of a pipe. What is written before an error counts, as for `write(2)`.
fn splice_in(fd: BorrowedFd<'_>, at: u64, bytes: &[u8]) -> Result<usize, Errno> {
    let (out, into) = rustix::pipe::pipe()?;
    let mut done = 0;
    for chunk in bytes.chunks(PIPE) {
        let mut left = rustix::io::write(&into, chunk)?;
        while left > 0 {
            let mut position = at + done as u64;
            let moved = rustix::pipe::splice(
                &out,
                None,
                fd,
                Some(&mut position),
                left,
                SpliceFlags::empty(),
            );
            match moved {
                Ok(0) => return Ok(done),
                Ok(count) => {
                    done += count;
                    left -= count;
                }
                Err(_) if done > 0 => return Ok(done),
                Err(error) => return Err(error),
            }
        }
    }
    Ok(done)
}

/// Reads by way of a pipe, until there is no more.
fn splice_out(fd: BorrowedFd<'_>, at: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let (out, into) = rustix::pipe::pipe()?;
    let mut done = 0;
    while done < buffer.len() {
        let mut position = at + done as u64;
        let want = PIPE.min(buffer.len() - done);
        let flags = SpliceFlags::empty();
        let moved = rustix::pipe::splice(fd, Some(&mut position), &into, None, want, flags)?;
        if moved == 0 {
            break;
        }
        let mut left = moved;
        while left > 0 {
            let count = rustix::io::read(&out, &mut buffer[done..done + left])?;
            done += count;
            left -= count;
        }
    }
    Ok(done)
}

fn file(fd: BorrowedFd<'_>) -> Result<File, Errno> {
    fd.try_clone_to_owned().map(File::from).map_err(errno)
}

/// The number of an error of the system.
pub fn errno(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}
