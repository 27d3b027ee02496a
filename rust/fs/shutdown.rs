// SPDX-License-Identifier: GPL-2.0

//! Giving a volume up: `FS_IOC_SHUTDOWN`, and the removal of its device.
//!
//! From then on nothing is read from the device or written to it, but for what is in its own page cache
//! already, which is not the file system's any more. Everybody gets [`EIO`]. What an `fsync` acknowledged
//! is there; the volume is not marked as clean, unless all was written out for this.
//!
//! C counterpart: `ext4_force_shutdown` in [`fs/ext4/ioctl.c`](srctree/fs/ext4/ioctl.c); fs/ext2 has none.

use super::{
    Cohfs,
    SuperBlock, //
};
use crate::vfs::{
    cred,
    File, //
};
use kernel::{
    ioctl::_IOR,
    prelude::*,
    sync::atomic::Full,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// The argument says what becomes of what is not written yet.
pub(super) const FS_IOC_SHUTDOWN: u32 = _IOR::<u32>(0x58, 125);

/// All is written out.
const FLUSH_ALL: u32 = 0;
/// Metadata is, where a journal would be.
const FLUSH_METADATA: u32 = 1;
/// Nothing is.
const FLUSH_NOTHING: u32 = 2;

/// Does [`FS_IOC_SHUTDOWN`]. A volume that is given up already stays so.
///
/// # Errors
///
/// [`EPERM`] to who may not, [`EINVAL`] for an unknown argument, [`EFAULT`]; those of writing out, and
/// then the volume is not given up.
pub(super) fn shutdown(file: &File<Cohfs>, arg: UserPtr) -> Result {
    if !cred::capable_sys_admin() {
        return Err(EPERM);
    }
    let sb = file.inode().sb();
    let what = UserSlice::new(arg, size_of::<u32>())
        .reader()
        .read::<u32>()?;
    match what {
        FLUSH_ALL if sb.check_up().is_ok() => sb.while_frozen(|| give_up(sb)),
        FLUSH_METADATA if sb.check_up().is_ok() => {
            sb.sync_blockdev()?;
            give_up(sb);
            Ok(())
        }
        FLUSH_NOTHING => {
            give_up(sb);
            Ok(())
        }
        FLUSH_ALL | FLUSH_METADATA => Ok(()),
        _ => Err(EINVAL),
    }
}

/// Gives the volume up.
pub(super) fn give_up(sb: &SuperBlock) {
    if !sb.data().is_down.xchg(true, Full) {
        sb.err(format_args!("shut down: every access fails from now on"));
    }
}
