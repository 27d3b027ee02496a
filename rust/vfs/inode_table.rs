// SPDX-License-Identifier: GPL-2.0

//! The C side of [`inode_ops`](super::inode_ops).
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    acl,
    attr::{
        SetAttr,
        Stat, //
    },
    inode_ops::Operations,
    AclType,
    Dentry,
    Device,
    FileSystem,
    FreshInode,
    Inode,
    Room, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::from_result,
    prelude::*,
    sync::aref::ARef, //
};

/// The C side of [`Operations`].
pub(super) struct VTable<T>(PhantomData<T>);

macro_rules! entry {
    ($has:ident, $function:expr) => {
        if T::$has {
            Some($function)
        } else {
            None
        }
    };
}

impl<T: Operations> VTable<T> {
    pub(super) const TABLE: bindings::inode_operations = bindings::inode_operations {
        lookup: entry!(HAS_LOOKUP, Self::lookup),
        create: entry!(HAS_CREATE, Self::create),
        tmpfile: entry!(HAS_TMPFILE, Self::tmpfile),
        link: entry!(HAS_LINK, Self::link),
        unlink: entry!(HAS_UNLINK, Self::unlink),
        symlink: entry!(HAS_SYMLINK, Self::symlink),
        mkdir: entry!(HAS_MKDIR, Self::mkdir),
        rmdir: entry!(HAS_RMDIR, Self::rmdir),
        mknod: entry!(HAS_MKNOD, Self::mknod),
        rename: entry!(HAS_RENAME, Self::rename),
        setattr: entry!(HAS_SETATTR, Self::setattr),
        getattr: entry!(HAS_GETATTR, Self::getattr),
        fileattr_get: entry!(HAS_FILEATTR_GET, Self::fileattr_get),
        fileattr_set: entry!(HAS_FILEATTR_SET, Self::fileattr_set),
        listxattr: entry!(HAS_LISTXATTR, Self::listxattr),
        get_inode_acl: entry!(HAS_READ_ACL, Self::get_inode_acl),
        set_acl: entry!(HAS_WRITE_ACL, Self::set_acl),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called by the VFS with a locked directory of a mount in use and a negative dentry in it.
    unsafe extern "C" fn lookup(
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        _flags: c_uint,
    ) -> *mut bindings::dentry {
        // SAFETY: By our requirements.
        let (dir, name) = unsafe { (Inode::from_raw(dir), Dentry::from_raw(dentry)) };
        match T::lookup(dir, name) {
            Ok(found) => {
                let inode = found.map_or(ptr::null_mut(), |inode| ARef::into_raw(inode).as_ptr());
                // SAFETY: C takes over the reference; the dentry is ours to bind.
                unsafe { bindings::d_splice_alias(inode.cast(), dentry) }
            }
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// As for every trampoline below: called by the VFS with inodes and dentries of a mount in
    /// use, directories locked exclusively.
    unsafe extern "C" fn create(
        _idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (dir, dentry) = unsafe { (Inode::from_raw(dir), Dentry::from_raw(dentry)) };
        from_result(|| T::create(dir, dentry, mode).map(|made| bind(made, dentry)))
    }

    /// # Safety
    ///
    /// Called by the VFS with a directory of a mount in use, and a file that is being opened and
    /// has a dentry without a name.
    unsafe extern "C" fn tmpfile(
        _idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        file: *mut bindings::file,
        mode: bindings::umode_t,
    ) -> c_int {
        // SAFETY: By our requirements.
        let dir = unsafe { Inode::from_raw(dir) };
        from_result(|| {
            let made = T::tmpfile(dir, mode)?;
            // SAFETY: By our requirements; from then on the file has an inode to be opened.
            Ok(unsafe {
                made.open_unnamed(file);
                bindings::cohfs_finish_open_simple(file, 0)
            })
        })
    }

    /// # Safety
    ///
    /// As [`Self::create`].
    unsafe extern "C" fn link(
        old: *mut bindings::dentry,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: By our requirements; what is linked to exists.
        let (inode, dir, dentry) = unsafe {
            (
                Inode::from_raw((*old).d_inode),
                Inode::from_raw(dir),
                Dentry::from_raw(dentry),
            )
        };
        from_result(|| {
            T::link(inode, dir, dentry)?;
            let inode = ARef::into_raw(ARef::from(inode));
            // SAFETY: C takes over the reference; the dentry is ours to bind.
            unsafe { bindings::d_instantiate(dentry.as_raw(), inode.as_ptr().cast()) };
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// As [`Self::create`].
    unsafe extern "C" fn unlink(dir: *mut bindings::inode, dentry: *mut bindings::dentry) -> c_int {
        // SAFETY: By our requirements.
        let (dir, dentry) = unsafe { (Inode::from_raw(dir), Dentry::from_raw(dentry)) };
        from_result(|| T::unlink(dir, dentry).map(|()| 0))
    }

    /// # Safety
    ///
    /// As [`Self::create`]; `target` is a string.
    unsafe extern "C" fn symlink(
        _idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        target: *const c_char,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (dir, dentry, target) = unsafe {
            (
                Inode::from_raw(dir),
                Dentry::from_raw(dentry),
                CStr::from_char_ptr(target),
            )
        };
        from_result(|| T::symlink(dir, dentry, target).map(|made| bind(made, dentry)))
    }

    /// # Safety
    ///
    /// As [`Self::create`].
    unsafe extern "C" fn mkdir(
        _idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
    ) -> *mut bindings::dentry {
        // SAFETY: By our requirements.
        let (dir, dentry) = unsafe { (Inode::from_raw(dir), Dentry::from_raw(dentry)) };
        match T::mkdir(dir, dentry, mode) {
            Ok(made) => {
                made.instantiate(dentry);
                ptr::null_mut()
            }
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// As [`Self::create`].
    unsafe extern "C" fn rmdir(dir: *mut bindings::inode, dentry: *mut bindings::dentry) -> c_int {
        // SAFETY: By our requirements.
        let (dir, dentry) = unsafe { (Inode::from_raw(dir), Dentry::from_raw(dentry)) };
        from_result(|| T::rmdir(dir, dentry).map(|()| 0))
    }

    /// # Safety
    ///
    /// As [`Self::create`].
    unsafe extern "C" fn mknod(
        _idmap: *mut bindings::mnt_idmap,
        dir: *mut bindings::inode,
        dentry: *mut bindings::dentry,
        mode: bindings::umode_t,
        dev: bindings::dev_t,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (dir, dentry) = unsafe { (Inode::from_raw(dir), Dentry::from_raw(dentry)) };
        let device = Device::from_raw(dev);
        from_result(|| T::mknod(dir, dentry, mode, device).map(|made| bind(made, dentry)))
    }

    /// # Safety
    ///
    /// As [`Self::create`].
    unsafe extern "C" fn rename(
        _idmap: *mut bindings::mnt_idmap,
        from_dir: *mut bindings::inode,
        from: *mut bindings::dentry,
        to_dir: *mut bindings::inode,
        to: *mut bindings::dentry,
        flags: c_uint,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (from_dir, from, to_dir, to) = unsafe {
            (
                Inode::from_raw(from_dir),
                Dentry::from_raw(from),
                Inode::from_raw(to_dir),
                Dentry::from_raw(to),
            )
        };
        from_result(|| T::rename(from_dir, from, to_dir, to, flags).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with a dentry of a mount in use whose inode is locked exclusively.
    unsafe extern "C" fn setattr(
        idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        iattr: *mut bindings::iattr,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (inode, mut change) = unsafe {
            (
                Inode::from_raw((*dentry).d_inode),
                SetAttr::from_raw(idmap, dentry, iattr),
            )
        };
        from_result(|| T::setattr(inode, &mut change).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with a path in a mount in use and room for the result.
    unsafe extern "C" fn getattr(
        idmap: *mut bindings::mnt_idmap,
        path: *const bindings::path,
        stat: *mut bindings::kstat,
        request_mask: u32,
        _flags: c_uint,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (inode, mut stat) = unsafe {
            let inode = (*(*path).dentry).d_inode;
            bindings::generic_fillattr(idmap, request_mask, inode, stat);
            (Inode::from_raw(inode), Stat::from_raw(stat, request_mask))
        };
        from_result(|| T::getattr(inode, &mut stat).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with a dentry of a mount in use and room for the result.
    unsafe extern "C" fn fileattr_get(
        dentry: *mut bindings::dentry,
        fa: *mut kernel::bindings::file_kattr,
    ) -> c_int {
        // SAFETY: By our requirements. The kernel crate knows the type of `fa` by name only; ours is
        // the same C type in full.
        unsafe {
            let flags = T::fileattr_get(Inode::from_raw((*dentry).d_inode));
            bindings::fileattr_fill_flags(fa.cast(), flags);
        }
        0
    }

    /// # Safety
    ///
    /// Called by the VFS with a dentry of a mount in use whose inode is locked exclusively.
    unsafe extern "C" fn fileattr_set(
        _idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        fa: *mut kernel::bindings::file_kattr,
    ) -> c_int {
        let fa = fa.cast::<bindings::file_kattr>();
        // SAFETY: By our requirements.
        let (inode, flags, more) = unsafe {
            let more = bindings::cohfs_fileattr_has_fsx(fa);
            (Inode::from_raw((*dentry).d_inode), (*fa).flags, more)
        };
        from_result(|| match more {
            // Extent sizes, projects and the like.
            true => Err(EOPNOTSUPP),
            false => T::fileattr_set(inode, flags).map(|()| 0),
        })
    }

    /// # Safety
    ///
    /// Called by the VFS with a dentry of a mount in use, and a buffer of `size` bytes or NULL.
    unsafe extern "C" fn listxattr(
        dentry: *mut bindings::dentry,
        buffer: *mut c_char,
        size: usize,
    ) -> isize {
        // SAFETY: By our requirements.
        let (inode, mut room) = unsafe {
            (
                Inode::from_raw((*dentry).d_inode),
                Room::from_raw(buffer.cast(), size),
            )
        };
        from_result(|| {
            T::listxattr(inode, &mut room)?;
            Ok(isize::try_from(room.used())?)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS with an inode of a mount in use; `rcu` says that it may not sleep.
    unsafe extern "C" fn get_inode_acl(
        inode: *mut bindings::inode,
        kind: c_int,
        rcu: bool,
    ) -> *mut bindings::posix_acl {
        if rcu {
            return ECHILD.to_ptr();
        }
        // SAFETY: By our requirements.
        let inode = unsafe { Inode::from_raw(inode) };
        let read = AclType::from_raw(kind).and_then(|kind| T::read_acl(inode, kind));
        match read.and_then(|read| acl::decode(read.as_deref())) {
            Ok(acl) => acl,
            Err(error) => error.to_ptr(),
        }
    }

    /// # Safety
    ///
    /// Called by the VFS with a dentry of a mount in use whose inode is locked exclusively, and a
    /// list or NULL.
    unsafe extern "C" fn set_acl(
        idmap: *mut bindings::mnt_idmap,
        dentry: *mut bindings::dentry,
        acl: *mut bindings::posix_acl,
        kind: c_int,
    ) -> c_int {
        from_result(|| {
            let kind = AclType::from_raw(kind)?;
            // SAFETY: By our requirements.
            unsafe { acl::set::<T>(idmap, Inode::from_raw((*dentry).d_inode), kind, acl) }?;
            Ok(0)
        })
    }
}

/// Binds what was made to its name; returns C's success.
fn bind<T: FileSystem>(made: FreshInode<T>, dentry: &Dentry<T>) -> c_int {
    made.instantiate(dentry);
    0
}
