// SPDX-License-Identifier: GPL-2.0

//! The kinds of inodes, and the tables of operations that each gets.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    aops,
    extents,
    fault,
    file_ops,
    inode_ops,
    iomap::Mapper,
    FileSystem,
    Inode,
    NewInode, //
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::prelude::*;

/// Gives a constant table an address that stays.
struct Regular<I, O, F>(PhantomData<(I, O, F)>);

impl<I: inode_ops::Operations, O: file_ops::Operations, F: fault::Operations> Regular<I, O, F> {
    const INODE: bindings::inode_operations = bindings::inode_operations {
        fiemap: Some(extents::VTable::<F::Mapper>::fiemap),
        ..inode_ops::VTable::<I>::TABLE
    };
    const FILE: bindings::file_operations = file_ops::VTable::<O>::regular::<F>();
}

/// The same, for what is neither a file nor a directory nor a link.
struct Special<I>(PhantomData<I>);

impl<I: inode_ops::Operations> Special<I> {
    /// Without flags, as `ext2_special_inode_operations`: `e2fsck` takes some of them for damage.
    const INODE: bindings::inode_operations = bindings::inode_operations {
        fileattr_get: None,
        fileattr_set: None,
        ..inode_ops::VTable::<I>::TABLE
    };
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

impl Flags {
    /// All flags, as C has them.
    const MASK: c_uint = bindings::S_SYNC
        | bindings::S_APPEND
        | bindings::S_IMMUTABLE
        | bindings::S_NOATIME
        | bindings::S_DIRSYNC;

    /// Returns the flags as C has them.
    fn bits(self) -> c_uint {
        let Self {
            sync,
            append,
            immutable,
            noatime,
            dirsync,
        } = self;
        let flags = [
            (sync, bindings::S_SYNC),
            (append, bindings::S_APPEND),
            (immutable, bindings::S_IMMUTABLE),
            (noatime, bindings::S_NOATIME),
            (dirsync, bindings::S_DIRSYNC),
        ];
        let set = flags.iter().filter(|(set, _)| *set);
        set.fold(0, |bits, (_, flag)| bits | flag)
    }
}

impl<T: FileSystem> Inode<T> {
    /// Changes what the VFS does differently. The inode lock is held exclusively.
    pub(crate) fn set_flags(&self, flags: Flags) {
        // SAFETY: Valid by the type invariants; C changes the word atomically.
        unsafe { bindings::inode_set_flags(self.as_raw(), flags.bits(), Flags::MASK) };
    }
}

impl<T: FileSystem> NewInode<'_, T> {
    /// Sets what the VFS does differently.
    pub(crate) fn set_flags(&mut self, flags: Flags) {
        // SAFETY: New, so only we use it.
        unsafe { (*self.as_raw()).i_flags |= flags.bits() };
    }

    /// Makes it a regular file, of which the page cache can hold more than a page at once.
    pub(crate) fn set_regular<I, O, F>(&mut self)
    where
        I: inode_ops::Operations<Fs = T>,
        O: file_ops::Operations<Fs = T>,
        F: fault::Operations,
        F::Mapper: Mapper<Fs = T>,
    {
        let inode = self.as_raw();
        // SAFETY: New, so only we use it; `i_mapping` is the inode's own.
        unsafe {
            (*inode).i_op = &Regular::<I, O, F>::INODE;
            (*inode).__bindgen_anon_3.i_fop = &Regular::<I, O, F>::FILE;
            (*(*inode).i_mapping).a_ops = &aops::VTable::<F::Mapper>::TABLE;
            bindings::cohfs_mapping_set_large_folios((*inode).i_mapping);
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

    /// Makes it a device, a named pipe or a socket, as its mode says.
    pub(crate) fn set_special<I>(&mut self, device: Device)
    where
        I: inode_ops::Operations<Fs = T>,
    {
        let inode = self.as_raw();
        // SAFETY: New, so only we use it.
        unsafe {
            (*inode).i_op = &Special::<I>::INODE;
            bindings::init_special_inode(inode, (*inode).i_mode, device.0);
        }
    }
}

/// The number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Device(bindings::dev_t);

impl Device {
    /// Creates a number from C's.
    pub(super) fn from_raw(dev: bindings::dev_t) -> Self {
        Self(dev)
    }

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

    /// Returns the form of 16 bits, if the number fits into it.
    pub(crate) fn to_old(self) -> Option<u16> {
        // SAFETY: Arithmetic.
        unsafe {
            bindings::cohfs_old_valid_dev(self.0).then(|| bindings::cohfs_old_encode_dev(self.0))
        }
    }

    /// Returns the form of 32 bits.
    pub(crate) fn to_new(self) -> u32 {
        // SAFETY: Arithmetic.
        unsafe { bindings::cohfs_new_encode_dev(self.0) }
    }
}
