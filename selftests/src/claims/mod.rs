// SPDX-License-Identifier: GPL-2.0

//! The claims, one file per subject.

use crate::registry::Claim;

mod asynchronous;
mod attributes;
mod behind;
mod blame;
mod completion;
mod crowd;
mod device_cache;
mod direct_read;
mod end_of_file;
mod entries;
mod errors;
mod fallback;
mod full;
mod given_up;
mod granularity;
mod holes;
mod invalidate;
mod large_folio;
mod lifetime;
mod limits;
mod mapped;
mod names;
mod neighbours;
mod nowait;
mod options;
mod outside;
mod overlap;
mod pending;
mod pinned;
mod placement;
mod places;
mod poked;
mod punch;
mod read_write;
mod readers;
mod reclaim;
mod redirty;
mod scratch;
mod size;
mod sources;
mod sparse;
mod stacked;
mod storms;
mod super_block;
mod uptodate;
mod volume;

/// Every group of claims, in the order in which they run.
pub const GROUPS: &[&[Claim]] = &[
    read_write::CLAIMS,
    mapped::CLAIMS,
    neighbours::CLAIMS,
    limits::CLAIMS,
    end_of_file::CLAIMS,
    sparse::CLAIMS,
    fallback::CLAIMS,
    errors::CLAIMS,
    pending::CLAIMS,
    granularity::CLAIMS,
    direct_read::CLAIMS,
    redirty::CLAIMS,
    asynchronous::CLAIMS,
    completion::CLAIMS,
    lifetime::CLAIMS,
    nowait::CLAIMS,
    blame::CLAIMS,
    uptodate::CLAIMS,
    behind::CLAIMS,
    invalidate::CLAIMS,
    crowd::CLAIMS,
    storms::CLAIMS,
    reclaim::CLAIMS,
    pinned::CLAIMS,
    sources::CLAIMS,
    outside::CLAIMS,
    overlap::CLAIMS,
    large_folio::CLAIMS,
    entries::CLAIMS,
    names::CLAIMS,
    holes::CLAIMS,
    full::CLAIMS,
    readers::CLAIMS,
    poked::CLAIMS,
    size::CLAIMS,
    device_cache::CLAIMS,
    stacked::CLAIMS,
    punch::CLAIMS,
    places::CLAIMS,
    volume::CLAIMS,
    super_block::CLAIMS,
    placement::CLAIMS,
    given_up::CLAIMS,
    attributes::CLAIMS,
    options::CLAIMS,
];

/// The page size that the claims' files are laid out for.
const PAGE: u64 = 4096;
