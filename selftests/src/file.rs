// SPDX-License-Identifier: GPL-2.0

//! A claim's file: the same bytes by buffered I/O, by direct I/O, by mapping, and on the disk.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;

use crate::aligned::Aligned;
use crate::device::Device;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pattern;
use crate::pattern::SECTOR;
use crate::pattern::Version;
use crate::sys;
use crate::sys::Invalidate;
use crate::verdict::skip;

/// How long pages may stay cached that are to go: an NFS client keeps them until the server has committed.
const PATIENCE: Duration = Duration::from_secs(10);

/// File systems whose direct I/O is buffered I/O, or belongs to another file system.
const NOT_DIRECT: [(i64, &str); 3] = [
    (0x0102_1994, "tmpfs"),
    (0x8584_58f6, "ramfs"),
    (0x794c_7630, "overlayfs"),
];

/// A file, or a block device in the place of one, whose sectors follow the content protocol.
#[derive(Debug)]
pub struct ClaimFile {
    path: PathBuf,
    id: u64,
    size: u64,
    run: u64,
    file: File,
    device: Result<Device, String>,
    /// Whether it is a block device.
    raw: bool,
    /// Whether it goes with this value.
    temporary: bool,
}

impl Drop for ClaimFile {
    fn drop(&mut self) {
        if self.temporary {
            // Best effort: the next run truncates what is left.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl ClaimFile {
    /// Opens the prepared file `name` of `size` bytes in `dir`, or makes it if it is not there.
    pub fn open(dir: &Path, name: &str, size: u64) -> Result<Self> {
        let path = dir.join(name);
        if !path.exists() {
            crate::prepare::write_file(dir, name, size)?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .with_context(|| format!("opening {}", path.display()))?;
        let found = sys::size(&file)?;
        if found != size {
            bail!(
                "{} has {found} bytes instead of {size}: remove or prepare it",
                path.display()
            );
        }
        Self::new(path, name, size, file)
    }

    /// Makes a new file `name` of `size` bytes in `dir`, all of them a hole, or skips the claim.
    /// It is gone when the value is dropped.
    pub fn create(dir: &Path, name: &str, size: u64) -> Result<Self> {
        let path = dir.join(name);
        let created = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .and_then(|file| file.set_len(size).map(|()| file));
        let file = created.map_err(|error| match error.raw_os_error() {
            Some(libc::EROFS | libc::EACCES | libc::EPERM | libc::EOPNOTSUPP | libc::ENOSYS) => {
                skip(format!("{} cannot be created: {error}", path.display()))
            }
            _ => anyhow::Error::new(error).context(format!("creating {}", path.display())),
        })?;
        let mut created = Self::new(path, name, size, file)?;
        created.temporary = true;
        Ok(created)
    }

    fn new(path: PathBuf, name: &str, size: u64, file: File) -> Result<Self> {
        let raw = file.metadata()?.file_type().is_block_device();
        let kind = sys::fs_type(&file).context("asking for the type of the file system")?;
        if let Some((_, name)) = NOT_DIRECT.iter().find(|(number, _)| *number == kind)
            && !raw
        {
            return Err(skip(format!("direct I/O on {name} is not real")));
        }
        let device = Device::of(&file).map_err(|error| format!("{error:#}"));
        let run = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |time| {
                (time.as_micros() as u64 & 0xffff_ffff_ffff).max(1)
            });
        Ok(Self {
            path,
            id: pattern::file_id(name),
            size,
            run,
            file,
            device,
            raw,
            temporary: false,
        })
    }

    /// The file, opened for buffered reading and writing.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// The number that the file's sectors carry.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Version `number` of this run.
    pub fn version(&self, number: u16) -> Version {
        Version {
            run: self.run,
            number,
        }
    }

    /// Skips the claim if the file is a raw device, for what is promised of files alone: `what` says
    /// what it has not.
    pub fn require_file(&self, what: &str) -> Result<()> {
        match self.raw {
            true => Err(skip(format!("the raw device has no {what}"))),
            false => Ok(()),
        }
    }

    /// Makes the file longer or shorter, or skips the claim if its size is that of a device.
    pub fn set_len(&self, size: u64) -> Result<()> {
        self.require_file("other size than its own")?;
        self.file
            .set_len(size)
            .with_context(|| format!("setting the size of {}", self.path.display()))
    }

    /// The block device under the file, or a skip with the reason.
    pub fn device(&self) -> Result<&Device> {
        self.device
            .as_ref()
            .map_err(|reason| skip(format!("no block device: {reason}")))
    }

    /// Opens the file once more, for buffered reading only.
    pub fn open_read_only(&self) -> Result<File> {
        File::open(&self.path).with_context(|| format!("opening {}", self.path.display()))
    }

    /// Opens the file once more, for direct I/O, or skips the claim.
    pub fn open_direct(&self) -> Result<File> {
        self.open_flags(true, 0)
    }

    /// Opens the file once more, for direct I/O that is durable when a write returns.
    pub fn open_direct_synced(&self) -> Result<File> {
        self.open_flags(true, libc::O_DSYNC)
    }

    /// Opens the file once more, for direct reads only, or skips the claim.
    pub fn open_direct_read_only(&self) -> Result<File> {
        self.open_flags(false, 0)
    }

    fn open_flags(&self, write: bool, flags: i32) -> Result<File> {
        let opened = OpenOptions::new()
            .read(true)
            .write(write)
            .custom_flags(libc::O_DIRECT | flags)
            .open(&self.path);
        match opened {
            Ok(file) => Ok(file),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
                Err(skip("this file system has no direct I/O"))
            }
            Err(error) => Err(error)
                .with_context(|| format!("opening {} for direct I/O", self.path.display())),
        }
    }

    /// Maps the whole file.
    pub fn map(&self, share: Share) -> Result<Mapping> {
        Mapping::new(&self.file, self.size as usize, share)
            .with_context(|| format!("mapping {}", self.path.display()))
    }

    /// The bytes of version `number` at `start`, both in bytes.
    pub fn bytes(&self, start: u64, len: usize, number: u16) -> Vec<u8> {
        pattern::bytes(self.id, start, len, |_| self.version(number))
    }

    /// Writes version `number` over the whole file, makes it durable, and drops the cache, so
    /// that the claim starts from a known state whatever an earlier one left behind.
    ///
    /// # Errors
    ///
    /// Skips the claim if the cache cannot be emptied.
    pub fn fill(&self, number: u16) -> Result<()> {
        let bytes = self.bytes(0, self.size as usize, number);
        self.file
            .write_all_at(&bytes, 0)
            .with_context(|| format!("writing the first version of {}", self.path.display()))?;
        // An error that an earlier claim provoked is reported here once; it is not ours.
        if self.file.sync_all().is_err() {
            self.file.write_all_at(&bytes, 0)?;
            self.file
                .sync_all()
                .context("making the first version durable")?;
        }
        self.chill()
    }

    /// Drops the clean cache of the file, or skips the claim if it stays.
    pub fn chill(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            sys::drop_cache(&self.file).context("dropping the cache")?;
            match sys::cachestat(&self.file, 0, 0) {
                Ok(stat) if stat.cached == 0 => return Ok(()),
                Ok(_) => std::thread::yield_now(),
                // Without cachestat we have to trust the advice.
                Err(_) => return Ok(()),
            }
        }
        let stat = sys::cachestat(&self.file, 0, 0)?;
        Err(skip(format!(
            "{} pages of {} stay cached",
            stat.cached,
            self.path.display()
        )))
    }

