// SPDX-License-Identifier: GPL-2.0

//! Who the task is that calls, and what it may.
//!
//! C headers: [`include/linux/cred.h`](srctree/include/linux/cred.h),
//! [`include/linux/capability.h`](srctree/include/linux/capability.h)

use crate::bindings;
use kernel::prelude::*;

/// Says whether this task may go beyond limits of resources, `CAP_SYS_RESOURCE`; it is then noted
/// that it did.
pub(crate) fn capable_sys_resource() -> bool {
    // CAST: A small number.
    const CAP: c_int = bindings::CAP_SYS_RESOURCE as c_int;
    // SAFETY: No requirements.
    unsafe { bindings::cohfs_capable(CAP) }
}

/// Says whether this task may administer the system, `CAP_SYS_ADMIN`; it is then noted that it did.
pub(crate) fn capable_sys_admin() -> bool {
    // CAST: A small number.
    const CAP: c_int = bindings::CAP_SYS_ADMIN as c_int;
    // SAFETY: No requirements.
    unsafe { bindings::cohfs_capable(CAP) }
}

/// Says whether this task acts on file systems as user `uid`, by the numbers of the first user
/// namespace.
pub(crate) fn is_fsuid(uid: u32) -> bool {
    // SAFETY: No requirements. A `kuid_t` is the number in the first user namespace.
    let fsuid = unsafe { bindings::cohfs_current_fsuid() };
    fsuid.val == uid
}

/// Says whether this task is in group `gid`, by the numbers of the first user namespace.
pub(crate) fn in_group(gid: u32) -> bool {
    // SAFETY: No requirements. A `kgid_t` is the number in the first user namespace.
    unsafe { bindings::cohfs_in_group_p(bindings::kgid_t { val: gid }) }
}
