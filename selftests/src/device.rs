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

/// The block device of a file system, as found through `st_dev`, or through what is mounted; or the
/// file itself, if it is one.
#[derive(Debug)]
pub struct Device {
    node: PathBuf,
    sysfs: PathBuf,
    /// What leads to its bytes around the page cache of who uses it; none for a whole disk that is
    /// used itself.
    around: Option<Around>,
    /// Opened for direct reads: a buffered one would see the device's own page cache. Whoever may
    /// not open the device can still ask sysfs what is in flight.
    reader: Option<File>,
    /// Smallest unit of direct I/O in bytes.
    sector: u64,
    /// Whether it is an NFS server that reads and writes it.
    served: bool,
    /// Whether the file is the device itself.
    raw: bool,
}

/// Another node with the bytes of a device, and where they begin there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Around {
    node: PathBuf,
    start: u64,
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
    /// Finds the device that holds `file`, or is it.
    pub fn of(file: &File) -> Result<Self> {
        let meta = file
            .metadata()
            .context("reading the file's device number")?;
        let raw = meta.file_type().is_block_device();
        let dev = if raw { meta.rdev() } else { meta.dev() };
        // A file system that can span devices has a number of its own.
        let (dev, served) = match sysfs_of(dev).exists() {
            true => (dev, false),
            false => mounted_device(file).unwrap_or((dev, false)),
        };
        let (major, minor) = (libc::major(dev), libc::minor(dev));
        let sysfs = sysfs_of(dev);
        let node = node_of(&sysfs)
            .with_context(|| format!("{major}:{minor} is no block device that sysfs knows"))?;
        let around = match raw {
            true => disk_of_partition(&sysfs)?,
            false => Some(Around {
                node: node.clone(),
                start: 0,
            }),
        };
        let reader = around.as_ref().and_then(|around| {
            let mut open = OpenOptions::new();
            let open = open.read(true).custom_flags(libc::O_DIRECT);
            open.open(&around.node).ok()
        });
        let size = reader
            .as_ref()
            .and_then(|device| sys::logical_block_size(device).ok());
        let sector = u64::from(size.unwrap_or(512));
        Ok(Self {
            node,
            sysfs,
            around,
            reader,
            sector,
            served,
            raw,
        })
    }

    /// The unit in which `file` has its blocks on the device, in bytes.
    pub fn unit(&self, file: &File) -> io::Result<u64> {
        match self.raw {
            true => Ok(self.sector),
            false => sys::fibmap_unit(file).map(u64::from),
        }
    }

    /// Where byte `offset` of `file` is on the device: the byte there, and how many bytes from
    /// `offset` on are contiguous. `None` for a hole.
    ///
    /// # Errors
    ///
    /// Skips the claim if the file system does not tell.
    pub fn locate(&self, file: &File, offset: u64) -> Result<Option<(u64, u64)>> {
        if self.raw {
            let size = sys::size(file).context("asking for the size of the device")?;
            return Ok(Some((offset, size.saturating_sub(offset))));
        }
        let refused = |error| skip(format!("where a block is cannot be asked for: {error}"));
        let unit = self.unit(file).map_err(refused)?;
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
            let unit = self.unit(file)?;
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
        self.reader.is_some() && self.unit(file).is_ok() && self.locate(file, 0).is_ok()
    }

    /// Reads `len` bytes of the device from byte `place` on.
    pub fn read_at(&self, place: u64, len: usize) -> io::Result<Vec<u8>> {
        self.read_raw(place, len)
    }

    /// Reads the device's first sector by I/O of the device itself: an error if it fails.
    pub fn probe(&self) -> io::Result<()> {
        let mut open = OpenOptions::new();
        let open = open.read(true).custom_flags(libc::O_DIRECT);
        let node = open.open(&self.node)?;
        node.read_exact_at(&mut Aligned::zeroed(self.sector as usize), 0)
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
        let (Some(reader), Some(around)) = (&self.reader, &self.around) else {
            return Err(io::ErrorKind::PermissionDenied.into());
        };
        let start = place / self.sector * self.sector;
        let end = (place + len as u64).next_multiple_of(self.sector);
        let mut buffer = Aligned::zeroed((end - start) as usize);
        reader.read_exact_at(&mut buffer, around.start + start)?;
        let from = (place - start) as usize;
        Ok(buffer[from..from + len].to_vec())
    }

    /// Writes `bytes` over a part of `file` behind the file system's back, as another node would.
    ///
    /// # Errors
    ///
    /// Skips the claim if the kernel does not let a mounted device be written.
    pub fn write_behind(&self, file: &File, offset: u64, bytes: &[u8]) -> Result<()> {
        let Around { node, start } = self.around.as_ref().ok_or_else(|| {
            skip("a whole disk is used itself: it cannot be written behind anybody's back")
        })?;
        let writer = OpenOptions::new()
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(node)
            .map_err(|error| {
                skip(format!(
                    "{} is mounted and may not be written ({error}): boot with \
                     bdev_allow_write_mounted=1",
                    node.display()
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
                .write_all_at(&buffer, start + place)
                .with_context(|| format!("writing {} at byte {place}", node.display()))?;
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

    /// The sysfs directory of the device.
    pub fn sysfs(&self) -> &PathBuf {
        &self.sysfs
    }

    /// The sysfs file of a setting of the device's queue; a partition has that of its disk.
    pub fn queue_setting(&self, name: &str) -> PathBuf {
        let own = self.sysfs.join("queue");
        let queue = match own.exists() {
            true => own,
            false => self.sysfs.join("../queue"),
        };
        queue.join(name)
    }
}

/// The sysfs directory of the block device with that number.
fn sysfs_of(dev: u64) -> PathBuf {
    let (major, minor) = (libc::major(dev), libc::minor(dev));
    PathBuf::from(format!("/sys/dev/block/{major}:{minor}"))
}

/// The node in `/dev` of the block device with that sysfs directory.
fn node_of(sysfs: &Path) -> Result<PathBuf> {
    let uevent = fs::read_to_string(sysfs.join("uevent"))?;
    let name = uevent
        .lines()
        .find_map(|line| line.strip_prefix("DEVNAME="))
        .with_context(|| format!("{} names no DEVNAME", sysfs.display()))?;
    Ok(PathBuf::from("/dev").join(name))
}

/// The disk that a partition is on, which has a page cache of its own, and where it begins there.
fn disk_of_partition(sysfs: &Path) -> Result<Option<Around>> {
    /// The unit of sysfs, whatever the disk's is.
    const SECTOR: u64 = 512;
    let Ok(start) = fs::read_to_string(sysfs.join("start")) else {
        return Ok(None);
    };
    let start: u64 = start.trim().parse().context("the start of a partition")?;
    Ok(Some(Around {
        node: node_of(&sysfs.join(".."))?,
        start: start * SECTOR,
    }))
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
    use super::*;

    #[test]
    fn the_source_of_a_mount_stands_after_its_type() {
        let line = "36 24 0:33 / /mnt/a rw,relatime shared:1 - btrfs /dev/vdb rw,subvol=/";
        assert_eq!(source_of_mount(line, "36"), Some("/dev/vdb"));
        assert_eq!(source_of_mount(line, "24"), None);
    }

    #[test]
    fn a_partition_has_its_disk_behind_it_and_a_disk_nothing() {
        let disk = tempfile::tempdir().unwrap();
        let partition = disk.path().join("vdb3");
        fs::create_dir(&partition).unwrap();
        fs::write(disk.path().join("uevent"), "MAJOR=254\nDEVNAME=vdb\n").unwrap();
        fs::write(partition.join("start"), "2048\n").unwrap();
        let around = Around {
            node: "/dev/vdb".into(),
            start: 1 << 20,
        };
        assert_eq!(disk_of_partition(&partition).unwrap(), Some(around));
        assert_eq!(disk_of_partition(disk.path()).unwrap(), None);
    }
}
