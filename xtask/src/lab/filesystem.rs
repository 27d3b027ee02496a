// SPDX-License-Identifier: GPL-2.0

//! The file systems that the lab can compare, each a way to mount the same image.

use crate::exit::{Exit, failure};
use anyhow::Result;

/// A way to mount an ext2 image.
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
}

const fn foreign(name: &'static str) -> FileSystem {
    FileSystem {
        name,
        fstype: name,
        options: "",
        policy: None,
        coherent: false,
    }
}

const fn ours(name: &'static str, options: &'static str, policy: &'static str) -> FileSystem {
    FileSystem {
        name,
        fstype: "cohfs",
        options,
        policy: Some(policy),
        coherent: matches!(policy.as_bytes(), b"seed" | b"strict"),
    }
}

/// Stock ext2: the measure of what is on a disk.
pub(crate) const EXT2: FileSystem = foreign("ext2");

/// cohfs as somebody gets it who asks for nothing.
pub(crate) const COHFS: FileSystem = ours("cohfs", "", "strict");

/// Everything that can be asked for.
pub(crate) const ALL: [FileSystem; 6] = [
    EXT2,
    foreign("ext4"),
    COHFS,
    ours("cohfs-mainline", "coherency=mainline", "mainline"),
    ours("cohfs-seed", "coherency=seed", "seed"),
    ours("cohfs-none", "coherency=none", "none"),
];

/// Stands for cohfs under each of its policies.
const POLICIES: &str = "policies";

/// Finds file systems by name, or those that [`POLICIES`] stands for.
pub(crate) fn select(names: &[String]) -> Result<Vec<FileSystem>> {
    let mut selected = Vec::new();
    for name in names {
        let before = selected.len();
        selected.extend(
            ALL.iter()
                .filter(|fs| fs.name == name || (name == POLICIES && fs.policy.is_some())),
        );
        if selected.len() == before {
            let known: Vec<_> = ALL.iter().map(|fs| fs.name).collect();
            return Err(failure(
                Exit::Usage,
                format!(
                    "no file system is called \"{name}\"; there are {}, and {POLICIES} for all of cohfs",
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
