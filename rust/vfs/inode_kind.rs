// SPDX-License-Identifier: GPL-2.0

//! The kinds of inodes, and the tables of operations that each gets.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    aops,
    fault,
    file_ops,
    inode_cache::InodeInfo,
    inode_ops,
    iomap::Mapper,
    FileSystem,
    NewInode, //
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::prelude::*;

/// Gives a constant table an address that stays.
struct Regular<O, F>(PhantomData<(O, F)>);

impl<O: file_ops::Operations, F: fault::Operations> Regular<O, F> {
    const FILE: bindings::file_operations = file_ops::VTable::<O>::regular::<F>();
}

/// What the VFS does differently for an inode.
#[derive(Clone, Copy, Default)]
pub(crate) struct Flags {
    /// Writes are synchronous.
    pub(crate) sync: bool,
    /// Writes go to the end only.
    pub(crate) append: bool,
    /// Nothing may be changed.
    pub(crate) immutable: bool,
    /// The time of access is not kept.
    pub(crate) noatime: bool,
    /// Changes of a directory are synchronous.
    pub(crate) dirsync: bool,
}

impl<T: FileSystem> NewInode<'_, T> {
    /// Sets what the VFS does differently.
    pub(crate) fn set_flags(&mut self, flags: Flags) {
        let Flags {
            sync,
            append,
            immutable,
            noatime,
            dirsync,
        } = flags;
        for (set, flag) in [
            (sync, bindings::S_SYNC),
            (append, bindings::S_APPEND),
            (immutable, bindings::S_IMMUTABLE),
            (noatime, bindings::S_NOATIME),
            (dirsync, bindings::S_DIRSYNC),
        ] {
            if set {
                // SAFETY: New, so only we use it.
                unsafe { (*self.as_raw()).i_flags |= flag };
            }
        }
    }

    /// Makes it a regular file. `large_folios` lets the page cache hold more than a page at once.
    pub(crate) fn set_regular<I, O, F>(&mut self, large_folios: bool)
    where
        I: inode_ops::Operations<Fs = T>,
        O: file_ops::Operations<Fs = T>,
        F: fault::Operations,
        F::Mapper: Mapper<Fs = T>,
    {
        let inode = self.as_raw();
        // SAFETY: New, so only we use it; `i_mapping` is the inode's own.
        unsafe {
            (*inode).i_op = &inode_ops::VTable::<I>::TABLE;
            (*inode).__bindgen_anon_3.i_fop = &Regular::<O, F>::FILE;
            (*(*inode).i_mapping).a_ops = &aops::VTable::<F::Mapper>::TABLE;
            if large_folios {
                bindings::cohfs_mapping_set_large_folios((*inode).i_mapping);
            }
        }
    }

    /// Makes it a directory.
    pub(crate) fn set_directory<I, O>(&mut self)
    where
        I: inode_ops::Operations<Fs = T>,
        O: file_ops::Operations<Fs = T>,
    {
        let inode = self.as_raw();
        // SAFETY: New, so only we use it.
        unsafe {
            (*inode).i_op = &inode_ops::VTable::<I>::TABLE;
            (*inode).__bindgen_anon_3.i_fop = &file_ops::VTable::<O>::DIRECTORY;
        }
    }

    /// Makes it a symbolic link whose target is in the file's data.
    pub(crate) fn set_page_symlink<I, M>(&mut self)
    where
        I: inode_ops::Operations<Fs = T>,
        M: Mapper<Fs = T>,
    {
        let inode = self.as_raw();
        // SAFETY: New, so only we use it; `page_get_link` wants its folios in low memory.
        unsafe {
            (*inode).i_op = &inode_ops::VTable::<I>::PAGE_SYMLINK;
            bindings::inode_nohighmem(inode);
            (*(*inode).i_mapping).a_ops = &aops::VTable::<M>::TABLE;
        }
    }

    /// Makes it a symbolic link to `target`, up to the first NUL in it.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for a copy.
    pub(crate) fn set_simple_symlink<I>(&mut self, target: &[u8]) -> Result
    where
        I: inode_ops::Operations<Fs = T>,
    {
        let mut link = KVec::with_capacity(target.len().checked_add(1).ok_or(EINVAL)?, GFP_KERNEL)?;
        link.extend_from_slice(target, GFP_KERNEL)?;
        link.push(0, GFP_KERNEL)?;
        let inode = self.as_raw();
        // SAFETY: New, so only we use it. The target ends in a NUL, its bytes do not move with the
        // vector, and it is freed with the inode, a grace period after its last use.
        unsafe {
            (*inode).i_op = &inode_ops::VTable::<I>::SIMPLE_SYMLINK;
            (*inode).__bindgen_anon_5.i_link = link.as_mut_ptr();
            (*inode.cast::<InodeInfo<T>>()).link.populate(link);
        }
        Ok(())
    }

    /// Makes it a device, a named pipe or a socket, as its mode says.
    pub(crate) fn set_special<I>(&mut self, mode: u16, device: Device)
    where
        I: inode_ops::Operations<Fs = T>,
    {
        let inode = self.as_raw();
        // SAFETY: New, so only we use it.
        unsafe {
            (*inode).i_op = &inode_ops::VTable::<I>::TABLE;
            bindings::init_special_inode(inode, mode, device.0);
        }
    }
}

/// The number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device(bindings::dev_t);

impl Device {
    /// Decodes the form of 16 bits.
    pub(crate) fn from_old(encoded: u16) -> Self {
        // SAFETY: Arithmetic.
        Self(unsafe { bindings::cohfs_old_decode_dev(encoded) })
    }

    /// Decodes the form of 32 bits.
    pub(crate) fn from_new(encoded: u32) -> Self {
        // SAFETY: Arithmetic.
        Self(unsafe { bindings::cohfs_new_decode_dev(encoded) })
    }
}
