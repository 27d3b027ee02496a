// SPDX-License-Identifier: GPL-2.0

//! The name that somebody gives a volume: `FS_IOC_GETFSLABEL` and `FS_IOC_SETFSLABEL`.
//!
//! C counterpart: `ext4_ioctl_getlabel` and `ext4_ioctl_setlabel` in
//! [`fs/ext4/ioctl.c`](srctree/fs/ext4/ioctl.c); fs/ext2 has none.

use super::Cohfs;
use crate::{
    ext2::LABEL_MAX,
    vfs::{
        cred,
        File, //
    },
};
use kernel::{
    ioctl::{
        _IOR,
        _IOW, //
    },
    prelude::*,
    uaccess::{
        UserPtr,
        UserSlice, //
    },
};

/// What the commands have room for: the longest name of any file system, with a zero behind it.
type Argument = [u8; 256];

pub(super) const FS_IOC_GETFSLABEL: u32 = _IOR::<Argument>(0x94, 49);
pub(super) const FS_IOC_SETFSLABEL: u32 = _IOW::<Argument>(0x94, 50);

/// Does [`FS_IOC_GETFSLABEL`].
///
/// # Errors
///
/// [`EFAULT`].
pub(super) fn label(file: &File<Cohfs>, arg: UserPtr) -> Result {
    let mut argument: Argument = [0; size_of::<Argument>()];
    let label = file.inode().sb().data().state().label()?;
    argument[..LABEL_MAX].copy_from_slice(&label);
    UserSlice::new(arg, argument.len())
        .writer()
        .write_slice(&argument)
}

/// Does [`FS_IOC_SETFSLABEL`]. The name is on the device when it returns.
///
/// # Errors
///
/// [`EPERM`] to who may not, [`EINVAL`] if the name is too long, [`EROFS`], [`EFAULT`]; [`EIO`] if the
/// volume is given up, or that of the device.
pub(super) fn set_label(file: &File<Cohfs>, arg: UserPtr) -> Result {
    if !cred::capable_sys_admin() {
        return Err(EPERM);
    }
    // One byte more than fits: a zero is to be among them. What is behind it is no name.
    let mut argument = [0; LABEL_MAX + 1];
    let mut reader = UserSlice::new(arg, argument.len()).reader();
    reader.read_slice(&mut argument)?;
    let end = argument.iter().position(|&byte| byte == 0).ok_or(EINVAL)?;
    argument.iter_mut().skip(end).for_each(|byte| *byte = 0);
    let [label @ .., _] = argument;
    let _writable = file.want_write()?;
    let sb = file.inode().sb();
    sb.check_up()?;
    sb.data().state().set_label(label)
}
