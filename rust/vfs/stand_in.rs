// SPDX-License-Identifier: GPL-2.0

//! A file whose page cache is always empty, to move a direct write's bytes and nothing else.
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
//!   `i_sb->s_flags`. They are those of an inode and a super block that are all zero, so the write
//!   is not synchronous for C, which then does not call `generic_write_sync`, that would reach for
//!   `f_op`. To sync is for the caller, with the real file.
//!
//! The request has no `ki_complete`, so it is synchronous (`is_sync_kiocb`): C waits, and is done
//! with request and file when it returns.
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

    /// Returns a file with the inode `inode` and this mapping.
    pub(super) fn file(&self, inode: *mut bindings::inode) -> bindings::file {
        bindings::file {
            f_inode: inode,
            f_mapping: self.mapping.get(),
            ..pin_init::zeroed()
        }
    }
}
