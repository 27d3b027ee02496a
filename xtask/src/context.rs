// SPDX-License-Identifier: GPL-2.0

//! What every verb needs to know: where the repository and the cache are, which kernel the
//! user asked for, and how to talk to the user.

use crate::cache::Cache;
use crate::progress::Ui;
use anyhow::Result;
use clap::builder::{OsStringValueParser, TypedValueParser};
use std::path::PathBuf;

/// The options that every verb takes.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Options {
    /// A kernel source of your own, unpacked or as a tarball, instead of the pinned one
    #[arg(
        long,
        env = "KSRC",
        global = true,
        value_name = "PATH",
        help_heading = "Kernel",
        value_parser = any_path()
    )]
    pub ksrc: Option<PathBuf>,

    /// A kernel you have built already, instead of building one
    #[arg(
        long,
        env = "KDIR",
        global = true,
        value_name = "DIR",
        help_heading = "Kernel",
        value_parser = any_path()
    )]
    pub kdir: Option<PathBuf>,

    /// Fail if the pinned kernel source cannot be had, rather than taking a newer one
    #[arg(long, global = true, help_heading = "Kernel")]
    pub locked: bool,

    /// Do not use the network; take everything from the cache
    #[arg(long, env = "COHFS_OFFLINE", global = true, help_heading = "Kernel",
          value_parser = clap::builder::FalseyValueParser::new())]
    pub offline: bool,

    /// Accept a package index whose validity has run out (a frozen mirror)
    #[arg(long, global = true, help_heading = "Kernel")]
    pub allow_stale_index: bool,

    /// Accept a kernel newer than the series this was tested with
    #[arg(long, global = true, help_heading = "Kernel")]
    pub allow_untested: bool,

    /// Parallel jobs of make [default: the number of processors]
    #[arg(short, long, env = "COHFS_JOBS", global = true, value_name = "N")]
    pub jobs: Option<usize>,
}

/// A path that may be empty, as that of a variable which is set to nothing.
fn any_path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// The surroundings of one run of `cargo xtask`.
pub(crate) struct Context {
    /// The top of the repository.
    pub(crate) repo: PathBuf,
    /// The cache outside it.
    pub(crate) cache: Cache,
    /// Options common to the verbs.
    pub(crate) options: Options,
    /// Where progress is shown.
    pub(crate) ui: Ui,
}

impl Context {
    /// Finds the repository and the cache.
    pub(crate) fn new(options: Options) -> Result<Self> {
        let repo = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
            .parent()
            .expect("xtask lies in the repository")
            .to_owned();
        // An empty variable means the same as none.
        let given = |path: Option<PathBuf>| path.filter(|path| !path.as_os_str().is_empty());
        let options = Options {
            ksrc: given(options.ksrc),
            kdir: given(options.kdir),
            ..options
        };
        Ok(Self {
            repo,
            cache: Cache::from_env()?,
            options,
            ui: Ui::new(),
        })
    }

    /// Where everything goes that can be made again: `target/` in the repository.
    pub(crate) fn target(&self) -> PathBuf {
        self.repo.join("target")
    }

    /// Where the lab puts its results.
    pub(crate) fn results(&self) -> PathBuf {
        self.target().join("lab")
    }

    /// Parallel jobs of make.
    pub(crate) fn jobs(&self) -> usize {
        self.options.jobs.unwrap_or_else(|| {
            std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
        })
    }
}
