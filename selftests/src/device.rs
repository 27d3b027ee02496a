// SPDX-License-Identifier: GPL-2.0

//! The block device under a file: where its blocks are, what is in them, what is in flight.

use std::ffi::OsStr;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;

use crate::aligned::Aligned;
use crate::sys;
use crate::verdict::skip;

/// The block device of a file system, as found through `st_dev`, or through what is mounted.
#[derive(Debug)]
pub struct Device {
    node: PathBuf,
    sysfs: PathBuf,
    /// Opened for direct reads: a buffered one would see the device's own page cache. Whoever may
    /// not open the device can still ask sysfs what is in flight.
    reader: Option<File>,
    /// Smallest unit of direct I/O in bytes.
    sector: u64,
    /// Whether it is an NFS server that reads and writes it.
    served: bool,
}

/// Requests in flight on a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct InFlight {
    /// Reads handed to the device and not yet completed.
    pub reads: u64,
    /// Writes handed to the device and not yet completed.
    pub writes: u64,
}

impl Device {
    /// Finds the device that holds `file`.
    pub fn of(file: &File) -> Result<Self> {
        let dev = file
            .metadata()
            .context("reading the file's device number")?
            .dev();
        let sysfs = |dev| {
            let (major, minor) = (libc::major(dev), libc::minor(dev));
            PathBuf::from(format!("/sys/dev/block/{major}:{minor}"))
        };
        // A file system that can span devices has a number of its own.
        let (dev, served) = match sysfs(dev).exists() {
            true => (dev, false),
            false => mounted_device(file).unwrap_or((dev, false)),
        };
        let (major, minor) = (libc::major(dev), libc::minor(dev));
        let sysfs = sysfs(dev);
        let uevent = fs::read_to_string(sysfs.join("uevent"))
            .with_context(|| format!("{major}:{minor} is no block device that sysfs knows"))?;
        let name = uevent
            .lines()
            .find_map(|line| line.strip_prefix("DEVNAME="))
            .with_context(|| format!("{} names no DEVNAME", sysfs.display()))?;
        let node = PathBuf::from("/dev").join(name);
        let reader = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(&node)
            .ok();
        let size = reader
            .as_ref()
            .and_then(|device| sys::logical_block_size(device).ok());
        let sector = u64::from(size.unwrap_or(512));
        Ok(Self {
            node,
            sysfs,
            reader,
            sector,
            served,
        })
    }

    /// Where byte `offset` of `file` is on the device: the byte there, and how many bytes from
    /// `offset` on are contiguous. `None` for a hole.
    ///
    /// # Errors
    ///
    /// Skips the claim if the file system does not tell.
    pub fn locate(&self, file: &File, offset: u64) -> Result<Option<(u64, u64)>> {
        let refused = |error| skip(format!("where a block is cannot be asked for: {error}"));
        let unit = u64::from(sys::fibmap_unit(file).map_err(refused)?);
        let logical = u32::try_from(offset / unit).context("FIBMAP has 32 bits")?;
        let block = sys::fibmap(file, logical).map_err(refused)?;
        let within = offset % unit;
        Ok((block != 0).then(|| (u64::from(block) * unit + within, unit - within)))
    }

