// SPDX-License-Identifier: GPL-2.0

//! Telling others where a file lies: programs that ask for its extents or its holes, and swap.
//!
//! All three go over what the [`Mapper`] says, and tell of nothing that is in the page cache only.
//!
//! # Lock order
//!
//! Inode lock, shared, over each: it keeps a truncation from freeing the blocks of pointers that
//! are followed. `swapon` holds it exclusively itself.
//!
//! C headers: [`include/linux/fiemap.h`](srctree/include/linux/fiemap.h),
//! [`include/linux/iomap.h`](srctree/include/linux/iomap.h)

use super::{
    iomap::{
        self,
        Mapper, //
    },
    File,
    Inode, //
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// The C side, for files that `M` maps.
pub(super) struct VTable<M>(PhantomData<M>);

impl<M: Mapper> VTable<M> {
    /// Hands over the extents of a file: `inode_operations.fiemap`.
    ///
    /// # Safety
    ///
    /// Called by the VFS with an inode of a mount in use, and what is to be filled.
    pub(super) unsafe extern "C" fn fiemap(
        inode: *mut bindings::inode,
        info: *mut bindings::fiemap_extent_info,
        start: u64,
        len: u64,
    ) -> c_int {
        // SAFETY: By our requirements.
        let inode = unsafe { Inode::<M::Fs>::from_raw(inode) };
        from_result(|| {
            let _lock = inode.lock_shared();
            // Behind the end there are no blocks. C refuses a length of zero.
            let len = len.min(inode.size().max(1));
            let ops = &iomap::VTable::<M>::OPS;
            // SAFETY: All are valid.
            to_result(unsafe { bindings::iomap_fiemap(inode.as_raw(), info, start, len, ops) })?;
            Ok(0)
        })
    }

    /// Moves the offset of an open file: `file_operations.llseek`.
    ///
    /// # Safety
    ///
    /// Called by the VFS with an open file of a mount in use.
    pub(super) unsafe extern "C" fn llseek(
        file: *mut bindings::file,
        offset: bindings::loff_t,
        whence: c_int,
    ) -> bindings::loff_t {
        let ops = &iomap::VTable::<M>::OPS;
        // SAFETY: By our requirements.
        let inode = unsafe { File::<M::Fs>::from_raw(file) }.inode();
        let seek = match whence.unsigned_abs() {
            bindings::SEEK_HOLE => bindings::iomap_seek_hole,
            bindings::SEEK_DATA => bindings::iomap_seek_data,
            // SAFETY: By our requirements.
            _ => return unsafe { bindings::generic_file_llseek(file, offset, whence) },
        };
        let lock = inode.lock_shared();
        // SAFETY: All are valid.
        let found = unsafe { seek(inode.as_raw(), offset, ops) };
        drop(lock);
        if found < 0 {
            return found;
        }
        // SAFETY: The file is open; `s_maxbytes` is constant.
        unsafe { bindings::vfs_setpos(file, found, (*inode.sb().as_raw()).s_maxbytes) }
    }

    /// Tells swap where a file lies: `address_space_operations.swap_activate`.
    ///
    /// From then on the VFS refuses to write to the file, or to cut it. What writes around the page
    /// cache began before, and is waited for.
    ///
    /// # Safety
    ///
    /// Called by `swapon` with an open file of a mount in use whose inode it has locked exclusively.
    pub(super) unsafe extern "C" fn swap_activate(
        swap: *mut bindings::swap_info_struct,
        file: *mut bindings::file,
        span: *mut bindings::sector_t,
    ) -> c_int {
        let ops = &iomap::VTable::<M>::OPS;
        // SAFETY: By our requirements.
        unsafe {
            bindings::inode_dio_wait((*file).f_inode);
            bindings::iomap_swapfile_activate(swap, file, span, ops)
        }
    }
}
