// SPDX-License-Identifier: GPL-2.0

//! The kernel source: the pinned package, or what the user names with `KSRC=`.

pub(crate) mod apt;
pub(crate) mod lock;
pub(crate) mod unpack;

use crate::cache::{Entry, key, read_marker, sha256_file};
use crate::context::Context;
use crate::exit::missing;
use crate::version::Version;
pub(crate) use unpack::free_bytes;

use anyhow::{Context as _, Result};
use apt::{Apt, Offer};
use lock::Pin;
use std::path::{Path, PathBuf};

/// The oldest series the module is written for.
const OLDEST: (u32, u32) = (7, 2);
/// The newest series it was tested with.
const NEWEST: (u32, u32) = (7, 3);
/// Where Debian offers kernels newer than its stable release.
const SUITES: [&str; 2] = ["trixie-backports", "sid"];

/// An unpacked kernel source.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The top of the tree.
    pub(crate) dir: PathBuf,
    /// The kernel's version, from its makefile.
    pub(crate) version: Version,
    /// What names this very source in a cache key.
    pub(crate) identity: String,
    /// Whether the tree may change under us: it is the user's own.
    pub(crate) mutable: bool,
}

/// Gets the kernel source, from the cache if it is there.
pub(crate) fn ensure(ctx: &Context) -> Result<Source> {
    let source = match &ctx.options.ksrc {
        Some(path) if path.is_dir() => own_tree(path)?,
        Some(path) => tarball(ctx, path)?,
        None => pinned(ctx)?,
    };
    check_series(source.version, ctx.options.allow_untested)
        .with_context(|| format!("the kernel source {}", source.dir.display()))?;
    Ok(source)
}

/// Refuses a kernel of a series that the module does not build against, or was never
/// tested with.
pub(crate) fn check_series(version: Version, allow_untested: bool) -> Result<()> {
    let series = version.series();
    let known = format!(
        "cohfs is tested with Linux {}.{} to {}.{}",
        OLDEST.0, OLDEST.1, NEWEST.0, NEWEST.1
    );
    if series < OLDEST {
        return Err(missing(format!("Linux {version} is too old: {known}")));
    }
    if series > NEWEST && !allow_untested {
        return Err(missing(format!(
            "Linux {version} is untested: {known} (--allow-untested tries it)"
        )));
    }
    Ok(())
}

fn own_tree(path: &Path) -> Result<Source> {
    let dir = path
        .canonicalize()
        .with_context(|| format!("finding KSRC={}", path.display()))?;
    Ok(Source {
        version: version_of(&dir)?,
        identity: format!("tree {}", dir.display()),
        dir,
        mutable: true,
    })
}

fn tarball(ctx: &Context, path: &Path) -> Result<Source> {
    if !path.is_file() {
        return Err(missing(format!("KSRC={} does not exist", path.display())));
    }
    let sha256 = sha256_file(path)?;
    unpacked(ctx, &sha256, |entry| {
        unpack::tarball(path, entry.dir()).with_context(|| format!("unpacking {}", path.display()))
    })
}

fn pinned(ctx: &Context) -> Result<Source> {
    let pin = Pin::read(&ctx.repo)?;
    let unpack = |pin: &Pin, deb: PathBuf| {
        unpacked(ctx, &pin.sha256, |entry| {
            unpack::debian_package(&deb, &pin.package, entry.dir())
                .with_context(|| format!("unpacking {}", deb.display()))
        })
    };
    if is_cached(ctx, &pin) {
        return describe(ctx.cache.path(source_entry(&pin.sha256)), pin.sha256);
    }
    if let Some(deb) = cached_package(ctx, &pin)? {
        return unpack(&pin, deb);
    }
    if ctx.options.offline {
        return Err(missing(format!(
            "{} {} is not in the cache {}, and --offline forbids to fetch it",
            pin.package,
            pin.version,
            ctx.cache.root().display()
        )));
    }
    let (pin, deb) = fetch(ctx, &pin)
        .context("fetching the kernel source (KSRC= takes one of your own instead)")?;
    unpack(&pin, deb)
}

