// SPDX-License-Identifier: GPL-2.0

//! Debian packages that are unpacked into the cache with all they depend on, and installed
//! nowhere.
//!
//! Installing QEMU can mean to remove what somebody else put on the machine. A bundle asks
//! nobody: it is closed, down to the C library and its loader, takes no privileges, and goes
//! with the cache. Programs in it run on this machine through a [`launcher`], or in the guest,
//! where the bundle is a directory to chroot into.

mod launcher;
mod links;
pub(crate) mod tool;

pub(crate) use launcher::Launcher;

use crate::cache::{Entry, key, read_marker};
use crate::context::Context;
use crate::exit::missing;
use crate::lab::images::{self, Format};
use crate::process::{self, find_program, output};
use crate::progress::Step;
use crate::source::apt::Apt;
use crate::source::unpack;
use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The release of Debian that the packages are taken from, whatever runs here.
const SUITE: &str = "bookworm";

/// What takes room and is never run.
const LEFT_OUT: [&str; 4] = ["doc", "man", "locale", "info"];

/// What a guest's disk is made as.
const FORMAT: Format = Format {
    block_size: 4096,
    inode_size: 256,
};

/// What a bundle is made of.
pub(crate) struct Recipe {
    /// Its name, for people.
    pub(crate) name: &'static str,
    /// The packages; what they depend on comes with them.
    pub(crate) packages: &'static [&'static str],
    /// Packages whose sources come with them, each in `usr/src`: for their tests.
    pub(crate) sources: &'static [&'static str],
    /// About how much is fetched, in megabytes.
    pub(crate) megabytes: u32,
    /// The programs whose loader has to be told where everything is.
    pub(crate) launchers: &'static [Launcher],
}

/// What the marker of a bundle says.
#[derive(Serialize, Deserialize)]
struct Contents {
    suite: String,
    /// Versions by package.
    packages: BTreeMap<String, String>,
}

impl Recipe {
    /// The bundle in the cache, if it is complete: its top directory, laid out as `/` is.
    pub(crate) fn find(&self, ctx: &Context) -> Option<PathBuf> {
        let dir = ctx.cache.path(self.entry());
        read_marker::<Contents>(&dir).map(|_| dir.join("root"))
    }

    /// Fetches and unpacks the bundle unless it is in the cache.
    pub(crate) fn ensure(&self, ctx: &Context) -> Result<PathBuf> {
        if let Some(root) = self.find(ctx) {
            return Ok(root);
        }
        if ctx.options.offline {
            return Err(missing(format!(
                "{} is not in the cache {}, and --offline forbids to fetch it",
                self.name,
                ctx.cache.root().display()
            )));
        }
        if let Some(program) = ["apt-get", "dpkg-deb"]
            .into_iter()
            .find(|name| find_program(name).is_none())
        {
            return Err(missing(format!(
                "{} would be fetched from Debian's archive, but this machine has no {program}",
                self.name
            )));
        }
        let entry = ctx.cache.entry(self.entry(), &ctx.ui)?;
        // Somebody else may have made it while we waited for the lock.
        if entry.complete::<Contents>().is_none() {
            let step = ctx.ui.step(
                "Tools",
                format!(
                    "fetching {} into the cache ({} MB; nothing is installed)",
                    self.name, self.megabytes
                ),
            );
            self.make(ctx, &entry, step)
                .with_context(|| format!("fetching {} from Debian {SUITE}", self.name))?;
        }
        Ok(entry.dir().join("root"))
    }

    /// The bundle on a disk for a guest: `root`, and in `bin` the launchers.
    pub(crate) fn image(&self, ctx: &Context) -> Result<PathBuf> {
        self.ensure(ctx)?;
        let entry = ctx.cache.entry(self.entry(), &ctx.ui)?;
        let image = entry.dir().with_extension("img");
        if !image.exists() {
            let unfinished = image.with_extension("img.new");
            images::make(FORMAT, entry.dir(), &unfinished)?;
            std::fs::rename(&unfinished, &image)
                .with_context(|| format!("keeping {}", image.display()))?;
        }
        Ok(image)
    }

    /// Where it lies in the cache.
    fn entry(&self) -> PathBuf {
        let parts: Vec<_> = std::iter::once(SUITE)
            .chain(self.packages.iter().copied())
            .chain(self.sources.iter().copied())
            .collect();
        Path::new("bundle").join(format!("{}-{}", self.name, key(&parts)))
    }

    fn make(&self, ctx: &Context, entry: &Entry, step: Step) -> Result<()> {
        let (root, debs) = (entry.dir().join("root"), entry.dir().join("debs"));
        // What an interrupted attempt unpacked may be half a file.
        remove(&root)?;
        std::fs::create_dir(&root).with_context(|| format!("creating {}", root.display()))?;
        let fetched = {
            let lists = ctx.cache.entry("apt", &ctx.ui)?;
            let apt = if self.sources.is_empty() {
                Apt::update(ctx, lists.dir(), &[SUITE])?
            } else {
                Apt::update_with_sources(ctx, lists.dir(), &[SUITE])?
            };
            for package in self.sources {
                let (from, to) = (debs.join(package), root.join("usr/src").join(package));
                remove(&from)?;
                std::fs::create_dir_all(&to)
                    .with_context(|| format!("creating {}", to.display()))?;
                unpack::tarball(&apt.download_source(package, &from)?, &to)?;
            }
            apt.download_closure(self.packages, &debs)?
        };
        let left_out: Vec<_> = LEFT_OUT.map(|dir| format!("./usr/share/{dir}")).into();
        let mut packages = BTreeMap::new();
        for deb in &fetched {
            unpack::files_of_package(deb, &left_out, &root)
                .with_context(|| format!("unpacking {}", deb.display()))?;
            let format = "--showformat=${Package} ${Version}";
            let said = output(
                process::command("dpkg-deb")
                    .args(["--show", format])
                    .arg(deb),
            )?;
            packages.extend(
                said.split_once(' ')
                    .map(|(name, version)| (name.to_owned(), version.to_owned())),
            );
        }
        links::make_relative(&root)?;
        for launcher in self.launchers {
            launcher.write(&root, &entry.dir().join("bin"))?;
        }
        let count = packages.len();
        entry.mark_complete(&Contents {
            suite: SUITE.to_owned(),
            packages,
        })?;
        remove(&debs)?;
        step.done(format_args!(
            "{} from Debian {SUITE}, {count} packages, signatures checked",
            self.name
        ));
        Ok(())
    }
}

/// Removes a directory, if it is there.
fn remove(dir: &Path) -> Result<()> {
    match std::fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", dir.display()))
        }
        _ => Ok(()),
    }
}
