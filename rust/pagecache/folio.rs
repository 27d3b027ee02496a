// SPDX-License-Identifier: GPL-2.0

//! A folio on its way out of the page cache.
//!
//! ```text
//! FolioRef ──lock_in──> LockedFolio ──unmap──> UnmappedFolio ──wait_writeback──> QuiescentFolio
//!                                                                                      │ remove
//! ```
//!
//! Each step takes the folio and returns what is now known of it; a step cannot be left out.
//! The folio lock is released when the last of the chain is dropped.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`include/linux/page-flags.h`](srctree/include/linux/page-flags.h)

use super::{
    AddressSpace,
    PageRange, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    num::casts::usize_as_u64,
    types::NotThreadSafe, //
};

/// How often a removal is tried while somebody is dirtying a folio of the file.
const REDIRTY_TRIES: u32 = 100;

/// A folio that stays allocated for `'a`, but may leave its mapping at any time.
///
/// # Invariants
///
/// Somebody holds a reference to the folio for `'a`.
pub(crate) struct FolioRef<'a> {
    folio: NonNull<bindings::folio>,
    _reference: PhantomData<&'a bindings::folio>,
}

impl<'a> FolioRef<'a> {
    /// Creates a reference from a C pointer.
    ///
    /// # Safety
    ///
    /// Somebody holds a reference to `folio`, which is not null, for `'a`.
    pub(super) unsafe fn from_raw(folio: *mut bindings::folio) -> Self {
        // INVARIANT: By our requirements.
        Self {
            // SAFETY: Not null, by our requirements.
            folio: unsafe { NonNull::new_unchecked(folio) },
            _reference: PhantomData,
        }
    }

    fn as_raw(&self) -> *mut bindings::folio {
        self.folio.as_ptr()
    }

    /// Index in the file of the folio's first page. Does not change while somebody holds a reference.
    pub(crate) fn index(&self) -> u64 {
        // SAFETY: The folio is referenced, by the type invariants.
        usize_as_u64(unsafe { bindings::cohfs_folio_index(self.as_raw()) })
    }

    /// The folio's pages in the file. A reference keeps a folio from being split.
    pub(crate) fn pages(&self) -> PageRange {
        // SAFETY: The folio is referenced, by the type invariants.
        let count = unsafe { bindings::cohfs_folio_nr_pages(self.as_raw()) };
        PageRange::starting_at(self.index(), usize_as_u64(count))
    }

    /// Says whether a page table maps the folio.
    pub(crate) fn is_mapped(&self) -> bool {
        // SAFETY: The folio is referenced, by the type invariants.
        unsafe { bindings::cohfs_folio_mapped(self.as_raw()) }
    }

    /// Locks the folio, if it still belongs to `mapping` then.
    ///
    /// `None` if it was truncated, reclaimed or removed meanwhile.
    ///
    /// # Context
    ///
    /// May sleep. The caller holds no other folio lock.
    pub(crate) fn lock_in(self, mapping: &'a AddressSpace) -> Option<LockedFolio<'a>> {
        // SAFETY: The folio is referenced, by the type invariants.
        unsafe { bindings::cohfs_folio_lock(self.as_raw()) };
        let locked = LockedFolio {
            folio: self,
            mapping,
            _not_send: NotThreadSafe,
        };
        // INVARIANT: Locked just now, and under the lock it does not leave the mapping.
        locked.belongs().then_some(locked)
    }
}

/// A locked folio of `mapping`.
///
/// # Invariants
///
/// This task holds the folio lock. The folio is in `mapping` and stays there: whatever takes it
/// out holds the lock (`__filemap_remove_folio` in `mm/filemap.c`).
#[must_use = "the folio is unlocked when the guard is dropped"]
pub(crate) struct LockedFolio<'a> {
    folio: FolioRef<'a>,
    mapping: &'a AddressSpace,
    _not_send: NotThreadSafe,
}

impl<'a> LockedFolio<'a> {
    fn belongs(&self) -> bool {
        // SAFETY: The folio is referenced; `mapping` is stable under the lock.
        let owner = unsafe { bindings::cohfs_folio_mapping(self.folio.as_raw()) };
        ptr::eq(owner, self.mapping.as_raw())
    }

