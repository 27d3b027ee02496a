// SPDX-License-Identifier: GPL-2.0

//! A file system type as C knows it.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/lockdep.h`](srctree/include/linux/lockdep.h)

use super::mount;
use crate::bindings;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};
use pin_init::pin_init_from_closure;

/// A registered `struct file_system_type`.
///
/// # Invariants
///
/// The type is registered, and so are its lock keys: lockdep wants to be told of keys that are
/// not in static memory, or it turns itself off.
#[repr(transparent)]
pub(super) struct FsType(Opaque<bindings::file_system_type>);

// SAFETY: Only C touches it, under its own locks.
unsafe impl Send for FsType {}
// SAFETY: As above.
unsafe impl Sync for FsType {}

impl FsType {
    /// Registers the type `T`.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if there is one of that name.
    pub(super) fn new<T: mount::Operations>(
        module: &'static ThisModule,
    ) -> impl PinInit<Self, Error> {
        let init = move |slot: *mut Self| {
            let raw = slot.cast::<bindings::file_system_type>();
            // SAFETY: Memory for a type that nobody uses yet.
            unsafe {
                raw.write(bindings::file_system_type {
                    name: T::NAME.as_char_ptr(),
                    // CAST: A flag.
                    fs_flags: bindings::FS_REQUIRES_DEV as c_int,
                    init_fs_context: Some(mount::VTable::<T>::init_fs_context),
                    kill_sb: Some(bindings::kill_block_super),
                    owner: module.as_ptr(),
                    ..pin_init::zeroed()
                });
            }
            // SAFETY: Memory for a type.
            for key in unsafe { lock_keys(raw) } {
                // SAFETY: Not registered yet, and pinned until `drop`.
                unsafe { bindings::lockdep_register_key(key) };
            }
            // SAFETY: Complete, and pinned, so that C may link it into its list.
            to_result(unsafe { bindings::register_filesystem(raw) }).inspect_err(|_| {
                // SAFETY: Registered just now, and no lock has them.
                unsafe { unregister_keys(raw) };
            })
        };
        // SAFETY: The closure initialises the whole of it, or undoes what it did.
        // INVARIANT: Registered, with its keys.
        unsafe { pin_init_from_closure(init) }
    }
}

impl Drop for FsType {
    fn drop(&mut self) {
        // It fails only for a type that is not registered.
        // SAFETY: Registered, by the type invariants. No mount is left: each holds the module.
        unsafe { bindings::unregister_filesystem(self.0.get()) };
        // SAFETY: Registered, by the type invariants, and no lock of the type is held any more.
        unsafe { unregister_keys(self.0.get()) };
    }
}

/// Returns the lock keys of a type.
///
/// # Safety
///
/// `raw` points to memory for a type.
unsafe fn lock_keys(raw: *mut bindings::file_system_type) -> [*mut bindings::lock_class_key; 10] {
    // SAFETY: In bounds, by our requirements; only addresses are computed.
    unsafe {
        [
            &raw mut (*raw).s_lock_key,
            &raw mut (*raw).s_umount_key,
            &raw mut (*raw).s_vfs_rename_key,
            &raw mut (*raw).s_writers_key[0],
            &raw mut (*raw).s_writers_key[1],
            &raw mut (*raw).s_writers_key[2],
            &raw mut (*raw).i_lock_key,
            &raw mut (*raw).i_mutex_key,
            &raw mut (*raw).invalidate_lock_key,
            &raw mut (*raw).i_mutex_dir_key,
        ]
    }
}

/// Unregisters the lock keys of a type.
///
/// # Safety
///
/// They are registered, and no lock that has one is held.
unsafe fn unregister_keys(raw: *mut bindings::file_system_type) {
    // SAFETY: By our requirements.
    for key in unsafe { lock_keys(raw) } {
        // SAFETY: By our requirements.
        unsafe { bindings::lockdep_unregister_key(key) };
    }
}