/// Whether the pinned source lies in the cache, unpacked.
pub(crate) fn is_cached(ctx: &Context, pin: &Pin) -> bool {
    read_marker::<String>(&ctx.cache.path(source_entry(&pin.sha256))).is_some()
}

/// The cache entry of the source whose package has this hash.
fn source_entry(sha256: &str) -> PathBuf {
    Path::new("src").join(key(&[sha256]))
}

/// The pinned package in the cache, if it is there and intact.
fn cached_package(ctx: &Context, pin: &Pin) -> Result<Option<PathBuf>> {
    let path = ctx.cache.path("deb").join(&pin.sha256);
    Ok((path.is_file() && sha256_file(&path)? == pin.sha256).then_some(path))
}

/// Gets a package through apt: the pinned one, or else the newest of a tested series.
fn fetch(ctx: &Context, pin: &Pin) -> Result<(Pin, PathBuf)> {
    let entry = ctx.cache.entry("apt", &ctx.ui)?;
    let step = ctx.ui.step("Source", "asking Debian's archive");
    let mut apt = Apt::update(ctx, entry.dir(), &[&pin.suite])?;
    let is_pin = |offer: &Offer| offer.package == pin.package && offer.version == pin.version;
    let mut offers = apt.offers(std::slice::from_ref(&pin.package))?;
    if !offers.iter().any(is_pin) {
        let mut suites = SUITES.to_vec();
        if !suites.contains(&pin.suite.as_str()) {
            suites.push(&pin.suite);
        }
        apt = Apt::update(ctx, entry.dir(), &suites)?;
        offers = apt.offers(&packages())?;
    }
    let chosen = match offers.iter().find(|offer| is_pin(offer)) {
        Some(offer) => {
            let found = apt.pin(offer)?;
            if found.sha256 != pin.sha256 || found.size != pin.size {
                return Err(missing(format!(
                    "the archive's {} {} is not the one in kernel.lock: it has the SHA-256 {}",
                    pin.package, pin.version, found.sha256
                )));
            }
            pin.clone()
        }
        None if ctx.options.locked => {
            return Err(missing(format!(
                "{} {} is no longer in the archive, and --locked forbids another",
                pin.package, pin.version
            )));
        }
        None => {
            let offer = newest(&offers, &pin.package).ok_or_else(|| {
                missing(format!(
                    "the archive has no kernel source of a tested series ({})",
                    packages().join(", ")
                ))
            })?;
            let found = apt.pin(offer)?;
            found.write(&ctx.repo)?;
            ctx.ui.say(
                "Note",
                format_args!(
                    "{} {} is gone from the archive; taking {} {} (kernel.lock is updated)",
                    pin.package, pin.version, found.package, found.version
                ),
            );
            found
        }
    };
    drop(step);
    let step = ctx.ui.step(
        "Source",
        format!(
            "fetching {} {} ({} MB)",
            chosen.package,
            chosen.version,
            chosen.size / 1_000_000
        ),
    );
    let deb = download(ctx, &apt, &chosen)?;
    step.done(format_args!(
        "{} {}, signature and SHA-256 checked",
        chosen.package, chosen.version
    ));
    Ok((chosen, deb))
}

/// Downloads a package into the cache, under its hash.
fn download(ctx: &Context, apt: &Apt, pin: &Pin) -> Result<PathBuf> {
    let debs = ctx.cache.path("deb");
    std::fs::create_dir_all(&debs).with_context(|| format!("creating {}", debs.display()))?;
    let fresh = tempfile::tempdir_in(&debs).context("creating a directory for the download")?;
    let file = apt.download(pin, fresh.path())?;
    let sha256 = sha256_file(&file)?;
    if sha256 != pin.sha256 {
        return Err(missing(format!(
            "{} {} came with the SHA-256 {sha256}, not {}: the download is damaged, try again",
            pin.package, pin.version, pin.sha256
        )));
    }
    let target = debs.join(&pin.sha256);
    std::fs::rename(&file, &target).with_context(|| format!("keeping {}", target.display()))?;
    Ok(target)
}

/// The packages that hold the source of the tested series, the newest first.
fn packages() -> Vec<String> {
    (OLDEST.1..=NEWEST.1)
        .rev()
        .map(|minor| format!("linux-source-{}.{minor}", NEWEST.0))
        .collect()
}

