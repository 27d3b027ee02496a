// SPDX-License-Identifier: GPL-2.0

//! The claims as their own program lists them, and the verdicts they come to.

use crate::exit::{Exit, failure};
use crate::process::{command, output};
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

/// A promise that a file system may or may not keep.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    /// Short and stable: `T21`.
    pub(crate) id: String,
    /// The promise in words.
    pub(crate) name: String,
    /// The rules and scenarios it stands for.
    pub(crate) rule: String,
    /// A paragraph for people.
    pub(crate) summary: String,
    /// What it must be run on.
    pub(crate) needs: Needs,
    /// For each policy of cohfs, the verdicts that are as designed.
    pub(crate) expect: BTreeMap<String, Vec<Verdict>>,
    /// Who does what when, if it is a race.
    #[serde(default)]
    pub(crate) timeline: Vec<Act>,
}

/// One step of somebody's in a claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Act {
    /// Who.
    pub(crate) actor: String,
    /// What.
    pub(crate) step: String,
    /// The tick in which it begins.
    pub(crate) from: u8,
    /// The tick in which it ends.
    pub(crate) to: u8,
}

/// What a claim must be run on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Needs {
    /// This block size, or any.
    pub(crate) block_size: Option<u32>,
    /// The kind of disk.
    pub(crate) disk: DiskKind,
    /// Whether it makes I/O fail.
    pub(crate) faults: bool,
    /// Whether it calls `COHFS_IOC_INVALIDATE`.
    pub(crate) ioctl: bool,
    /// Whether it writes to the block device behind the file.
    pub(crate) device: bool,
    /// Whether it takes minutes in a debug kernel without KVM.
    pub(crate) patience: bool,
}

/// How fast a disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DiskKind {
    /// As fast as it can be.
    Plain,
    /// Two writes a second.
    SlowWrites,
    /// Two reads a second.
    SlowReads,
}

/// What a claim comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Verdict {
    /// The promise held.
    Kept,
    /// Old bytes were seen.
    Stale,
    /// Bytes that somebody was told are written are gone.
    Lost,
    /// A mixture of versions.
    Torn,
    /// The caller was told of the collision.
    Error,
    /// A bystander was hit for nothing.
    FalseError,
    /// It did not come back in time.
    Hang,
    /// It could not be tried; the detail says why.
    Skip,
    /// The machine went down before it came to an end.
    NotRun,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kept => "kept",
            Self::Stale => "stale",
            Self::Lost => "lost",
            Self::Torn => "torn",
            Self::Error => "error",
            Self::FalseError => "false-error",
            Self::Hang => "hang",
            Self::Skip => "skip",
            Self::NotRun => "not-run",
        })
    }
}

impl Verdict {
    /// Every verdict and what it means, in the order in which they are documented.
    pub(crate) const MEANINGS: [(Self, &str); 9] = [
        (Self::Kept, "the promise held"),
        (Self::Stale, "old bytes were seen"),
        (Self::Lost, "acknowledged bytes are gone"),
        (Self::Torn, "a mixture of versions"),
        (Self::Error, "the caller was told"),
        (Self::FalseError, "a bystander was hit for nothing"),
        (Self::Hang, "it did not come back"),
        (Self::Skip, "it could not be tried"),
        (Self::NotRun, "the machine ended before it"),
    ];
}

/// A verdict and how it was reached.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Finding {
    /// The verdict.
    pub(crate) verdict: Verdict,
    /// What was seen.
    #[serde(default)]
    pub(crate) detail: String,
    /// Milliseconds of the guest.
    #[serde(default)]
    pub(crate) ms: u64,
    /// What the kernel said meanwhile.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) log: Vec<String>,
}

/// Every claim, in the order of the program.
pub(crate) fn load(claims: &Path) -> Result<Vec<Claim>> {
    let list = output(command(claims).args(["list", "--json"])).context("listing the claims")?;
    serde_json::from_str(&list).context("understanding the list of claims")
}

/// The claims whose id or name one of the patterns matches; all of them if there is none.
///
/// # Errors
///
/// A pattern that matches nothing is a mistake of the user's.
pub(crate) fn select(claims: Vec<Claim>, patterns: &[String]) -> Result<Vec<Claim>> {
    for pattern in patterns {
        if !claims.iter().any(|claim| claim.matches(pattern)) {
            return Err(failure(
                Exit::Usage,
                format!("no claim is called \"{pattern}\": `cargo xtask list` shows them"),
            ));
        }
    }
    let wanted = |claim: &Claim| {
        patterns.is_empty() || patterns.iter().any(|pattern| claim.matches(pattern))
    };
    Ok(claims.into_iter().filter(wanted).collect())
}

impl Claim {
    /// Whether it needs something to happen while something else takes its time.
    pub(crate) fn is_race(&self) -> bool {
        self.needs.disk != DiskKind::Plain
    }

    /// Whether its verdict may depend on who comes first, also where nothing keeps the promise.
    pub(crate) fn is_chancy(&self) -> bool {
        self.is_race() || !self.timeline.is_empty()
    }

    /// Whether a pattern with `*` and `?` matches the id, the name, or `ID.name`. Case does not
    /// matter.
    pub(crate) fn matches(&self, pattern: &str) -> bool {
        let pattern = pattern.to_lowercase();
        [&self.id, &self.name, &format!("{}.{}", self.id, self.name)]
            .iter()
            .any(|text| glob(pattern.as_bytes(), text.to_lowercase().as_bytes()))
    }

    /// Whether a verdict is as designed under a policy. A policy of which nothing is said must
    /// keep every claim.
    pub(crate) fn accepts(&self, policy: &str, verdict: Verdict) -> bool {
        match self.expect.get(policy) {
            Some(accepted) => accepted.contains(&verdict),
            None => verdict == Verdict::Kept,
        }
    }

    /// The verdicts that are as designed under a policy, for people.
    pub(crate) fn expected(&self, policy: &str) -> String {
        let accepted = self
            .expect
            .get(policy)
            .map_or(&[Verdict::Kept][..], Vec::as_slice);
        let words: Vec<_> = accepted.iter().map(ToString::to_string).collect();
        words.join(" or ")
    }
}

/// Matches `text` against a pattern in which `*` stands for any text and `?` for one character.
pub(crate) fn glob(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        (Some((b'?', pattern)), Some((_, text))) => glob(pattern, text),
        (Some((wanted, pattern)), Some((found, text))) => wanted == found && glob(pattern, text),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_glob_matches_as_in_a_shell() {
        for (pattern, text, matches) in [
            ("t0*", "t01", true),
            ("t0*", "t10", false),
            ("*read*", "direct_read_cleans", true),
            ("t?1", "t21", true),
            ("t21", "t211", false),
            ("", "", true),
        ] {
            assert_eq!(
                glob(pattern.as_bytes(), text.as_bytes()),
                matches,
                "{pattern} {text}"
            );
        }
    }
}
