// SPDX-License-Identifier: GPL-2.0

//! `report.html`, one page without anything from outside, and the verb `report`, which makes it and
//! prints the matrix of an earlier run again. Both are renderings of the files of the run.

mod bars;
mod claim;
mod matrix;
mod page;
mod tests_list;

#[cfg(test)]
mod tests;

use super::catalogue::Claim;
use super::matrix::Comparison;
use super::results::Summary;
use super::rundir::RunDir;
use crate::context::Context;
use crate::exit::{Exit, failure};
use anyhow::{Context as _, Result};
use serde::de::DeserializeOwned;

/// The name of the page.
pub(crate) const PAGE: &str = "report.html";

/// What a page is made of.
#[derive(Clone, Debug, Default)]
pub(crate) struct Content {
    /// The name of the run.
    pub(crate) run: String,
    /// `summary.json`
    pub(crate) summary: Option<Summary>,
    /// `compare.json`
    pub(crate) comparison: Option<Comparison>,
    /// `claims.json`
    pub(crate) claims: Vec<Claim>,
    /// `bench.json`
    pub(crate) bench: Option<bars::Benchmarks>,
}

impl Content {
    /// Reads what a run left.
    fn of(dir: &RunDir) -> Result<Self> {
        let name = dir.path().file_name();
        Ok(Self {
            run: name
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            summary: read(dir, "summary.json")?,
            comparison: read(dir, "compare.json")?,
            claims: read(dir, "claims.json")?.unwrap_or_default(),
            bench: read(dir, "bench.json")?,
        })
    }

    fn is_empty(&self) -> bool {
        self.summary.is_none() && self.comparison.is_none() && self.bench.is_none()
    }
}

/// Reads a file of results, if the run has it.
pub(crate) fn read<T: DeserializeOwned>(dir: &RunDir, name: &str) -> Result<Option<T>> {
    let path = dir.path().join(name);
    match std::fs::read(&path) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("understanding {}", path.display()))
            .map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("reading {}", path.display())),
    }
}

/// Writes the claims beside the results, so that the page can tell what they mean.
pub(crate) fn keep_claims(dir: &RunDir, claims: &[Claim]) -> Result<()> {
    dir.write("claims.json", &(serde_json::to_string(claims)? + "\n"))
}

/// Makes the page of a run from its files.
pub(crate) fn write(dir: &RunDir) -> Result<()> {
    dir.write(PAGE, &page::render(&Content::of(dir)?))
}

/// Makes the page anew and prints the matrix.
pub(crate) fn run(ctx: &Context, name: Option<&str>) -> Result<Exit> {
    let dir = RunDir::find(ctx, name)?;
    let content = Content::of(&dir)?;
    if content.is_empty() {
        let what = format!("{} holds no results", dir.path().display());
        return Err(failure(Exit::NothingRan, what));
    }
    write(&dir)?;
    if let Some(comparison) = &content.comparison {
        print!("{}", comparison.table());
    }
    println!("{}", dir.path().join(PAGE).display());
    Ok(Exit::Passed)
}
