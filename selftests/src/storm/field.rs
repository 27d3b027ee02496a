// SPDX-License-Identifier: GPL-2.0

//! One file of a storm, and every way to write and to read a range of it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::ledger::Ledger;
use super::random::Random;
use crate::aligned::Aligned;
use crate::file::ClaimFile;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pattern::SECTOR;
use crate::transfer;

/// Sectors of a unit, the last of which are nobody's data: there threads put what they write from
/// a mapping, and what they read into one. So such pages hold data of others too.
const UNIT: u64 = 64;
const DATA: u64 = 60;

/// How a range is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Write {
    /// `pwrite(2)`.
    Buffered,
    /// `pwrite(2)` with `O_DIRECT`.
    Direct,
    /// `pwrite(2)` with `O_DIRECT` and `O_DSYNC`.
    Synced,
    /// Stores through a mapping.
    Store,
    /// `splice(2)` from a pipe.
    Splice,
    /// `pwrite(2)` with `O_DIRECT` in a child of `fork(2)`.
    Child,
    /// `pwrite(2)` with `O_DIRECT` from a mapping of a file of the storm, maybe the same.
    FromMapping,
}

impl Write {
    /// All of them; those that collide more often than others come more often.
    pub(super) const ALL: [Self; 12] = [
        Self::Buffered,
        Self::Buffered,
        Self::Direct,
        Self::Direct,
        Self::Direct,
        Self::Synced,
        Self::Store,
        Self::Store,
        Self::Store,
        Self::Splice,
        Self::Child,
        Self::FromMapping,
    ];

    /// Its name in the history of a sector.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Buffered => "write",
            Self::Direct => "direct write",
            Self::Synced => "direct write with O_DSYNC",
            Self::Store => "store",
            Self::Splice => "splice from a pipe",
            Self::Child => "direct write of a child",
            Self::FromMapping => "direct write from a mapping",
        }
    }
}

/// How a range is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// `pread(2)`.
    Buffered,
    /// `pread(2)` with `O_DIRECT`.
    Direct,
    /// Loads through a mapping; only where the file is never cut.
    Load,
    /// `process_vm_readv(2)` through the mapping; only where the file is never cut, for what is stored
    /// behind its end is in the page for all who map it.
    Peek,
    /// Loads through a new private mapping; only where the file is never cut.
    Private,
    /// `splice(2)` to a pipe.
    Splice,
    /// `pread(2)` with `O_DIRECT` into a mapping of a file of the storm, maybe the same.
    IntoMapping,
}

impl Read {
    /// All of them.
    pub(super) const ALL: [Self; 7] = [
        Self::Buffered,
        Self::Direct,
        Self::Load,
        Self::Peek,
        Self::Private,
        Self::Splice,
        Self::IntoMapping,
    ];

    /// Its name in a finding.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Buffered => "read",
            Self::Direct => "direct read",
            Self::Load => "load",
            Self::Peek => "process_vm_readv",
            Self::Private => "load through a private mapping",
            Self::Splice => "splice to a pipe",
            Self::IntoMapping => "direct read into a mapping",
        }
    }

    /// Whether it may be used where the file may end at any moment.
    pub(super) fn takes_the_end(self) -> bool {
        !matches!(self, Self::Load | Self::Peek | Self::Private)
    }
}

/// A file of a storm.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) file: ClaimFile,
    pub(super) direct: File,
    synced: File,
    pub(super) mapping: Mapping,
    pub(super) ledger: Ledger,
}

impl Field {
    /// Opens the file `name` of `size` bytes, which is made if it is not there.
    pub(super) fn open(
        dir: &Path,
        name: &str,
        size: u64,
        began: Instant,
        key: u64,
    ) -> Result<Self> {
        let file = ClaimFile::open(dir, name, size)?;
        let direct = file.open_direct()?;
        file.fill(1)?;
        file.require_direct(&direct, 0, SECTOR, 1)?;
        Ok(Self {
            synced: file.open_direct_synced()?,
            mapping: Mapping::with_readahead(file.file(), size as usize, Share::Shared)?,
            ledger: Ledger::new(key ^ file.id(), began, size / SECTOR as u64),
            direct,
            file,
        })
    }

