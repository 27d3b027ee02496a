// SPDX-License-Identifier: GPL-2.0

//! Asynchronous I/O: requests that are in flight while their submitter does something else.
//!
//! A queue owns the buffer of every request in flight and gives it back with the completion, and
//! waits for what is left before it goes, so that the kernel never writes into freed memory.

mod libaio;
pub mod uring;

use std::fmt;
use std::fs::File;
use std::io;

use anyhow::Result;

use crate::aligned::Aligned;
use crate::verdict::skip;

pub use libaio::Libaio;
pub use uring::Uring;

/// An interface for asynchronous I/O.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `io_submit(2)`.
    Libaio,
    /// `io_uring_enter(2)`.
    IoUring,
}

/// What a request does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reads into the buffer.
    Read,
    /// Writes the buffer.
    Write,
}

/// A request that is done.
#[derive(Debug)]
pub struct Completion {
    /// The number that its submitter gave it.
    pub tag: u64,
    /// The bytes it moved.
    pub result: io::Result<usize>,
    /// Its buffer.
    pub buffer: Aligned,
}

/// A queue of requests.
pub trait Queue: fmt::Debug + Send {
    /// Hands a request over, and does not wait for it. No other in flight has the same `tag`.
    fn submit(&mut self, tag: u64, op: Op, file: &File, at: u64, buffer: Aligned)
    -> io::Result<()>;

    /// Takes a completion, if there is one; with `wait` there will be.
    fn reap(&mut self, wait: bool) -> io::Result<Option<Completion>>;
}

impl Kind {
    /// Opens a queue for `depth` requests in flight, or skips the claim.
    pub fn open(self, depth: u32) -> Result<Box<dyn Queue>> {
        let opened: io::Result<Box<dyn Queue>> = match self {
            Self::Libaio => Libaio::new(depth).map(|queue| Box::new(queue) as _),
            Self::IoUring => Uring::new(depth).map(|queue| Box::new(queue) as _),
        };
        opened.map_err(|error| skip(format!("no {self} here: {error}")))
    }

    /// The interfaces that this kernel has and lets us use; skips the claim if there is none.
    pub fn available() -> Result<Vec<Self>> {
        let mut missing = Vec::new();
        let mut kinds = Vec::new();
        for kind in [Self::Libaio, Self::IoUring] {
            match kind.open(1) {
                Ok(_) => kinds.push(kind),
                Err(error) => missing.push(error.to_string()),
            }
        }
        if kinds.is_empty() {
            return Err(skip(missing.join("; ")));
        }
        Ok(kinds)
    }

    /// Submits one write of `bytes` at `at`, and waits for its completion.
    pub fn write(self, file: &File, bytes: &[u8], at: u64) -> io::Result<usize> {
        let mut queue = self.open(1).map_err(io::Error::other)?;
        queue.submit(0, Op::Write, file, at, Aligned::from(bytes))?;
        match queue.reap(true)? {
            Some(completion) => completion.result,
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Libaio => "libaio",
            Self::IoUring => "io_uring",
        })
    }
}

/// Calls the kernel until it is not interrupted: it is without a signal when a ring that was dropped
/// is taken apart, which io_uring tells the task that had made it.
fn patiently<T>(mut wait: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match wait() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            waited => return waited,
        }
    }
}

/// The bytes moved, or the error that a completion carries as a negative number.
fn result(value: i64) -> io::Result<usize> {
    usize::try_from(value).map_err(|_| {
        let number = value.unsigned_abs().try_into().unwrap_or(libc::EIO);
        io::Error::from_raw_os_error(number)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_gives_back_what_it_was_given() {
        for kind in [Kind::Libaio, Kind::IoUring] {
            // A sandbox may have neither; the machine of the lab has both.
            let Ok(mut queue) = kind.open(4) else {
                continue;
            };
            let file = tempfile::tempfile().unwrap();
            for tag in 0..4 {
                let buffer = Aligned::from(&[b'a' + tag as u8; 512]);
                queue
                    .submit(tag, Op::Write, &file, tag * 512, buffer)
                    .unwrap();
            }
            let mut tags: Vec<u64> = (0..4)
                .map(|_| {
                    let done = queue.reap(true).unwrap().unwrap();
                    assert_eq!(done.result.unwrap(), 512);
                    assert_eq!(done.buffer[0], b'a' + done.tag as u8);
                    done.tag
                })
                .collect();
            tags.sort_unstable();
            assert_eq!(tags, [0, 1, 2, 3]);
            assert!(queue.reap(false).unwrap().is_none());
            queue
                .submit(9, Op::Read, &file, 1024, Aligned::zeroed(512))
                .unwrap();
            let done = queue.reap(true).unwrap().unwrap();
            assert_eq!((done.tag, done.result.unwrap()), (9, 512));
            assert_eq!(*done.buffer, [b'c'; 512]);
        }
    }

    #[test]
    fn a_wait_goes_on_when_it_was_interrupted() {
        let mut answers = [Err(libc::EINTR), Err(libc::EINTR), Ok(1)].into_iter();
        let mut wait = || {
            answers
                .next()
                .unwrap()
                .map_err(io::Error::from_raw_os_error)
        };
        assert_eq!(patiently(&mut wait).unwrap(), 1);
        let wait = || Err::<(), _>(io::Error::from_raw_os_error(libc::EIO));
        assert_eq!(patiently(wait).unwrap_err().raw_os_error(), Some(libc::EIO));
    }

    #[test]
    fn an_error_is_told_in_the_completion() {
        for kind in [Kind::Libaio, Kind::IoUring] {
            let Ok(mut queue) = kind.open(1) else {
                continue;
            };
            let file = File::open("/dev/full").unwrap();
            let buffer = Aligned::zeroed(16);
            // Not open for writing: libaio says so at once, io_uring in the completion.
            let told = match queue.submit(0, Op::Write, &file, 0, buffer) {
                Ok(()) => queue.reap(true).unwrap().unwrap().result.unwrap_err(),
                Err(error) => error,
            };
            assert_eq!(told.raw_os_error(), Some(libc::EBADF), "{kind}");
        }
    }
}
