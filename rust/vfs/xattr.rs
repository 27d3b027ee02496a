// SPDX-License-Identifier: GPL-2.0

//! Extended attributes: `struct xattr_handler`, and the list of names.
//!
//! C headers: [`include/linux/xattr.h`](srctree/include/linux/xattr.h)

use super::{
    Dentry,
    FileSystem,
    FreshInode,
    Inode, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
    slice, //
};
use kernel::{
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

/// What the first part of a name is; the VFS has taken it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Namespace {
    /// `user.`
    User,
    /// `trusted.`
    Trusted,
    /// `security.`
    Security,
}

/// Whether an attribute that is set may, or must, be there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    /// It may.
    Any,
    /// It must not: `XATTR_CREATE`.
    Create,
    /// It must: `XATTR_REPLACE`. Who removes one asks for this.
    Replace,
    /// Both of these at once, which the VFS lets pass.
    Neither,
}

/// What the file system does with extended attributes. Who may do it, the VFS has looked at.
pub(crate) trait Operations: FileSystem {
    /// Fills in the value of an attribute. Returns its length in bytes.
    fn get(inode: &Inode<Self>, namespace: Namespace, name: &[u8], room: Room<'_>)
        -> Result<usize>;

    /// Sets an attribute, or removes it if there is no value. The inode is locked exclusively, or new
    /// and only the caller uses it.
    fn set(
        inode: &Inode<Self>,
        namespace: Namespace,
        name: &[u8],
        value: Option<&[u8]>,
        existence: Existence,
    ) -> Result;
}

/// Room for a value or a list that somebody asks for; or none, who only asks for its length.
pub(crate) struct Room<'a> {
    start: *mut u8,
    len: usize,
    used: usize,
    _bytes: PhantomData<&'a mut [u8]>,
}

impl Room<'_> {
    /// Makes one.
    ///
    /// # Safety
    ///
    /// `start` is NULL, or valid for writes of `len` bytes, and ours alone, for as long as this.
    pub(super) unsafe fn from_raw(start: *mut c_void, len: usize) -> Self {
        Self {
            start: start.cast(),
            len,
            used: 0,
            _bytes: PhantomData,
        }
    }

    /// Adds bytes behind those that are there.
    ///
    /// # Errors
    ///
    /// [`ERANGE`] if there is too little room.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Result {
        let used = self.used.checked_add(bytes.len()).ok_or(ERANGE)?;
        if !self.start.is_null() {
            if used > self.len {
                return Err(ERANGE);
            }
            // SAFETY: Valid for `len` bytes, by the requirements of `from_raw`, and in bounds. It
            // is ours alone, so `bytes` is somewhere else.
            unsafe {
                ptr::copy_nonoverlapping(bytes.as_ptr(), self.start.add(self.used), bytes.len());
            }
        }
        self.used = used;
        Ok(())
    }

    /// Returns how many bytes were added.
    pub(crate) fn used(&self) -> usize {
        self.used
    }
}

