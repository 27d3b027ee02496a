// SPDX-License-Identifier: GPL-2.0

//! Walking over the folios of a range, as `rust/pagecache/walk.rs`.

use super::{AddressSpace, FolioRef, PageRange};
use crate::explore::Want;

/// Folios that are looked up at a time. The kernel's batch has 31; a small one makes a walk over
/// two pages meet the seam between two batches.
const BATCH: usize = 1;

/// A walk over the folios of a range, in batches, in the order of their index.
pub(crate) struct Walk<'a> {
    mapping: &'a AddressSpace,
    next: u64,
    last: u64,
    batch: Vec<usize>,
}

impl<'a> Walk<'a> {
    /// Starts at the first page of `range`.
    pub(super) fn new(mapping: &'a AddressSpace, range: PageRange) -> Self {
        Self {
            mapping,
            next: range.first(),
            last: range.last(),
            batch: Vec::new(),
        }
    }

    /// Returns the next folios, or `None` at the end of the range.
    pub(crate) fn next_batch(&mut self) -> Option<impl Iterator<Item = FolioRef<'_>>> {
        let (next, last) = (self.next, self.last);
        let (batch, next) = self.mapping.machine().step(
            format_args!("looks up the next folios from page {next}"),
            Want::Nothing,
            |world, _| {
                let mut batch: Vec<usize> = Vec::new();
                let mut page = next;
                while page <= last && batch.len() < BATCH {
                    let Some(slot) = world.cache.get(page as usize) else {
                        break;
                    };
                    page += 1;
                    if let Some(id) = *slot {
                        batch.push(id);
                        page = (world.folios[id].index + world.folios[id].pages) as u64;
                    }
                }
                (batch, page)
            },
        );
        self.batch = batch;
        self.next = next;
        let mapping = self.mapping;
        (!self.batch.is_empty())
            .then(|| self.batch.iter().map(move |&id| FolioRef::new(mapping, id)))
    }
}

/// Unmaps the rest of a range in one go, the first time that a mapped folio is met.
pub(crate) struct Sweep<'a> {
    mapping: &'a AddressSpace,
    rest: Option<PageRange>,
}

impl<'a> Sweep<'a> {
    /// Arms a sweep of `range`.
    pub(super) fn new(mapping: &'a AddressSpace, range: PageRange) -> Self {
        Self {
            mapping,
            rest: Some(range),
        }
    }

    /// Unmaps the range from `folio` on, if it is mapped and no sweep has been made yet.
    pub(crate) fn unmap_rest_once(&mut self, folio: &FolioRef<'_>) {
        let mapping = self.mapping;
        mapping.machine().call(|| {
            if self.rest.is_some() && folio.is_mapped() {
                if let Some(rest) = self.rest.take().and_then(|r| r.rest_from(folio.index())) {
                    mapping.unmap(rest);
                }
            }
            self.rest.is_some()
        });
    }
}
