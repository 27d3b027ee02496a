// SPDX-License-Identifier: GPL-2.0

//! What to do when a mounted volume turns out to be damaged.
//!
//! C counterpart: `ext2_error` in [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use super::{
    Inode,
    SuperBlock, //
};
use crate::ext2::{
    Corrupt,
    OnError, //
};
use kernel::prelude::*;

/// Notes damage that was found while the volume was used; returns the error for the caller.
///
/// One line in the log, unless there were many just now, and the mark in the super block that
/// makes `e2fsck` look.
pub(super) fn corrupt(sb: &SuperBlock, found: &Corrupt) -> Error {
    if found.is_stale() {
        return ESTALE;
    }
    if sb.data().complaints.allow() {
        sb.err(format_args!("{found}; run e2fsck"));
    }
    act(sb);
    EUCLEAN
}

/// As [`corrupt`], for damage in the blocks of `inode`, whose number the message then has.
pub(super) fn corrupt_in(inode: &Inode, found: &Corrupt) -> Error {
    let sb = inode.sb();
    if sb.data().complaints.allow() {
        sb.err(format_args!("inode {}: {found}; run e2fsck", inode.ino()));
    }
    act(sb);
    EUCLEAN
}

/// Does what the mount is to do when damage is found, `errors=`.
fn act(sb: &SuperBlock) {
    let data = sb.data();
    data.state().note_error(sb);
    match data.options().errors {
        OnError::Continue => {}
        OnError::Panic => sb.panic(),
        OnError::ReadOnly if sb.is_rdonly() => {}
        OnError::ReadOnly => {
            sb.err(format_args!("made read-only, because of errors=remount-ro"));
            sb.force_rdonly();
        }
    }
}
