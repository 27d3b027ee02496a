// SPDX-License-Identifier: GPL-2.0

//! Writes and reads by way of a pipe or a socket, and what a child writes.

use std::fs::File;
use std::io;
use std::io::PipeReader;
use std::io::Read as _;
use std::io::Write as _;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use crate::mapping::Mapping;
use crate::sys::Child;
use crate::sys::Ended;
use crate::sys::check;

/// Writes `bytes`, which fit into a pipe, to `file` at `at` by way of a pipe.
pub fn splice_in(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    let (from, mut to) = io::pipe()?;
    to.write_all(bytes)?;
    let (mut at, mut done) = (at.cast_signed(), 0);
    while done < bytes.len() {
        // SAFETY: `at` is an offset to read and write; the pipe has none.
        let count = unsafe {
            libc::splice(
                from.as_raw_fd(),
                std::ptr::null_mut(),
                file.as_raw_fd(),
                &raw mut at,
                bytes.len() - done,
                0,
            )
        };
        match usize::try_from(count) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(_) if done > 0 => break,
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(done)
}

/// Reads `len` bytes, which fit into a pipe, of `file` at `at` by way of a pipe; fewer at its end.
pub fn splice_out(file: &File, len: usize, at: u64) -> io::Result<Vec<u8>> {
    Spliced::new(file, len, at)?.drain()
}

/// Bytes of a file in a pipe: references to pages, as the page cache had them.
#[derive(Debug)]
pub struct Spliced {
    pipe: PipeReader,
    len: usize,
}

impl Spliced {
    /// Puts `len` bytes, which fit into a pipe, of `file` at `at` into one; fewer at its end.
    pub fn new(file: &File, len: usize, at: u64) -> io::Result<Self> {
        let (pipe, to) = io::pipe()?;
        let (mut at, mut done) = (at.cast_signed(), 0);
        while done < len {
            // SAFETY: `at` is an offset to read and write; the pipe has none.
            let count = unsafe {
                libc::splice(
                    file.as_raw_fd(),
                    &raw mut at,
                    to.as_raw_fd(),
                    std::ptr::null_mut(),
                    len - done,
                    0,
                )
            };
            match usize::try_from(count) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(_) => return Err(io::Error::last_os_error()),
            }
        }
        Ok(Self { pipe, len: done })
    }

    /// Takes the bytes out.
    pub fn drain(mut self) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; self.len];
        self.pipe.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Sends `len` bytes of `file` at `at` to a socket, by reference to pages where the kernel can.
pub fn send(socket: &UnixStream, file: &File, at: u64, len: usize) -> io::Result<usize> {
    let (mut at, mut done) = (at.cast_signed(), 0);
    while done < len {
        // SAFETY: `at` is an offset to read and write.
        let count = unsafe {
            libc::sendfile(
                socket.as_raw_fd(),
                file.as_raw_fd(),
                &raw mut at,
                len - done,
            )
        };
        match usize::try_from(count) {
            Ok(0) => break,
            Ok(count) => done += count,
            Err(_) => return Err(io::Error::last_os_error()),
        }
    }
    Ok(done)
}

/// Writes `bytes` to `file` at `at` in a forked child, whatever threads this process has.
pub fn write_in_child(file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
    let (file, at) = (file.as_raw_fd(), at.cast_signed());
    // SAFETY: The child only calls `pwrite`, reads `errno` and ends, which a child of a process
    // with many threads may.
    let pid = check(unsafe { libc::fork() })?;
    if pid == 0 {
        // SAFETY: `bytes` is memory to read, of which the child has a copy.
        unsafe {
            let count = libc::pwrite(file, bytes.as_ptr().cast(), bytes.len(), at);
            libc::_exit(match usize::try_from(count) {
                Ok(count) if count == bytes.len() => 0,
                Ok(_) => libc::EAGAIN,
                Err(_) => *libc::__errno_location(),
            })
        }
    }
    match (Child { pid }).wait()? {
        Ended::Status(0) => Ok(bytes.len()),
        Ended::Status(error) => Err(io::Error::from_raw_os_error(error)),
        Ended::Signal(signal) => Err(io::Error::other(format!("killed by signal {signal}"))),
    }
}

/// Forks a child that has written over its copy of `memory` when this returns, whatever threads this
/// process has. It stays until it is dropped.
pub fn scribble_in_child(memory: &Mapping) -> io::Result<Child> {
    let (mut from, to) = io::pipe()?;
    let to_parent = to.as_raw_fd();
    // SAFETY: The child only stores to memory that it has mapped, calls `write` and waits, which a child
    // of a process with many threads may.
    let pid = check(unsafe { libc::fork() })?;
    if pid == 0 {
        for word in 0..memory.len() / 8 {
            memory.store_word(word, u64::MAX);
        }
        // SAFETY: One byte to read; the parent ends us.
        unsafe {
            libc::write(to_parent, b"!".as_ptr().cast(), 1);
            loop {
                libc::pause();
            }
        }
    }
    let child = Child { pid };
    drop(to);
    from.read_exact(&mut [0])?;
    Ok(child)
}
