// SPDX-License-Identifier: GPL-2.0

//! Debian's archive through an apt configuration of our own.
//!
//! It works without privileges on any machine that has apt, and changes nothing of the
//! machine's own apt. Our file is given with `-c`, which is read last: proxies and
//! certificates of the machine stay in force, its hooks are cleared.

use crate::context::Context;
use crate::exit::missing;
use crate::process::{command, output};
use crate::source::lock::Pin;
use anyhow::{Context as _, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The keys that sign Debian's archive, from the package `debian-archive-keyring`.
pub(crate) const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A private apt whose lists are up to date.
pub(crate) struct Apt {
    conf: PathBuf,
}

/// One version of a package that a suite offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    /// The package.
    pub(crate) package: String,
    /// Its version.
    pub(crate) version: String,
    /// The suite that has it.
    pub(crate) suite: String,
}

impl Apt {
    /// Writes the configuration below `dir` and fetches the lists of packages of `suites`.
    pub(crate) fn update(ctx: &Context, dir: &Path, suites: &[&str]) -> Result<Self> {
        Self::update_lists(ctx, dir, suites, &["deb"])
    }

    /// As [`update`](Self::update), and the lists of the sources that the packages were made of.
    pub(crate) fn update_with_sources(ctx: &Context, dir: &Path, suites: &[&str]) -> Result<Self> {
        Self::update_lists(ctx, dir, suites, &["deb", "deb-src"])
    }

    fn update_lists(ctx: &Context, dir: &Path, suites: &[&str], kinds: &[&str]) -> Result<Self> {
        if !Path::new(KEYRING).is_file() {
            return Err(missing(format!(
                "{KEYRING} is missing: install the package debian-archive-keyring"
            )));
        }
        let mirror = mirror()?;
        for part in [
            "state/lists/partial",
            "cache/archives/partial",
            "empty.d",
            "log",
        ] {
            std::fs::create_dir_all(dir.join(part))
                .with_context(|| format!("creating {}", dir.join(part).display()))?;
        }
        let write = |name: &str, text: &str| {
            std::fs::write(dir.join(name), text)
                .with_context(|| format!("writing {}", dir.join(name).display()))
        };
        write("state/status", "")?;
        let stale = if ctx.options.allow_stale_index {
            " check-valid-until=no"
        } else {
            ""
        };
        let list: String = suites
            .iter()
            .flat_map(|suite| kinds.iter().map(move |kind| (kind, suite)))
            .map(|(kind, suite)| {
                format!("{kind} [signed-by={KEYRING}{stale}] {mirror} {suite} main\n")
            })
            .collect();
        write("sources.list", &list)?;
        write("apt.conf", &configuration(dir))?;

        let apt = Self {
            conf: dir.join("apt.conf"),
        };
        output(apt.command("apt-get").args(["-q", "update"]))
            .map_err(|error| explain(&format!("{error:#}"), suites))?;
        Ok(apt)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = command(program);
        command.arg("-c").arg(&self.conf);
        command
    }

    /// Every version of `packages` on offer.
    pub(crate) fn offers(&self, packages: &[String]) -> Result<Vec<Offer>> {
        let text = output(self.command("apt-cache").arg("madison").args(packages))?;
        Ok(text.lines().filter_map(parse_offer).collect())
    }

    /// The size and the SHA-256 of an offer, from the signed index.
    pub(crate) fn pin(&self, offer: &Offer) -> Result<Pin> {
        let wanted = format!("{}={}", offer.package, offer.version);
        let text = output(self.command("apt-cache").args(["show", &wanted]))?;
        let field = |name: &str| {
            text.lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .with_context(|| format!("the index has no {name} of {wanted}"))
        };
        Ok(Pin {
            suite: offer.suite.clone(),
            package: offer.package.clone(),
            version: offer.version.clone(),
            size: field("Size")?.parse().context("reading the size")?,
            sha256: field("SHA256")?.to_owned(),
        })
    }