/// The C side of [`Operations`].
pub(super) struct VTable<T>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    /// What `s_xattr` points to.
    pub(super) const HANDLERS: [*const bindings::xattr_handler; 4] =
        [&Self::USER, &Self::TRUSTED, &Self::SECURITY, ptr::null()];

    const USER: bindings::xattr_handler = Self::handler(c"user.", Namespace::User);
    const TRUSTED: bindings::xattr_handler = Self::handler(c"trusted.", Namespace::Trusted);
    const SECURITY: bindings::xattr_handler = Self::handler(c"security.", Namespace::Security);

    /// A handler; its flags, which are the file system's own, say which namespace it is.
    const fn handler(prefix: &'static CStr, namespace: Namespace) -> bindings::xattr_handler {
        bindings::xattr_handler {
            prefix: prefix.as_ptr().cast(),
            // CAST: A small number.
            flags: namespace as c_int,
            get: Some(Self::get),
            set: Some(Self::set),
            ..pin_init::zeroed()
        }
    }

    /// # Safety
    ///
    /// `handler` is one of ours.
    unsafe fn namespace(handler: *const bindings::xattr_handler) -> Namespace {
        // SAFETY: By our requirements.
        let flags = unsafe { (*handler).flags };
        let all = [Namespace::User, Namespace::Trusted];
        let found = all.into_iter().find(|&one| one as c_int == flags);
        found.unwrap_or(Namespace::Security)
    }

    /// # Safety
    ///
    /// Called by the VFS with a handler of ours, an inode of a mount in use, a string, and a buffer
    /// of `size` bytes or NULL.
    unsafe extern "C" fn get(
        handler: *const bindings::xattr_handler,
        _dentry: *mut bindings::dentry,
        inode: *mut bindings::inode,
        name: *const c_char,
        buffer: *mut c_void,
        size: usize,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (namespace, inode, name, room) = unsafe {
            (
                Self::namespace(handler),
                Inode::from_raw(inode),
                CStr::from_char_ptr(name),
                Room::from_raw(buffer, size),
            )
        };
        from_result(|| {
            let len = T::get(inode, namespace, name.to_bytes(), room)?;
            Ok(c_int::try_from(len)?)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS with a handler of ours, a locked inode of a mount in use, a string, and a
    /// value of `size` bytes or NULL.
    unsafe extern "C" fn set(
        handler: *const bindings::xattr_handler,
        _idmap: *mut bindings::mnt_idmap,
        _dentry: *mut bindings::dentry,
        inode: *mut bindings::inode,
        name: *const c_char,
        value: *const c_void,
        size: usize,
        flags: c_int,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (namespace, inode, name, value) = unsafe {
            (
                Self::namespace(handler),
                Inode::from_raw(inode),
                CStr::from_char_ptr(name),
                (!value.is_null()).then(|| slice::from_raw_parts(value.cast(), size)),
            )
        };
        let asks = |flag| flags.unsigned_abs() & flag != 0;
        let existence = match (asks(bindings::XATTR_CREATE), asks(bindings::XATTR_REPLACE)) {
            (false, false) => Existence::Any,
            (true, false) => Existence::Create,
            (false, true) => Existence::Replace,
            (true, true) => Existence::Neither,
        };
        from_result(|| T::set(inode, namespace, name.to_bytes(), value, existence).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called with a new inode that has its data and that only the caller uses, and with attributes,
    /// behind the last of which is one without a name.
    unsafe extern "C" fn init(
        inode: *mut bindings::inode,
        mut attribute: *const bindings::xattr,
        _: *mut c_void,
    ) -> c_int {
        // SAFETY: By our requirements.
        let inode = unsafe { Inode::from_raw(inode) };
        from_result(|| {
            // SAFETY: By our requirements, here and below: it is one of the list, or the one behind.
            while let Some(name) = NonNull::new(unsafe { (*attribute).name.cast_mut() }) {
                // SAFETY: A string, and a value of that many bytes.
                let (name, value) = unsafe {
                    let value = (*attribute).value.cast::<u8>();
                    (
                        CStr::from_char_ptr(name.as_ptr()).to_bytes(),
                        slice::from_raw_parts(value, (*attribute).value_len),
                    )
                };
                T::set(
                    inode,
                    Namespace::Security,
                    name,
                    Some(value),
                    Existence::Any,
                )?;
                // SAFETY: There is one more.
                attribute = unsafe { attribute.add(1) };
            }
            Ok(0)
        })
    }
}

impl<T: Operations> FreshInode<T> {
    /// Gives a new file the labels that security modules want on it. `name` is the one that it is to
    /// have in the directory `dir`, if any.
    ///
    /// # Errors
    ///
    /// Those of [`Operations::set`], and of the modules.
    pub(crate) fn init_security(&self, dir: &Inode<T>, name: Option<&Dentry<T>>) -> Result {
        let name = name.map_or(ptr::null(), |dentry| {
            // SAFETY: Valid by the type invariants, by which the name does not change, either.
            unsafe { (&raw const (*dentry.as_raw()).__bindgen_anon_1.d_name).cast() }
        });
        // SAFETY: Both inodes are valid, and so is the name if there is one. The callback gets the new
        // one, and C's list.
        to_result(unsafe {
            bindings::cohfs_security_inode_init_security(
                self.as_raw(),
                dir.as_raw(),
                name,
                Some(VTable::<T>::init),
            )
        })
    }
}

impl<T: FileSystem> super::super_block::AnySuperBlock<T> {
    /// Says whether files have access control lists: `SB_POSIXACL`.
    pub(crate) fn has_acls(&self) -> bool {
        // SAFETY: Valid by the type invariants; C reads the word without a lock as well.
        let flags = unsafe { (&raw const (*self.as_raw()).s_flags).read_volatile() };
        flags & bindings::COHFS_CONST_SB_POSIXACL != 0
    }

    /// Sets whether they have, in a kernel that knows of them: without, the VFS takes the umask off.
    pub(crate) fn set_acls(&self, have: bool) {
        // SAFETY: Valid by the type invariants. Only called while it is mounted or remounted, under
        // `s_umount`, as `ext2_reconfigure` does.
        let flags = unsafe { &mut (*self.as_raw()).s_flags };
        *flags &= !bindings::COHFS_CONST_SB_POSIXACL;
        if have {
            *flags |= bindings::COHFS_CONST_SB_POSIXACL;
        }
    }
}