/// The newest version of the pinned series, or else of the newest series on offer.
fn newest<'a>(offers: &'a [Offer], pinned_package: &str) -> Option<&'a Offer> {
    let rank = |offer: &&Offer| {
        let version = Version::parse(&offer.version).unwrap_or(Version::new(0, 0, 0));
        // A release candidate comes before the release.
        let released = !offer.version.contains("~rc");
        (offer.package == pinned_package, released, version)
    };
    offers.iter().max_by_key(rank)
}

/// Unpacks into the cache unless that has been done.
fn unpacked(
    ctx: &Context,
    sha256: &str,
    unpack: impl FnOnce(&Entry) -> Result<()>,
) -> Result<Source> {
    let entry = ctx.cache.entry(source_entry(sha256), &ctx.ui)?;
    if entry.complete::<String>().is_none() {
        unpack::check_space(ctx.cache.root())?;
        entry.empty()?;
        let step = ctx.ui.step("Source", "unpacking (1.8 GB)");
        unpack(&entry)?;
        version_of(entry.dir())?;
        entry.mark_complete(&sha256)?;
        step.done("unpacked");
    }
    describe(entry.dir().to_owned(), sha256.to_owned())
}

fn describe(dir: PathBuf, identity: String) -> Result<Source> {
    Ok(Source {
        version: version_of(&dir)?,
        dir,
        identity,
        mutable: false,
    })
}

/// The version in the makefile at the top of a kernel source.
fn version_of(dir: &Path) -> Result<Version> {
    let makefile = dir.join("Makefile");
    let text = std::fs::read_to_string(&makefile)
        .with_context(|| format!("reading {}: is this a kernel source?", makefile.display()))?;
    parse_makefile(&text).ok_or_else(|| {
        missing(format!(
            "{} is not that of a kernel source",
            makefile.display()
        ))
    })
}

fn parse_makefile(text: &str) -> Option<Version> {
    let number = |name: &str| {
        text.lines().take(20).find_map(|line| {
            let value = line.strip_prefix(name)?.trim_start().strip_prefix('=')?;
            value.trim().parse().ok()
        })
    };
    Some(Version::new(
        number("VERSION")?,
        number("PATCHLEVEL")?,
        number("SUBLEVEL")?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(package: &str, version: &str) -> Offer {
        Offer {
            package: package.into(),
            version: version.into(),
            suite: "s".into(),
        }
    }

    #[test]
    fn the_pinned_series_wins_over_a_newer_one() {
        let offers = [
            offer("linux-source-7.3", "7.3.4-1"),
            offer("linux-source-7.2", "7.2.9-1"),
            offer("linux-source-7.2", "7.2.12-1"),
        ];
        assert_eq!(newest(&offers, "linux-source-7.2"), Some(&offers[2]));
        assert_eq!(newest(&offers, "linux-source-7.1"), Some(&offers[0]));
        assert_eq!(newest(&[], "linux-source-7.2"), None);
    }

    #[test]
    fn a_release_wins_over_a_candidate() {
        let offers = [
            offer("linux-source-7.3", "7.3.9~rc7-1"),
            offer("linux-source-7.3", "7.3.1-1"),
        ];
        assert_eq!(newest(&offers, "linux-source-7.3"), Some(&offers[1]));
    }

    #[test]
    fn the_version_is_read_from_the_makefile() {
        let text = "# SPDX\nVERSION = 7\nPATCHLEVEL = 3\nSUBLEVEL = 4\nEXTRAVERSION =\n";
        assert_eq!(parse_makefile(text), Some(Version::new(7, 3, 4)));
        assert_eq!(parse_makefile("all:\n"), None);
    }

    #[test]
    fn untested_series_are_refused() {
        let refused =
            |major, minor, allow| check_series(Version::new(major, minor, 0), allow).is_err();
        assert!(refused(7, 1, false));
        assert!(refused(7, 1, true));
        assert!(!refused(7, 2, false));
        assert!(!refused(7, 3, false));
        assert!(refused(7, 4, false));
        assert!(refused(8, 0, false));
        assert!(!refused(8, 0, true));
    }
}
