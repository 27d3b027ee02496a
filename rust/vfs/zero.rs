// SPDX-License-Identifier: GPL-2.0

//! Looking at the bytes of a folio.
//!
//! C header: [`include/linux/highmem.h`](srctree/include/linux/highmem.h)

use crate::bindings;
use kernel::{
    num::casts::{
        arch::u64_as_usize,
        usize_as_u64, //
    },
    page::PAGE_SIZE, //
};

/// Says whether the bytes of the file from `pos` up to and without `end` are all zero.
///
/// # Safety
///
/// The folio is locked and covers them.
pub(super) unsafe fn is_zero(folio: *mut bindings::folio, pos: u64, end: u64) -> bool {
    // SAFETY: Locked, by our requirements.
    let start = unsafe { bindings::cohfs_folio_pos(folio) }.unsigned_abs();
    // OVERFLOW: Covered by the folio, by our requirements.
    let (mut at, end) = (pos - start, end - start);
    while at < end {
        // OVERFLOW: Within the folio.
        let next = end.min((at | (usize_as_u64(PAGE_SIZE) - 1)) + 1);
        // SAFETY: Within the folio, and not beyond the page that is mapped.
        let found = unsafe {
            let bytes = bindings::cohfs_kmap_local_folio(folio, u64_as_usize(at));
            let found = bindings::memchr_inv(bytes, 0, u64_as_usize(next - at));
            bindings::cohfs_kunmap_local(bytes);
            found
        };
        if !found.is_null() {
            return false;
        }
        at = next;
    }
    true
}
