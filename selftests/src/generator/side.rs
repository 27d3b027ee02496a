// SPDX-License-Identifier: GPL-2.0

//! A directory on which steps are done.

mod look;
mod names;
mod xattrs;

pub use look::Seen;
pub use xattrs::Xattrs;

use std::ops::Range;
use std::os::fd::AsFd as _;
use std::os::fd::BorrowedFd;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use rustix::fs::AtFlags;
use rustix::fs::IFlags;
use rustix::fs::OFlags;
use rustix::fs::Stat;
use rustix::io::Errno;

use super::content::pattern;
use super::data;
use super::extents;
use super::model::SLOTS;
use super::step::Mode;
use super::step::Reader;
use super::step::Slot;
use super::step::Step;
use super::step::Syncer;
use super::step::Target;
use super::step::Writer;
use crate::generation::set_generation;
use crate::mount::Mount;

/// The directory of the tree below that of the side, which may be a mount point.
const TREE: &str = "tree";

/// What a step gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// What the system call returned, if it counts something.
    pub count: u64,
    /// What was read.
    pub bytes: Vec<u8>,
    /// What was seen otherwise.
    pub text: String,
}

/// A directory on which steps are done, and its open files.
#[derive(Debug)]
pub struct Side {
    path: PathBuf,
    root: Option<OwnedFd>,
    slots: [Option<OwnedFd>; SLOTS],
    /// Whether a store may find the disk full.
    careful: bool,
}

impl Side {
    /// Makes an empty tree in `path`. With `careful` a store may be answered by a signal.
    pub fn new(path: &Path, careful: bool) -> anyhow::Result<Self> {
        let tree = path.join(TREE);
        std::fs::create_dir(&tree).with_context(|| format!("making {}", tree.display()))?;
        let mut side = Self {
            path: path.to_owned(),
            root: None,
            slots: Default::default(),
            careful,
        };
        side.reopen()
            .with_context(|| format!("opening {}", tree.display()))?;
        Ok(side)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The directory of the tree.
    pub fn tree(&self) -> PathBuf {
        self.path.join(TREE)
    }

    fn reopen(&mut self) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        self.root = Some(rustix::fs::open(self.tree(), flags, mode(0))?);
        Ok(())
    }

