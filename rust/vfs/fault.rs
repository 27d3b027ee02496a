// SPDX-License-Identifier: GPL-2.0

//! Faults on a mapping of a file: `struct vm_operations_struct`.
//!
//! # Lock order
//!
//! As at the top of `mm/filemap.c`: `mmap_lock` → the turn, [`Mapper::turn`] → `sb_start_pagefault` → folio lock → what the file
//! system takes to allocate.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use super::{
    iomap::Mapper,
    Inode, //
};
use crate::{
    bindings,
    pagecache::ByteRange, //
};
use core::marker::PhantomData;
use kernel::{
    error::to_result,
    num::casts::usize_as_u64,
    prelude::*, //
};

/// What the file system says to faults on its files.
pub(crate) trait Operations: Sized + 'static {
    /// Maps the files.
    type Mapper: Mapper;

    /// What it takes from the volume for a folio that is to become writable.
    type Reserved<'a>;

    /// Takes the blocks that the bytes of `range` lack, without letting anybody see them.
    ///
    /// # Context
    ///
    /// May sleep. `mmap_lock` or the lock of the mapping may be held; the folio that `range` is of is
    /// locked and up to date.
    ///
    /// # Errors
    ///
    /// The process gets `SIGBUS`, for any.
    fn reserve(
        inode: &Inode<<Self::Mapper as Mapper>::Fs>,
        range: ByteRange,
    ) -> Result<Self::Reserved<'_>>;

    /// Lets everybody see the blocks: the folio is dirty, and still locked.
    ///
    /// # Errors
    ///
    /// The next `fsync` gets it.
    fn store(reserved: Self::Reserved<'_>) -> Result;
}

