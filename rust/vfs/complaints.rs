// SPDX-License-Identifier: GPL-2.0

//! How often messages about errors that can come again and again are printed.
//!
//! Each mount has a limit of its own, so that one that is damaged all over does not silence another.
//!
//! C header: [`include/linux/ratelimit.h`](srctree/include/linux/ratelimit.h)

use crate::bindings;
use kernel::{
    prelude::*,
    types::Opaque, //
};
use pin_init::pin_data;

/// A `struct ratelimit_state` with the usual limit: ten messages within five seconds.
///
/// # Invariants
///
/// It is initialised.
#[pin_data]
pub(crate) struct Complaints {
    #[pin]
    limit: Opaque<bindings::ratelimit_state>,
}

// SAFETY: C locks what it must.
unsafe impl Send for Complaints {}
// SAFETY: As above.
unsafe impl Sync for Complaints {}

impl Complaints {
    /// Starts with none.
    pub(crate) fn new() -> impl PinInit<Self> {
        // INVARIANT: Initialised here.
        pin_init!(Self {
            limit <- Opaque::ffi_init(|limit| {
                // SAFETY: Memory for one that nobody uses yet, and which is pinned.
                unsafe { bindings::cohfs_ratelimit_default_init(limit) }
            }),
        })
    }

    /// Says whether one more may be printed now. What was not is counted in the log later.
    pub(crate) fn allow(&self) -> bool {
        // SAFETY: By the type invariants; a string that ends in a NUL.
        unsafe { bindings::___ratelimit(self.limit.get(), c"cohfs".as_char_ptr()) != 0 }
    }
}

/// Says the same of messages that are about no mount.
pub(crate) fn may_complain() -> bool {
    // SAFETY: No requirements.
    unsafe { bindings::cohfs_printk_ratelimit() }
}
