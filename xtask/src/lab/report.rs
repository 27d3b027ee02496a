// SPDX-License-Identifier: GPL-2.0

//! The verb `report`: the matrix of an earlier run again, from its `compare.json`.

use super::matrix::Comparison;
use super::rundir::RunDir;
use crate::context::Context;
use crate::exit::{Exit, failure};
use anyhow::{Context as _, Result};

/// Prints the matrix.
pub(crate) fn run(ctx: &Context, name: Option<&str>) -> Result<Exit> {
    let dir = RunDir::find(ctx, name)?;
    let file = dir.path().join("compare.json");
    let text = std::fs::read(&file).map_err(|error| {
        let what = format!(
            "{}: {error}; runs of `run` and `compare` have one",
            file.display()
        );
        failure(Exit::NothingRan, what)
    })?;
    let comparison: Comparison = serde_json::from_slice(&text)
        .with_context(|| format!("understanding {}", file.display()))?;
    print!("{}", comparison.table());
    Ok(Exit::Passed)
}
