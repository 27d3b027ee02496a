// SPDX-License-Identifier: GPL-2.0

//! Access control lists.
//!
//! The VFS keeps them with the inode, so that nothing is read to check permissions but once. Here
//! they are bytes, as system calls have them (`include/uapi/linux/posix_acl_xattr.h`).
//!
//! C headers: [`include/linux/posix_acl.h`](srctree/include/linux/posix_acl.h),
//! [`include/linux/posix_acl_xattr.h`](srctree/include/linux/posix_acl_xattr.h)

use super::{
    inode_ops::Operations,
    FileSystem,
    FreshInode,
    Inode, //
};
use crate::bindings;
use core::{
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};
use kernel::{
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*, //
};

/// Which of its lists of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AclType {
    /// Who may do what with it.
    Access,
    /// Of a directory: what a new file in it begins with.
    Default,
}

impl AclType {
    /// Creates one from C's.
    pub(super) fn from_raw(kind: c_int) -> Result<Self> {
        match kind.unsigned_abs() {
            bindings::ACL_TYPE_ACCESS => Ok(Self::Access),
            bindings::ACL_TYPE_DEFAULT => Ok(Self::Default),
            _ => Err(EINVAL),
        }
    }

    fn as_raw(self) -> c_int {
        let raw = match self {
            Self::Access => bindings::ACL_TYPE_ACCESS,
            Self::Default => bindings::ACL_TYPE_DEFAULT,
        };
        // CAST: A small number.
        raw as c_int
    }
}

/// A list as C has it, or none.
///
/// # Invariants
///
/// We own a reference to it.
struct Acl(Option<NonNull<bindings::posix_acl>>);

impl Drop for Acl {
    fn drop(&mut self) {
        if let Some(acl) = self.0 {
            // SAFETY: We own a reference, by the type invariants.
            unsafe { bindings::cohfs_posix_acl_release(acl.as_ptr()) };
        }
    }
}

/// Makes a list of what the file system has read; returns C's, or NULL for none.
///
/// # Errors
///
/// [`EINVAL`] if it is none, [`ENOMEM`].
pub(super) fn decode(bytes: Option<&[u8]>) -> Result<*mut bindings::posix_acl> {
    let Some(bytes) = bytes else {
        return Ok(ptr::null_mut());
    };
    // SAFETY: The bytes are valid for their length; the disk has the numbers of the first user
    // namespace.
    from_err_ptr(unsafe {
        bindings::posix_acl_from_xattr(
            &raw mut bindings::init_user_ns,
            bytes.as_ptr().cast(),
            bytes.len(),
        )
    })
}

/// Stores a list of an inode, or that it has none, and lets the VFS know.
///
/// # Safety
///
/// `acl` is NULL or a valid list.
unsafe fn store<I: Operations>(
    inode: &Inode<I::Fs>,
    kind: AclType,
    acl: *mut bindings::posix_acl,
) -> Result {
    if kind == AclType::Default && !inode.is_dir() {
        return if acl.is_null() { Ok(()) } else { Err(EACCES) };
    }
    let written = if acl.is_null() {
        I::write_acl(inode, kind, None)
    } else {
        let mut len = 0;
        // SAFETY: Valid, by our requirements.
        let bytes = unsafe {
            bindings::posix_acl_to_xattr(
                &raw mut bindings::init_user_ns,
                acl,
                &raw mut len,
                bindings::COHFS_CONST_GFP_NOFS,
            )
        };
        if bytes.is_null() {
            return Err(ENOMEM);
        }
        // SAFETY: C returned `len` bytes, which are ours alone.
        let list = unsafe { slice::from_raw_parts(bytes.cast(), len) };
        let written = I::write_acl(inode, kind, Some(list));
        // SAFETY: From `kmalloc`, and nobody else has them.
        unsafe { bindings::kfree(bytes) };
        written
    };
    written?;
    // SAFETY: Both are valid; C takes a reference of its own.
    unsafe { bindings::set_cached_acl(inode.as_raw(), kind.as_raw(), acl) };
    Ok(())
}

/// Sets a list of an inode, or removes it, and the permissions that follow from it.
///
/// # Safety
///
/// `acl` is NULL or a valid list; `inode` is locked exclusively.
pub(super) unsafe fn set<I: Operations>(
    idmap: *mut bindings::mnt_idmap,
    inode: &Inode<I::Fs>,
    kind: AclType,
    mut acl: *mut bindings::posix_acl,
) -> Result {
    let mut mode = inode.mode();
    let changes_mode = kind == AclType::Access && !acl.is_null();
    if changes_mode {
        // SAFETY: All are valid. A list that says no more than the mode becomes NULL; C keeps it.
        to_result(unsafe {
            bindings::posix_acl_update_mode(idmap, inode.as_raw(), &raw mut mode, &raw mut acl)
        })?;
    }
    // SAFETY: By our requirements.
    unsafe { store::<I>(inode, kind, acl) }?;
    if changes_mode {
        // SAFETY: Valid by the type invariants, and locked by our requirements.
        unsafe { (*inode.as_raw()).i_mode = mode };
        inode.note_changed();
    }
    Ok(())
}

impl<T: FileSystem> FreshInode<T> {
    /// Gives a new file the lists that follow from the default list of its directory, and takes off
    /// its permissions what that, or the umask, takes off.
    ///
    /// # Errors
    ///
    /// Those of reading the directory's list, and of writing the file's.
    pub(crate) fn inherit_acls<I: Operations<Fs = T>>(&self, dir: &Inode<T>) -> Result {
        let (mut default, mut access) = (ptr::null_mut(), ptr::null_mut());
        let inode = self.as_raw();
        // SAFETY: Both inodes are valid, and nobody else uses the new one.
        to_result(unsafe {
            bindings::cohfs_posix_acl_create(
                dir.as_raw(),
                &raw mut (*inode).i_mode,
                &raw mut default,
                &raw mut access,
            )
        })?;
        // INVARIANT: C gives references.
        let lists = [
            (AclType::Default, Acl(NonNull::new(default))),
            (AclType::Access, Acl(NonNull::new(access))),
        ];
        // SAFETY: Nobody else uses the inode.
        unsafe { bindings::cohfs_cache_no_acl(inode) };
        for (kind, acl) in lists {
            if let Some(acl) = acl.0 {
                // SAFETY: We have a reference.
                unsafe { store::<I>(self, kind, acl.as_ptr()) }?;
            }
        }
        Ok(())
    }
}
