// SPDX-License-Identifier: GPL-2.0

//! Extended attributes: those of a file that is deleted are freed, and there is nothing else to them.
//!
//! C counterpart: `ext2_xattr_delete_inode` in [`fs/ext2/xattr.c`](srctree/fs/ext2/xattr.c)

use super::{
    error,
    space,
    Inode, //
};
use crate::ext2::xattr::{
    self,
    Release, //
};
use kernel::prelude::*;

/// Frees the block of attributes of an inode that is evicted for good, unless other files use it.
///
/// # Context
///
/// May sleep. Nobody else uses the inode.
///
/// # Errors
///
/// [`EUCLEAN`] if there is something else where the attributes should be, [`EIO`].
pub(super) fn delete_inode(inode: &Inode) -> Result {
    let block = inode.data().disk.file_acl;
    if block.get() == 0 {
        return Ok(());
    }
    let sb = inode.sb();
    sb.data()
        .check_run(block, 1)
        .map_err(|found| error::corrupt_in(inode, &found))?;
    let buffer = sb.bread(u64::from(block.get()))?;
    // LOCKING: Two files that share the block may go at the same time. Only the buffer's own lock is
    // taken inside.
    let users = sb.data().xattr_users.lock();
    let mut header = [0; xattr::HEADER_SIZE];
    buffer.copy_to(0, &mut header)?;
    let released = xattr::release(&mut header, block);
    if released == Ok(Release::Kept) {
        buffer.copy_from(0, &header)?;
    }
    drop(users);
    match released.map_err(|found| error::corrupt_in(inode, &found))? {
        Release::Kept => {}
        Release::Unused => {
            buffer.forget();
            space::free_blocks(sb, block, 1);
        }
    }
    inode.sub_blocks(1);
    Ok(())
}
