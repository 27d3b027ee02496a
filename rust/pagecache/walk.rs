// SPDX-License-Identifier: GPL-2.0

//! Walking over the folios of a range.
//!
//! C header: [`include/linux/pagevec.h`](srctree/include/linux/pagevec.h)

use super::{
    AddressSpace,
    FolioRef,
    PageRange, //
};
use crate::bindings;
use core::mem;
use kernel::num::casts::arch::u64_as_usize;

/// A walk over the folios of a range, in batches, in the order of their index.
///
/// It only goes forward and ends with the range, so it ends whatever others do meanwhile. A large
/// folio is met once, also when only a part of it lies in the range. What was evicted and left
/// a shadow entry is not met.
pub(crate) struct Walk<'a> {
    mapping: &'a AddressSpace,
    next: usize,
    last: usize,
    batch: bindings::folio_batch,
}

impl<'a> Walk<'a> {
    /// Starts at the first page of `range`.
    pub(super) fn new(mapping: &'a AddressSpace, range: PageRange) -> Self {
        Self {
            mapping,
            next: u64_as_usize(range.first()),
            last: u64_as_usize(range.last()),
            batch: pin_init::zeroed(),
        }
    }

    /// Returns the next folios, or `None` at the end of the range.
    ///
    /// # Context
    ///
    /// May sleep: gives up the references to the previous batch.
    pub(crate) fn next_batch(&mut self) -> Option<impl Iterator<Item = FolioRef<'_>>> {
        self.release();
        let mapping = self.mapping.as_raw();
        // SAFETY: The mapping is valid, the batch is empty, and C takes a reference to each folio
        // that it puts there.
        let found = unsafe {
            bindings::filemap_get_folios(mapping, &mut self.next, self.last, &mut self.batch)
        };
        let folios = self.batch.folios.get(..usize::try_from(found).ok()?)?;
        if folios.is_empty() {
            return None;
        }
        // SAFETY: The batch holds a reference to each of these until `release`, which needs the
        // walk exclusively, so not before the `FolioRef`s are gone.
        Some(
            folios
                .iter()
                .map(|&folio| unsafe { FolioRef::from_raw(folio) }),
        )
    }

    /// Gives up the references to the current batch.
    fn release(&mut self) {
        if self.batch.nr != 0 {
            // SAFETY: The batch holds `nr` referenced folios; C empties it.
            unsafe { bindings::__folio_batch_release(&mut self.batch) };
        }
        // SAFETY: Called in a context that may sleep.
        unsafe { bindings::cohfs_cond_resched() };
    }
}

impl Drop for Walk<'_> {
    fn drop(&mut self) {
        self.release();
    }
}

/// Unmaps the rest of a range in one go, the first time that a mapped folio is met.
///
/// One pass over the page tables before the first folio lock is cheaper than one for each folio
/// (`invalidate_inode_pages2_range` in `mm/truncate.c`). It is no more than that: what faults
/// map again afterwards is unmapped under the folio's lock.
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
    ///
    /// # Context
    ///
    /// May sleep. The caller holds no folio lock.
    pub(crate) fn unmap_rest_once(&mut self, folio: &FolioRef<'_>) {
        if self.rest.is_some() && folio.is_mapped() {
            if let Some(rest) = mem::take(&mut self.rest).and_then(|r| r.rest_from(folio.index())) {
                self.mapping.unmap(rest);
            }
        }
    }
}
