// SPDX-License-Identifier: GPL-2.0

//! Which blocks and inodes are free, and who gets them.
//!
//! A group has a bitmap of its blocks, one of its inodes, and counts of what is free in both. They
//! are changed where they are, in the device's page cache: a bit of a bitmap is taken or given back
//! atomically, so that a search takes no lock, and the counts follow under the group's spin lock.
//! Nothing is shared by writers in different groups but the totals, which each processor keeps its
//! own part of.
//!
//! What a bitmap says is not believed if it has a block as free that the group keeps for itself:
//! see [`group`]. Whatever it says, no run of blocks is handed out that cannot hold data.
//!
//! # Locks
//!
//! From the outermost in:
//!
//! ```text
//! inode lock or folio lock           whoever wants space (mm/filemap.c)
//!   tree lock of the inode           fs/tree
//!     mutex of its Reservation       window.rs
//!       mutex of a trim              waited for, if nothing else is free
//!       buffer lock                  reading a bitmap; syncing it
//!       spin lock of a group         counts, windows; nothing sleeps under it
//!       mutex of the super block     state.rs, to note damage
//! ```
//!
//! A folio of this file system may be locked all the while (`page_mkwrite`), so memory is allocated
//! without entering a file system.
//!
//! C counterparts: [`fs/ext2/balloc.c`](srctree/fs/ext2/balloc.c),
//! [`fs/ext2/ialloc.c`](srctree/fs/ext2/ialloc.c)

mod bits;
mod blocks;
mod group;
mod inodes;
mod trim;
mod window;

pub(super) use self::{
    blocks::{
        alloc_block,
        alloc_blocks,
        free_blocks,
        BlockRun, //
    },
    group::Group,
    inodes::{
        alloc_inode,
        free_inode, //
    },
    trim::trim,
    window::{
        discard_window,
        Reservation, //
    },
};

use crate::{
    ext2::{
        GroupCount,
        GroupDesc, //
    },
    vfs::PerCpuCounter,
};
use kernel::{
    new_mutex,
    num::casts::u32_as_usize,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
};
use pin_init::pin_data;

/// The groups of a volume, and the totals of what is free in them.
#[pin_data]
pub(super) struct Space {
    groups: Pin<KVBox<[Group]>>,
    #[pin]
    free_blocks: PerCpuCounter,
    #[pin]
    free_inodes: PerCpuCounter,
    #[pin]
    dirs: PerCpuCounter,
    /// Files that are written have windows; changed by a remount.
    reservation: Atomic<bool>,
    /// Held while free blocks are taken to be discarded.
    #[pin]
    trimming: Mutex<()>,
}

impl Space {
    /// Makes it of all groups, in order. Files that are written have windows if `reservation`.
    pub(super) fn new(groups: Pin<KVBox<[Group]>>, reservation: bool) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            free_blocks <- PerCpuCounter::new(total(&groups, GroupCount::FreeBlocks)),
            free_inodes <- PerCpuCounter::new(total(&groups, GroupCount::FreeInodes)),
            dirs <- PerCpuCounter::new(total(&groups, GroupCount::UsedDirs)),
            groups,
            reservation: Atomic::new(reservation),
            trimming <- new_mutex!((), "cohfs_trimming"),
        })
    }

    /// Waits until the blocks are free again that are just being discarded.
    fn wait_for_trim(&self) {
        drop(self.trimming.lock());
    }

    /// Says whether files that are written are to have windows from now on.
    pub(super) fn set_reservation(&self, reservation: bool) {
        self.reservation.store(reservation, Relaxed);
    }

    /// Counts anew what is free, from the descriptors.
    ///
    /// # Context
    ///
    /// Nobody allocates or frees meanwhile: the volume is not mounted for writing.
    pub(super) fn recount(&self) {
        let Self { groups, .. } = self;
        self.free_blocks.set(total(groups, GroupCount::FreeBlocks));
        self.free_inodes.set(total(groups, GroupCount::FreeInodes));
        self.dirs.set(total(groups, GroupCount::UsedDirs));
    }

    /// Returns how many blocks are free, exactly while nobody allocates or frees.
    pub(super) fn free_blocks(&self) -> u64 {
        self.free_blocks.sum()
    }

    /// Returns how many inodes are free, as [`Self::free_blocks`] does blocks.
    pub(super) fn free_inodes(&self) -> u64 {
        self.free_inodes.sum()
    }

    /// Returns the descriptor of a group, where its metadata lies.
    ///
    /// # Errors
    ///
    /// [`EUCLEAN`] if there is no such group.
    pub(super) fn desc(&self, group: u32) -> Result<&GroupDesc> {
        self.group(group).map(Group::desc)
    }

    /// Returns a group.
    fn group(&self, group: u32) -> Result<&Group> {
        self.groups.get(u32_as_usize(group)).ok_or(EUCLEAN)
    }

    /// Returns the numbers of all groups, from `start` on and round, at last that once more.
    fn round(&self, start: u32) -> impl Iterator<Item = u32> {
        // A group has at least four blocks, so there are fewer than 2^30.
        let count = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        // OVERFLOW: As just said.
        (0..=count).map(move |n| (start + n) % count)
    }
}

/// Returns the sum of a count over all groups.
fn total(groups: &[Group], which: GroupCount) -> u64 {
    // OVERFLOW: At most 2^32 groups of 16 bits.
    groups
        .iter()
        .map(|group| u64::from(group.count(which)))
        .sum()
}
