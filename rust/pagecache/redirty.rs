// SPDX-License-Identifier: GPL-2.0

//! Keeps the removal of a folio and its dirtying apart.
//!
//! `generic_error_remove_folio`, the one exported function that removes a single folio, clears the
//! dirty bit on its way (`truncate_cleanup_folio` in `mm/truncate.c`). Whoever dirties the folio
//! between our last look at that bit and the removal would lose what he wrote. Most dirtiers hold
//! the folio lock, and we do too; those that do not are stopped here, because they dirty through
//! `->dirty_folio` (`folio_mark_dirty` in `mm/page-writeback.c`).
//!
//! # Argument
//!
//! A dirtier raises `dirtying`, then looks at `removing`; a remover raises `removing`, then looks at
//! `dirtying`. Both raise with full ordering, so at least one sees the other. A remover that sees
//! a dirtier gives up. A dirtier that sees a remover waits for the spinlock that the remover
//! holds, and then finds the folio either still there or without a mapping. A remover that sees
//! no dirtier looks at the dirty bit only then: a dirtier that is done has set it.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use super::{
    AddressSpace,
    Busy,
    Removal, //
};
use crate::bindings;
use core::ptr;
use kernel::{
    new_spinlock,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        SpinLock, //
    }, //
};
use pin_init::{
    pin_data,
    pin_init, //
};

/// The gate of one file.
#[pin_data]
pub(crate) struct RedirtyGate {
    /// Number of tasks inside [`dirty_folio`].
    dirtying: Atomic<i32>,
    /// 1 while a folio is being removed.
    removing: Atomic<i32>,
    /// Held over a removal. A leaf but for `i_lock` and `i_pages`; taken under page-table locks.
    #[pin]
    lock: SpinLock<()>,
}

impl RedirtyGate {
    /// Initialises a gate in place.
    ///
    /// # Safety
    ///
    /// `this` points to memory for a gate that nobody uses yet and that does not move.
    pub(super) unsafe fn init_once(this: *mut Self) {
        let init = pin_init!(Self {
            dirtying: Atomic::new(0),
            removing: Atomic::new(0),
            lock <- new_spinlock!((), "cohfs_redirty"),
        });
        // SAFETY: By our requirements.
        unsafe { pin_init::raw_init(this, init) };
    }

    /// Removes `folio` from `mapping`, unless it is dirty or somebody is dirtying it.
    ///
    /// # Safety
    ///
    /// The folio is locked by the caller, in `mapping`, unmapped, not under writeback and has no
    /// private state; the caller holds a reference that is not the page cache's.
    pub(super) unsafe fn remove(
        &self,
        mapping: &AddressSpace,
        folio: *mut bindings::folio,
    ) -> Removal {
        let _removal = self.lock.lock();
        self.removing.xchg(1, Full);
        // In this order: whoever came in before us and has left by now has set the dirty flag, and
        // nobody sets it from here on. Asking for the flag first would miss him who sets it and
        // leaves between the two questions.
        let dirtying = self.dirtying.load(Acquire) != 0;
        // SAFETY: The folio is referenced, by our requirements.
        let dirty = unsafe { bindings::cohfs_folio_test_dirty(folio) };
        let outcome = if dirtying {
            Removal::Busy(Busy::Redirtied)
        } else if dirty {
            Removal::Busy(Busy::Dirty)
        } else {
            // SAFETY: The folio is locked and in `mapping`. C does not sleep here: it neither has
            // to unmap the folio nor to release private state.
            match unsafe { bindings::generic_error_remove_folio(mapping.as_raw(), folio) } {
                0 => Removal::Removed,
                _ => Removal::Busy(Busy::Untold),
            }
        };
        self.removing.store(0, Release);
        outcome
    }
}

/// The `->dirty_folio` of every regular file: iomap's, inside the gate.
///
/// # Safety
///
/// As C calls it: `mapping` is valid, its host embedded in a [`Host`](super::Host), and the caller
/// keeps `folio` from being freed. May be called under a page-table lock.
pub(crate) unsafe extern "C" fn dirty_folio(
    mapping: *mut bindings::address_space,
    folio: *mut bindings::folio,
) -> bool {
    // SAFETY: By our requirements.
    let gate = unsafe { AddressSpace::from_raw(mapping) }.host().redirty();
    gate.dirtying.fetch_add(1, Full);
    if gate.removing.load(Relaxed) != 0 {
        // LOCKING: Taken only to wait until the removal is over.
        drop(gate.lock.lock());
    }
    // SAFETY: The folio is not freed under us, by our requirements.
    let dirtied = if ptr::eq(unsafe { bindings::cohfs_folio_mapping(folio) }, mapping) {
        // SAFETY: As C calls it.
        unsafe { bindings::iomap_dirty_folio(mapping, folio) }
    } else {
        // Removed meanwhile: nothing to account, and no state of iomap's for an orphan to carry.
        // SAFETY: As above.
        unsafe { bindings::noop_dirty_folio(mapping, folio) }
    };
    gate.dirtying.fetch_sub(1, Release);
    dirtied
}
