// SPDX-License-Identifier: GPL-2.0

//! What lockdep is told about the gates, which are no locks.
//!
//! All gates are one class. Who closes one holds it, until he leaves it or gives it away with an
//! asynchronous request; who might wait for one takes it for a moment, shared, whether he has to wait
//! or not. So if anything is ever taken under a gate that is held somewhere while a gate is
//! waited for, lockdep says so at the first occasion, without anybody having been caught in it.
//!
//! Without `CONFIG_LOCKDEP` all of this is nothing.
//!
//! C header: [`include/linux/lockdep.h`](srctree/include/linux/lockdep.h)

use crate::bindings;
use kernel::types::NotThreadSafe;

/// A gate that this task has closed.
#[must_use = "the gate counts as left when this is dropped"]
pub(crate) struct GateHeld(NotThreadSafe);

impl GateHeld {
    /// Says that this task closes a gate, and may wait for others before.
    pub(crate) fn acquire() -> Self {
        if cfg!(CONFIG_LOCKDEP) {
            // SAFETY: No requirements.
            unsafe { bindings::cohfs_gate_acquire() };
        }
        Self(NotThreadSafe)
    }

    /// Says that this task might wait for a gate here.
    pub(crate) fn might_wait() {
        if cfg!(CONFIG_LOCKDEP) {
            // SAFETY: Released at once.
            unsafe {
                bindings::cohfs_gate_acquire_read();
                bindings::cohfs_gate_release();
            }
        }
    }
}

impl Drop for GateHeld {
    fn drop(&mut self) {
        if cfg!(CONFIG_LOCKDEP) {
            // SAFETY: Acquired by `acquire`, by this task.
            unsafe { bindings::cohfs_gate_release() };
        }
    }
}
