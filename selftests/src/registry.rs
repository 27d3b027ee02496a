// SPDX-License-Identifier: GPL-2.0

//! What a claim is, and the list of all.

use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;
use serde::Serialize;

use crate::file::ClaimFile;
use crate::pattern;
use crate::timeline;
use crate::timeline::Act;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The disk a claim wants under its file system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disk {
    /// Any.
    Plain,
    /// One whose writes take long enough to do something meanwhile.
    SlowWrites,
    /// One whose reads take long enough to do something meanwhile.
    SlowReads,
}

/// What a claim needs to be more than a skip.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Needs {
    /// Block size in bytes, if the claim is about one.
    pub block_size: Option<u32>,
    /// The disk.
    pub disk: Disk,
    /// I/O errors on demand (`fail_make_request`).
    pub faults: bool,
    /// `COHFS_IOC_INVALIDATE`.
    pub ioctl: bool,
    /// The block device itself: direct access and `FIBMAP`.
    pub device: bool,
    /// Minutes in a debug kernel without KVM. Left out where only a bounded part is tested.
    pub patience: bool,
    /// Several tries: where nobody promises it, who comes first decides how it ends.
    pub chance: bool,
}

impl Needs {
    /// Nothing but a directory.
    pub const NOTHING: Self = Self {
        block_size: None,
        disk: Disk::Plain,
        faults: false,
        ioctl: false,
        device: false,
        patience: false,
        chance: false,
    };

    /// Small blocks, so that several fit in a page.
    pub const SMALL_BLOCKS: Self = Self {
        block_size: Some(1024),
        ..Self::NOTHING
    };
}

/// The verdicts that are right for each policy of cohfs, from the rules and not from what came out.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Expect {
    /// `coherency=none`: no invalidation at all.
    pub none: &'static [Verdict],
    /// `coherency=seed`: the 2004 patch.
    pub seed: &'static [Verdict],
    /// `coherency=mainline`: the best effort of 7.3.
    pub mainline: &'static [Verdict],
    /// `coherency=strict`: the contract.
    pub strict: &'static [Verdict],
}

impl Expect {
    /// Kept whatever the policy is.
    pub const KEPT: Self = Self {
        none: &[Verdict::Kept],
        seed: &[Verdict::Kept],
        mainline: &[Verdict::Kept],
        strict: &[Verdict::Kept],
    };

    /// Kept by every policy that invalidates; without, old bytes are seen.
    pub const STALE_WITHOUT: Self = Self {
        none: &[Verdict::Stale],
        ..Self::KEPT
    };

    /// Kept by every policy that invalidates; without, bytes are lost on the disk.
    pub const LOST_WITHOUT: Self = Self {
        none: &[Verdict::Lost],
        ..Self::KEPT
    };
}

/// A file of a claim, of fixed size, so that it can be a part of a prepared image.
#[derive(Clone, Copy, Debug)]
pub struct FileSpec {
    /// Name in the claim's directory; no other claim has one of this name.
    pub name: &'static str,
    /// Size in bytes.
    pub size: u64,
}

impl FileSpec {
    /// Whether a block device can stand for it: these are whole sectors.
    pub fn can_be_device(&self) -> bool {
        self.size.is_multiple_of(pattern::SECTOR as u64)
    }
}

/// One promise, and the function that tries to break it.
#[derive(Debug)]
pub struct Claim {
    /// Short name, such as `T21`.
    pub id: &'static str,
    /// The promise in words, in snake case.
    pub name: &'static str,
    /// The rule or scenario it stands for.
    pub rule: &'static str,
    /// One paragraph: what is done, what is looked at, what breaks.
    pub summary: &'static str,
    /// What it needs.
    pub needs: Needs,
    /// What each policy of cohfs must give.
    pub expect: Expect,
    /// Its files; those that it makes itself are not among them.
    pub files: &'static [FileSpec],
    /// Tries it.
    pub run: fn(&Stage) -> Result<Outcome>,
}

impl Claim {
    /// The name in KTAP: `T21.store_during_direct_write`.
    pub fn full_name(&self) -> String {
        format!("{}.{}", self.id, self.name)
    }
}

/// The name of the disk in a directory in which the claims' files are partitions of it.
pub const RAW_DEVICE: &str = "raw-device";

/// Where a claim runs.
#[derive(Debug)]
pub struct Stage<'a> {
    /// The directory that holds the claim's files, or the names of devices in their places.
    pub place: &'a Path,
    /// The claim itself.
    pub claim: &'static Claim,
}

