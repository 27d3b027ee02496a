// SPDX-License-Identifier: GPL-2.0

//! What the page cache asks of a file: `struct address_space_operations`.
//!
//! Nearly all of it is `fs/iomap`'s, over our [`Mapper`]; what bears on coherency is
//! [`crate::pagecache`]'s.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    extents,
    iomap::{
        self,
        Mapper, //
    },
    Inode, //
};
use crate::{
    bindings,
    pagecache::{
        self,
        ByteRange, //
    }, //
};
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::from_result,
    num::casts::usize_as_u64,
    prelude::*, //
};

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
            swap_activate: Some(extents::VTable::<M>::swap_activate),
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
        // SAFETY: By our requirements: locked, so that the mapping does not change.
        let (mapping, inode) = unsafe {
            let mapping = bindings::cohfs_folio_mapping(folio);
            (mapping, Inode::from_raw((*mapping).host))
        };
        // SAFETY: By our requirements.
        let (pos, len) = unsafe {
            (
                bindings::cohfs_folio_pos(folio),
                bindings::cohfs_folio_size(folio),
            )
        };
        from_result(|| {
            // An offset in a file is never negative.
            let range = ByteRange::new(pos.unsigned_abs(), usize_as_u64(len)).ok_or(EINVAL)?;
            let mut _turn = None;
            if M::is_closed(inode, range.pages()) {
                // SAFETY: Locked, by our requirements; the caller keeps its reference.
                unsafe { bindings::folio_unlock(folio) };
                _turn = Some(M::turn(inode, range)?);
                // SAFETY: Referenced by the caller.
                let wanted = unsafe {
                    bindings::cohfs_folio_lock(folio);
                    ptr::eq(bindings::cohfs_folio_mapping(folio), mapping)
                        && !bindings::cohfs_folio_test_uptodate(folio)
                };
                if !wanted {
                    // SAFETY: Locked just now.
                    unsafe { bindings::folio_unlock(folio) };
                    return Ok(bindings::positive_aop_returns_AOP_TRUNCATED_PAGE.cast_signed());
                }
            }
            // SAFETY: By our requirements; C takes over the lock.
            unsafe { bindings::cohfs_iomap_bio_read_folio(folio, &iomap::VTable::<M>::OPS) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the page cache for an inode of a mount in use.
    unsafe extern "C" fn readahead(rac: *mut bindings::readahead_control) {
        // SAFETY: By our requirements.
        let (inode, pos, len) = unsafe {
            (
                Inode::from_raw((*(*rac).mapping).host),
                bindings::cohfs_readahead_pos(rac),
                bindings::cohfs_readahead_length(rac),
            )
        };
        let range = ByteRange::new(pos.unsigned_abs(), usize_as_u64(len));
        // Nobody asked for these: what is closed is left out, and C takes the folios away again.
        if range.is_some_and(|range| !M::is_closed(inode, range.pages())) {
            // SAFETY: By our requirements.
            unsafe { bindings::cohfs_iomap_bio_readahead(rac, &iomap::VTable::<M>::OPS) };
        }
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
