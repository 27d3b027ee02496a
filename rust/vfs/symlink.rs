// SPDX-License-Identifier: GPL-2.0

//! Symbolic links: the target is kept in memory once it was read, until the inode goes.
//!
//! A target is a block at most, and the page cache would take a page for it. The walk of a path
//! finds what is kept without a lock and without sleeping.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    inode_cache::InodeInfo,
    inode_ops,
    FileSystem,
    Inode,
    NewInode, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full, //
    },
};

/// The target of a symbolic link.
///
/// # Invariants
///
/// NULL, or from [`KBox::into_raw`]; then it ends in a NUL and does not change any more.
pub(super) struct Target(Atomic<*mut KVec<u8>>);

impl Target {
    /// Makes one that is not known yet.
    pub(super) const fn new() -> Self {
        Self(Atomic::new(ptr::null_mut()))
    }

    /// Returns the string, if it is known.
    fn get(&self) -> Option<*const u8> {
        let target = self.0.load(Acquire);
        // SAFETY: Not changed any more, by the type invariants.
        (!target.is_null()).then(|| unsafe { (*target).as_ptr() })
    }

    /// Keeps `target`, unless somebody else was faster.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    fn set(&self, mut target: KVec<u8>) -> Result {
        target.push(0, GFP_KERNEL)?;
        let target = KBox::into_raw(KBox::new(target, GFP_KERNEL)?);
        // INVARIANT: Just made so.
        if self.0.cmpxchg(ptr::null_mut(), target, Full).is_err() {
            // SAFETY: From `into_raw`, and nobody else has it.
            drop(unsafe { KBox::from_raw(target) });
        }
        Ok(())
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        let target = self.0.load(Acquire);
        if !target.is_null() {
            // SAFETY: By the type invariants; this is the last use.
            drop(unsafe { KBox::from_raw(target) });
        }
    }
}

impl<T: FileSystem> NewInode<'_, T> {
    /// Makes it a symbolic link, whose target `I` reads when it is asked for.
    pub(crate) fn set_symlink<I>(&mut self)
    where
        I: inode_ops::Operations<Fs = T>,
    {
        // SAFETY: New, so only we use it.
        unsafe { (*self.as_raw()).i_op = &Symlink::<I>::TABLE };
    }

    /// Makes it a symbolic link to `target`, up to the first NUL in it.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for a copy.
    pub(crate) fn set_target(&mut self, target: &[u8]) -> Result {
        let mut copy = KVec::with_capacity(target.len().checked_add(1).ok_or(EINVAL)?, GFP_KERNEL)?;
        copy.extend_from_slice(target, GFP_KERNEL)?;
        let inode = self.as_raw();
        // SAFETY: Embedded in an `InodeInfo<T>`, as all inodes of the mount are.
        let kept = unsafe { &(*inode.cast::<InodeInfo<T>>()).target };
        kept.set(copy)?;
        // The walk of a path then need not call us.
        // SAFETY: New, so only we use it. The string lives as long, and a grace period.
        unsafe {
            (*inode).__bindgen_anon_5.i_link = kept.get().map_or(ptr::null(), |t| t).cast_mut()
        };
        Ok(())
    }
}

/// Gives a constant table an address that stays.
struct Symlink<I>(PhantomData<I>);

impl<I: inode_ops::Operations> Symlink<I> {
    const TABLE: bindings::inode_operations = bindings::inode_operations {
        get_link: Some(get_link::<I>),
        ..inode_ops::VTable::<I>::TABLE
    };
}

/// # Safety
///
/// Called by the VFS with a symbolic link of a mount in use; without a dentry if it may not sleep.
unsafe extern "C" fn get_link<I: inode_ops::Operations>(
    dentry: *mut bindings::dentry,
    inode: *mut bindings::inode,
    _done: *mut bindings::delayed_call,
) -> *const c_char {
    // SAFETY: By our requirements.
    let (inode, target) = unsafe {
        (
            Inode::<I::Fs>::from_raw(inode),
            &(*inode.cast::<InodeInfo<I::Fs>>()).target,
        )
    };
    if let Some(target) = target.get() {
        // It lives as long as the inode and a grace period.
        return target;
    }
    if dentry.is_null() {
        return ECHILD.to_ptr();
    }
    match I::read_link(inode).and_then(|read| target.set(read)) {
        // It is known now, so this is never NULL.
        Ok(()) => target.get().unwrap_or(ptr::null()),
        Err(error) => error.to_ptr(),
    }
}
