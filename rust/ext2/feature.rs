// SPDX-License-Identifier: GPL-2.0

//! Feature flags: which there are, which cohfs knows, and their names.
//!
//! The names are those that `mke2fs -O` takes and `dumpe2fs -h` prints, so that a message can be
//! acted upon.
//!
//! C header: [`fs/ext2/ext2.h`](srctree/fs/ext2/ext2.h)

use super::SuperBlock;
use core::fmt;

/// Features that do not stop a driver which ignores them.
pub(crate) struct Compat;

impl Compat {
    /// Inodes have blocks of extended attributes.
    pub(crate) const EXT_ATTR: u32 = 0x8;
    /// Blocks behind the descriptors are kept for more of them.
    pub(crate) const RESIZE_INODE: u32 = 0x10;
    /// Only two groups hold backups, and the super block says which.
    pub(crate) const SPARSE_SUPER2: u32 = 0x200;
}

/// Features that a driver must know to write.
pub(crate) struct RoCompat;

impl RoCompat {
    /// Only some groups hold backups.
    pub(crate) const SPARSE_SUPER: u32 = 0x1;
    /// There are, or were, regular files of 2 GiB and more.
    pub(crate) const LARGE_FILE: u32 = 0x2;
    /// Never used.
    pub(crate) const BTREE_DIR: u32 = 0x4;

    /// Those that cohfs knows, which are those of `fs/ext2`.
    pub(crate) const SUPPORTED: u32 = Self::SPARSE_SUPER | Self::LARGE_FILE | Self::BTREE_DIR;
}

/// Features that a driver must know to read.
pub(crate) struct Incompat;

impl Incompat {
    /// Directory entries say what kind of file they name.
    pub(crate) const FILETYPE: u32 = 0x2;
    /// The journal holds what has not reached its place yet.
    pub(crate) const RECOVER: u32 = 0x4;
    /// Descriptors lie spread over the device.
    pub(crate) const META_BG: u32 = 0x10;

    /// Those that cohfs knows, which are those of `fs/ext2`.
    pub(crate) const SUPPORTED: u32 = Self::FILETYPE | Self::META_BG;
}

impl SuperBlock {
    /// Whether any of these compatible features is there.
    pub(crate) fn has_compat(&self, bits: u32) -> bool {
        self.compat & bits != 0
    }

    /// Whether any of these read-only compatible features is there.
    pub(crate) fn has_ro_compat(&self, bits: u32) -> bool {
        self.ro_compat & bits != 0
    }

    /// Whether any of these incompatible features is there.
    pub(crate) fn has_incompat(&self, bits: u32) -> bool {
        self.incompat & bits != 0
    }

    /// Returns the features because of which it must not be written; `None` if it may be.
    pub(crate) fn read_only_features(&self) -> Option<FeatureNames> {
        match self.ro_compat & !RoCompat::SUPPORTED {
            0 => None,
            unknown => Some(FeatureNames::ro_compat(unknown)),
        }
    }
}

/// Features by name.
///
/// Displays as a list with `, ` between the names. A flag that has none shows as e2fsprogs shows
/// it: `FEATURE_`, then `R` or `I` for the set and the number of the bit.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FeatureNames {
    set: &'static Set,
    bits: u32,
}

impl FeatureNames {
    /// Names the flags of `bits` in the set of read-only compatible features.
    pub(crate) const fn ro_compat(bits: u32) -> Self {
        Self {
            set: &RO_COMPAT,
            bits,
        }
    }

    /// Names the flags of `bits` in the set of incompatible features.
    pub(crate) const fn incompat(bits: u32) -> Self {
        Self {
            set: &INCOMPAT,
            bits,
        }
    }

    /// Returns the flags.
    pub(crate) const fn bits(self) -> u32 {
        self.bits
    }
}

impl fmt::Display for FeatureNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for bit in 0..u32::BITS {
            if self.bits & (1 << bit) == 0 {
                continue;
            }
            f.write_str(separator)?;
            separator = ", ";
            match self.set.names.iter().find(|(named, _)| *named == bit) {
                Some((_, name)) => f.write_str(name)?,
                None => write!(f, "FEATURE_{}{bit}", self.set.letter)?,
            }
        }
        Ok(())
    }
}

impl fmt::Debug for FeatureNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A word of flags: the number of each bit that has a name, and the name.
#[derive(PartialEq, Eq)]
struct Set {
    letter: char,
    names: &'static [(u32, &'static str)],
}

static RO_COMPAT: Set = Set {
    letter: 'R',
    names: &[
        (0, "sparse_super"),
        (1, "large_file"),
        (2, "btree_dir"),
        (3, "huge_file"),
        (4, "uninit_bg"),
        (5, "dir_nlink"),
        (6, "extra_isize"),
        (8, "quota"),
        (9, "bigalloc"),
        (10, "metadata_csum"),
        (11, "replica"),
        (12, "read-only"),
        (13, "project"),
        (14, "shared_blocks"),
        (15, "verity"),
        (16, "orphan_present"),
    ],
};

static INCOMPAT: Set = Set {
    letter: 'I',
    names: &[
        (0, "compression"),
        (1, "filetype"),
        (2, "needs_recovery"),
        (3, "journal_dev"),
        (4, "meta_bg"),
        (6, "extent"),
        (7, "64bit"),
        (8, "mmp"),
        (9, "flex_bg"),
        (10, "ea_inode"),
        (12, "dirdata"),
        (13, "metadata_csum_seed"),
        (14, "large_dir"),
        (15, "inline_data"),
        (16, "encrypt"),
        (17, "casefold"),
    ],
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_are_named_as_e2fsprogs_names_them() {
        assert_eq!(
            FeatureNames::incompat(0x2c2).to_string(),
            "filetype, extent, 64bit, flex_bg"
        );
        assert_eq!(FeatureNames::ro_compat(0x400).to_string(), "metadata_csum");
    }

    #[test]
    fn a_flag_without_a_name_shows_its_set_and_bit() {
        assert_eq!(FeatureNames::incompat(1 << 31).to_string(), "FEATURE_I31");
        assert_eq!(FeatureNames::ro_compat(1 << 7).to_string(), "FEATURE_R7");
        assert_eq!(
            FeatureNames::incompat(1 << 30 | 4).to_string(),
            "needs_recovery, FEATURE_I30"
        );
    }
}
