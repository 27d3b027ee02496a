// SPDX-License-Identifier: GPL-2.0

//! The generation of an inode, by which NFS tells apart the files that had a number in turn.

use std::ffi::c_int;
use std::ffi::c_long;
use std::os::fd::AsFd;

use rustix::io::Result;
use rustix::ioctl::Getter;
use rustix::ioctl::Opcode;
use rustix::ioctl::Setter;
use rustix::ioctl::ioctl;
use rustix::ioctl::opcode;

/// The argument is an `int`, whatever the number says.
const FS_IOC_GETVERSION: Opcode = opcode::read::<c_long>(b'v', 1);
const FS_IOC_SETVERSION: Opcode = opcode::write::<c_long>(b'v', 2);

/// The generation of a file or a directory.
pub fn generation(file: impl AsFd) -> Result<u32> {
    // SAFETY: The command fills an `int`.
    let generation = unsafe { ioctl(file, Getter::<FS_IOC_GETVERSION, c_int>::new()) }?;
    Ok(generation.cast_unsigned())
}

/// Sets the generation of a file or a directory.
pub fn set_generation(file: impl AsFd, generation: u32) -> Result<()> {
    let generation = generation.cast_signed();
    // SAFETY: The command reads an `int`.
    unsafe { ioctl(file, Setter::<FS_IOC_SETVERSION, c_int>::new(generation)) }
}
