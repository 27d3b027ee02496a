// SPDX-License-Identifier: GPL-2.0

//! A file whose page cache is always empty, to move the bytes of a direct request and nothing else.
//!
//! `iomap_dio_rw` invalidates the page cache before and after a write, best effort. That is what
//! the policies of [`crate::coherency`] are to do, each in its own way, so it must not happen
//! there. The cache it does this to is `iocb->ki_filp->f_mapping`. So C gets a copy of the request
//! whose file is a stand-in, with the inode of the real one and with a mapping that never holds a
//! folio.
//!
//! # What C reads of it
//!
//! By reading `fs/iomap/direct-io.c` and what it calls:
//!
//! - `f_inode`, by `file_inode`: `__iomap_dio_rw`, `iomap_dio_complete`, `iomap_dio_done`,
//!   `iomap_dio_zero` and the tracepoints. It is the real one.
//! - `f_mapping`, in `kiocb_invalidate_pages` and `kiocb_invalidate_post_direct_write`
//!   (`mm/filemap.c`): `nrpages` and `i_pages`, which say that there is nothing to write out or to
//!   drop, and `flags`, which have no error to report.
//! - `f_mapping->host`, in `iocb_is_dsync` (`include/linux/fs.h`): `i_flags` and
//!   `i_sb->s_flags`. They are those of an inode and a super block that are all zero, so a write
//!   is synchronous for C only if its flags say so.
//! - `f_op->fsync`, in `vfs_fsync_range` (`fs/sync.c`), at the end of such a write that goes on by
//!   itself. It is ours, and syncs the real file. One that is waited for never comes there: to sync it
//!   is for the caller, who opens the gate first.
//!
//! A stand-in lives until C is done with the request: on the stack of who waits, or in
//! [`Queued`](super::queued).
//!
//! C headers: [`include/linux/iomap.h`](srctree/include/linux/iomap.h),
//! [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::bindings;
use core::marker::PhantomPinned;
use kernel::{
    prelude::*,
    types::Opaque, //
};
use pin_init::pin_init_from_closure;

/// The mapping, with what C reaches through it.
///
/// # Invariants
///
/// `mapping.host` is `host`, and `host.i_sb` is `sb`. All else of the latter two is zero, and
/// nobody adds a folio to the mapping.
pub(super) struct EmptyMapping {
    mapping: Opaque<bindings::address_space>,
    host: Opaque<bindings::inode>,
    sb: Opaque<bindings::super_block>,
    _pin: PhantomPinned,
}

// SAFETY: C only reads of it.
unsafe impl Send for EmptyMapping {}
// SAFETY: As above.
unsafe impl Sync for EmptyMapping {}

impl EmptyMapping {
    /// Makes one.
    pub(super) fn new() -> impl PinInit<Self, Error> {
        let init = |slot: *mut Self| {
            // SAFETY: Memory for `Self` that nobody uses yet and that is pinned. All bytes zero is
            // a value of each member.
            // INVARIANT: Made so here.
            unsafe {
                slot.write_bytes(0, 1);
                let mapping = Opaque::cast_into(&raw mut (*slot).mapping);
                let host = Opaque::cast_into(&raw mut (*slot).host);
                bindings::address_space_init_once(mapping);
                (*mapping).host = host;
                (*host).i_sb = Opaque::cast_into(&raw mut (*slot).sb);
            }
            Ok(())
        };
        // SAFETY: The closure initialises the whole of it, and cannot fail.
        unsafe { pin_init_from_closure(init) }
    }

    /// Returns what stands for `real`: a file with its inode and this mapping.
    ///
    /// # Safety
    ///
    /// `real` is an open file, and stays open as long as the result is used.
    pub(super) unsafe fn stand_for(&self, real: *mut bindings::file) -> bindings::file {
        let mut stand_in = bindings::file {
            // SAFETY: By our requirements.
            f_inode: unsafe { (*real).f_inode },
            f_mapping: self.mapping.get(),
            f_op: &Self::OPS,
            ..pin_init::zeroed()
        };
        stand_in.private_data = real.cast();
        stand_in
    }

    /// All that C calls of a stand-in.
    const OPS: bindings::file_operations = bindings::file_operations {
        fsync: Some(fsync),
        ..pin_init::zeroed()
    };
}

/// Syncs the file that `stand_in` stands for.
///
/// # Safety
///
/// Called by C with a file of [`EmptyMapping::stand_for`].
unsafe extern "C" fn fsync(
    stand_in: *mut bindings::file,
    first: bindings::loff_t,
    last: bindings::loff_t,
    datasync: c_int,
) -> c_int {
    // SAFETY: By our requirements: the file that it stands for is open.
    unsafe {
        let real = (*stand_in).private_data.cast();
        bindings::vfs_fsync_range(real, first, last, datasync)
    }
}
