// SPDX-License-Identifier: GPL-2.0

//! A mounted volume.
//!
//! C counterpart: [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use super::{
    inode,
    options::Options,
    shutdown,
    space::{
        self,
        Space, //
    },
    state::State,
    xattr,
    Cohfs,
    Inode,
    SuperBlock, //
};
use crate::{
    coherency::Counters,
    ext2::{
        self,
        Corrupt,
        DiskBlock, //
    },
    vfs::{
        super_ops::{
            self,
            StatFs, //
        },
        Complaints, //
    },
};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
};
use pin_init::pin_data;

/// Greatest length of a name, in bytes.
pub(super) const NAME_LEN: u32 = 255;

/// What is kept for each mount.
#[pin_data]
pub(crate) struct Super {
    /// Geometry and features. They do not change while the volume is mounted.
    pub(super) disk: ext2::SuperBlock,
    /// What is free, group by group.
    #[pin]
    pub(super) space: Space,
    /// Blocks that can never hold data, as `statfs` counts them.
    pub(super) overhead: u32,
    /// The volume is given up, see [`super::shutdown`].
    pub(super) is_down: Atomic<bool>,
    #[pin]
    pub(super) state: State,
    /// Changed by a remount.
    #[pin]
    pub(super) options: Mutex<Options>,
    /// Whether their policy is `strict`: every direct read and write asks.
    pub(super) is_strict: Atomic<bool>,
    /// Blocks of extended attributes that may be used by several files.
    #[pin]
    pub(super) xattrs: xattr::Shared,
    pub(super) counters: Counters,
    /// Of damage that is found.
    #[pin]
    pub(super) complaints: Complaints,
}

impl Super {
    /// The super block on the device.
    pub(super) fn state(&self) -> &State {
        &self.state
    }

    /// The options in force.
    pub(super) fn options(&self) -> Options {
        *self.options.lock()
    }

    /// Changes the options in force.
    pub(super) fn set_options(&self, options: Options) {
        let mut current = self.options.lock();
        *current = options;
        self.is_strict.store(options.is_strict(), Relaxed);
    }

    /// Says whether the policy in force is [`Policy::Strict`](crate::coherency::Policy::Strict).
    pub(super) fn is_strict(&self) -> bool {
        self.is_strict.load(Relaxed)
    }

    /// The options in force, unless the policy is `strict`: then there is nothing more to ask.
    pub(super) fn unless_strict(&self) -> Option<Options> {
        if self.is_strict() {
            return None;
        }
        // It may have become so meanwhile.
        Some(self.options()).filter(|options| !options.is_strict())
    }

    /// Checks that data can be in `len` blocks from `first` on: that they are in the volume, and
    /// no group keeps anything of its own there.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Block`] if not.
    pub(super) fn check_run(&self, first: DiskBlock, len: u32) -> Result<(), Corrupt> {
        self.disk.check_data_run(first, len)?;
        let last = first.checked_add(len.saturating_sub(1)).unwrap_or(first);
        for group in self.disk.group_of(first)?..=self.disk.group_of(last)? {
            if let Ok(desc) = self.space.desc(group) {
                self.disk.check_against(first, len, desc)?;
            }
        }
        Ok(())
    }
}

impl super_ops::Operations for Cohfs {
    fn write_inode(inode: &Inode) -> Result {
        inode::write(inode)
    }

    fn evict_inode(inode: &Inode, deleted: bool) -> bool {
        space::discard_window(inode);
        deleted && inode.sb().check_up().is_ok() && inode::delete(inode)
    }

    fn free_ino(inode: &Inode) {
        if inode.sb().check_up().is_ok() {
            inode::free_ino(inode);
        }
    }

    fn sync_inode_metadata(inode: &Inode) -> Result {
        inode::sync(inode)
    }

    fn sync_fs(sb: &SuperBlock, wait: bool) -> Result {
        sb.check_up()?;
        sb.data().state().sync(sb, wait)
    }

    fn freeze_fs(sb: &SuperBlock) -> Result {
        sb.data().state().freeze(sb)
    }

    fn unfreeze_fs(sb: &SuperBlock) -> Result {
        sb.data().state().thaw(sb)
    }

    fn shutdown(sb: &SuperBlock) {
        shutdown::give_up(sb);
    }

    fn put_super(sb: &SuperBlock) {
        if let Err(error) = sb.data().state().end_writing(sb) {
            sb.err(format_args!(
                "cannot mark it as unmounted: {error:?}; run e2fsck"
            ));
        }
    }

    fn statfs(sb: &SuperBlock) -> Result<StatFs> {
        let data = sb.data();
        let disk = &data.disk;
        let free = data.space.free_blocks();
        let overhead = match data.options().minix_df {
            true => 0,
            false => data.overhead,
        };
        let [a, b, c, d, e, f, g, h, rest @ ..] = disk.uuid();
        Ok(StatFs {
            blocks: u64::from(disk.blocks_count().saturating_sub(overhead)),
            blocks_free: free,
            blocks_available: free.saturating_sub(u64::from(disk.reserved_blocks())),
            files: u64::from(disk.inodes_count()),
            files_free: data.space.free_inodes(),
            name_len: NAME_LEN,
            fsid: u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ u64::from_le_bytes(rest),
        })
    }

    fn show_options(sb: &SuperBlock, seq: &SeqFile) {
        sb.data().options().show(seq);
    }
}
