// SPDX-License-Identifier: GPL-2.0

//! Block devices whose bytes are those of a file.

use std::fs;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;

use crate::mount::Mounted;
use crate::mount::make_ext2;
use crate::sys::check;
use crate::verdict::skip;

const LOOP_CTL_GET_FREE: libc::Ioctl = 0x4C82;
const LOOP_CONFIGURE: libc::Ioctl = 0x4C0A;
const LO_FLAGS_AUTOCLEAR: u32 = 4;
const LO_FLAGS_DIRECT_IO: u32 = 16;

/// `struct loop_config` of `linux/loop.h`, with the `struct loop_info64` in it.
#[repr(C)]
struct LoopConfig {
    fd: u32,
    block_size: u32,
    device: [u64; 3],
    offset: u64,
    size_limit: u64,
    numbers: [u32; 3],
    flags: u32,
    names: [u8; 160],
    rest: [u64; 10],
}

const _: () = assert!(size_of::<LoopConfig>() == 304);

/// How a loop device reads and writes its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backing {
    /// Through the page cache of the file.
    Cached,
    /// Around it.
    Direct,
}

/// A loop device; it is free again when nobody has it open or mounted.
#[derive(Debug)]
pub struct LoopDevice {
    node: PathBuf,
    _open: File,
}

impl LoopDevice {
    /// Makes the first `size` bytes of `file` a device, or skips the claim.
    pub fn new(file: &File, size: u64, backing: Backing) -> Result<Self> {
        let refused = |error: io::Error| skip(format!("no loop device can be had: {error}"));
        let control = open(Path::new("/dev/loop-control")).map_err(refused)?;
        // SAFETY: `LOOP_CTL_GET_FREE` has no argument.
        let number = check(unsafe { libc::ioctl(control.as_raw_fd(), LOOP_CTL_GET_FREE) })
            .map_err(refused)?;
        let node = PathBuf::from(format!("/dev/loop{number}"));
        let device = open(&node).map_err(refused)?;
        let direct = match backing {
            Backing::Cached => 0,
            Backing::Direct => LO_FLAGS_DIRECT_IO,
        };
        let config = LoopConfig {
            fd: file.as_raw_fd().cast_unsigned(),
            block_size: 0,
            device: [0; 3],
            offset: 0,
            size_limit: size,
            numbers: [0; 3],
            flags: LO_FLAGS_AUTOCLEAR | direct,
            names: [0; 160],
            rest: [0; 10],
        };
        // SAFETY: `LOOP_CONFIGURE` reads a `struct loop_config`, which `config` is.
        check(unsafe { libc::ioctl(device.as_raw_fd(), LOOP_CONFIGURE, &raw const config) })
            .map_err(refused)?;
        let dio = format!("/sys/block/loop{number}/loop/dio");
        let dio = fs::read_to_string(&dio).with_context(|| format!("reading {dio}"))?;
        if (dio.trim() == "1") != (backing == Backing::Direct) {
            return Err(skip(format!("the loop device is not {backing:?}")));
        }
        Ok(Self {
            node,
            _open: device,
        })
    }

    /// Its node in `/dev`.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// Makes an ext2 file system on it, or skips the claim if there is no program for that.
    pub fn make_ext2(&self) -> Result<()> {
        make_ext2(&self.node)
    }

    /// Mounts the ext2 file system on it on `dir`.
    pub fn mount<'a>(&self, dir: &'a Path) -> Result<Mounted<'a>> {
        Mounted::new(&self.node, dir, "ext2", c"")
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options().read(true).write(true).open(path)
}
