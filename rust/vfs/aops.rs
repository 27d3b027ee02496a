// SPDX-License-Identifier: GPL-2.0

//! What the page cache asks of a file: `struct address_space_operations`.
//!
//! Nearly all of it is `fs/iomap`'s, over our [`Mapper`]; what bears on coherency is
//! [`crate::pagecache`]'s.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::iomap::{
    self,
    Mapper, //
};
use crate::{
    bindings,
    pagecache, //
};
use core::marker::PhantomData;
use kernel::prelude::*;

/// The table for files that `M` maps.
pub(super) struct VTable<M>(PhantomData<M>);

impl<M: Mapper> VTable<M> {
    pub(super) const TABLE: bindings::address_space_operations =
        bindings::address_space_operations {
            read_folio: Some(Self::read_folio),
            readahead: Some(Self::readahead),
            writepages: Some(iomap::VTable::<M>::writepages),
            dirty_folio: Some(pagecache::dirty_folio),
            bmap: Some(Self::bmap),
            invalidate_folio: Some(bindings::iomap_invalidate_folio),
            release_folio: Some(bindings::iomap_release_folio),
            migrate_folio: Some(bindings::filemap_migrate_folio),
            is_partially_uptodate: Some(bindings::iomap_is_partially_uptodate),
            error_remove_folio: Some(bindings::generic_error_remove_folio),
            ..pin_init::zeroed()
        };

    /// # Safety
    ///
    /// Called by the page cache with a locked folio of an inode of a mount in use.
    unsafe extern "C" fn read_folio(
        _file: *mut bindings::file,
        folio: *mut bindings::folio,
    ) -> c_int {
        // SAFETY: By our requirements; C takes over the lock.
        unsafe { bindings::cohfs_iomap_bio_read_folio(folio, &iomap::VTable::<M>::OPS) };
        0
    }

    /// # Safety
    ///
    /// Called by the page cache for an inode of a mount in use.
    unsafe extern "C" fn readahead(rac: *mut bindings::readahead_control) {
        // SAFETY: By our requirements.
        unsafe { bindings::cohfs_iomap_bio_readahead(rac, &iomap::VTable::<M>::OPS) };
    }

    /// # Safety
    ///
    /// Called by the VFS with the mapping of an inode of a mount in use.
    unsafe extern "C" fn bmap(
        mapping: *mut bindings::address_space,
        block: bindings::sector_t,
    ) -> bindings::sector_t {
        // LOCKING: Keeps a truncation from freeing the blocks of pointers that are followed.
        // SAFETY: By our requirements.
        unsafe {
            bindings::cohfs_filemap_invalidate_lock_shared(mapping);
            let found = bindings::iomap_bmap(mapping, block, &iomap::VTable::<M>::OPS);
            bindings::cohfs_filemap_invalidate_unlock_shared(mapping);
            found
        }
    }
}
