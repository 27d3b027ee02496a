// SPDX-License-Identifier: GPL-2.0

//! The page cache of one file.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    ByteRange,
    Host,
    InFlight,
    PageRange,
    Sweep,
    Walk, //
};
use crate::bindings;
use kernel::{
    error::to_result,
    num::casts::arch::u64_as_usize,
    prelude::*,
    types::Opaque, //
};

/// The bit of an `errseq_t` that says that somebody was told of the error: of `lib/errseq.c`, where no
/// header has it. It is the one above those of the largest error number.
const ERRSEQ_SEEN: bindings::errseq_t = (bindings::MAX_ERRNO + 1).next_power_of_two();

/// Wraps C's `struct address_space` of a regular file.
///
/// # Invariants
///
/// The host inode is embedded in a [`Host`].
#[repr(transparent)]
pub(crate) struct AddressSpace(Opaque<bindings::address_space>);

impl AddressSpace {
    /// Creates a reference from a C pointer.
    ///
    /// # Safety
    ///
    /// `mapping` is valid for `'a`, and its host is embedded in a [`Host`].
    pub(crate) unsafe fn from_raw<'a>(mapping: *mut bindings::address_space) -> &'a Self {
        // SAFETY: Valid by our requirements; `Self` is a transparent wrapper.
        // INVARIANT: By our requirements.
        unsafe { &*mapping.cast() }
    }

    /// Returns the C mapping.
    pub(crate) fn as_raw(&self) -> *mut bindings::address_space {
        self.0.get()
    }

    /// Returns the inode that owns the mapping.
    pub(super) fn host(&self) -> &Host {
        // SAFETY: `host` does not change while the inode lives, and is embedded in a `Host` by the
        // type invariants.
        unsafe { Host::from_inode((*self.as_raw()).host) }
    }

    /// Says whether any process maps the file. A moment later the answer may be another.
    pub(crate) fn is_mapped(&self) -> bool {
        // SAFETY: The mapping is valid; C reads one word.
        unsafe { bindings::cohfs_mapping_mapped(self.as_raw()) }
    }

    /// Says whether anything is cached. A moment later the answer may be another.
    pub(crate) fn has_folios(&self) -> bool {
        // SAFETY: `nrpages` is a word that C reads without a lock as well (`mm/filemap.c`).
        unsafe { (&raw const (*self.as_raw()).nrpages).read_volatile() != 0 }
    }

    /// Says whether a folio over `range` is cached. A moment later the answer may be another.
    pub(crate) fn has_folios_in(&self, range: ByteRange) -> bool {
        // Counted when it was added, in the same critical section (`__filemap_add_folio` in `mm/filemap.c`).
        if !self.has_folios() {
            return false;
        }
        // At most `i64::MAX`, by the invariants of `ByteRange`, so that nothing is cut off.
        let (first, last) = (range.pos().cast_signed(), (range.end() - 1).cast_signed());
        // SAFETY: The mapping is valid; C's range includes its last byte.
        unsafe { bindings::filemap_range_has_page(self.as_raw(), first, last) }
    }

    /// Returns the ranges of the file that somebody has claimed.
    pub(crate) fn in_flight(&self) -> &InFlight {
        self.host().in_flight()
    }

    /// Takes `range` out of every page table that maps it. Private copies stay.
    ///
    /// A page-table entry's dirty bit goes to its folio before the entry is gone
    /// (`zap_present_folio_ptes` in `mm/memory.c`). Nothing keeps a fault from mapping the range
    /// again at once, but the folio lock.
    ///
    /// # Context
    ///
    /// May sleep. Takes `i_mmap_rwsem` and page-table locks.
    pub(crate) fn unmap(&self, range: PageRange) {
        // OVERFLOW: A range of all pages has 2^64 of them; C takes 0 as "to the end", for its sum
        // wraps to `ULONG_MAX` (`unmap_mapping_pages` in `mm/memory.c`).
        let count = range.last().wrapping_sub(range.first()).wrapping_add(1);
        let (first, count) = (u64_as_usize(range.first()), u64_as_usize(count));
        // SAFETY: The mapping is valid.
        unsafe { bindings::unmap_mapping_pages(self.as_raw(), first, count, false) };
    }

    /// Writes out what is dirty in `range` and waits until it is on the device.
    ///
    /// # Context
    ///
    /// May sleep. The caller holds no folio lock.
    ///
    /// # Errors
    ///
    /// The error of the writeback, once for every one that happened (`filemap_check_errors`).
    pub(crate) fn write_and_wait(&self, range: ByteRange) -> Result {
        // At most `i64::MAX`, by the invariants of `ByteRange`.
        let (first, last) = (i64::try_from(range.pos())?, i64::try_from(range.end() - 1)?);
        // SAFETY: The mapping is valid; C's range includes its last byte.
        to_result(unsafe { bindings::filemap_write_and_wait_range(self.as_raw(), first, last) })
    }

