// SPDX-License-Identifier: GPL-2.0

//! Counts that all processors change and hardly anybody reads exactly.
//!
//! Each processor keeps what it adds for itself until it is more than a batch, so a plain read may
//! be off by a batch for each of them; a sum is exact while nobody adds.
//!
//! C header: [`include/linux/percpu_counter.h`](srctree/include/linux/percpu_counter.h)

use crate::bindings;
use core::cmp::Ordering;
use kernel::{
    error::to_result,
    prelude::*,
    types::Opaque, //
};
use pin_init::{
    pin_data,
    pinned_drop, //
};

/// A `struct percpu_counter`, which counts from zero up.
///
/// # Invariants
///
/// The counter is initialised.
#[pin_data(PinnedDrop)]
pub(crate) struct PerCpuCounter {
    #[pin]
    counter: Opaque<bindings::percpu_counter>,
}

// SAFETY: C locks what it must.
unsafe impl Send for PerCpuCounter {}
// SAFETY: As above.
unsafe impl Sync for PerCpuCounter {}

impl PerCpuCounter {
    /// Makes one that is `amount`.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for each processor's part.
    pub(crate) fn new(amount: u64) -> impl PinInit<Self, Error> {
        // INVARIANT: Initialised here, or there is none.
        try_pin_init!(Self {
            counter <- Opaque::try_ffi_init(move |counter| {
                // SAFETY: Memory for a counter that nobody uses yet, and which is pinned.
                to_result(unsafe {
                    bindings::cohfs_percpu_counter_init(
                        counter,
                        signed(amount),
                        bindings::COHFS_CONST_GFP_KERNEL,
                    )
                })
            }),
        })
    }

    /// Sets it to `amount`. Nobody adds meanwhile.
    pub(crate) fn set(&self, amount: u64) {
        // SAFETY: By the type invariants.
        unsafe { bindings::cohfs_percpu_counter_set(self.counter.get(), signed(amount)) };
    }

    /// Adds `amount`.
    ///
    /// # Context
    ///
    /// Does not sleep.
    pub(crate) fn add(&self, amount: i64) {
        // SAFETY: By the type invariants.
        unsafe { bindings::cohfs_percpu_counter_add(self.counter.get(), amount) };
    }

    /// Returns about what it is, at no cost.
    pub(crate) fn read(&self) -> u64 {
        // SAFETY: By the type invariants.
        unsafe { bindings::cohfs_percpu_counter_read_positive(self.counter.get()) }.unsigned_abs()
    }

    /// Returns what it is, at the cost of asking all processors.
    pub(crate) fn sum(&self) -> u64 {
        // SAFETY: By the type invariants.
        unsafe { bindings::cohfs_percpu_counter_sum_positive(self.counter.get()) }.unsigned_abs()
    }

    /// Compares it with `amount`, exactly; asks all processors only if it is close.
    pub(crate) fn compare(&self, amount: u64) -> Ordering {
        // SAFETY: By the type invariants.
        unsafe { bindings::cohfs_percpu_counter_compare(self.counter.get(), signed(amount)) }
            .cmp(&0)
    }
}

#[pinned_drop]
impl PinnedDrop for PerCpuCounter {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariants, and this is the last use.
        unsafe { bindings::cohfs_percpu_counter_destroy(self.counter.get()) };
    }
}

/// Returns a count in C's type, which holds all that are real.
fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}
