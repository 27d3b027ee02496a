// SPDX-License-Identifier: GPL-2.0

//! The claims, one file per subject.

use crate::registry::Claim;

mod granularity;
mod mapped;
mod read_write;

/// Every group of claims, in the order in which they run.
pub const GROUPS: &[&[Claim]] = &[read_write::CLAIMS, mapped::CLAIMS, granularity::CLAIMS];

/// The page size that the claims' files are laid out for.
const PAGE: u64 = 4096;