    fn root(&self) -> Result<BorrowedFd<'_>, Errno> {
        self.root
            .as_ref()
            .map(|root| root.as_fd())
            .ok_or(Errno::BADF)
    }

    /// An open file.
    pub fn slot(&self, slot: Slot) -> Result<BorrowedFd<'_>, Errno> {
        let slot = self.slots.get(slot).and_then(Option::as_ref);
        slot.map(|slot| slot.as_fd()).ok_or(Errno::BADF)
    }

    /// Opens a path, which may not end in a symbolic link.
    pub fn open(&self, path: &str, flags: OFlags, bits: u32) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        let flags = flags | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        rustix::fs::openat(self.root()?, path, flags, mode(bits))
    }

    /// Looks at a path, not following it.
    pub fn stat(&self, path: &str) -> Result<Stat, Errno> {
        let path = if path.is_empty() { "." } else { path };
        rustix::fs::statat(self.root()?, path, AtFlags::SYMLINK_NOFOLLOW)
    }

    /// The text of a symbolic link.
    pub fn text(&self, path: &str) -> Result<String, Errno> {
        let text = rustix::fs::readlinkat(self.root()?, path, Vec::new())?;
        Ok(text.to_string_lossy().into_owned())
    }

    fn with<R>(
        &self,
        target: &Target,
        flags: OFlags,
        work: impl FnOnce(BorrowedFd<'_>) -> Result<R, Errno>,
    ) -> Result<R, Errno> {
        match target {
            Target::Path(path) => work(self.open(path, flags, 0)?.as_fd()),
            Target::Slot(slot) => work(self.slot(*slot)?),
        }
    }

    /// Which bytes of a range have blocks, once what is dirty is written out.
    pub fn mapped(&self, target: &Target, range: Range<u64>) -> Result<Vec<Range<u64>>, Errno> {
        let mapped = |fd: BorrowedFd<'_>| extents::mapped(fd, range, true);
        self.with(target, OFlags::RDONLY, mapped)
    }

    /// Does a step.
    pub fn perform(&mut self, step: &Step) -> Result<Answer, Errno> {
        match step {
            Step::Create {
                path,
                mode,
                exclusive,
            } => {
                let exclusive = if *exclusive {
                    OFlags::EXCL
                } else {
                    OFlags::empty()
                };
                self.open(path, OFlags::CREATE | OFlags::RDWR | exclusive, *mode)?;
            }
            Step::Open { slot, path, mode } => {
                self.slots[*slot] = Some(self.open(path, flags(*mode), 0)?);
            }
            Step::Tmpfile { slot, dir, mode } => {
                let file = self.open(dir, OFlags::TMPFILE | OFlags::RDWR, *mode)?;
                self.slots[*slot] = Some(file);
            }
            Step::Close { slot } => self.slots[*slot] = None,
            Step::Write {
                target,
                mode,
                writer,
                at,
                len,
                seed,
            } => {
                let bytes = pattern(*seed, *len);
                let flags = match target {
                    Target::Path(_) if *writer == Writer::Store => OFlags::RDWR,
                    _ => flags(*mode),
                };
                let write =
                    |fd: BorrowedFd<'_>| data::write(fd, *writer, *at, &bytes, self.careful);
                return self.with(target, flags, write).map(counted);
            }
            Step::Read {
                target,
                reader,
                at,
                len,
            } => {
                let direct = *reader == Reader::Direct;
                let direct = if direct {
                    OFlags::DIRECT
                } else {
                    OFlags::empty()
                };
                let read = |fd: BorrowedFd<'_>| data::read(fd, *reader, *at, *len);
                let bytes = self.with(target, OFlags::RDONLY | direct, read)?;
                return Ok(Answer {
                    bytes,
                    ..Answer::default()
                });
            }
            Step::Copy {
                from,
                from_at,
                to,
                at,
                len,
                copier,
            } => {
                let from = self.open(from, OFlags::RDONLY, 0)?;
                let copy = |to: BorrowedFd<'_>| {
                    data::copy(*copier, (from.as_fd(), *from_at), (to, *at), *len)
                };
                return self.with(to, OFlags::RDWR, copy).map(counted);
            }
            Step::Truncate { target, size } => {
                self.with(target, OFlags::RDWR, |fd| rustix::fs::ftruncate(fd, *size))?;
            }
            Step::Fallocate {
                target,
                how,
                at,
                len,
            } => {
                let fallocate = |fd: BorrowedFd<'_>| extents::fallocate(fd, *how, *at, *len);
                let text = self.with(target, OFlags::RDWR, fallocate)?;
                return Ok(Answer {
                    text,
                    ..Answer::default()
                });
            }
            Step::Extents { target, start, end } => {
                let text = format!("{:?}", self.mapped(target, *start..*end)?);
                return Ok(Answer {
                    text,
                    ..Answer::default()
                });
            }
            Step::Sync { target, syncer } => {
                let sync = |fd: BorrowedFd<'_>| match syncer {
                    Syncer::Fsync => rustix::fs::fsync(fd),
                    Syncer::Fdatasync => rustix::fs::fdatasync(fd),
                    Syncer::Syncfs => rustix::fs::syncfs(fd),
                };
                self.with(target, OFlags::RDONLY, sync)?;
            }
            Step::Chmod { target, mode: bits } => {
                let chmod = |fd: BorrowedFd<'_>| rustix::fs::fchmod(fd, mode(*bits));
                match target {
                    Target::Path(path) => {
                        rustix::fs::chmodat(self.root()?, path, mode(*bits), AtFlags::empty())?
                    }
                    Target::Slot(slot) => chmod(self.slot(*slot)?)?,
                }
            }
            Step::SetFlags { target, flags } => {
                let flags = IFlags::from_bits_retain(*flags);
                let set = |fd: BorrowedFd<'_>| rustix::fs::ioctl_setflags(fd, flags);
                self.with(target, OFlags::RDONLY, set)?;
            }
            Step::SetGeneration { target, generation } => {
                let set = |fd: BorrowedFd<'_>| set_generation(fd, *generation);
                self.with(target, OFlags::RDONLY, set)?;
            }
            Step::List {
                path,
                buffer,
                scratch,
            } => {
                let text = self.list(path, *buffer, scratch)?;
                return Ok(Answer {
                    text,
                    ..Answer::default()
                });
            }
            Step::Follow { path } => {
                let stat = rustix::fs::statat(self.root()?, path, AtFlags::empty())?;
                let text = format!("mode {:o}, {} links", stat.st_mode, stat.st_nlink);
                return Ok(Answer {
                    text,
                    ..Answer::default()
                });
            }
            Step::Statfs => {
                let stat = rustix::fs::fstatfs(self.root()?)?;
                let text = format!(
                    "{} blocks of {} bytes, {} inodes, {} free, names of {}",
                    stat.f_blocks, stat.f_bsize, stat.f_files, stat.f_ffree, stat.f_namelen
                );
                return Ok(Answer {
                    text,
                    ..Answer::default()
                });
            }
            Step::DropCaches => {
                rustix::fs::syncfs(self.root()?)?;
                std::fs::write("/proc/sys/vm/drop_caches", "3")
                    .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
            }
            Step::Remount => {
                self.slots = Default::default();
                self.root = None;
                let remounted = Mount::of(&self.path).and_then(|mount| mount.again());
                self.reopen()?;
                remounted?;
            }
            Step::SetXattr { .. }
            | Step::RemoveXattr { .. }
            | Step::GetXattr { .. }
            | Step::ListXattr { .. } => return self.perform_on_xattrs(step),
            _ => self.perform_on_names(step)?,
        }
        Ok(Answer::default())
    }

    /// Free space in sectors of 512 bytes, and the blocks in sectors of the files at `vary`.
    pub fn free_and_used(&self, vary: &[Target]) -> Result<i64, Errno> {
        let stat = rustix::fs::fstatfs(self.root()?)?;
        let mut sectors = stat.f_bfree.cast_signed() * (stat.f_bsize / 512);
        for target in vary {
            sectors += self.look(target)?.stat.st_blocks;
        }
        Ok(sectors)
    }

    /// Closes everything.
    pub fn close(&mut self) {
        self.slots = Default::default();
        self.root = None;
    }
}

fn counted(count: usize) -> Answer {
    Answer {
        count: count as u64,
        ..Answer::default()
    }
}

fn mode(bits: u32) -> rustix::fs::Mode {
    rustix::fs::Mode::from_bits_retain(bits)
}

fn flags(mode: Mode) -> OFlags {
    let mut flags = if mode.read_only {
        OFlags::RDONLY
    } else {
        OFlags::RDWR
    };
    flags.set(OFlags::APPEND, mode.append);
    flags.set(OFlags::DIRECT, mode.direct);
    flags.set(OFlags::SYNC, mode.sync);
    flags.set(OFlags::DSYNC, mode.dsync);
    flags.set(OFlags::TRUNC, mode.truncate);
    flags
}
