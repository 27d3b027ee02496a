// SPDX-License-Identifier: GPL-2.0

//! What a claim can find, and how a claim stops early.

use std::fmt;

use serde::Deserialize;
use serde::Serialize;

/// What a claim found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The promise held.
    Kept,
    /// Old bytes were seen after the write that replaced them had completed.
    Stale,
    /// Acknowledged bytes are gone from the cache or from the disk.
    Lost,
    /// A sector holds a mixture of versions, or what nobody wrote.
    Torn,
    /// The caller was told: the operation that met the collision returned an error.
    Error,
    /// A bystander was hit for nothing: told of an error, or deprived of mapped pages, although
    /// every byte is where it belongs.
    FalseError,
    /// The claim did not come back in time.
    Hang,
    /// The claim could not be tried here; the detail says why.
    Skip,
}

impl Verdict {
    /// Every verdict, in the order in which they are documented.
    pub const ALL: [Self; 8] = [
        Self::Kept,
        Self::Stale,
        Self::Lost,
        Self::Torn,
        Self::Error,
        Self::FalseError,
        Self::Hang,
        Self::Skip,
    ];

    /// The name on the wire: `kept`, `false-error`, ...
    pub fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Stale => "stale",
            Self::Lost => "lost",
            Self::Torn => "torn",
            Self::Error => "error",
            Self::FalseError => "false-error",
            Self::Hang => "hang",
            Self::Skip => "skip",
        }
    }

    /// How bad it is: the worst finding is a claim's verdict.
    pub fn severity(self) -> u8 {
        match self {
            Self::Kept => 0,
            Self::Skip => 1,
            Self::FalseError => 2,
            Self::Error => 3,
            Self::Stale => 4,
            Self::Torn => 5,
            Self::Lost => 6,
            Self::Hang => 7,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A verdict with its evidence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// What was found.
    pub verdict: Verdict,
    /// Offsets, bytes, counts and error numbers that show it.
    pub detail: String,
}

impl Outcome {
    /// Makes an outcome.
    pub fn new(verdict: Verdict, detail: impl Into<String>) -> Self {
        Self {
            verdict,
            detail: detail.into(),
        }
    }
}

/// The error that says "this cannot be tried here", with the reason.
#[derive(Debug)]
pub struct Skip(pub String);

impl fmt::Display for Skip {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Skip {}

/// Makes the error that ends a claim with [`Verdict::Skip`].
pub fn skip(reason: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Skip(reason.into()))
}

/// Turns the result of a claim's function into its outcome.
///
/// An error that is not a [`Skip`] is an operation that failed where the claim expects success:
/// the caller was told, so the verdict is [`Verdict::Error`] with the chain of causes.
pub fn settle(result: anyhow::Result<Outcome>) -> Outcome {
    match result {
        Ok(outcome) => outcome,
        Err(error) => match error.downcast_ref::<Skip>() {
            Some(Skip(reason)) => Outcome::new(Verdict::Skip, reason.clone()),
            None => Outcome::new(Verdict::Error, format!("{error:#}")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn names_are_what_serde_writes() {
        for verdict in Verdict::ALL {
            let json = serde_json::to_string(&verdict).unwrap();
            assert_eq!(json, format!("\"{}\"", verdict.name()));
        }
    }

    #[test]
    fn skip_survives_context() {
        let error = Err(skip("no such device")).context("opening the disk");
        assert_eq!(settle(error), Outcome::new(Verdict::Skip, "no such device"));
        let error = settle(Err(anyhow::anyhow!("boom").context("writing")));
        assert_eq!(error, Outcome::new(Verdict::Error, "writing: boom"));
    }
}
