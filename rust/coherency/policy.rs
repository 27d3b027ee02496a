// SPDX-License-Identifier: GPL-2.0

//! What a mount promises about direct writes and the page cache.

use core::fmt;

/// The promise, chosen with `-o coherency=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Policy {
    /// Nothing: the page cache is left as it is. The control that shows that the claims can fail.
    None,
    /// The `invalidate_inode_pages2` patch of 2004, rule by rule, without its defects that lose
    /// data or hang.
    Seed,
    /// What ext2 of 7.3 does: best effort before and after the write.
    Mainline,
    /// The whole contract: no acknowledged byte is lost or hidden.
    Strict,
}

impl Policy {
    /// What a mount gets that does not ask.
    pub(crate) const DEFAULT: Self = Self::Strict;

    /// Returns the policy of that name.
    ///
    /// # Errors
    ///
    /// The name is unknown.
    pub(crate) fn parse(name: &[u8]) -> Result<Self, UnknownName> {
        match name {
            b"none" => Ok(Self::None),
            b"seed" => Ok(Self::Seed),
            b"mainline" => Ok(Self::Mainline),
            b"strict" => Ok(Self::Strict),
            _ => Err(UnknownName("none, seed, mainline or strict")),
        }
    }

    /// What removes folios unless the mount says otherwise: as [`Mainline`](Self::Mainline) is for
    /// comparing, it uses what ext2 uses.
    pub(crate) fn default_walker(self) -> Walker {
        match self {
            Self::None | Self::Seed | Self::Strict => Walker::Own,
            Self::Mainline => Walker::Kernel,
        }
    }

    /// The name, as in `/proc/mounts`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Seed => "seed",
            Self::Mainline => "mainline",
            Self::Strict => "strict",
        }
    }
}

/// What takes a folio out of the page cache, chosen with `-o walker=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Walker {
    /// Our own chain of steps, which also leaves pinned folios alone.
    Own,
    /// The kernel's `invalidate_inode_pages2_range`, folio by folio, to compare with.
    Kernel,
}

impl Walker {
    /// Returns the walker of that name.
    ///
    /// # Errors
    ///
    /// The name is unknown.
    pub(crate) fn parse(name: &[u8]) -> Result<Self, UnknownName> {
        match name {
            b"own" => Ok(Self::Own),
            b"kernel" => Ok(Self::Kernel),
            _ => Err(UnknownName("own or kernel")),
        }
    }

    /// The name, as in `/proc/mounts`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Own => "own",
            Self::Kernel => "kernel",
        }
    }
}

/// There is no such name; these are the ones there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct UnknownName(&'static str);

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown; use {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_parsed_back() {
        for policy in [Policy::None, Policy::Seed, Policy::Mainline, Policy::Strict] {
            assert_eq!(Policy::parse(policy.name().as_bytes()), Ok(policy));
        }
        for walker in [Walker::Own, Walker::Kernel] {
            assert_eq!(Walker::parse(walker.name().as_bytes()), Ok(walker));
        }
    }

    #[test]
    fn another_name_is_refused() {
        assert!(Policy::parse(b"").is_err());
        assert!(Policy::parse(b"strictly").is_err());
        assert!(Walker::parse(b"").is_err());
    }
}
