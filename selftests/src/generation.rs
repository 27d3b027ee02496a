// SPDX-License-Identifier: GPL-2.0

//! What only `ioctl(2)` tells of an inode: its flags, and its generation, by which NFS tells apart the
//! files that had a number in turn.

use std::ffi::c_int;
use std::ffi::c_long;
use std::os::fd::AsFd;

use rustix::io::Errno;
use rustix::io::Result;
use rustix::ioctl::Getter;
use rustix::ioctl::Opcode;
use rustix::ioctl::Setter;
use rustix::ioctl::ioctl;
use rustix::ioctl::opcode;

/// The argument is an `int`, whatever the number says.
const FS_IOC_GETVERSION: Opcode = opcode::read::<c_long>(b'v', 1);
const FS_IOC_SETVERSION: Opcode = opcode::write::<c_long>(b'v', 2);

/// The flags `FS_*_FL` and the generation of a file or a directory, as far as its file system has them.
pub fn flags_and_generation(file: impl AsFd) -> Result<(Option<u32>, Option<u32>)> {
    let flags = optional(rustix::fs::ioctl_getflags(&file))?;
    // SAFETY: The command fills an `int`.
    let generation = unsafe { ioctl(&file, Getter::<FS_IOC_GETVERSION, c_int>::new()) };
    let generation = optional(generation)?;
    Ok((
        flags.map(|flags| flags.bits()),
        generation.map(c_int::cast_unsigned),
    ))
}

/// None if the file system has no such command.
fn optional<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Err(Errno::NOTTY | Errno::OPNOTSUPP) => Ok(None),
        result => result.map(Some),
    }
}

/// Sets the generation of a file or a directory.
pub fn set_generation(file: impl AsFd, generation: u32) -> Result<()> {
    let generation = generation.cast_signed();
    // SAFETY: The command reads an `int`.
    unsafe { ioctl(file, Setter::<FS_IOC_SETVERSION, c_int>::new(generation)) }
}