    /// Takes the folio out of every page table.
    ///
    /// # Context
    ///
    /// May sleep. Takes `i_mmap_rwsem` and page-table locks under the folio lock.
    pub(crate) fn unmap(self) -> UnmappedFolio<'a> {
        if self.folio.is_mapped() {
            self.mapping.unmap(self.folio.pages());
        }
        // INVARIANT: Unmapped just now, and a fault maps a folio only under its lock.
        UnmappedFolio(self)
    }
}

impl Drop for LockedFolio<'_> {
    fn drop(&mut self) {
        // SAFETY: This task holds the lock, by the type invariants.
        unsafe { bindings::folio_unlock(self.folio.as_raw()) };
    }
}

/// A locked folio that no page table maps.
///
/// # Invariants
///
/// No page table maps the folio, and none will while it is locked: `filemap_fault` waits for the
/// lock, `filemap_map_pages` only tries it, `page_mkwrite` needs a mapped page (`mm/filemap.c`,
/// `mm/memory.c`). The dirty bits that the entries had are on the folio (`zap_present_folio_ptes`).
/// No new pin can appear: pinning goes through a page table.
#[must_use = "the folio is unlocked when the guard is dropped"]
pub(crate) struct UnmappedFolio<'a>(LockedFolio<'a>);

impl<'a> UnmappedFolio<'a> {
    /// Waits until the folio is not under writeback.
    ///
    /// # Context
    ///
    /// Sleeps until the device is done.
    pub(crate) fn wait_writeback(self) -> QuiescentFolio<'a> {
        // SAFETY: The folio is referenced.
        unsafe { bindings::folio_wait_writeback(self.0.folio.as_raw()) };
        // INVARIANT: Waited for just now, and writeback starts under the folio lock.
        QuiescentFolio(self)
    }
}

/// A locked, unmapped folio that no device is reading from for writeback.
///
/// # Invariants
///
/// The folio is not under writeback, and will not be while it is locked: writeback starts under
/// the lock (`writeback_get_folio` in `mm/page-writeback.c`).
#[must_use = "the folio is unlocked when the guard is dropped"]
pub(crate) struct QuiescentFolio<'a>(UnmappedFolio<'a>);

impl QuiescentFolio<'_> {
    /// Takes the folio out of the page cache, if nothing is lost by that.
    ///
    /// The conditions are those of `folio_unmap_invalidate` in `mm/truncate.c` and one more: nobody
    /// has the folio pinned. A pinned folio is the target of somebody's I/O; what lands there
    /// after the removal would be seen by nobody.
    ///
    /// # Context
    ///
    /// May sleep: the file system's private state of the folio is released.
    pub(crate) fn remove(self) -> Removal {
        let LockedFolio { folio, mapping, .. } = &(self.0).0;
        // SAFETY: The folio is referenced and locked.
        if unsafe { bindings::cohfs_folio_test_dirty(folio.as_raw()) } {
            return Removal::Busy(Busy::Dirty);
        }
        // SAFETY: As above. A pin that was there before we unmapped the folio is counted; a new one
        // needs a page table, and there is none, by the invariants of `UnmappedFolio`.
        if unsafe { bindings::cohfs_folio_maybe_dma_pinned(folio.as_raw()) } {
            return Removal::Busy(Busy::Pinned);
        }
        // SAFETY: The folio is locked and not under writeback, as `->release_folio` asks.
        if !unsafe {
            bindings::filemap_release_folio(folio.as_raw(), bindings::COHFS_CONST_GFP_KERNEL)
        } {
            return Removal::Busy(Busy::Private);
        }
        let mut removal = Removal::Busy(Busy::Redirtied);
        for _ in 0..REDIRTY_TRIES {
            // SAFETY: The folio is referenced by us besides the page cache, locked, unmapped,
            // without private state, in `mapping`.
            removal = unsafe { mapping.host().redirty().remove(mapping, folio.as_raw()) };
            if removal != Removal::Busy(Busy::Redirtied) {
                break;
            }
            // It is most often another folio of the file that is being dirtied.
            // SAFETY: We may sleep.
            unsafe { bindings::cohfs_cond_resched() };
        }
        removal
    }
}

/// What became of a folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Removal {
    /// It left the page cache.
    Removed,
    /// It stayed.
    Busy(Busy),
}

/// Why a folio stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Busy {
    /// It holds bytes that are not on disk.
    Dirty,
    /// It is the source or target of somebody's I/O.
    Pinned,
    /// The file system did not release its private state.
    Private,
    /// Somebody was dirtying a folio of the file at this moment.
    Redirtied,
    /// The kernel's own walker left it behind, for a reason that it does not tell.
    Untold,
}
