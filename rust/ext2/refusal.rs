// SPDX-License-Identifier: GPL-2.0

//! Why an image is not mounted.
//!
//! C counterpart: the messages of `ext2_fill_super` in [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use super::FeatureNames;
use core::fmt;

/// Why a super block was refused. Displays as one line with the field and the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The magic number is not that of ext2; this is what it is.
    BadMagic(u16),
    /// The format is of a later revision than 1.
    Revision(u32),
    /// There are features that a driver must know to read.
    UnknownIncompat(FeatureNames),
    /// The block size is 1024 shifted by this much.
    BlockSize(u32),
    /// The size of an inode, in bytes, is not a power of two from 128 to the block size.
    InodeSize(u32),
    /// Two fields contradict each other, or one of them the format.
    Geometry {
        /// What is wrong, with the names of the fields.
        what: &'static str,
        /// The value found.
        found: u64,
        /// What it is measured against.
        against: u64,
    },
    /// The device is smaller than the file system, in bytes.
    Truncated {
        /// Size of the file system.
        need: u64,
        /// Size of the device.
        have: u64,
    },
}

impl Refusal {
    /// Whether the image is damaged, which is for e2fsck to mend (`EUCLEAN`), rather than not
    /// ours or not all there (`EINVAL`).
    ///
    /// A device that is too small counts among the latter, as in `fs/ext2`: the file system on
    /// it may be in perfect order, with a partition table or a copy that is not.
    pub(crate) fn is_corrupt(&self) -> bool {
        match self {
            Self::InodeSize(_) | Self::Geometry { .. } => true,
            Self::BadMagic(_)
            | Self::Revision(_)
            | Self::UnknownIncompat(_)
            | Self::BlockSize(_)
            | Self::Truncated { .. } => false,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadMagic(found) => write!(
                f,
                "no ext2 super block here: magic is {found:#06x}, not 0xef53; \
                 is this the right device?"
            ),
            Self::Revision(found) => write!(
                f,
                "revision {found} of the format is not supported, only 0 and 1; \
                 use a newer driver"
            ),
            Self::UnknownIncompat(names) => {
                write!(f, "unsupported incompatible feature: {names}; ")?;
                f.write_str(if names.bits() == super::Incompat::RECOVER {
                    "replay the journal with e2fsck first"
                } else {
                    "mount it as ext4, or make it with mke2fs -t ext2"
                })
            }
            Self::BlockSize(log) => match 1024u64.checked_shl(*log) {
                Some(size) if *log <= 6 => write!(
                    f,
                    "unsupported block size: {size} bytes, not 1024, 2048 or 4096; \
                     make it with mke2fs -b 4096"
                ),
                _ => write!(
                    f,
                    "bad block size: s_log_block_size is {log}, at most 6 is possible; run e2fsck"
                ),
            },
            Self::InodeSize(found) => write!(
                f,
                "bad inode size: s_inode_size is {found}, not a power of two from 128 to the \
                 block size; run e2fsck"
            ),
            Self::Geometry {
                what,
                found,
                against,
            } => write!(
                f,
                "bad geometry: {what}: {found} against {against}; run e2fsck"
            ),
            Self::Truncated { need, have } => write!(
                f,
                "truncated device: the file system needs {need} bytes, the device has {have}; \
                 enlarge the device or copy the image in full"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_to_replay_is_told_apart_from_a_foreign_format() {
        let journal = Refusal::UnknownIncompat(FeatureNames::incompat(0x4)).to_string();
        assert!(
            journal.contains("needs_recovery; replay the journal"),
            "{journal}"
        );
        let extents = Refusal::UnknownIncompat(FeatureNames::incompat(0x44)).to_string();
        assert!(
            extents.contains("needs_recovery, extent; mount it as ext4"),
            "{extents}"
        );
    }

    #[test]
    fn every_refusal_is_one_line() {
        let all = [
            Refusal::BadMagic(0),
            Refusal::Revision(2),
            Refusal::UnknownIncompat(FeatureNames::incompat(u32::MAX)),
            Refusal::BlockSize(3),
            Refusal::BlockSize(u32::MAX),
            Refusal::InodeSize(100),
            Refusal::Geometry {
                what: "x",
                found: 1,
                against: 2,
            },
            Refusal::Truncated { need: 2, have: 1 },
        ];
        for refusal in all {
            let line = refusal.to_string();
            assert!(!line.contains('\n') && line.contains(';'), "{line}");
        }
        assert!(Refusal::BlockSize(3).to_string().contains("8192 bytes"));
    }
}
