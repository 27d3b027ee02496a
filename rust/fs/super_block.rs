// SPDX-License-Identifier: GPL-2.0

//! A mounted volume.
//!
//! C counterpart: [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use super::{
    inode,
    options::Options,
    state::State,
    Cohfs,
    Inode,
    SuperBlock, //
};
use crate::{
    coherency::Counters,
    ext2::{
        self,
        Corrupt,
        DiskBlock,
        GroupDesc,
        Incompat, //
    },
    vfs::{
        debugfs,
        super_ops::{
            self,
            StatFs, //
        },
    },
};
use kernel::{
    num::casts::u32_as_usize,
    prelude::*,
    seq_file::SeqFile,
    sync::{
        Arc,
        Mutex, //
    },
};
use pin_init::pin_data;

/// Greatest length of a name, in bytes.
pub(super) const NAME_LEN: u32 = 255;

/// Size of a group descriptor in bytes, as a shift.
const DESC_BITS: u32 = 5;

/// What is kept for each mount.
#[pin_data]
pub(crate) struct Super {
    /// Geometry and features. They do not change while the volume is mounted.
    pub(super) disk: ext2::SuperBlock,
    /// The descriptors of all groups.
    pub(super) groups: KVVec<GroupDesc>,
    #[pin]
    pub(super) state: State,
    /// Changed by a remount.
    #[pin]
    pub(super) options: Mutex<Options>,
    pub(super) counters: Arc<Counters>,
    /// Goes before the directory that it is in.
    pub(super) _counters_file: debugfs::File<Counters>,
    pub(super) _debugfs: debugfs::Dir,
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
            if let Some(desc) = self.groups.get(u32_as_usize(group)) {
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

    fn sync_inode_metadata(inode: &Inode) -> Result {
        inode::sync(inode)
    }

    fn sync_fs(sb: &SuperBlock, wait: bool) -> Result {
        sb.data().state().sync(wait)
    }

    fn freeze_fs(sb: &SuperBlock) -> Result {
        sb.data().state().freeze()
    }

    fn unfreeze_fs(sb: &SuperBlock) -> Result {
        sb.data().state().thaw()
    }

    fn put_super(sb: &SuperBlock) {
        if let Err(error) = sb.data().state().end_writing() {
            sb.err(format_args!(
                "cannot mark it as unmounted: {error:?}; run e2fsck"
            ));
        }
    }

    fn statfs(sb: &SuperBlock) -> Result<StatFs> {
        let Super { disk, groups, .. } = sb.data();
        let sum = |count: fn(&GroupDesc) -> u16| -> u64 {
            // OVERFLOW: At most 2^32 groups of 16 bits.
            groups.iter().map(|group| u64::from(count(group))).sum()
        };
        let free = sum(GroupDesc::free_blocks);
        let [a, b, c, d, e, f, g, h, rest @ ..] = disk.uuid();
        Ok(StatFs {
            blocks: u64::from(disk.blocks_count()).saturating_sub(overhead(disk)),
            blocks_free: free,
            blocks_available: free.saturating_sub(u64::from(disk.reserved_blocks())),
            files: u64::from(disk.inodes_count()),
            files_free: sum(GroupDesc::free_inodes),
            name_len: NAME_LEN,
            fsid: u64::from_le_bytes([a, b, c, d, e, f, g, h]) ^ u64::from_le_bytes(rest),
        })
    }

    fn show_options(sb: &SuperBlock, seq: &SeqFile) {
        sb.data().options().show(seq);
    }
}

/// Returns how many blocks the format itself takes, as `ext2_statfs` counts them.
fn overhead(disk: &ext2::SuperBlock) -> u64 {
    let bits = disk.block_bits();
    let descs_bits = bits - DESC_BITS;
    let descs_mask = (1 << descs_bits) - 1;
    let desc_blocks = u64::from(disk.groups_count()).div_ceil(1 << descs_bits);
    let inodes = u64::from(disk.inodes_per_group()) * u64::from(disk.inode_size());
    // OVERFLOW: Sums of at most 2^32 blocks each, for at most 2^32 groups.
    let in_each = 2 + (inodes >> bits);
    let in_some = |group: u32| match (disk.has_incompat(Incompat::META_BG), disk.has_super(group)) {
        (false, true) => 1 + desc_blocks,
        (false, false) => 0,
        // Each block of descriptors is in the first, the second and the last group it describes.
        (true, copy) => {
            u64::from(copy) + u64::from([0, 1, descs_mask].contains(&(group & descs_mask)))
        }
    };
    (0..disk.groups_count()).fold(u64::from(disk.first_data_block()), |sum, group| {
        sum + in_each + in_some(group)
    })
}
