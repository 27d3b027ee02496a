// SPDX-License-Identifier: GPL-2.0

//! Blocks of attributes that several files use.
//!
//! Where many files have the same attributes, one block is enough. Blocks that were seen are
//! remembered by the hash over their attributes, as many as there is room for: who makes a block
//! first looks for one that has the same. What is forgotten is only not shared any more.
//!
//! The table's lock is held while users of a block are counted and while a block with one user is
//! changed, so that nobody becomes a user of what is being changed or freed.
//!
//! C counterparts: `ext2_xattr_cache_find` and `ext2_xattr_release_block` in
//! [`fs/ext2/xattr.c`](srctree/fs/ext2/xattr.c); [`fs/mbcache.c`](srctree/fs/mbcache.c)

use super::super::{
    error,
    Inode, //
};
use crate::{
    ext2::{
        xattr::{
            self,
            Attributes,
            Release,
            HEADER_SIZE, //
        },
        Corrupt,
        DiskBlock, //
    },
    vfs::BufferHead,
};
use kernel::{
    new_mutex,
    num::casts::u32_as_usize,
    prelude::*,
    sync::Mutex, //
};
use pin_init::pin_data;

/// log2 of the number of buckets.
const BUCKET_BITS: u32 = 9;

/// Blocks in one bucket.
const WAYS: usize = 8;

/// The blocks of a volume.
#[pin_data]
pub(in crate::fs) struct Shared {
    #[pin]
    table: Mutex<Table>,
}

/// A block, and the hash over its attributes; no block if it is zero.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Slot {
    hash: u32,
    block: DiskBlock,
}

const FREE: Slot = Slot {
    hash: 0,
    block: DiskBlock(0),
};

struct Table {
    buckets: KVVec<[Slot; WAYS]>,
    /// Which slot of a full bucket is taken next.
    victim: usize,
}

impl Table {
    fn bucket(&mut self, hash: u32) -> Option<&mut [Slot; WAYS]> {
        // The multiplier spreads hashes that differ in few bits (include/linux/hash.h).
        let index = hash.wrapping_mul(0x61c8_8647) >> (32 - BUCKET_BITS);
        self.buckets.get_mut(u32_as_usize(index))
    }

    fn has(&mut self, slot: Slot) -> bool {
        let bucket = self.bucket(slot.hash);
        bucket.is_some_and(|bucket| bucket.contains(&slot))
    }

    fn insert(&mut self, slot: Slot) {
        if slot.hash == 0 || self.has(slot) {
            return;
        }
        let victim = self.victim;
        self.victim = (victim + 1) % WAYS;
        let Some(bucket) = self.bucket(slot.hash) else {
            return;
        };
        let free = bucket.iter().position(|slot| *slot == FREE);
        if let Some(place) = bucket.get_mut(free.unwrap_or(victim)) {
            *place = slot;
        }
    }

    fn remove(&mut self, slot: Slot) {
        if let Some(bucket) = self.bucket(slot.hash) {
            for place in bucket.iter_mut().filter(|place| **place == slot) {
                *place = FREE;
            }
        }
    }
}

/// A block that may have what is looked for.
pub(super) struct Candidate {
    pub(super) block: DiskBlock,
    pub(super) buffer: BufferHead,
}

/// Why the users of a block could not be counted.
pub(super) enum Failure {
    /// There is something else.
    Corrupt(Corrupt),
    /// The kernel's error.
    Other(Error),
}

impl Failure {
    /// Notes damage in the inode's block; returns the error for the caller.
    pub(super) fn tell(self, inode: &Inode) -> Error {
        match self {
            Self::Corrupt(found) => error::corrupt_in(inode, &found),
            Self::Other(error) => error,
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

impl From<Corrupt> for Failure {
    fn from(found: Corrupt) -> Self {
        Self::Corrupt(found)
    }
}

impl Shared {
    /// Makes it, without any block yet.
    pub(in crate::fs) fn new() -> Result<impl PinInit<Self>> {
        let buckets = KVVec::from_elem([FREE; WAYS], 1 << BUCKET_BITS, GFP_KERNEL)?;
        Ok(pin_init!(Self {
            table <- new_mutex!(Table { buckets, victim: 0 }),
        }))
    }

    /// Remembers a block, unless somebody is busy with the table: it is not worth waiting.
    ///
    /// The caller is one of its users, and keeps it from being changed.
    pub(super) fn note(&self, hash: u32, block: DiskBlock) {
        if let Some(mut table) = self.table.try_lock() {
            table.insert(Slot { hash, block });
        }
    }

    /// Returns the blocks that are known to have that hash.
    pub(super) fn candidates(&self, hash: u32) -> impl Iterator<Item = DiskBlock> {
        let bucket = match hash {
            0 => None,
            _ => self.table.lock().bucket(hash).copied(),
        };
        let slots = bucket.into_iter().flatten();
        slots
            .filter(move |slot| *slot != FREE && slot.hash == hash)
            .map(|slot| slot.block)
    }

    /// Becomes a user of a block, if it has the attributes of the block `bytes`, or is one still
    /// and it `is_own`.
    ///
    /// Returns whether it does: it may have changed since it was looked for.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(super) fn share(
        &self,
        candidate: &Candidate,
        bytes: &[u8],
        hash: u32,
        is_own: bool,
    ) -> Result<bool> {
        let Candidate { block, buffer } = candidate;
        let block = *block;
        let mut copy = KVec::from_elem(0, bytes.len(), GFP_KERNEL)?;
        // LOCKING: While it is held nobody changes or frees what is in the table.
        let mut table = self.table.lock();
        if !table.has(Slot { hash, block }) {
            return Ok(false);
        }
        buffer.copy_to(0, &mut copy)?;
        let same = match (
            Attributes::parse(&copy, block),
            Attributes::parse(bytes, block),
        ) {
            (Ok(there), Ok(wanted)) => there.same_as(&wanted),
            _ => false,
        };
        if !same || is_own {
            return Ok(same);
        }
        if xattr::share(&mut copy, block) != Ok(true) {
            return Ok(false);
        }
        buffer.copy_from(0, copy.get(..HEADER_SIZE).ok_or(EINVAL)?)?;
        Ok(true)
    }

    /// Replaces a block, if the caller is its only user. Returns whether he is.
    ///
    /// # Errors
    ///
    /// What is there instead.
    pub(super) fn overwrite(
        &self,
        block: DiskBlock,
        buffer: &BufferHead,
        bytes: &[u8],
        hash: u32,
    ) -> Result<bool, Failure> {
        let mut table = self.table.lock();
        let mut header = [0; HEADER_SIZE];
        buffer.copy_to(0, &mut header)?;
        // As if it were to go.
        let Release::Unused { hash: old } = xattr::release(&mut header, block)? else {
            return Ok(false);
        };
        table.remove(Slot { hash: old, block });
        buffer.copy_from(0, bytes)?;
        table.insert(Slot { hash, block });
        Ok(true)
    }

    /// Counts one user less of a block. Nobody finds it any more if it was the last.
    ///
    /// # Errors
    ///
    /// What is there instead.
    pub(super) fn release(
        &self,
        block: DiskBlock,
        buffer: &BufferHead,
    ) -> Result<Release, Failure> {
        let mut table = self.table.lock();
        let mut header = [0; HEADER_SIZE];
        buffer.copy_to(0, &mut header)?;
        let released = xattr::release(&mut header, block)?;
        match released {
            Release::Kept => buffer.copy_from(0, &header)?,
            Release::Unused { hash } => table.remove(Slot { hash, block }),
        }
        Ok(released)
    }
}