    /// As [`Self::write_and_wait`], and takes no error away from anybody: it returns those that come up
    /// meanwhile, and whoever syncs the file later is still told of them.
    ///
    /// # Context
    ///
    /// As [`Self::write_and_wait`].
    ///
    /// # Errors
    ///
    /// That of a writeback of the file that failed while this went on. One that is like an earlier one
    /// that nobody was told of yet is not seen (`errseq_set` in `lib/errseq.c`); the next `fsync` is told
    /// of both.
    pub(crate) fn write_out(&self, range: ByteRange) -> Result {
        if !self.has_folios() {
            return Ok(());
        }
        // At most `i64::MAX`, by the invariants of `ByteRange`.
        let (first, last) = (i64::try_from(range.pos())?, i64::try_from(range.end() - 1)?);
        let mapping = self.as_raw();
        // Not `errseq_sample`, which takes an error that nobody was told of yet for a new one.
        // SAFETY: The mapping is valid; C reads the word without a lock as well.
        let errors = || unsafe { (&raw const (*mapping).wb_err).read_volatile() };
        // That somebody was told of the last error meanwhile is no new one.
        let count = |errors: bindings::errseq_t| errors & !ERRSEQ_SEEN;
        let before = errors();
        // SAFETY: The mapping is valid; C's range includes its last byte.
        unsafe {
            to_result(bindings::filemap_fdatawrite_range(mapping, first, last))?;
            // Its result is about all errors there ever were.
            bindings::filemap_fdatawait_range_keep_errors(mapping, first, last);
        }
        if count(errors()) == count(before) {
            return Ok(());
        }
        // SAFETY: `wb_err` is only ever touched by the atomic functions of `lib/errseq.c`.
        to_result(unsafe { bindings::errseq_check(&raw mut (*mapping).wb_err, before) })
    }

    /// Drops what is clean, unmapped and unused in `range`. Best effort, and loses nothing.
    ///
    /// # Context
    ///
    /// May sleep between folios; only tries their locks.
    pub(crate) fn drop_unused(&self, range: PageRange) {
        let (first, last) = (u64_as_usize(range.first()), u64_as_usize(range.last()));
        // SAFETY: The mapping is valid.
        unsafe { bindings::invalidate_mapping_pages(self.as_raw(), first, last) };
    }

    /// Removes `range` with the kernel's own walker.
    ///
    /// # Context
    ///
    /// May sleep. The caller holds no folio lock.
    ///
    /// # Errors
    ///
    /// `EBUSY` if a folio stayed behind.
    pub(crate) fn invalidate_inode_pages2(&self, range: PageRange) -> Result {
        let (first, last) = (u64_as_usize(range.first()), u64_as_usize(range.last()));
        // SAFETY: The mapping is valid.
        to_result(unsafe { bindings::invalidate_inode_pages2_range(self.as_raw(), first, last) })
    }

    /// Tells every open file, at its next `fsync`, that something of the file could not be written.
    pub(crate) fn set_error(&self, error: kernel::error::Error) {
        // SAFETY: The mapping is valid; C sets flags and an error sequence, both atomically.
        unsafe { bindings::cohfs_mapping_set_error(self.as_raw(), error.to_errno()) };
    }

    /// Tells every open file, at its next `fsync`, that page cache and disk have gone apart.
    ///
    /// What `dio_warn_stale_pagecache` of `mm/filemap.c` does; that one is not exported.
    pub(crate) fn warn_stale(&self) {
        // SAFETY: `wb_err` is only ever touched by the atomic functions of `lib/errseq.c`.
        unsafe { bindings::errseq_set(&raw mut (*self.as_raw()).wb_err, EIO.to_errno()) };
        // SAFETY: No requirements.
        if unsafe { bindings::cohfs_printk_ratelimit() } {
            pr_crit!("page cache and disk differ after a direct write; fsync says so (EIO)\n");
        }
    }

    /// Tells whoever traces that a direct write of `range` goes through the page cache.
    pub(crate) fn trace_through_cache(&self, range: ByteRange) {
        // SAFETY: The host lives as long as its mapping.
        unsafe {
            bindings::cohfs_trace_through_cache(self.host().as_raw(), range.pos(), range.len())
        };
    }

    /// Tells whoever traces what a walk over `range` did, in folios.
    pub(crate) fn trace_invalidate(&self, range: PageRange, removed: u64, busy: u64) {
        let (first, last) = (range.first(), range.last());
        // SAFETY: As above.
        unsafe {
            bindings::cohfs_trace_invalidate(self.host().as_raw(), first, last, removed, busy)
        };
    }

    /// Starts a walk over the folios in `range`.
    pub(crate) fn walk(&self, range: PageRange) -> Walk<'_> {
        Walk::new(self, range)
    }

    /// Returns what unmaps the rest of `range` at once, when a walk meets its first mapped folio.
    pub(crate) fn sweep(&self, range: PageRange) -> Sweep<'_> {
        Sweep::new(self, range)
    }
}
