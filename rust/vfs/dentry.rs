// SPDX-License-Identifier: GPL-2.0

//! A name in a directory.
//!
//! C header: [`include/linux/dcache.h`](srctree/include/linux/dcache.h)

use super::{
    FileSystem,
    Inode, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    slice, //
};
use kernel::{
    num::casts::u32_as_usize,
    types::Opaque, //
};

/// A name that cannot change while it is borrowed.
///
/// # Invariants
///
/// The directory's inode lock is held, so that neither the name nor the inode changes.
#[repr(transparent)]
pub(crate) struct Dentry<T: FileSystem>(Opaque<bindings::dentry>, PhantomData<T>);

impl<T: FileSystem> Dentry<T> {
    /// Creates a reference from a C pointer.
    ///
    /// # Safety
    ///
    /// For `'a`, `dentry` is valid, of a mount of `T`, and its directory's inode is locked.
    pub(super) unsafe fn from_raw<'a>(dentry: *mut bindings::dentry) -> &'a Self {
        // SAFETY: By our requirements; `Self` is a transparent wrapper.
        // INVARIANT: By our requirements.
        unsafe { &*dentry.cast() }
    }

    /// Returns the C dentry.
    pub(super) fn as_raw(&self) -> *mut bindings::dentry {
        self.0.get()
    }

    /// Returns the name.
    pub(crate) fn name(&self) -> &[u8] {
        // SAFETY: `name` points to `len` bytes, which do not change by the type invariants.
        unsafe {
            let name = &(*self.as_raw()).__bindgen_anon_1.d_name;
            let len = name.__bindgen_anon_1.__bindgen_anon_1.len;
            slice::from_raw_parts(name.name, u32_as_usize(len))
        }
    }

    /// Takes the name out of the cache: who looks for it next asks the file system.
    pub(crate) fn unhash(&self) {
        // SAFETY: Valid, by the type invariants.
        unsafe { bindings::d_drop(self.as_raw()) };
    }

    /// Returns the inode of that name, if there is one.
    pub(crate) fn inode(&self) -> Option<&Inode<T>> {
        // SAFETY: Does not change by the type invariants, and a dentry's inode is never new.
        unsafe {
            let inode = (*self.as_raw()).d_inode;
            (!inode.is_null()).then(|| Inode::from_raw(inode))
        }
    }
}
