// SPDX-License-Identifier: GPL-2.0

//! Options that a super block asks for when the mount says nothing: `tune2fs -o`.
//!
//! C header: [`fs/ext2/ext2.h`](srctree/fs/ext2/ext2.h), `EXT2_DEFM_*`

use super::SuperBlock;

impl SuperBlock {
    /// Tell of the geometry at mount.
    pub(crate) const DEFAULT_DEBUG: u32 = 0x1;
    /// New files have the group of their directory.
    pub(crate) const DEFAULT_BSD_GROUPS: u32 = 0x2;
    /// Files have attributes of users.
    pub(crate) const DEFAULT_USER_XATTR: u32 = 0x4;
    /// Files have access control lists.
    pub(crate) const DEFAULT_ACL: u32 = 0x8;
    /// Owners have 16 bits.
    pub(crate) const DEFAULT_UID16: u32 = 0x10;

    /// Says whether it asks for this option.
    pub(crate) fn asks_for(&self, option: u32) -> bool {
        self.default_mount_opts & option != 0
    }
}