    /// Downloads a package into `dir`, which must be empty: apt takes a file of the right
    /// name and size that lies there for the package, whatever its content.
    pub(crate) fn download(&self, pin: &Pin, dir: &Path) -> Result<PathBuf> {
        let wanted = format!("{}={}", pin.package, pin.version);
        output(
            self.command("apt-get")
                .args(["-q", "download", &wanted])
                .current_dir(dir),
        )?;
        let mut files = std::fs::read_dir(dir)
            .with_context(|| format!("reading {}", dir.display()))?
            .collect::<std::io::Result<Vec<_>>>()?;
        match (files.pop(), files.is_empty()) {
            (Some(file), true) => Ok(file.path()),
            _ => bail!("apt-get download of {wanted} left no package behind"),
        }
    }

    /// Downloads packages and all that they depend on into `dir`. To this apt nothing is
    /// installed, so the C library is among them.
    pub(crate) fn download_closure(&self, packages: &[&str], dir: &Path) -> Result<Vec<PathBuf>> {
        let partial = dir.join("partial");
        std::fs::create_dir_all(&partial)
            .with_context(|| format!("creating {}", partial.display()))?;
        output(
            self.command("apt-get")
                .arg("-o")
                .arg(format!("Dir::Cache::archives={}", dir.display()))
                .args(["-q", "install", "--yes", "--no-install-recommends"])
                .arg("--download-only")
                .args(packages),
        )?;
        files(dir, |name| name.ends_with(".deb"))
    }

    /// Downloads the source of a package into `dir`, which is made. Returns the tarball that its
    /// authors made.
    pub(crate) fn download_source(&self, package: &str, dir: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        output(
            self.command("apt-get")
                .args(["-q", "source", "--download-only", package])
                .current_dir(dir),
        )?;
        let found = files(dir, |name| {
            name.contains(".orig.tar.") && !name.ends_with(".asc")
        })?;
        match &found[..] {
            [tarball] => Ok(tarball.clone()),
            _ => bail!(
                "apt-get source of {package} left {} tarballs behind",
                found.len()
            ),
        }
    }
}

/// The files of a directory whose names are right, in order.
fn files(dir: &Path, is_right: impl Fn(&str) -> bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))? {
        let entry = entry?;
        if is_right(&entry.file_name().to_string_lossy()) {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        "Dir::Etc::SourceList \"{dir}/sources.list\";\n\
         Dir::Etc::SourceParts \"{dir}/empty.d\";\n\
         Dir::Etc::Preferences \"/dev/null\";\n\
         Dir::Etc::PreferencesParts \"{dir}/empty.d\";\n\
         Dir::State \"{dir}/state\";\n\
         Dir::State::Lists \"{dir}/state/lists\";\n\
         Dir::State::status \"{dir}/state/status\";\n\
         Dir::Cache \"{dir}/cache\";\n\
         Dir::Cache::archives \"{dir}/cache/archives\";\n\
         Dir::Log \"{dir}/log\";\n\
         #clear APT::Update::Pre-Invoke;\n\
         #clear APT::Update::Post-Invoke;\n\
         #clear APT::Update::Post-Invoke-Success;\n\
         #clear DPkg::Pre-Invoke;\n\
         #clear DPkg::Post-Invoke;\n\
         #clear Acquire::IndexTargets::deb::DEP-11;\n\
         #clear Acquire::IndexTargets::deb::DEP-11-icons-small;\n\
         #clear Acquire::IndexTargets::deb::DEP-11-icons;\n\
         #clear Acquire::IndexTargets::deb::DEP-11-icons-large;\n\
         #clear Acquire::IndexTargets::deb::DEP-11-icons-hidpi;\n\
         #clear Acquire::IndexTargets::deb::DEP-11-icons-large-hidpi;\n\
         APT::Sandbox::User \"\";\n\
         Acquire::Languages \"none\";\n\
         Acquire::Retries \"3\";\n\
         Acquire::AllowInsecureRepositories \"false\";\n\
         Acquire::AllowDowngradeToInsecureRepositories \"false\";\n"
    )
}

