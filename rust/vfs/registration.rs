// SPDX-License-Identifier: GPL-2.0

//! The registration of a file system type.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    inode_cache::InodeCache,
    mount,
    FileSystem, //
};
use crate::bindings;
use kernel::{
    container_of,
    error::to_result,
    prelude::*,
    types::Opaque, //
};
use pin_init::{
    pin_data,
    pinned_drop, //
};

/// A registered file system type. When it is dropped, the type is gone and no inode of it is left.
///
/// # Invariants
///
/// `fs_type` is registered; each of its super blocks is on a block device.
#[pin_data(PinnedDrop)]
pub(crate) struct Registration<T: FileSystem> {
    #[pin]
    fs_type: Opaque<bindings::file_system_type>,
    inode_cache: InodeCache<T>,
    /// An `address_space` that never holds a folio, see [`super::Kiocb::transfer_direct`].
    #[pin]
    empty_mapping: Opaque<bindings::address_space>,
    registered: T::Registered,
}

// SAFETY: The type is only touched by C, under its own locks; the rest is `Sync` by its bounds.
unsafe impl<T: FileSystem> Send for Registration<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for Registration<T> {}

impl<T: mount::Operations> Registration<T> {
    /// Registers the file system, with what it keeps once for all mounts.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if a file system of that name is registered already, or [`ENOMEM`].
    pub(crate) fn new(
        module: &'static ThisModule,
        registered: T::Registered,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            inode_cache: InodeCache::new(T::INODE_CACHE)?,
            empty_mapping <- Opaque::ffi_init(|mapping| {
                // SAFETY: Memory for an `address_space` that nobody uses yet.
                unsafe { bindings::address_space_init_once(mapping) }
            }),
            registered,
            // Last, because from here on it can be mounted.
            fs_type <- Opaque::try_ffi_init(|fs_type: *mut bindings::file_system_type| {
                // SAFETY: Memory for a `file_system_type` that nobody uses yet, and that is
                // pinned, so that C may link it into its list.
                unsafe {
                    fs_type.write(bindings::file_system_type {
                        name: T::NAME.as_char_ptr(),
                        fs_flags: bindings::FS_REQUIRES_DEV as c_int,
                        init_fs_context: Some(mount::VTable::<T>::init_fs_context),
                        kill_sb: Some(bindings::kill_block_super),
                        owner: module.as_ptr(),
                        ..pin_init::zeroed()
                    });
                    to_result(bindings::register_filesystem(fs_type))
                }
            }),
        })
    }
}

impl<T: FileSystem> Registration<T> {
    /// Returns the registration that embeds `fs_type`.
    ///
    /// # Safety
    ///
    /// `fs_type` is the member of a `Registration<T>` that lives for `'a`.
    pub(super) unsafe fn from_fs_type<'a>(fs_type: *mut bindings::file_system_type) -> &'a Self {
        // SAFETY: By our requirements.
        unsafe { &*container_of!(Opaque::cast_from(fs_type), Self, fs_type) }
    }

    /// Returns the slab cache of the inodes.
    pub(super) fn inode_cache(&self) -> &InodeCache<T> {
        &self.inode_cache
    }

    /// Returns the mapping that never holds a folio.
    pub(super) fn empty_mapping(&self) -> *mut bindings::address_space {
        self.empty_mapping.get()
    }

    /// Returns what the file system keeps once for all mounts.
    pub(super) fn registered(&self) -> &T::Registered {
        &self.registered
    }
}

#[pinned_drop]
impl<T: FileSystem> PinnedDrop for Registration<T> {
    fn drop(self: Pin<&mut Self>) {
        // It fails only for a type that is not registered. The members are dropped after this.
        // SAFETY: Registered, by the type invariants. No mount is left: each holds the module.
        unsafe { bindings::unregister_filesystem(self.fs_type.get()) };
    }
}
