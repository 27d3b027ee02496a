// SPDX-License-Identifier: GPL-2.0

//! The inode that owns a mapping, and its two sleeping locks as guards.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    AddressSpace,
    InFlight,
    RedirtyGate, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    mem::ManuallyDrop, //
};
use kernel::{
    container_of,
    types::{
        NotThreadSafe,
        Opaque, //
    },
};

/// The part of an inode that the page cache deals with; every inode of the file system begins
/// with one.
///
/// # Invariants
///
/// `inode` is initialised by `inode_init_once`, and the rest by [`Host::init_once`].
#[repr(C)]
pub(crate) struct Host {
    inode: Opaque<bindings::inode>,
    redirty: RedirtyGate,
    pub(super) in_flight: InFlight,
}

// SAFETY: Every access to the inode goes through C functions that lock what they must.
unsafe impl Send for Host {}
// SAFETY: As above.
unsafe impl Sync for Host {}

impl Host {
    /// Initialises what stays initialised while the slab object is free: the slab constructor.
    ///
    /// # Safety
    ///
    /// `this` points to memory for a `Host` that nobody uses yet and that does not move.
    pub(crate) unsafe fn init_once(this: *mut Self) {
        // SAFETY: In bounds of the object, by our requirements.
        let inode = Opaque::cast_into(unsafe { &raw mut (*this).inode });
        // SAFETY: Points to memory for an inode that nobody uses yet.
        unsafe { bindings::inode_init_once(inode) };
        // SAFETY: As above, for the gate.
        unsafe { RedirtyGate::init_once(&raw mut (*this).redirty) };
        // SAFETY: As above, for the claims.
        unsafe { InFlight::init_once(&raw mut (*this).in_flight) };
    }

    /// Returns the host that embeds `inode`.
    ///
    /// # Safety
    ///
    /// `inode` is the member of a `Host` that stays alive for `'a`.
    pub(crate) unsafe fn from_inode<'a>(inode: *mut bindings::inode) -> &'a Self {
        // SAFETY: Embedded in a `Host` and alive, by our requirements.
        unsafe { &*container_of!(Opaque::cast_from(inode), Self, inode) }
    }

    /// Returns the C inode.
    pub(crate) fn as_raw(&self) -> *mut bindings::inode {
        self.inode.get()
    }

    /// Returns the mapping of the file's data.
    pub(crate) fn mapping(&self) -> &AddressSpace {
        // SAFETY: `i_mapping` is set by `inode_init_always_gfp` and is never changed by us, so it
        // is `&inode->i_data`, whose host is this inode, embedded in a `Host`.
        unsafe { AddressSpace::from_raw((*self.as_raw()).i_mapping) }
    }

    /// Returns the gate that keeps a removal and a dirtying of one folio apart.
    pub(super) fn redirty(&self) -> &RedirtyGate {
        &self.redirty
    }

    /// Returns the ranges of the file that somebody has claimed.
    pub(super) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Takes the inode lock exclusively.
    ///
    /// # Context
    ///
    /// May sleep. No lock of this file's page cache is held.
    pub(crate) fn lock(&self) -> InodeLockGuard<'_> {
        // SAFETY: The inode is initialised, by the type invariants.
        unsafe { bindings::cohfs_inode_lock(self.as_raw()) };
        // INVARIANT: Just taken.
        InodeLockGuard {
            host: self,
            _not_send: NotThreadSafe,
        }
    }

    /// Takes the inode lock shared.
    ///
    /// # Context
    ///
    /// May sleep. No lock of this file's page cache is held.
    pub(crate) fn lock_shared(&self) -> InodeSharedGuard<'_> {
        // SAFETY: The inode is initialised, by the type invariants.
        unsafe { bindings::cohfs_inode_lock_shared(self.as_raw()) };
        // INVARIANT: Just taken.
        InodeSharedGuard {
            host: self,
            _not_send: NotThreadSafe,
        }
    }
}

/// Proof that the inode lock is held exclusively; releases it when dropped.
///
/// # Invariants
///
/// This task holds `i_rwsem` of `host` for writing.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct InodeLockGuard<'a> {
    host: &'a Host,
    _not_send: NotThreadSafe,
}

impl<'a> InodeLockGuard<'a> {
    /// Creates the guard of a lock that C took for us, and will release.
    ///
    /// # Safety
    ///
    /// This task holds `i_rwsem` of `host` for writing, for as long as the result is used.
    pub(crate) unsafe fn held_by_caller(host: &'a Host) -> ManuallyDrop<Self> {
        // INVARIANT: By our requirements.
        ManuallyDrop::new(Self {
            host,
            _not_send: NotThreadSafe,
        })
    }
}

impl InodeLockGuard<'_> {
    /// Returns the mapping of the locked file.
    pub(crate) fn mapping(&self) -> &AddressSpace {
        self.host.mapping()
    }

    /// Keeps new folios out of the mapping until the guard is dropped.
    ///
    /// Faults and reads of what is cached go on; those that must create a folio wait.
    ///
    /// # Context
    ///
    /// May sleep. User memory must not be touched while the guard lives: a fault takes the lock
    /// under `mmap_lock` (`filemap_fault` in `mm/filemap.c`).
    pub(crate) fn invalidate_lock(&self) -> InvalidateGuard<'_> {
        // LOCKING: Under `i_rwsem`, the order of `mm/filemap.c`.
        // SAFETY: The mapping is valid, by its type invariants.
        unsafe { bindings::cohfs_filemap_invalidate_lock(self.mapping().as_raw()) };
        // INVARIANT: Just taken.
        InvalidateGuard {
            mapping: self.mapping(),
            _inode_lock: PhantomData,
            _not_send: NotThreadSafe,
        }
    }
}

impl Drop for InodeLockGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: Held by this task, by the type invariants.
        unsafe { bindings::cohfs_inode_unlock(self.host.as_raw()) };
    }
}

/// Proof that the inode lock is held in one way or the other: nobody truncates the file.
pub(crate) trait InodeLocked {}

impl InodeLocked for InodeLockGuard<'_> {}
impl InodeLocked for InodeSharedGuard<'_> {}

/// Proof that the inode lock is held shared; releases it when dropped.
///
/// # Invariants
///
/// This task holds `i_rwsem` of `host` for reading.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct InodeSharedGuard<'a> {
    host: &'a Host,
    _not_send: NotThreadSafe,
}

impl Drop for InodeSharedGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: Held by this task, by the type invariants.
        unsafe { bindings::cohfs_inode_unlock_shared(self.host.as_raw()) };
    }
}

/// Proof that no folio can be added to the mapping; releases the lock when dropped.
///
/// # Invariants
///
/// This task holds `invalidate_lock` of `mapping` for writing, under `i_rwsem`.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct InvalidateGuard<'a> {
    mapping: &'a AddressSpace,
    _inode_lock: PhantomData<&'a InodeLockGuard<'a>>,
    _not_send: NotThreadSafe,
}

impl<'a> InvalidateGuard<'a> {
    /// Returns the mapping whose population is stopped.
    pub(crate) fn mapping(&self) -> &'a AddressSpace {
        self.mapping
    }
}

impl Drop for InvalidateGuard<'_> {
    fn drop(&mut self) {
        // SAFETY: Held by this task, by the type invariants.
        unsafe { bindings::cohfs_filemap_invalidate_unlock(self.mapping.as_raw()) };
    }
}
