// SPDX-License-Identifier: GPL-2.0

//! Where a run keeps its files: `target/lab/runs/<UTC time>/`, with `target/lab/latest` pointing
//! at the newest.

use crate::context::Context;
use crate::exit::{Exit, failure};
use anyhow::{Context as _, Result};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// How many runs are kept.
const KEPT: usize = 10;

/// The directory of one run.
#[derive(Clone, Debug)]
pub(crate) struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Makes a new one and points `latest` at it; the oldest beyond ten go.
    pub(crate) fn create(ctx: &Context) -> Result<Self> {
        let runs = ctx.results().join("runs");
        std::fs::create_dir_all(&runs).with_context(|| format!("creating {}", runs.display()))?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let mut seconds = now.map_or(0, |since| since.as_secs());
        // Two runs may begin in one second; the later takes the next name.
        let name = loop {
            let name = utc(seconds);
            match std::fs::create_dir(runs.join(&name)) {
                Ok(()) => break name,
                Err(error) if error.kind() == ErrorKind::AlreadyExists => seconds += 1,
                Err(error) => {
                    return Err(error).with_context(|| format!("creating {name}"));
                }
            }
        };
        point(
            &ctx.results().join("latest"),
            &Path::new("runs").join(&name),
        )?;
        prune(&runs);
        Ok(Self {
            path: runs.join(name),
        })
    }

    /// Finds an earlier run by name, or the latest.
    pub(crate) fn find(ctx: &Context, name: Option<&str>) -> Result<Self> {
        let path = match name {
            Some(name) => ctx.results().join("runs").join(name),
            None => ctx.results().join("latest"),
        };
        let path = path.canonicalize().map_err(|error| {
            failure(
                Exit::NothingRan,
                format!("no results at {}: {error}", path.display()),
            )
        })?;
        Ok(Self { path })
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file of results.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<()> {
        let path = self.path.join(name);
        std::fs::write(&path, content).with_context(|| format!("writing {}", path.display()))
    }
}

/// Makes `link` point at `target` without a moment in which it is not there.
fn point(link: &Path, target: &Path) -> Result<()> {
    let new = link.with_extension(std::process::id().to_string());
    let _ = std::fs::remove_file(&new);
    std::os::unix::fs::symlink(target, &new)
        .and_then(|()| std::fs::rename(&new, link))
        .with_context(|| format!("pointing {} at the new run", link.display()))
}

fn prune(runs: &Path) {
    let Ok(entries) = std::fs::read_dir(runs) else {
        return;
    };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for old in &paths[..paths.len().saturating_sub(KEPT)] {
        // Old results in the way are a nuisance, not an error.
        let _ = std::fs::remove_dir_all(old);
    }
}

/// `20261123T015900Z`: sorts by time, and fit for a file name. The calendar is Gregorian: 400
/// years have 146,097 days, and a year that begins in March ends with the leap day.
fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let day_of_month = day - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    format!(
        "{:04}{month:02}{day_of_month:02}T{:02}{:02}{:02}Z",
        era * 400 + year + carry,
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_those_of_the_calendar() {
        assert_eq!(utc(0), "19700101T000000Z");
        assert_eq!(utc(951_782_399), "20000228T235959Z");
        assert_eq!(utc(951_782_400), "20000229T000000Z");
        assert_eq!(utc(1_795_392_000), "20261123T000000Z");
    }

    #[test]
    fn a_link_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("latest");
        point(&link, Path::new("a")).unwrap();
        point(&link, Path::new("b")).unwrap();
        assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("b"));
    }
}
