// SPDX-License-Identifier: GPL-2.0

//! Access control lists: two extended attributes, in a form of ext2's own.
//!
//! C counterpart: [`fs/ext2/acl.c`](srctree/fs/ext2/acl.c)

use super::{
    error,
    xattr,
    Inode, //
};
use crate::{
    ext2::{
        acl,
        xattr::Index,
        Corrupt, //
    },
    vfs::{
        xattr::Existence,
        AclType, //
    },
};
use kernel::prelude::*;

fn index(kind: AclType) -> Index {
    match kind {
        AclType::Access => Index::AclAccess,
        AclType::Default => Index::AclDefault,
    }
}

/// Returns a list of an inode as system calls have it, if there is one.
///
/// # Errors
///
/// [`EUCLEAN`] if it is malformed; those of reading attributes.
pub(super) fn read(inode: &Inode, kind: AclType) -> Result<Option<KVec<u8>>> {
    let disk = match xattr::read_value(inode, index(kind), b"") {
        Ok(disk) => disk,
        Err(error) if error == ENODATA => return Ok(None),
        Err(error) => return Err(error),
    };
    // OVERFLOW: At most a block.
    let mut list = KVec::from_elem(0, 2 * disk.len(), GFP_KERNEL)?;
    match acl::from_disk(&disk, &mut list) {
        Some(len) => {
            list.truncate(len);
            Ok(Some(list))
        }
        None => {
            let which = match kind {
                AclType::Access => "its",
                AclType::Default => "its default",
            };
            Err(error::corrupt_in(inode, &Corrupt::Acl(which)))
        }
    }
}

/// Stores a list of an inode, which is as system calls have it, or removes it.
///
/// # Errors
///
/// [`EINVAL`] if it is malformed; those of changing attributes.
pub(super) fn write(inode: &Inode, kind: AclType, list: Option<&[u8]>) -> Result {
    let mut disk = KVec::from_elem(0, list.map_or(0, <[u8]>::len), GFP_KERNEL)?;
    if let Some(list) = list {
        let len = acl::to_disk(list, &mut disk).ok_or(EINVAL)?;
        disk.truncate(len);
    }
    let disk = list.map(|_| &*disk);
    xattr::set(inode, index(kind), b"", disk, Existence::Any)
}
