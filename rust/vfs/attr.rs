// SPDX-License-Identifier: GPL-2.0

//! Reading and changing what `stat` shows.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/stat.h`](srctree/include/linux/stat.h)

use super::{
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    pagecache::{
        Host,
        InodeLockGuard, //
    },
};
use core::mem::ManuallyDrop;
use kernel::{
    error::to_result,
    prelude::*, //
};

/// A change of attributes that somebody asks for.
///
/// # Invariants
///
/// All pointers are valid, the inode of `dentry` is locked exclusively by this task.
pub(crate) struct SetAttr<'a> {
    idmap: *mut bindings::mnt_idmap,
    dentry: *mut bindings::dentry,
    iattr: &'a mut bindings::iattr,
    lock: ManuallyDrop<InodeLockGuard<'a>>,
}

impl SetAttr<'_> {
    /// Creates a change from what C hands to `->setattr`.
    ///
    /// # Safety
    ///
    /// The pointers are valid, and the inode locked, for as long as the result is used.
    pub(super) unsafe fn from_raw(
        idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        iattr: *mut bindings::iattr,
    ) -> Self {
        // INVARIANT: By our requirements.
        Self {
            idmap,
            dentry,
            // SAFETY: By our requirements.
            iattr: unsafe { &mut *iattr },
            // SAFETY: As above; every inode of ours is embedded in a `Host`.
            lock: unsafe { InodeLockGuard::held_by_caller(Host::from_inode((*dentry).d_inode)) },
        }
    }

    /// Returns the proof that the inode is locked.
    pub(crate) fn lock(&self) -> &InodeLockGuard<'_> {
        &self.lock
    }

    /// Returns the size in bytes that the file is to have, if it is to change.
    pub(crate) fn size(&self) -> Option<u64> {
        let asked = self.iattr.ia_valid & bindings::COHFS_CONST_ATTR_SIZE != 0;
        // C refused negative sizes before.
        asked.then_some(self.iattr.ia_size.unsigned_abs())
    }

    /// Checks that the caller may do it.
    ///
    /// # Errors
    ///
    /// [`EPERM`] and others, as `setattr_prepare` says.
    pub(crate) fn prepare(&mut self) -> Result {
        // SAFETY: By the type invariants.
        to_result(unsafe { bindings::setattr_prepare(self.idmap, self.dentry, self.iattr) })
    }

    /// Changes owner, permissions and times of the inode, and its access control list with the
    /// permissions, and marks it dirty.
    ///
    /// # Errors
    ///
    /// Those of writing the list: then only that is as before.
    pub(crate) fn apply<T: FileSystem>(&self, inode: &Inode<T>) -> Result {
        // SAFETY: By the type invariants.
        unsafe { bindings::setattr_copy(self.idmap, inode.as_raw(), self.iattr) };
        inode.mark_dirty();
        if self.iattr.ia_valid & bindings::COHFS_CONST_ATTR_MODE == 0 {
            return Ok(());
        }
        // SAFETY: By the type invariants.
        to_result(unsafe { bindings::cohfs_posix_acl_chmod(self.idmap, self.dentry, inode.mode()) })
    }
}

/// What `stat` will return, filled with what the VFS knows.
pub(crate) struct Stat<'a> {
    stat: &'a mut bindings::kstat,
    request: u32,
}

impl Stat<'_> {
    /// Creates a result from what C hands to `->getattr`.
    ///
    /// # Safety
    ///
    /// `stat` is valid and ours alone for as long as the result is used.
    pub(super) unsafe fn from_raw(stat: *mut bindings::kstat, request: u32) -> Self {
        Self {
            // SAFETY: By our requirements.
            stat: unsafe { &mut *stat },
            request,
        }
    }

    /// Says which attributes the file system knows of, and which the file has: `STATX_ATTR_*`.
    pub(crate) fn set_attributes(&mut self, known: u64, set: u64) {
        self.stat.attributes_mask |= known;
        self.stat.attributes |= set & known;
    }

    /// Says whether somebody asks how direct I/O is to be aligned.
    pub(crate) fn wants_dio_alignment(&self) -> bool {
        self.request & bindings::STATX_DIOALIGN != 0
    }

    /// Says how memory and offsets of direct I/O are to be aligned, in bytes.
    pub(crate) fn set_dio_alignment(&mut self, memory: u32, offset: u32) {
        self.stat.result_mask |= bindings::STATX_DIOALIGN;
        self.stat.dio_mem_align = memory;
        self.stat.dio_offset_align = offset;
    }
}
