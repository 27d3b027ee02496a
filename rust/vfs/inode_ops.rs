// SPDX-License-Identifier: GPL-2.0

//! What the VFS asks of an inode: `struct inode_operations`.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    attr::{
        SetAttr,
        Stat, //
    },
    AclType,
    Dentry,
    Device,
    FileSystem,
    FreshInode,
    Inode,
    Room, //
};
use kernel::{build_error, prelude::*, sync::aref::ARef};

pub(super) use super::inode_table::VTable;

/// Flags of `renameat2`.
pub(crate) mod rename_flag {
    use crate::bindings;

    /// The new name must not exist; the VFS saw to it.
    pub(crate) const NOREPLACE: u32 = bindings::RENAME_NOREPLACE;
    /// Both names exist, and change places.
    pub(crate) const EXCHANGE: u32 = bindings::RENAME_EXCHANGE;
}

/// What the file system does with one kind of inode.
///
/// The VFS holds the directory's inode lock over every one that takes a [`Dentry`]: shared for
/// `lookup`, exclusive for the others. What is linked, unlinked or moved is locked as well. The
/// operations that make a file put its name into the directory and return its inode, which the
/// trampoline then binds to the dentry; on an error it is deleted.
#[vtable]
pub(crate) trait Operations: Sized + 'static {
    /// The file system.
    type Fs: FileSystem;

    /// Returns the inode of that name in the directory, or nothing if there is no such name.
    fn lookup(
        _dir: &Inode<Self::Fs>,
        _dentry: &Dentry<Self::Fs>,
    ) -> Result<Option<ARef<Inode<Self::Fs>>>> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Returns the target of a symbolic link, up to the first NUL. Asked for once.
    fn read_link(_inode: &Inode<Self::Fs>) -> Result<KVec<u8>> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Makes a regular file.
    fn create(
        _dir: &Inode<Self::Fs>,
        _dentry: &Dentry<Self::Fs>,
        _mode: u16,
    ) -> Result<FreshInode<Self::Fs>> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Makes a regular file that has no name. The directory is not locked.
    fn tmpfile(_dir: &Inode<Self::Fs>, _mode: u16) -> Result<FreshInode<Self::Fs>> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Gives `inode` another name.
    fn link(
        _inode: &Inode<Self::Fs>,
        _dir: &Inode<Self::Fs>,
        _dentry: &Dentry<Self::Fs>,
    ) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Takes the name of a file away.
    fn unlink(_dir: &Inode<Self::Fs>, _dentry: &Dentry<Self::Fs>) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Makes a symbolic link to `target`.
    fn symlink(
        _dir: &Inode<Self::Fs>,
        _dentry: &Dentry<Self::Fs>,
        _target: &CStr,
    ) -> Result<FreshInode<Self::Fs>> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Makes a directory.
    fn mkdir(
        _dir: &Inode<Self::Fs>,
        _dentry: &Dentry<Self::Fs>,
        _mode: u16,
    ) -> Result<FreshInode<Self::Fs>> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Removes an empty directory.
    fn rmdir(_dir: &Inode<Self::Fs>, _dentry: &Dentry<Self::Fs>) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Makes a device, a named pipe or a socket.
    fn mknod(
        _dir: &Inode<Self::Fs>,
        _dentry: &Dentry<Self::Fs>,
        _mode: u16,
        _device: Device,
    ) -> Result<FreshInode<Self::Fs>> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Moves a name; `flags` are those of `renameat2`.
    fn rename(
        _from_dir: &Inode<Self::Fs>,
        _from: &Dentry<Self::Fs>,
        _to_dir: &Inode<Self::Fs>,
        _to: &Dentry<Self::Fs>,
        _flags: u32,
    ) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Changes attributes. The inode is locked exclusively.
    fn setattr(_inode: &Inode<Self::Fs>, _change: &mut SetAttr<'_>) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Adds what the file system alone knows to what `stat` returns.
    fn getattr(_inode: &Inode<Self::Fs>, _stat: &mut Stat<'_>) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Returns the flags of `FS_IOC_GETFLAGS`. The inode is locked, shared.
    fn fileattr_get(_inode: &Inode<Self::Fs>) -> u32 {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Changes them; who may, the VFS has looked at. The inode is locked exclusively.
    fn fileattr_set(_inode: &Inode<Self::Fs>, _flags: u32) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Adds the full names of the extended attributes that the caller may see, each with a zero byte
    /// behind it. The inode may be locked or not.
    fn listxattr(_inode: &Inode<Self::Fs>, _names: &mut Room<'_>) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Returns an access control list, if there is one. The VFS asks once, and keeps it.
    fn read_acl(_inode: &Inode<Self::Fs>, _kind: AclType) -> Result<Option<KVec<u8>>> {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }

    /// Stores an access control list, or removes it. The inode is locked exclusively, or new.
    fn write_acl(_inode: &Inode<Self::Fs>, _kind: AclType, _acl: Option<&[u8]>) -> Result {
        build_error!(kernel::error::VTABLE_DEFAULT_ERROR)
    }
}
