// SPDX-License-Identifier: GPL-2.0

//! The registration of a file system type.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    fs_type::FsType,
    inode_cache::InodeCache,
    mount,
    stand_in::EmptyMapping,
    FileSystem, //
};
use crate::bindings;
use kernel::{
    container_of,
    prelude::*, //
};
use pin_init::pin_data;

/// A registered file system type. When it is dropped, the type is gone and no inode of it is left.
///
/// Members are dropped from the first to the last: the type goes before what its mounts use.
#[pin_data]
pub(crate) struct Registration<T: FileSystem> {
    #[pin]
    fs_type: FsType,
    inode_cache: InodeCache<T>,
    /// For [`super::Kiocb::transfer_direct`].
    #[pin]
    empty_mapping: EmptyMapping,
    registered: T::Registered,
}

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
            empty_mapping <- EmptyMapping::new(),
            registered,
            // Last, because from here on it can be mounted.
            fs_type <- FsType::new::<T>(module),
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
        unsafe { &*container_of!(fs_type.cast::<FsType>(), Self, fs_type) }
    }

    /// Returns the slab cache of the inodes.
    pub(super) fn inode_cache(&self) -> &InodeCache<T> {
        &self.inode_cache
    }

    /// Returns the mapping that never holds a folio.
    pub(super) fn empty_mapping(&self) -> &EmptyMapping {
        &self.empty_mapping
    }

    /// Returns what the file system keeps once for all mounts.
    pub(super) fn registered(&self) -> &T::Registered {
        &self.registered
    }
}
