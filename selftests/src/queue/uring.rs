// SPDX-License-Identifier: GPL-2.0

//! io_uring: plain requests, and what only it has (registered buffers and files, chains, polling).

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use io_uring::IoUring;
use io_uring::opcode;
use io_uring::squeue;
use io_uring::types::Fd;
use io_uring::types::Fixed;

use super::Completion;
use super::Op;
use super::Queue;
use crate::aligned::Aligned;

/// The registered buffer and file that fixed requests use.
const FIRST: u16 = 0;

/// A queue of io_uring.
///
/// # Invariants
///
/// `buffers` holds the buffer of every request in flight, and `fixed` the registered one.
pub struct Uring {
    ring: IoUring,
    buffers: HashMap<u64, Aligned>,
    fixed: Option<Aligned>,
}

impl fmt::Debug for Uring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Uring")
            .field("in_flight", &self.buffers.len())
            .finish_non_exhaustive()
    }
}

/// One link of a chain: each starts when the one before it has succeeded.
#[derive(Debug)]
pub enum Link<'a> {
    /// A read or a write.
    Transfer(Op, &'a File, u64, Aligned),
    /// `fsync`.
    Sync(&'a File),
}

impl Uring {
    /// Opens a queue for `depth` requests.
    pub fn new(depth: u32) -> io::Result<Self> {
        Ok(Self::from(IoUring::new(depth)?))
    }

    /// Opens a queue that asks the device for completions instead of waiting for interrupts.
    pub fn polled(depth: u32) -> io::Result<Self> {
        let ring = IoUring::builder().setup_iopoll().build(depth)?;
        Ok(Self::from(ring))
    }

    fn from(ring: IoUring) -> Self {
        // INVARIANT: Nothing is in flight, and nothing registered.
        Self {
            ring,
            buffers: HashMap::new(),
            fixed: None,
        }
    }

    /// Registers `file`, and a buffer of `len` bytes, for [`Self::transfer_fixed`].
    pub fn register(&mut self, file: &File, len: usize) -> io::Result<()> {
        let mut buffer = Aligned::zeroed(len);
        let vector = libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: len,
        };
        self.ring.submitter().register_files(&[file.as_raw_fd()])?;
        // SAFETY: The buffer is kept as long as the ring, which is dropped first, by `Drop`'s
        // order of fields; the heap memory does not move.
        unsafe { self.ring.submitter().register_buffers(&[vector])? };
        self.fixed = Some(buffer);
        Ok(())
    }

    /// Moves `bytes` to or from the registered file at `at` by way of the registered buffer, and
    /// waits.
    pub fn transfer_fixed(&mut self, op: Op, at: u64, bytes: &mut [u8]) -> io::Result<usize> {
        let fixed = self.fixed.as_mut().ok_or(io::ErrorKind::NotFound)?;
        fixed[..bytes.len()].copy_from_slice(bytes);
        let (file, len) = (Fixed(FIRST.into()), bytes.len() as u32);
        let entry = match op {
            Op::Read => opcode::ReadFixed::new(file, fixed.as_mut_ptr(), len, FIRST)
                .offset(at)
                .build(),
            Op::Write => opcode::WriteFixed::new(file, fixed.as_ptr(), len, FIRST)
                .offset(at)
                .build(),
        };
        // SAFETY: The buffer is the registered one and outlives the request: we wait for it here.
        unsafe { self.push(&entry) }?;
        super::patiently(|| self.ring.submit_and_wait(1))?;
        let done = self
            .ring
            .completion()
            .next()
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        let fixed = self.fixed.as_ref().ok_or(io::ErrorKind::NotFound)?;
        bytes.copy_from_slice(&fixed[..bytes.len()]);
        super::result(done.result().into())
    }

    /// Submits a chain; the completions are tagged from 0 on.
    pub fn submit_chain(&mut self, links: Vec<Link<'_>>) -> io::Result<()> {
        let last = links.len() - 1;
        for (number, link) in links.into_iter().enumerate() {
            let (entry, buffer) = match link {
                Link::Transfer(op, file, at, mut buffer) => {
                    (transfer(op, file, at, &mut buffer), buffer)
                }
                Link::Sync(file) => (
                    opcode::Fsync::new(Fd(file.as_raw_fd())).build(),
                    Aligned::zeroed(0),
                ),
            };
            let flags = if number == last {
                squeue::Flags::empty()
            } else {
                squeue::Flags::IO_LINK
            };
            let tag = number as u64;
            self.buffers.insert(tag, buffer);
            // SAFETY: The buffer lives on by the type invariant; the caller waits for the chain
            // before it lets go of its files, or at the latest our `Drop` does.
            unsafe { self.push(&entry.flags(flags).user_data(tag)) }?;
        }
        self.ring.submit().map(drop)
    }

    /// # Safety
    ///
    /// What `entry` points to lives until its completion is taken.
    unsafe fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: By our requirements.
        unsafe { self.ring.submission().push(entry) }.map_err(io::Error::other)
    }
}

fn transfer(op: Op, file: &File, at: u64, buffer: &mut Aligned) -> squeue::Entry {
    let (file, len) = (Fd(file.as_raw_fd()), buffer.len() as u32);
    match op {
        Op::Read => opcode::Read::new(file, buffer.as_mut_ptr(), len)
            .offset(at)
            .build(),
        Op::Write => opcode::Write::new(file, buffer.as_ptr(), len)
            .offset(at)
            .build(),
    }
}

impl Queue for Uring {
    fn submit(
        &mut self,
        tag: u64,
        op: Op,
        file: &File,
        at: u64,
        mut buffer: Aligned,
    ) -> io::Result<()> {
        let entry = transfer(op, file, at, &mut buffer).user_data(tag);
        // INVARIANT: The buffer stays where it is, in the heap, until the completion is taken.
        let before = self.buffers.insert(tag, buffer);
        assert!(before.is_none(), "two requests are tagged {tag}");
        // SAFETY: The buffer lives on by the type invariant.
        unsafe { self.push(&entry) }?;
        self.ring.submit().map(drop)
    }

    fn reap(&mut self, wait: bool) -> io::Result<Option<Completion>> {
        let mut next = self.ring.completion().next();
        while next.is_none() {
            // Even without waiting, what is done may have to be fetched; a ring that polls may
            // come back with nothing.
            super::patiently(|| self.ring.submit_and_wait(usize::from(wait)))?;
            next = self.ring.completion().next();
            if !wait {
                break;
            }
        }
        let Some(entry) = next else {
            return Ok(None);
        };
        let tag = entry.user_data();
        let buffer = self
            .buffers
            .remove(&tag)
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some(Completion {
            tag,
            result: super::result(entry.result().into()),
            buffer,
        }))
    }
}

impl Drop for Uring {
    fn drop(&mut self) {
        if self.fixed.is_some() {
            // Best effort. The kernel takes rings apart at leisure, and would keep the file open
            // and its file system mounted until then.
            let _ = self.ring.submitter().unregister_files();
            let _ = self.ring.submitter().unregister_buffers();
        }
        while !self.buffers.is_empty() {
            if self.reap(true).is_err() {
                // Not knowing what is in flight, leave the buffers to the kernel for good.
                std::mem::forget(std::mem::take(&mut self.buffers));
            }
        }
    }
}
