// SPDX-License-Identifier: GPL-2.0

//! What a file system wants of the task that it runs in.
//!
//! C header: [`include/linux/sched.h`](srctree/include/linux/sched.h)

use crate::bindings;
use kernel::current;

/// Lets others run, if they wait.
pub(crate) fn cond_resched() {
    // SAFETY: We may sleep.
    unsafe { bindings::cohfs_cond_resched() };
}

/// Returns the number of the task.
pub(crate) fn current_pid() -> u32 {
    current!().pid().unsigned_abs()
}