/// The C side of [`Operations`].
pub(super) struct VTable<T>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    const TABLE: bindings::vm_operations_struct = bindings::vm_operations_struct {
        fault: Some(bindings::filemap_fault),
        map_pages: Some(bindings::filemap_map_pages),
        page_mkwrite: Some(Self::page_mkwrite),
        ..pin_init::zeroed()
    };

    /// Maps a file: `file_operations.mmap_prepare`.
    ///
    /// # Safety
    ///
    /// Called by the VFS for a file whose operations are [`super::file_ops`]'.
    pub(super) unsafe extern "C" fn mmap_prepare(desc: *mut bindings::vm_area_desc) -> c_int {
        // SAFETY: By our requirements.
        let ret = unsafe { bindings::generic_file_mmap_prepare(desc) };
        if ret == 0 {
            // SAFETY: The description is ours to fill.
            unsafe { (*desc).vm_ops = &Self::TABLE };
        }
        ret
    }

    /// # Safety
    ///
    /// Called by the fault handler for a shared mapping of a file of ours, with a reference to
    /// `vmf->page`.
    unsafe extern "C" fn page_mkwrite(vmf: *mut bindings::vm_fault) -> bindings::vm_fault_t {
        // SAFETY: By our requirements; the file keeps its inode and mount in use.
        let (file, inode, sb) = unsafe {
            let file = (*(*vmf).__bindgen_anon_1.vma).vm_file;
            let inode = (*file).f_inode;
            (file, inode, (*inode).i_sb)
        };
        // Before the file system is kept from being frozen: what is waited for may have to end first.
        // SAFETY: By our requirements.
        let turn = match unsafe { Self::turn(vmf, inode) } {
            Ok(turn) => turn,
            // SAFETY: No requirements.
            Err(error) => return unsafe { bindings::cohfs_vmf_fs_error(error.to_errno()) },
        };
        // LOCKING: Keeps a freeze of the file system out until the folio is dirty.
        // SAFETY: The super block is in use.
        unsafe { bindings::cohfs_sb_start_pagefault(sb) };
        // SAFETY: By our requirements.
        let ret = match unsafe { Self::make_writable(vmf, file, inode) } {
            Ok(()) => bindings::vm_fault_reason_VM_FAULT_LOCKED,
            // SAFETY: No requirements.
            Err(error) => unsafe { bindings::cohfs_vmf_fs_error(error.to_errno()) },
        };
        // SAFETY: Taken above.
        unsafe { bindings::cohfs_sb_end_pagefault(sb) };
        drop(turn);
        ret
    }

    /// Waits until the folio may be made dirty.
    ///
    /// # Safety
    ///
    /// As [`Self::page_mkwrite`].
    unsafe fn turn<'a>(
        vmf: *mut bindings::vm_fault,
        inode: *mut bindings::inode,
    ) -> Result<<T::Mapper as Mapper>::Turn<'a>> {
        // SAFETY: By our requirements; the page is referenced, so that its folio is neither split nor
        // freed.
        let (inode, pos, len) = unsafe {
            let folio = bindings::cohfs_page_folio((*vmf).page);
            (
                Inode::from_raw(inode),
                bindings::cohfs_folio_pos(folio),
                bindings::cohfs_folio_size(folio),
            )
        };
        // An offset in a file is never negative.
        let range = ByteRange::new(pos.unsigned_abs(), usize_as_u64(len)).ok_or(EFAULT)?;
        T::Mapper::turn(inode, range)
    }

    /// Makes the folio dirty, with blocks below all of it, and leaves it locked.
    ///
    /// That is what `iomap_page_mkwrite` does, but for the order: there the folio is dirty as soon as
    /// its first extent has blocks, also if the volume has none for the next.
    ///
    /// # Safety
    ///
    /// As [`Self::page_mkwrite`].
    ///
    /// # Errors
    ///
    /// [`EFAULT`] if the folio is not this file's any more; those of the file system.
    unsafe fn make_writable(
        vmf: *mut bindings::vm_fault,
        file: *mut bindings::file,
        inode: *mut bindings::inode,
    ) -> Result {
        // SAFETY: The file is open.
        to_result(unsafe { bindings::file_update_time(file) })?;
        // SAFETY: By our requirements.
        let inode = unsafe { Inode::from_raw(inode) };
        // SAFETY: The page is referenced, so that its folio is neither split nor freed.
        let folio = unsafe {
            let folio = bindings::cohfs_page_folio((*vmf).page);
            bindings::cohfs_folio_lock(folio);
            folio
        };
        // SAFETY: Referenced, and locked just now.
        let made = unsafe { Self::make_dirty(inode, folio) };
        if made.is_err() {
            // SAFETY: Locked above.
            unsafe { bindings::folio_unlock(folio) };
        }
        made
    }

    /// Does [`Self::make_writable`] for a folio that is locked.
    ///
    /// # Safety
    ///
    /// The folio is referenced and locked.
    unsafe fn make_dirty(
        inode: &Inode<<T::Mapper as Mapper>::Fs>,
        folio: *mut bindings::folio,
    ) -> Result {
        // SAFETY: By our requirements. Whether the folio is still this file's, C looks here.
        let len = unsafe { bindings::cohfs_folio_mkwrite_check_truncate(folio, inode.as_raw()) };
        let len = u64::try_from(len).map_err(|_| EFAULT)?;
        // SAFETY: Referenced. An offset in a file is never negative.
        let pos = unsafe { bindings::cohfs_folio_pos(folio) }.unsigned_abs();
        // A fault can make the whole folio writable (`finish_fault` in `mm/memory.c`).
        let range = ByteRange::new(pos, len).ok_or(EFAULT)?;
        let reserved = T::reserve(inode, range)?;
        // SAFETY: Referenced, locked, and up to date, because it is mapped.
        unsafe { bindings::folio_mark_dirty(folio) };
        if let Err(error) = T::store(reserved) {
            inode.mapping().set_error(error);
        }
        // SAFETY: As above.
        unsafe { bindings::folio_wait_stable(folio) };
        Ok(())
    }
}