/// Debian's mirror as this machine's own apt knows it, or `$COHFS_DEBIAN_MIRROR`.
fn mirror() -> Result<String> {
    if let Some(given) = std::env::var("COHFS_DEBIAN_MIRROR")
        .ok()
        .filter(|m| !m.is_empty())
    {
        return Ok(given);
    }
    let format = "$(REPO_URI)|$(ORIGIN)|$(LABEL)";
    let text = output(command("apt-get").args([
        "indextargets",
        "--format",
        format,
        "Created-By: Packages",
    ]))
    .context("asking apt for this machine's package sources")?;
    choose_mirror(&text).ok_or_else(|| {
        missing(
            "this machine's apt sources name no mirror of Debian: set COHFS_DEBIAN_MIRROR to the \
             address of one",
        )
    })
}

fn choose_mirror(targets: &str) -> Option<String> {
    let targets = || {
        targets.lines().filter_map(|line| {
            let mut fields = line.split('|');
            Some((fields.next()?, fields.next()?, fields.next()?))
        })
    };
    // Before the first update of a fresh machine, apt does not know what a source is.
    let labelled = targets().find(|&(_, origin, label)| origin == "Debian" && label == "Debian");
    let named = || targets().find(|(uri, ..)| uri.trim_end_matches('/').ends_with("/debian"));
    labelled.or_else(named).map(|(uri, ..)| uri.to_owned())
}

/// Reads a line ` package | version | address suite/component arch Packages`.
fn parse_offer(line: &str) -> Option<Offer> {
    let mut fields = line.split('|').map(str::trim);
    let (package, version, source) = (fields.next()?, fields.next()?, fields.next()?);
    let (suite, _component) = source.split_whitespace().nth(1)?.split_once('/')?;
    Some(Offer {
        package: package.to_owned(),
        version: version.to_owned(),
        suite: suite.to_owned(),
    })
}

/// Puts the remedy beside what apt said.
fn explain(said: &str, suites: &[&str]) -> anyhow::Error {
    let suites = suites.join(", ");
    let remedy = if said.contains("expired") || said.contains("not valid") {
        "The mirror is frozen, or the clock is wrong. `--allow-stale-index` accepts an index \
         whose validity has run out; its signature is still checked."
    } else if said.contains("NO_PUBKEY") || said.contains("not signed") {
        "The keys on this machine do not know the archive's signature: update the package \
         debian-archive-keyring."
    } else if said.contains("does not have a Release file") || said.contains("404 ") {
        "The mirror has no such suite: set COHFS_DEBIAN_MIRROR to the address of one that has."
    } else {
        "Is the network up? `--offline` uses what the cache has."
    };
    missing(format!(
        "cannot update the package lists of {suites}: {said}\n{remedy}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offers_are_read_from_madison() {
        let line = "linux-source-7.3 | 7.3.4-1~bpo13+1 | http://host/debian trixie-backports/main amd64 Packages";
        assert_eq!(
            parse_offer(line),
            Some(Offer {
                package: "linux-source-7.3".into(),
                version: "7.3.4-1~bpo13+1".into(),
                suite: "trixie-backports".into(),
            })
        );
        assert_eq!(parse_offer("nothing"), None);
    }

    #[test]
    fn the_mirror_is_debians_and_not_the_security_archive() {
        let known =
            "http://a/debian-security/|Debian|Debian-Security\nhttp://b/deb/|Debian|Debian\n";
        assert_eq!(choose_mirror(known).as_deref(), Some("http://b/deb/"));
        let unknown =
            "http://a/debian-security/|$(ORIGIN)|$(LABEL)\nhttp://b/debian/|$(ORIGIN)|$(LABEL)\n";
        assert_eq!(choose_mirror(unknown).as_deref(), Some("http://b/debian/"));
        assert_eq!(choose_mirror("http://x/ubuntu/|Ubuntu|Ubuntu\n"), None);
    }

    #[test]
    fn an_expired_index_names_the_option() {
        let error = explain("E: Release file for … is expired", &["sid"]);
        assert!(error.to_string().contains("--allow-stale-index"));
    }

    #[test]
    fn a_suite_that_is_not_there_names_the_variable() {
        let said = "E: The repository 'http://a bookworm Release' does not have a Release file.";
        let error = explain(said, &["bookworm"]);
        assert!(error.to_string().contains("COHFS_DEBIAN_MIRROR"));
    }
}
