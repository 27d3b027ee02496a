// SPDX-License-Identifier: GPL-2.0

//! Files by number instead of by name, for NFS and `open_by_handle_at`: `struct export_operations`.
//!
//! A handle has the number and the generation of the inode, and those of a directory it was in, as
//! the kernel's generic functions encode them.
//!
//! C header: [`include/linux/exportfs.h`](srctree/include/linux/exportfs.h)

use super::{
    FileSystem,
    Inode,
    SuperBlock, //
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

/// How the file system finds files without names.
pub(crate) trait Operations: FileSystem {
    /// Returns the inode of that number and generation; of any generation if that is 0.
    ///
    /// The numbers are whoever's: nothing is to be concluded from them.
    ///
    /// # Errors
    ///
    /// [`ESTALE`] if there is no such file any more.
    fn by_handle(sb: &SuperBlock<Self>, ino: u64, generation: u32) -> Result<ARef<Inode<Self>>>;

    /// Returns the directory that `dir`, which is locked, is in.
    fn parent(dir: &Inode<Self>) -> Result<ARef<Inode<Self>>>;
}

/// The C side of [`Operations`].
pub(super) struct VTable<T>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    pub(super) const TABLE: bindings::export_operations = bindings::export_operations {
        encode_fh: Some(bindings::generic_encode_ino32_fh),
        fh_to_dentry: Some(Self::fh_to_dentry),
        fh_to_parent: Some(Self::fh_to_parent),
        get_parent: Some(Self::get_parent),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called with the super block of a mount in use and a handle of `len` words.
    unsafe extern "C" fn fh_to_dentry(
        sb: *mut bindings::super_block,
        fid: *mut bindings::fid,
        len: c_int,
        kind: c_int,
    ) -> *mut bindings::dentry {
        // SAFETY: By our requirements.
        unsafe { bindings::generic_fh_to_dentry(sb, fid, len, kind, Some(Self::get_inode)) }
    }

    /// # Safety
    ///
    /// As [`Self::fh_to_dentry`].
    unsafe extern "C" fn fh_to_parent(
        sb: *mut bindings::super_block,
        fid: *mut bindings::fid,
        len: c_int,
        kind: c_int,
    ) -> *mut bindings::dentry {
        // SAFETY: By our requirements.
        unsafe { bindings::generic_fh_to_parent(sb, fid, len, kind, Some(Self::get_inode)) }
    }

    /// # Safety
    ///
    /// Called with the super block of a mount in use; the caller owns the reference that is returned.
    unsafe extern "C" fn get_inode(
        sb: *mut bindings::super_block,
        ino: u64,
        generation: u32,
    ) -> *mut bindings::inode {
        // SAFETY: By our requirements.
        let sb = unsafe { SuperBlock::<T>::from_raw(sb) };
        match T::by_handle(sb, ino, generation) {
            Ok(inode) => ARef::into_raw(inode).as_ptr().cast(),
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// Called with a directory of a mount in use that is locked exclusively.
    unsafe extern "C" fn get_parent(child: *mut bindings::dentry) -> *mut bindings::dentry {
        // SAFETY: By our requirements.
        let dir = unsafe { Inode::<T>::from_raw((*child).d_inode) };
        match T::parent(dir) {
            // SAFETY: C takes over the reference.
            Ok(parent) => unsafe {
                bindings::d_obtain_alias(ARef::into_raw(parent).as_ptr().cast())
            },
            Err(error) => error.to_ptr(),
        }
    }
}
