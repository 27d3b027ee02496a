// SPDX-License-Identifier: GPL-2.0

//! `io_submit(2)` and its kin, the interface that databases and QEMU know as libaio.
//! Mirrors `include/uapi/linux/aio_abi.h`.

use std::collections::HashMap;
use std::ffi::c_int;
use std::ffi::c_long;
use std::ffi::c_ulong;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use super::Completion;
use super::Op;
use super::Queue;
use crate::aligned::Aligned;

const IOCB_CMD_PREAD: u16 = 0;
const IOCB_CMD_PWRITE: u16 = 1;

/// `struct iocb`. `key` and `rw_flags` change places on big-endian machines; both are 0 here.
#[repr(C)]
#[derive(Debug, Default)]
struct Iocb {
    data: u64,
    key: u32,
    rw_flags: u32,
    opcode: u16,
    reqprio: i16,
    fildes: u32,
    buf: u64,
    nbytes: u64,
    offset: i64,
    reserved: u64,
    flags: u32,
    resfd: u32,
}

/// `struct io_event`.
#[repr(C)]
#[derive(Debug, Default)]
struct IoEvent {
    data: u64,
    obj: u64,
    res: i64,
    res2: i64,
}

/// A queue of `io_submit(2)`.
///
/// # Invariants
///
/// `context` is a context of `io_setup(2)`, and `buffers` holds the buffer of every request in
/// flight on it.
#[derive(Debug)]
pub struct Libaio {
    context: c_ulong,
    buffers: HashMap<u64, Aligned>,
}

impl Libaio {
    /// Opens a queue for `depth` requests.
    pub fn new(depth: u32) -> io::Result<Self> {
        let mut context: c_ulong = 0;
        // SAFETY: `io_setup` writes one word, which `context` is.
        check(unsafe { libc::syscall(libc::SYS_io_setup, depth, &raw mut context) })?;
        // INVARIANT: It was just made, and nothing is in flight on it.
        Ok(Self {
            context,
            buffers: HashMap::new(),
        })
    }
}

impl Queue for Libaio {
    fn submit(
        &mut self,
        tag: u64,
        op: Op,
        file: &File,
        at: u64,
        mut buffer: Aligned,
    ) -> io::Result<()> {
        let mut iocb = Iocb {
            data: tag,
            opcode: match op {
                Op::Read => IOCB_CMD_PREAD,
                Op::Write => IOCB_CMD_PWRITE,
            },
            fildes: file.as_raw_fd().cast_unsigned(),
            buf: buffer.as_mut_ptr() as u64,
            nbytes: buffer.len() as u64,
            offset: at.cast_signed(),
            ..Iocb::default()
        };
        let list = [&raw mut iocb];
        // INVARIANT: The buffer stays where it is, in the heap, until the completion is taken.
        let before = self.buffers.insert(tag, buffer);
        assert!(before.is_none(), "two requests are tagged {tag}");
        // SAFETY: The list has one control block, which the kernel copies during the call; its
        // buffer lives on by the type invariant.
        let submitted =
            check(unsafe { libc::syscall(libc::SYS_io_submit, self.context, 1, list.as_ptr()) });
        if submitted.is_err() {
            self.buffers.remove(&tag);
        }
        submitted.map(drop)
    }

    fn reap(&mut self, wait: bool) -> io::Result<Option<Completion>> {
        let mut event = IoEvent::default();
        let fewest = c_long::from(wait);
        let count = super::patiently(|| {
            // SAFETY: There is room for the one event that is asked for; no time limit is given.
            check(unsafe {
                libc::syscall(
                    libc::SYS_io_getevents,
                    self.context,
                    fewest,
                    1,
                    &raw mut event,
                    std::ptr::null_mut::<libc::timespec>(),
                )
            })
        })?;
        if count == 0 {
            return Ok(None);
        }
        let buffer = self
            .buffers
            .remove(&event.data)
            .ok_or(io::ErrorKind::InvalidData)?;
        Ok(Some(Completion {
            tag: event.data,
            result: super::result(event.res),
            buffer,
        }))
    }
}

impl Drop for Libaio {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. The call waits until nothing is in flight any more.
        unsafe { libc::syscall(libc::SYS_io_destroy, self.context) };
    }
}

fn check(result: c_long) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result as c_int)
    }
}

const _: () = assert!(size_of::<Iocb>() == 64 && size_of::<IoEvent>() == 32);
