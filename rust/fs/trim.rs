// SPDX-License-Identifier: GPL-2.0

//! `FITRIM`: what `fstrim` asks for.
//!
//! C counterpart: `ext4_trim_fs` in [`fs/ext4/mballoc.c`](srctree/fs/ext4/mballoc.c); fs/ext2 has none.

use super::{
    space,
    Cohfs, //
};
use crate::vfs::{
    cred,
    File, //
};
use kernel::{
    ioctl::_IOWR,
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};
use zerocopy_derive::{
    Immutable,
    KnownLayout, //
};

/// The argument, in and out; all of it in bytes.
#[derive(Clone, Copy, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
pub(super) struct Range {
    /// In: where to begin.
    start: u64,
    /// In: how far to go. Out: how much was discarded.
    len: u64,
    /// In: the least that is worth it.
    min_len: u64,
}

pub(super) const FITRIM: u32 = _IOWR::<Range>(0x58, 121);

/// Discards free blocks.
///
/// # Errors
///
/// [`EPERM`] to who may not; [`EOPNOTSUPP`] if the device cannot; [`EROFS`]; [`EINVAL`] if nothing can
/// be in such a range; [`EUCLEAN`] if the volume was not clean when it was mounted: what its bitmaps
/// have as free need not be. Those of the device.
pub(super) fn trim(file: &File<Cohfs>, arg: UserPtr) -> Result {
    if !cred::capable_sys_admin() {
        return Err(EPERM);
    }
    let sb = file.inode().sb();
    let granularity = sb.discard_granularity().ok_or(EOPNOTSUPP)?;
    let (mut reader, mut writer) = UserSlice::new(arg, size_of::<Range>()).reader_writer();
    let mut bytes = [0; size_of::<Range>()];
    reader.read_slice(&mut bytes)?;
    let mut range = Range::read_from_bytes(&bytes).map_err(|_| EINVAL)?;

    let (bits, disk) = (sb.block_bits(), &sb.data().disk);
    let start = range.start >> bits;
    let end = u64::from(disk.blocks_count()).min(start.saturating_add(range.len >> bits));
    let min_len = range.min_len.max(granularity.into()) >> bits;
    let asked = range.min_len >> bits;
    let most = u64::from(disk.blocks_per_group());
    if asked > most || start >= disk.blocks_count().into() || range.len >> bits == 0 {
        return Err(EINVAL);
    }
    let _writable = file.want_write()?;
    if !sb.data().state().was_clean() {
        sb.err(format_args!(
            "not trimmed, for it was not clean; run e2fsck"
        ));
        return Err(EUCLEAN);
    }
    // A device that discards more than a group at once only gets nothing.
    let min_len = u32::try_from(min_len.max(1)).unwrap_or(u32::MAX);
    range.len = space::trim(sb, start..end, min_len)? << bits;
    writer.write_slice(range.as_bytes())
}
