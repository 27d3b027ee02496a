// SPDX-License-Identifier: GPL-2.0

//! Faults on a mapping of a file: `struct vm_operations_struct`.
//!
//! # Lock order
//!
//! As at the top of `mm/filemap.c`: `mmap_lock` → `sb_start_pagefault` → folio lock.
//!
//! C header: [`include/linux/mm.h`](srctree/include/linux/mm.h)

use super::{
    iomap::{
        self,
        Mapper, //
    },
    Inode,
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

    /// Says whether the bytes of `range`, which is what the fault makes writable, may be written.
    ///
    /// # Context
    ///
    /// May sleep. `mmap_lock` or the lock of the mapping may be held; no folio is locked.
    ///
    /// # Errors
    ///
    /// The process gets `SIGBUS`, for any.
    fn page_mkwrite(inode: &Inode<<Self::Mapper as Mapper>::Fs>, range: ByteRange) -> Result;
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
        // LOCKING: Keeps a freeze of the file system out until the folio is dirty.
        // SAFETY: The super block is in use.
        unsafe { bindings::cohfs_sb_start_pagefault(sb) };
        // SAFETY: By our requirements.
        let ret = match unsafe { Self::may_write(vmf, file, inode) } {
            // SAFETY: By our requirements.
            Ok(()) => unsafe {
                bindings::iomap_page_mkwrite(
                    vmf,
                    &iomap::VTable::<T::Mapper>::OPS,
                    core::ptr::null_mut(),
                )
            },
            // SAFETY: No requirements.
            Err(error) => unsafe { bindings::cohfs_vmf_fs_error(error.to_errno()) },
        };
        // SAFETY: Taken above.
        unsafe { bindings::cohfs_sb_end_pagefault(sb) };
        ret
    }

    /// Asks the file system, and notes the change of the file's times.
    ///
    /// # Safety
    ///
    /// As [`Self::page_mkwrite`].
    unsafe fn may_write(
        vmf: *mut bindings::vm_fault,
        file: *mut bindings::file,
        inode: *mut bindings::inode,
    ) -> Result {
        // SAFETY: By our requirements.
        let inode = unsafe { Inode::from_raw(inode) };
        // SAFETY: The page is referenced, so that its folio is neither split nor freed. Whether it is
        // still this file's, C looks again under the folio lock.
        let (pos, len) = unsafe {
            let folio = bindings::cohfs_page_folio((*vmf).page);
            (
                bindings::cohfs_folio_pos(folio),
                bindings::cohfs_folio_size(folio),
            )
        };
        // An offset in a file is never negative.
        let pos = pos.unsigned_abs();
        // A fault can make the whole folio writable (`finish_fault` in `mm/memory.c`).
        let len = inode.size().saturating_sub(pos).min(usize_as_u64(len));
        if let Some(range) = ByteRange::new(pos, len) {
            T::page_mkwrite(inode, range)?;
        }
        // SAFETY: The file is open.
        to_result(unsafe { bindings::file_update_time(file) })
    }
}
