// SPDX-License-Identifier: GPL-2.0

//! Versions of three numbers, as compilers and kernels carry them.

use std::fmt;

/// A version `major.minor.patch`; a part that is left out counts as zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Version([u32; 3]);

impl Version {
    /// A version of three numbers.
    pub(crate) const fn new(major: u32, minor: u32, patch: u32) -> Self {
        Self([major, minor, patch])
    }

    /// Reads the version that `text` begins with; what follows the numbers is ignored.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let end = text
            .find(|c: char| !c.is_ascii_digit() && c != '.')
            .unwrap_or(text.len());
        let mut parts = text[..end].split('.').filter(|part| !part.is_empty());
        let mut numbers = [0; 3];
        numbers[0] = parts.next()?.parse().ok()?;
        numbers[1] = parts.next()?.parse().ok()?;
        if let Some(patch) = parts.next() {
            numbers[2] = patch.parse().ok()?;
        }
        Some(Self(numbers))
    }

    /// Finds the first word of `text` that begins with a version.
    pub(crate) fn find(text: &str) -> Option<Self> {
        text.split_whitespace().find_map(Self::parse)
    }

    /// The first two numbers, which name a series.
    pub(crate) const fn series(self) -> (u32, u32) {
        (self.0[0], self.0[1])
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [major, minor, patch] = self.0;
        write!(f, "{major}.{minor}.{patch}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_found_in_what_programs_say() {
        let find = |text| Version::find(text);
        assert_eq!(
            find("rustc 1.96.0 (ac68faa20 2026-05-25)"),
            Some(Version::new(1, 96, 0))
        );
        assert_eq!(find("bindgen 0.72.1"), Some(Version::new(0, 72, 1)));
        assert_eq!(find("GNU Make 4.3"), Some(Version::new(4, 3, 0)));
        assert_eq!(find("no version here"), None);
    }

    #[test]
    fn package_versions_and_release_candidates_parse() {
        assert_eq!(
            Version::parse("7.3.4-1~bpo13+1"),
            Some(Version::new(7, 3, 4))
        );
        assert_eq!(Version::parse("7.3~rc7-1"), Some(Version::new(7, 3, 0)));
        assert_eq!(Version::parse("7"), None);
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(Version::new(0, 72, 1) > Version::new(0, 9, 10));
    }
}
