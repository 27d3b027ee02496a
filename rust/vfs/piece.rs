// SPDX-License-Identifier: GPL-2.0

//! Direct requests whose bytes all lie in one piece on the device, which the caller looked up.
//!
//! C header: [`include/linux/iomap.h`](srctree/include/linux/iomap.h)

use super::{
    iomap::{
        intent,
        tell,
        Extent, //
    },
    FileSystem,
    Inode, //
};
use crate::bindings;
use core::marker::PhantomData;
use kernel::{
    container_of,
    error::from_result,
    prelude::*, //
};

/// The C side of a direct request whose bytes all lie in one [`Extent`], which is its `private`.
pub(super) struct Piece<T>(PhantomData<T>);

impl<T: FileSystem> Piece<T> {
    pub(super) const OPS: bindings::iomap_ops = bindings::iomap_ops {
        iomap_begin: Some(Self::iomap_begin),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called by `iomap_iter` with the mapping of its iterator, whose `private` is an extent, and an inode of a
    /// mount in use.
    unsafe extern "C" fn iomap_begin(
        inode: *mut bindings::inode,
        _pos: bindings::loff_t,
        _length: bindings::loff_t,
        flags: c_uint,
        iomap: *mut bindings::iomap,
        _srcmap: *mut bindings::iomap,
    ) -> c_int {
        // SAFETY: By our requirements.
        let extent = unsafe {
            let iter = container_of!(iomap, bindings::iomap_iter, iomap);
            &*(*iter).private.cast::<Extent>()
        };
        // SAFETY: By our requirements.
        let (inode, iomap) = unsafe { (Inode::<T>::from_raw(inode), &mut *iomap) };
        // Nobody asks whether it still holds: the inode lock is held.
        from_result(|| tell(inode, extent, intent(flags), 0, iomap).map(|()| 0))
    }
}