impl<'a> Stage<'a> {
    /// The directory for what a claim does with more than its files, or a skip where these are raw
    /// devices: no file system is around them, whatever holds their names.
    pub fn dir(&self) -> Result<&'a Path> {
        match self.is_raw() {
            true => Err(skip(
                "the raw device has no file system: no names, no directories, no other files",
            )),
            false => Ok(self.place),
        }
    }

    fn is_raw(&self) -> bool {
        self.place.join(RAW_DEVICE).exists()
    }

    /// Opens the claim's only, or first, file.
    pub fn file(&self) -> Result<ClaimFile> {
        self.file_number(0)
    }

    /// Makes a file of `size` bytes for this run, all of them a hole, or skips the claim.
    pub fn scratch(&self, name: &str, size: u64) -> Result<ClaimFile> {
        ClaimFile::create(self.dir()?, name, size)
    }

    /// Skips the claim if blocks here are larger than it asks for: what it says of single blocks would
    /// be said of parts of them.
    pub fn insist_on_block_size(&self) -> Result<()> {
        let found = rustix::fs::statvfs(self.dir()?).context("statfs")?.f_bsize;
        match self.claim.needs.block_size {
            Some(wanted) if found > u64::from(wanted) => Err(skip(format!(
                "it is about blocks of {wanted} bytes, here they have {found}"
            ))),
            _ => Ok(()),
        }
    }

    /// Opens one of the claim's files.
    pub fn file_number(&self, index: usize) -> Result<ClaimFile> {
        let spec = &self.claim.files[index];
        if self.is_raw() && !spec.can_be_device() {
            let bytes = spec.size;
            return Err(skip(format!(
                "the raw device is whole sectors, never {bytes} bytes"
            )));
        }
        ClaimFile::open(self.place, spec.name, spec.size)
    }
}

/// Every claim, in the order in which they run.
pub fn all() -> impl Iterator<Item = &'static Claim> {
    crate::claims::GROUPS.iter().copied().flatten()
}

/// The claim called `id`, whatever the case of its letters.
pub fn find(id: &str) -> Option<&'static Claim> {
    all().find(|claim| claim.id.eq_ignore_ascii_case(id))
}

/// What `claims list --json` says of a claim.
#[derive(Debug, Serialize)]
pub struct Listed {
    id: &'static str,
    name: &'static str,
    rule: &'static str,
    summary: &'static str,
    needs: Needs,
    expect: Expect,
    timeline: &'static [Act],
}

impl From<&Claim> for Listed {
    fn from(claim: &Claim) -> Self {
        Self {
            id: claim.id,
            name: claim.name,
            rule: claim.rule,
            summary: claim.summary,
            needs: claim.needs,
            expect: claim.expect,
            timeline: timeline::of(claim.id),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verdict::settle;
    use std::collections::HashSet;

    #[test]
    fn ids_names_and_files_are_unique() {
        let (mut ids, mut names, mut files) = (HashSet::new(), HashSet::new(), HashSet::new());
        for claim in all() {
            assert!(
                ids.insert(claim.id.to_lowercase()),
                "two claims {}",
                claim.id
            );
            assert!(names.insert(claim.name), "two claims {}", claim.name);
            for file in claim.files {
                assert!(files.insert(file.name), "two claims use {}", file.name);
            }
        }
    }

    #[test]
    fn a_claim_gets_no_directory_where_its_files_are_devices() {
        let place = tempfile::tempdir().unwrap();
        let claim = find("T48").expect("a claim that makes a file");
        let stage = Stage {
            place: place.path(),
            claim,
        };
        assert_eq!(stage.dir().unwrap(), place.path());
        std::os::unix::fs::symlink("/dev/null", place.path().join(RAW_DEVICE)).unwrap();
        let outcome = settle((claim.run)(&stage));
        assert_eq!(outcome.verdict, Verdict::Skip, "{}", outcome.detail);
    }

    #[test]
    fn every_claim_is_whole() {
        for claim in all() {
            let name = claim.full_name();
            assert!(
                claim
                    .name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
            );
            assert!(!claim.rule.is_empty(), "{name}");
            assert!(
                claim.summary.len() > 40 && claim.summary.ends_with('.'),
                "{name}"
            );
            let Expect {
                none,
                seed,
                mainline,
                strict,
            } = claim.expect;
            for verdicts in [none, seed, mainline, strict] {
                assert!(!verdicts.is_empty(), "{name}");
            }
            assert_eq!(strict, [Verdict::Kept], "{name}: strict keeps everything");
        }
    }

    #[test]
    fn the_control_policy_breaks_claims_that_the_seed_keeps() {
        let telling = all().filter(|claim| {
            !claim.expect.none.contains(&Verdict::Kept)
                && claim.expect.seed.contains(&Verdict::Kept)
        });
        assert!(telling.count() >= 8, "the claims would test nothing");
    }
}
