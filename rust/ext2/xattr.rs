// SPDX-License-Identifier: GPL-2.0

//! Blocks of extended attributes, as far as whoever deletes a file must know them.
//!
//! Files with the same attributes may share a block, which counts them.
//!
//! C counterpart: `ext2_xattr_release_block` in [`fs/ext2/xattr.c`](srctree/fs/ext2/xattr.c)

use super::{
    raw::RawXattrHeader,
    Corrupt,
    DiskBlock, //
};
use core::mem::size_of;
use zerocopy::FromBytes;

const MAGIC: u32 = 0xea02_0000;

/// Size of what such a block begins with, in bytes.
pub(crate) const HEADER_SIZE: usize = size_of::<RawXattrHeader>();

/// What becomes of a block that has one user less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Others use it, and the count was changed.
    Kept,
    /// It is to be freed. Nothing was changed.
    Unused,
}

/// Counts one user less of the block `block` of attributes, which `raw` is the beginning of.
///
/// # Errors
///
/// [`Corrupt::Xattr`] if it is no such block, or has no user. [`Corrupt::Short`] if `raw` is too
/// short.
pub(crate) fn release(raw: &mut [u8], block: DiskBlock) -> Result<Release, Corrupt> {
    let have = raw.len();
    let Ok((header, _)) = RawXattrHeader::mut_from_prefix(raw) else {
        return Err(Corrupt::Short {
            what: "block of extended attributes",
            need: HEADER_SIZE,
            have,
        });
    };
    if header.magic.get() != MAGIC || header.blocks.get() != 1 {
        return Err(Corrupt::Xattr(block));
    }
    match header.refcount.get() {
        0 => Err(Corrupt::Xattr(block)),
        1 => Ok(Release::Unused),
        users => {
            // OVERFLOW: More than one.
            header.refcount.set(users - 1);
            Ok(Release::Kept)
        }
    }
}