    /// Reads `len` bytes at `offset` of `file` from the device itself; a hole reads as zeros.
    pub fn read(&self, file: &File, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let at = offset + bytes.len() as u64;
            let left = (len - bytes.len()) as u64;
            let unit = u64::from(sys::fibmap_unit(file)?);
            match self.locate(file, at)? {
                None => {
                    let count = left.min(unit - at % unit);
                    bytes.resize(bytes.len() + count as usize, 0);
                }
                Some((place, run)) => {
                    let count = left.min(run);
                    bytes.extend_from_slice(&self.read_raw(place, count as usize)?);
                }
            }
        }
        Ok(bytes)
    }

    /// Whether the bytes of the device can be read, and blocks of `file` be found on it.
    pub fn is_readable(&self, file: &File) -> bool {
        self.reader.is_some() && sys::fibmap_unit(file).is_ok() && self.locate(file, 0).is_ok()
    }

    /// Reads `len` bytes of the device from byte `place` on.
    pub fn read_at(&self, place: u64, len: usize) -> io::Result<Vec<u8>> {
        self.read_raw(place, len)
    }

    /// How many writes the device has done so far.
    pub fn writes(&self) -> Result<u64> {
        self.count(4)
    }

    /// How often the device has flushed its cache so far.
    pub fn flushes(&self) -> Result<u64> {
        self.count(15)
    }

    /// One of the counts of `Documentation/block/stat.rst`.
    fn count(&self, column: usize) -> Result<u64> {
        let path = self.sysfs.join("stat");
        let text = fs::read_to_string(&path)
            .map_err(|error| skip(format!("{} cannot be read: {error}", path.display())))?;
        let count = text.split_whitespace().nth(column);
        count
            .and_then(|count| count.parse().ok())
            .with_context(|| format!("{} holds {text:?}", path.display()))
    }

    fn read_raw(&self, place: u64, len: usize) -> io::Result<Vec<u8>> {
        let reader = self
            .reader
            .as_ref()
            .ok_or(io::ErrorKind::PermissionDenied)?;
        let start = place / self.sector * self.sector;
        let end = (place + len as u64).next_multiple_of(self.sector);
        let mut buffer = Aligned::zeroed((end - start) as usize);
        reader.read_exact_at(&mut buffer, start)?;
        let from = (place - start) as usize;
        Ok(buffer[from..from + len].to_vec())
    }

    /// Writes `bytes` over a part of `file` behind the file system's back, as another node would.
    ///
    /// # Errors
    ///
    /// Skips the claim if the kernel does not let a mounted device be written.
    pub fn write_behind(&self, file: &File, offset: u64, bytes: &[u8]) -> Result<()> {
        let writer = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(&self.node)
            .map_err(|error| {
                skip(format!(
                    "{} is mounted and may not be written ({error}): boot with \
                     bdev_allow_write_mounted=1",
                    self.node.display()
                ))
            })?;
        let mut done = 0;
        while done < bytes.len() {
            let (place, run) = self
                .locate(file, offset + done as u64)?
                .context("the block to write behind the file is a hole")?;
            let count = (bytes.len() - done).min(run as usize);
            let buffer = Aligned::from(&bytes[done..done + count]);
            writer
                .write_all_at(&buffer, place)
                .with_context(|| format!("writing {} at byte {place}", self.node.display()))?;
            done += count;
        }
        Ok(())
    }

    /// What is in flight on the device now.
    pub fn in_flight(&self) -> Result<InFlight> {
        let path = self.sysfs.join("inflight");
        let text = fs::read_to_string(&path)
            .map_err(|error| skip(format!("{} cannot be read: {error}", path.display())))?;
        let mut counts = text
            .split_whitespace()
            .map(|word| word.parse().unwrap_or(0));
        let mut next = || counts.next().unwrap_or(0);
        Ok(InFlight {
            reads: next(),
            writes: next(),
        })
    }

    /// Whether the I/O is done by others than those who ask for it, at an NFS server.
    pub fn is_served(&self) -> bool {
        self.served
    }

    /// The name of the device, as in `/dev`.
    pub fn name(&self) -> &OsStr {
        self.node.file_name().unwrap_or_default()
    }

    /// Its node in `/dev`.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// The sysfs directory of the device, or of the disk that a partition is on.
    pub fn sysfs(&self) -> &PathBuf {
        &self.sysfs
    }
}

/// The number of the block device that the file system of `file` was mounted from, if it is one, and
/// whether it was through an NFS server.
fn mounted_device(file: &File) -> Option<(u64, bool)> {
    let about = fs::read_to_string(format!("/proc/self/fdinfo/{}", file.as_raw_fd())).ok()?;
    let id = about
        .lines()
        .find_map(|line| line.strip_prefix("mnt_id:"))?
        .trim();
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    let source = mounts.lines().find_map(|line| source_of_mount(line, id))?;
    // A server on this machine has what it exports under the same name as its clients.
    if let Some(exported) = source.strip_prefix("127.0.0.1:") {
        return fs::metadata(exported).ok().map(|dir| (dir.dev(), true));
    }
    let node = fs::metadata(source).ok()?;
    let is_device = node.file_type().is_block_device();
    is_device.then(|| (node.rdev(), false))
}

/// The source in a line of `mountinfo`, if it is that of the mount `id`.
fn source_of_mount<'a>(line: &'a str, id: &str) -> Option<&'a str> {
    let (mount, file_system) = line.split_once(" - ")?;
    if mount.split(' ').next() != Some(id) {
        return None;
    }
    file_system.split(' ').nth(1)
}

#[cfg(test)]
mod tests {
    use super::source_of_mount;

    #[test]
    fn the_source_of_a_mount_stands_after_its_type() {
        let line = "36 24 0:33 / /mnt/a rw,relatime shared:1 - btrfs /dev/vdb rw,subvol=/";
        assert_eq!(source_of_mount(line, "36"), Some("/dev/vdb"));
        assert_eq!(source_of_mount(line, "24"), None);
    }
}
