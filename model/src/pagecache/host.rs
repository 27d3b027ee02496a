// SPDX-License-Identifier: GPL-2.0

//! The inode that owns the mapping, and its two sleeping locks as guards.

use super::AddressSpace;
use crate::explore::{Machine, Want};
use std::{marker::PhantomData, rc::Rc};

/// The inode.
pub(crate) struct Host {
    mapping: AddressSpace,
}

impl Host {
    /// Returns the inode of the machine's only file.
    pub(crate) fn new(machine: Rc<Machine>) -> Self {
        Self {
            mapping: AddressSpace::new(machine),
        }
    }

    /// Returns the mapping of the file's data.
    pub(crate) fn mapping(&self) -> &AddressSpace {
        &self.mapping
    }

    /// Takes the inode lock exclusively.
    pub(crate) fn lock(&self) -> InodeLockGuard<'_> {
        self.mapping
            .machine()
            .step(format_args!("locks the inode"), Want::InodeLock, |_, _| ());
        InodeLockGuard { host: self }
    }

    /// Takes the inode lock shared.
    pub(crate) fn lock_shared(&self) -> InodeSharedGuard<'_> {
        self.mapping.machine().step(
            format_args!("locks the inode, shared"),
            Want::InodeLockShared,
            |_, _| (),
        );
        InodeSharedGuard { host: self }
    }
}

/// Proof that the inode lock is held shared; releases it when dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct InodeSharedGuard<'a> {
    host: &'a Host,
}

impl Drop for InodeSharedGuard<'_> {
    fn drop(&mut self) {
        self.host
            .mapping
            .machine()
            .at_once(|world, _| world.inode.readers -= 1);
    }
}

/// Proof that the inode lock is held exclusively; releases it when dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct InodeLockGuard<'a> {
    host: &'a Host,
}

impl InodeLockGuard<'_> {
    /// Returns the mapping of the locked file.
    pub(crate) fn mapping(&self) -> &AddressSpace {
        &self.host.mapping
    }

    /// Keeps new folios out of the mapping until the guard is dropped.
    pub(crate) fn invalidate_lock(&self) -> InvalidateGuard<'_> {
        self.mapping().machine().step(
            format_args!("takes invalidate_lock"),
            Want::InvalidateLock,
            |world, _| {
                let cached = world.cache.iter().flatten();
                world.walk = (cached.fold(0, |mask, id| mask | 1 << id), 0);
            },
        );
        InvalidateGuard {
            mapping: self.mapping(),
            _inode_lock: PhantomData,
        }
    }
}

impl Drop for InodeLockGuard<'_> {
    fn drop(&mut self) {
        self.mapping()
            .machine()
            .at_once(|world, _| world.inode.written = false);
    }
}

/// Proof that no folio can be added to the mapping; releases the lock when dropped.
#[must_use = "the lock is released when the guard is dropped"]
pub(crate) struct InvalidateGuard<'a> {
    mapping: &'a AddressSpace,
    _inode_lock: PhantomData<&'a InodeLockGuard<'a>>,
}

impl<'a> InvalidateGuard<'a> {
    /// Returns the mapping whose population is stopped.
    pub(crate) fn mapping(&self) -> &'a AddressSpace {
        self.mapping
    }
}

impl Drop for InvalidateGuard<'_> {
    fn drop(&mut self) {
        self.mapping
            .machine()
            .at_once(|world, _| world.invalidate.written = false);
    }
}
