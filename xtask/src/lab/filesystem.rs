// SPDX-License-Identifier: GPL-2.0

//! The file systems that the lab can compare.

use super::images::Bench;
use super::mkfs::{self, Mkfs};
use crate::exit::{Exit, failure};
use anyhow::Result;
use std::path::{Path, PathBuf};

/// A way to make a disk and to mount it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileSystem {
    /// Its name on the command line and over its column.
    pub(crate) name: &'static str,
    /// The type for mount(2).
    pub(crate) fstype: &'static str,
    /// The options for mount(2).
    pub(crate) options: &'static str,
    /// The policy, if it is ours: what it must come to is known then.
    pub(crate) policy: Option<&'static str>,
    /// Whether its page cache agrees with the disk whatever the claims did.
    pub(crate) coherent: bool,
    /// How its disks are made.
    pub(crate) mkfs: Mkfs,
    /// Whether the claims see it through NFS.
    pub(crate) nfs: bool,
    /// Whether its claims take long: what it does for one write are several of a slow disk, or it makes
    /// others wait for it.
    pub(crate) slow: bool,
}

impl FileSystem {
    /// Whether it is the module that mounts it.
    pub(crate) fn is_ours(&self) -> bool {
        self.fstype == COHFS.fstype
    }

    /// Whether it is none: the claims' files are partitions of its disks.
    pub(crate) fn is_raw(&self) -> bool {
        self.mkfs == Mkfs::Raw
    }

    /// Whether its disks hold ext2, which `e2fsck` and stock ext2 can judge.
    pub(crate) fn is_ext2(&self) -> bool {
        self.mkfs == Mkfs::Ext2
    }

    /// The image that its disk for `bench` is a copy of, below the directory of all; none if it has
    /// no disk.
    pub(crate) fn master(&self, masters: &Path, bench: &Bench) -> Option<PathBuf> {
        let name = format!("{}.img", bench.name());
        match self.mkfs {
            Mkfs::Ext2 => Some(masters.join(name)),
            Mkfs::Program(_) | Mkfs::Raw => Some(masters.join(self.name).join(name)),
            Mkfs::Memory => None,
        }
    }
}

const fn foreign(name: &'static str, mkfs: Mkfs) -> FileSystem {
    FileSystem {
        name,
        fstype: name,
        options: "",
        policy: None,
        coherent: false,
        mkfs,
        nfs: false,
        slow: false,
    }
}

const fn ours(name: &'static str, options: &'static str, policy: &'static str) -> FileSystem {
    FileSystem {
        name,
        fstype: "cohfs",
        options,
        policy: Some(policy),
        coherent: matches!(policy.as_bytes(), b"seed" | b"strict"),
        mkfs: Mkfs::Ext2,
        nfs: false,
        slow: matches!(policy.as_bytes(), b"strict"),
    }
}

/// Stock ext2: the measure of what is on a disk.
pub(crate) const EXT2: FileSystem = foreign("ext2", Mkfs::Ext2);

/// cohfs as somebody gets it who asks for nothing.
pub(crate) const COHFS: FileSystem = ours("cohfs", "", "strict");

/// Everything that can be asked for.
pub(crate) const ALL: [FileSystem; 15] = [
    COHFS,
    ours("cohfs-mainline", "coherency=mainline", "mainline"),
    ours("cohfs-seed", "coherency=seed", "seed"),
    ours("cohfs-none", "coherency=none", "none"),
    EXT2,
    foreign("ext4", Mkfs::Program(&mkfs::EXT4)),
    FileSystem {
        fstype: "ext4",
        ..foreign("ext4-nojournal", Mkfs::Program(&mkfs::EXT4_WITHOUT_JOURNAL))
    },
    // With indirect blocks, and file data in the journal.
    FileSystem {
        fstype: "ext4",
        options: "data=journal",
        slow: true,
        ..foreign("ext3", Mkfs::Program(&mkfs::EXT3))
    },
    foreign("xfs", Mkfs::Program(&mkfs::XFS)),
    FileSystem {
        slow: true,
        ..foreign("btrfs", Mkfs::Program(&mkfs::BTRFS))
    },
    FileSystem {
        slow: true,
        ..foreign("f2fs", Mkfs::Program(&mkfs::F2FS))
    },
    foreign("exfat", Mkfs::Program(&mkfs::EXFAT)),
    FileSystem {
        options: "size=96m",
        ..foreign("tmpfs", Mkfs::Memory)
    },
    // What the client's cache keeps of the contract was never promised.
    FileSystem {
        name: "nfs",
        policy: None,
        nfs: true,
        ..COHFS
    },
    foreign("raw", Mkfs::Raw),
];

/// Stands for cohfs under each of its policies.
const POLICIES: &str = "policies";

/// Stands for all of them.
pub(crate) const EVERY: &str = "all";

/// Finds file systems by name, or those that [`POLICIES`] or [`EVERY`] stands for.
pub(crate) fn select(names: &[String]) -> Result<Vec<FileSystem>> {
    let mut selected = Vec::new();
    for name in names {
        let before = selected.len();
        selected.extend(ALL.iter().filter(|fs| match name.as_str() {
            EVERY => true,
            POLICIES => fs.policy.is_some(),
            name => fs.name == name,
        }));
        if selected.len() == before {
            let known: Vec<_> = ALL.iter().map(|fs| fs.name).collect();
            return Err(failure(
                Exit::Usage,
                format!(
                    "no file system is called \"{name}\"; there are {}, {POLICIES} for all of \
                     cohfs, and {EVERY}",
                    known.join(", ")
                ),
            ));
        }
    }
    let mut unique: Vec<FileSystem> = Vec::new();
    for fs in selected {
        if !unique.contains(&fs) {
            unique.push(fs);
        }
    }
    Ok(unique)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_policies_have_a_name_and_each_comes_once() {
        let names = ["cohfs-seed", POLICIES, "ext2"].map(str::to_owned);
        let found: Vec<_> = select(&names).unwrap().iter().map(|fs| fs.name).collect();
        assert_eq!(
            found,
            [
                "cohfs-seed",
                "cohfs",
                "cohfs-mainline",
                "cohfs-none",
                "ext2"
            ]
        );
        assert!(select(&["vfat".to_owned()]).is_err());
    }
}
