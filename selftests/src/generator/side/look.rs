// SPDX-License-Identifier: GPL-2.0

//! What a side says of an inode.

use rustix::fs::AtFlags;
use rustix::fs::FileType;
use rustix::fs::OFlags;
use rustix::fs::Stat;
use rustix::fs::Statx;
use rustix::fs::StatxFlags;
use rustix::io::Errno;

use super::Side;
use crate::generation::flags_and_generation;
use crate::generator::step::Target;

/// What is known of an inode without looking at what it holds.
pub struct Seen {
    /// What `stat(2)` says.
    pub stat: Stat,
    /// Bits `STATX_ATTR_*` that are set.
    pub attributes: u64,
    /// Those that could be.
    pub possible: u64,
    /// Bits `FS_*_FL` of a file or a directory, if the file system has such.
    pub flags: Option<u32>,
    /// The generation, likewise.
    pub generation: Option<u32>,
}

impl Side {
    /// Looks at a target, and does not follow it.
    pub fn look(&self, target: &Target) -> Result<Seen, Errno> {
        let stat = match target {
            Target::Path(path) => self.stat(path)?,
            Target::Slot(slot) => rustix::fs::fstat(self.slot(*slot)?)?,
        };
        let statx = self.statx(target)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let (flags, generation) = match kind {
            FileType::RegularFile | FileType::Directory => {
                self.with(target, OFlags::RDONLY, |fd| flags_and_generation(fd))?
            }
            _ => (None, None),
        };
        Ok(Seen {
            stat,
            attributes: statx.stx_attributes.bits(),
            possible: statx.stx_attributes_mask.bits(),
            flags,
            generation,
        })
    }

    fn statx(&self, target: &Target) -> Result<Statx, Errno> {
        let wanted = StatxFlags::BASIC_STATS;
        match target {
            Target::Path(path) if !path.is_empty() => {
                rustix::fs::statx(self.root()?, path, AtFlags::SYMLINK_NOFOLLOW, wanted)
            }
            Target::Path(_) => rustix::fs::statx(self.root()?, "", AtFlags::EMPTY_PATH, wanted),
            Target::Slot(slot) => {
                rustix::fs::statx(self.slot(*slot)?, "", AtFlags::EMPTY_PATH, wanted)
            }
        }
    }
}
