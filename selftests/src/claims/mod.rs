// SPDX-License-Identifier: GPL-2.0

//! The claims, one file per subject.

use crate::registry::Claim;

mod behind;
mod direct_read;
mod granularity;
mod holes;
mod invalidate;
mod large_folio;
mod mapped;
mod neighbours;
mod pinned;
mod read_write;
mod redirty;
mod storms;
mod uptodate;

/// Every group of claims, in the order in which they run.
pub const GROUPS: &[&[Claim]] = &[
    read_write::CLAIMS,
    mapped::CLAIMS,
    neighbours::CLAIMS,
    granularity::CLAIMS,
    direct_read::CLAIMS,
    redirty::CLAIMS,
    uptodate::CLAIMS,
    behind::CLAIMS,
    invalidate::CLAIMS,
    storms::CLAIMS,
    pinned::CLAIMS,
    large_folio::CLAIMS,
    holes::CLAIMS,
];

/// The page size that the claims' files are laid out for.
const PAGE: u64 = 4096;
