// SPDX-License-Identifier: GPL-2.0

//! Extended attributes.
//!
//! All that a file has are in one block, see [`crate::ext2::xattr`]; `block.rs` reads and changes
//! it, `shared.rs` finds a block that has the same already. Here is who sees what.
//!
//! # Locks
//!
//! From the outermost in:
//!
//! ```text
//! inode lock                  who changes attributes; not who reads them (fs/xattr.c)
//!   Own::lock of the inode    its block, in memory and on the device
//!     Shared::table           users of all blocks of the volume
//!       buffer lock
//! ```
//!
//! An inode that nobody else uses is evicted without [`Own::lock`]: who waits for memory under it
//! may have to evict another.
//!
//! C counterparts: [`fs/ext2/xattr.c`](srctree/fs/ext2/xattr.c) and `xattr_user.c`,
//! `xattr_trusted.c` and `xattr_security.c` beside it

mod block;
mod shared;

pub(super) use self::{
    block::{
        delete_inode,
        get,
        read_value,
        set,
        Own, //
    },
    shared::Shared, //
};

use super::{
    Cohfs,
    Inode, //
};
use crate::{
    ext2::xattr::Index,
    vfs::{
        cred,
        xattr::{
            self,
            Existence,
            Namespace, //
        },
        Room, //
    },
};
use kernel::prelude::*;

impl xattr::Operations for Cohfs {
    fn get(inode: &Inode, namespace: Namespace, name: &[u8], room: Room<'_>) -> Result<usize> {
        get(inode, index(inode, namespace)?, name, room)
    }

    fn set(
        inode: &Inode,
        namespace: Namespace,
        name: &[u8],
        value: Option<&[u8]>,
        existence: Existence,
    ) -> Result {
        set(inode, index(inode, namespace)?, name, value, existence)
    }
}

/// Returns how a namespace is called on disk.
///
/// # Errors
///
/// [`EOPNOTSUPP`] if the mount has none of it.
fn index(inode: &Inode, namespace: Namespace) -> Result<Index> {
    match namespace {
        Namespace::User if !inode.sb().data().options().user_xattr => Err(EOPNOTSUPP),
        Namespace::User => Ok(Index::User),
        Namespace::Trusted => Ok(Index::Trusted),
        Namespace::Security => Ok(Index::Security),
    }
}

/// Adds the names of the attributes that the caller may see to `names`, each with a zero byte behind.
///
/// # Errors
///
/// [`ERANGE`] if there is too little room; those of reading the block.
pub(super) fn list(inode: &Inode, names: &mut Room<'_>) -> Result {
    block::for_each(inode, |attribute| {
        let index = Index::from_number(attribute.index);
        let Some(prefix) = index.and_then(|index| prefix(inode, index)) else {
            return Ok(());
        };
        names.push(prefix)?;
        names.push(attribute.name)?;
        names.push(&[0])
    })
}

/// Returns the first part of the name, if the caller may see such attributes.
fn prefix(inode: &Inode, index: Index) -> Option<&'static [u8]> {
    let sb = inode.sb();
    let (shown, prefix): (_, &[u8]) = match index {
        Index::User => (sb.data().options().user_xattr, b"user."),
        Index::AclAccess => (sb.has_acls(), b"system.posix_acl_access"),
        Index::AclDefault => (sb.has_acls(), b"system.posix_acl_default"),
        Index::Trusted => (cred::capable_sys_admin(), b"trusted."),
        Index::Security => (true, b"security."),
    };
    shown.then_some(prefix)
}