    /// The first sector that may be cut off.
    pub(super) fn head(&self) -> u64 {
        self.ledger.len() / 2
    }

    /// Some sectors that hold data: mostly few, and mostly where the others are.
    pub(super) fn some_data(&self, random: &mut Random) -> Range<u64> {
        let units = self.ledger.len() / UNIT;
        let unit = match random.below(10) {
            0..6 => 0,
            6..8 => units - 1 - random.below(2),
            _ => random.below(units),
        };
        let (start, len) = match random.below(10) {
            0..5 => (random.below(DATA), 1 + random.below(2)),
            5..8 => (random.below(DATA / 8) * 8, 8),
            _ => (random.below(DATA), 1 + random.below(32)),
        };
        unit * UNIT + start..unit * UNIT + (start + len).min(DATA)
    }

    /// A place for `len` sectors, four at most, that is nobody's data.
    pub(super) fn some_scratch(&self, random: &mut Random, len: u64) -> Range<u64> {
        let first = random.below(2) * UNIT + DATA;
        first..first + len.min(UNIT - DATA)
    }

    /// Every piece of the file that holds data.
    pub(super) fn all_data(&self) -> impl Iterator<Item = Range<u64>> {
        (0..self.ledger.len() / UNIT).map(|unit| unit * UNIT..unit * UNIT + DATA)
    }

    /// Writes `bytes`, whole sectors, at sector `first`; `scratch` is for [`Write::FromMapping`].
    pub(super) fn write(
        &self,
        way: Write,
        first: u64,
        bytes: &[u8],
        scratch: Option<(&Field, u64)>,
    ) -> io::Result<usize> {
        let at = first * SECTOR as u64;
        match way {
            Write::Buffered => self.file.file().write_at(bytes, at),
            Write::Direct => self.direct.write_at(&Aligned::from(bytes), at),
            Write::Synced => self.synced.write_at(&Aligned::from(bytes), at),
            Write::Splice => transfer::splice_in(self.file.file(), bytes, at),
            Write::Child => transfer::write_in_child(&self.direct, &Aligned::from(bytes), at),
            Write::Store => {
                self.mapping.store(at as usize, bytes);
                Ok(bytes.len())
            }
            Write::FromMapping => {
                let (other, place) = scratch.ok_or(io::ErrorKind::InvalidInput)?;
                let offset = place as usize * SECTOR;
                other.mapping.store(offset, bytes);
                other
                    .mapping
                    .write_to(offset, bytes.len(), &self.direct, at)
            }
        }
    }

    /// Reads the sectors of `range`; fewer bytes if the file ends.
    pub(super) fn read(
        &self,
        way: Read,
        range: Range<u64>,
        scratch: Option<(&Field, u64)>,
    ) -> io::Result<Vec<u8>> {
        let at = range.start * SECTOR as u64;
        let len = (range.end - range.start) as usize * SECTOR;
        let by_call = |file: &File| -> io::Result<Vec<u8>> {
            let mut buffer = Aligned::zeroed(len);
            let count = file.read_at(&mut buffer, at)?;
            Ok(buffer[..count].to_vec())
        };
        match way {
            Read::Buffered => by_call(self.file.file()),
            Read::Direct => by_call(&self.direct),
            Read::Load => Ok(self.mapping.load(at as usize, len)),
            Read::Peek => Ok(self.mapping.peek(at as usize, len)),
            Read::Splice => transfer::splice_out(self.file.file(), len, at),
            Read::Private => {
                let end = at as usize + len;
                let mapping = Mapping::with_readahead(self.file.file(), end, Share::Private)?;
                Ok(mapping.load(at as usize, len))
            }
            Read::IntoMapping => {
                let (other, place) = scratch.ok_or(io::ErrorKind::InvalidInput)?;
                let offset = place as usize * SECTOR;
                let count = other.mapping.read_into(offset, len, &self.direct, at)?;
                Ok(other.mapping.load(offset, count))
            }
        }
    }
}
