// SPDX-License-Identifier: GPL-2.0

//! Allocating memory without the file system being asked to free some.
//!
//! C header: [`include/linux/sched/mm.h`](srctree/include/linux/sched/mm.h)

use crate::bindings;
use kernel::{
    prelude::*,
    types::NotThreadSafe, //
};

/// While it exists, this task's allocations do not enter a file system: `GFP_NOFS`.
///
/// For code that holds what freeing an inode or writing a folio would want too.
#[must_use = "the scope ends at once if it is dropped"]
pub(crate) struct NofsGuard {
    before: c_uint,
    _task: NotThreadSafe,
}

impl NofsGuard {
    /// Begins the scope. It ends when this is dropped; scopes nest.
    pub(crate) fn new() -> Self {
        Self {
            // SAFETY: No requirements.
            before: unsafe { bindings::cohfs_memalloc_nofs_save() },
            _task: NotThreadSafe,
        }
    }
}

impl Drop for NofsGuard {
    fn drop(&mut self) {
        // SAFETY: What this task saved, as the type does not leave it.
        unsafe { bindings::cohfs_memalloc_nofs_restore(self.before) };
    }
}
