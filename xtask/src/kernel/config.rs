// SPDX-License-Identifier: GPL-2.0

//! Kernel configuration: fragments merged, applied on top of `allnoconfig`, and checked.
//!
//! Kconfig drops an option whose dependencies are not met without a word. Hence the check
//! afterwards: each option that did not become what its fragment says is an error.

use crate::artifacts::Variant;
use anyhow::{Context as _, Result};
use std::collections::BTreeMap;
use std::path::Path;

/// Options and their values as a `.config` has them; `n` is the absence of an option.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Config(BTreeMap<String, String>);

impl Config {
    /// The fragments of a variant, later ones overriding earlier ones.
    pub(crate) fn fragments(repo: &Path, variant: Variant) -> Result<Self> {
        let names: &[&str] = match variant {
            Variant::Base => &["base.config", "compare.config"],
            Variant::Debug => &["base.config", "debug.config"],
        };
        let mut merged = Self::default();
        for name in names {
            let path = repo.join("qemu/config").join(name);
            merged.0.extend(Self::read(&path)?.0);
        }
        Ok(merged)
    }

    /// Reads a fragment or a `.config`.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("reading the configuration {}", path.display()))?;
        Ok(Self::parse(&text))
    }

    fn parse(text: &str) -> Self {
        let set = |line: &str| {
            if let Some(option) = line.strip_prefix("# CONFIG_") {
                let name = option.strip_suffix(" is not set")?;
                return Some((format!("CONFIG_{name}"), "n".to_owned()));
            }
            let (name, value) = line.split_once('=')?;
            name.starts_with("CONFIG_")
                .then(|| (name.to_owned(), value.to_owned()))
        };
        Self(text.lines().map(str::trim).filter_map(set).collect())
    }

    /// The value of an option, `n` if it is not there.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.get(name).map_or("n", String::as_str)
    }

    /// As text that Kconfig reads, sorted by name.
    pub(crate) fn text(&self) -> String {
        self.0
            .iter()
            .map(|(name, value)| match value.as_str() {
                "n" => format!("# {name} is not set\n"),
                _ => format!("{name}={value}\n"),
            })
            .collect()
    }

    /// Every option of `self` that `actual` has otherwise, with both values.
    pub(crate) fn differences(&self, actual: &Self) -> Vec<String> {
        self.0
            .iter()
            .filter(|(name, wanted)| actual.get(name) != wanted.as_str())
            .map(|(name, wanted)| format!("{name} should be {wanted}, but is {}", actual.get(name)))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_was_dropped_is_named() {
        let wanted = Config::parse("CONFIG_RUST=y\nCONFIG_PCI=y\n# a comment\n");
        let actual = Config::parse("CONFIG_PCI=y\n# CONFIG_RUST is not set\n");
        assert_eq!(
            wanted.differences(&actual),
            ["CONFIG_RUST should be y, but is n"]
        );
    }

    #[test]
    fn an_option_wanted_off_may_be_absent() {
        let wanted = Config::parse("CONFIG_A=n\n# CONFIG_B is not set\n");
        assert!(wanted.differences(&Config::default()).is_empty());
        let actual = Config::parse("CONFIG_A=y\n");
        assert_eq!(wanted.differences(&actual).len(), 1);
    }

    #[test]
    fn numbers_and_strings_are_compared_too() {
        let wanted = Config::parse("CONFIG_NR_CPUS=8\nCONFIG_NAME=\"a=b\"\n");
        let actual = Config::parse("CONFIG_NR_CPUS=64\nCONFIG_NAME=\"a=b\"\n");
        assert_eq!(
            wanted.differences(&actual),
            ["CONFIG_NR_CPUS should be 8, but is 64"]
        );
    }

    #[test]
    fn a_later_fragment_overrides_and_the_text_reads_back() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let base = Config::fragments(repo, Variant::Base).unwrap();
        let debug = Config::fragments(repo, Variant::Debug).unwrap();
        assert_eq!(base.get("CONFIG_KASAN"), "n");
        assert_eq!(debug.get("CONFIG_KASAN"), "y");
        assert_eq!(Config::parse(&debug.text()), debug);
    }
}
