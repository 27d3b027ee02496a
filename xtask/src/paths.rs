// SPDX-License-Identifier: GPL-2.0

//! The verb `paths`: where everything lies, for people with a virtual machine of their own.

use crate::artifacts::{self, Artifacts, Variant};
use crate::context::Context;
use crate::exit::Exit;
use anyhow::Result;
use serde::Serialize;
use std::path::PathBuf;

#[derive(Serialize)]
struct Paths {
    #[serde(flatten)]
    artifacts: Artifacts,
    results: PathBuf,
}

/// Prints the paths, having made what is missing.
pub(crate) fn run(ctx: &Context, variant: Variant, json: bool) -> Result<Exit> {
    let paths = Paths {
        artifacts: artifacts::ensure(ctx, variant)?,
        results: ctx.results().join("latest"),
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&paths)?);
        return Ok(Exit::Passed);
    }
    let serde_json::Value::Object(fields) = serde_json::to_value(&paths)? else {
        unreachable!("a struct is an object");
    };
    for (name, value) in fields {
        println!("{name:<15} {}", value.as_str().unwrap_or_default());
    }
    Ok(Exit::Passed)
}