    /// Reads by `read(2)`.
    pub fn read(&self, start: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, start)
            .with_context(|| format!("reading {len} bytes at {start}"))?;
        Ok(bytes)
    }

    /// Writes version `number` by `write(2)`.
    pub fn write(&self, start: u64, len: usize, number: u16) -> Result<()> {
        self.file
            .write_all_at(&self.bytes(start, len, number), start)
            .with_context(|| format!("writing {len} bytes at {start}"))
    }

    /// Writes version `number` with one direct write on `direct`.
    pub fn write_direct(
        &self,
        direct: &File,
        start: u64,
        len: usize,
        number: u16,
    ) -> io::Result<usize> {
        direct.write_at(&Aligned::from(&self.bytes(start, len, number)), start)
    }

    /// Checks that direct writes of `len` bytes are possible at all, or skips the claim.
    ///
    /// Writes version `number` at `start`, which is what has to be there already.
    pub fn require_direct(&self, direct: &File, start: u64, len: usize, number: u16) -> Result<()> {
        match self.write_direct(direct, start, len, number) {
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Err(skip(format!(
                "no direct writes of {len} bytes on this file system"
            ))),
            _ => Ok(()),
        }
    }

    /// Reads with one direct read on `direct`.
    pub fn read_direct(&self, direct: &File, start: u64, len: usize) -> io::Result<Vec<u8>> {
        let mut buffer = Aligned::zeroed(len);
        let count = direct.read_at(&mut buffer, start)?;
        Ok(buffer[..count].to_vec())
    }

    /// Reads what is on the disk: from the device if that can be, else by a direct read.
    /// Also says by which way.
    pub fn on_disk(&self, start: u64, len: usize) -> Result<(Vec<u8>, &'static str)> {
        if let Ok(device) = &self.device
            && device.is_readable(&self.file)
        {
            let bytes = device
                .read(&self.file, start, len)
                .context("reading the device")?;
            return Ok((bytes, "disk"));
        }
        let direct = self.open_direct()?;
        // Direct reads want whole blocks; the end of the file cuts the count.
        let from = start / 4096 * 4096;
        let end = (start + len as u64).next_multiple_of(4096);
        let bytes = self
            .read_direct(&direct, from, (end - from) as usize)
            .context("reading the file by direct I/O")?;
        let skipped = (start - from) as usize;
        let end = bytes.len().min(skipped + len);
        Ok((
            bytes.get(skipped..end).unwrap_or_default().to_vec(),
            "direct read",
        ))
    }

    /// Asks the file system to drop the cache of a range, or skips the claim if it cannot.
    pub fn invalidate(&self, start: u64, len: u64) -> Result<Invalidate> {
        match sys::invalidate(&self.file, start, len) {
            Ok(done) => Ok(done),
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOTTY | libc::EOPNOTSUPP)) => {
                Err(skip("there is no COHFS_IOC_INVALIDATE here"))
            }
            Err(error) => {
                Err(error).with_context(|| format!("invalidating {len} bytes at {start}"))
            }
        }
    }
}

/// The number of the sector that holds byte `offset`.
pub fn sector_of(offset: u64) -> u64 {
    offset / SECTOR as u64
}
