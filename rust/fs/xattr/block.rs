// SPDX-License-Identifier: GPL-2.0

//! The block of attributes of an inode: read, made anew, and given back.
//!
//! A block that the inode has for itself is changed where it is. One that others have as well is
//! not: the inode gets another, and is then no longer counted.
//!
//! C counterparts: `ext2_xattr_get`, `ext2_xattr_set`, `ext2_xattr_set2` and
//! `ext2_xattr_delete_inode` in [`fs/ext2/xattr.c`](srctree/fs/ext2/xattr.c)

use super::{
    super::{
        dir,
        error,
        space,
        Inode, //
    },
    shared::Candidate, //
};
use crate::{
    ext2::{
        xattr::{
            edit,
            Attribute,
            Attributes,
            Edit,
            Full,
            Index,
            Release, //
        },
        Corrupt,
        DiskBlock, //
    },
    vfs::{
        xattr::Existence,
        BufferHead,
        NofsGuard,
        Room, //
    },
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

/// Which block an inode has.
#[pin_data]
pub(in crate::fs) struct Own {
    /// Its number, or zero. Changed under the lock; written to the disk without.
    block: Atomic<u32>,
    #[pin]
    lock: Mutex<()>,
}

impl Own {
    /// Makes it of what the inode on disk says.
    pub(in crate::fs) fn new(block: DiskBlock) -> impl PinInit<Self> {
        pin_init!(Self {
            block: Atomic::new(block.get()),
            lock <- new_mutex!(()),
        })
    }

    /// Returns the number of the block, if there is one.
    pub(in crate::fs) fn block(&self) -> Option<DiskBlock> {
        Some(DiskBlock(self.block.load(Relaxed))).filter(|block| block.get() != 0)
    }

    fn set_block(&self, block: Option<DiskBlock>) {
        self.block.store(block.map_or(0, DiskBlock::get), Relaxed);
    }
}

/// A block, and a copy of it that does not change.
struct BlockCopy {
    block: DiskBlock,
    buffer: BufferHead,
    bytes: KVec<u8>,
}

impl BlockCopy {
    /// Reads the block of an inode, if it has one.
    fn read(inode: &Inode) -> Result<Option<Self>> {
        let Some(block) = inode.data().xattr.block() else {
            return Ok(None);
        };
        let sb = inode.sb();
        let checked = sb.data().check_run(block, 1);
        checked.map_err(|found| error::corrupt_in(inode, &found))?;
        let buffer = sb.bread(u64::from(block.get()))?;
        let mut bytes = dir::room_for_block(inode)?;
        buffer.copy_whole(&mut bytes)?;
        Ok(Some(Self {
            block,
            buffer,
            bytes,
        }))
    }

    /// Returns the attributes; others may find the block from then on.
    fn attributes(&self, inode: &Inode) -> Result<Attributes<'_>> {
        let attributes = Attributes::parse(&self.bytes, self.block)
            .map_err(|found| error::corrupt_in(inode, &found))?;
        let shared = &inode.sb().data().xattrs;
        shared.note(attributes.hash(), self.block);
        Ok(attributes)
    }
}

/// Calls `each` with every attribute of an inode, until it fails.
///
/// # Context
///
/// May sleep. Takes [`Own::lock`], which `each` runs under.
///
/// # Errors
///
/// That of `each`; [`EUCLEAN`] if the block is damaged, [`EIO`] or [`ENOMEM`].
pub(super) fn for_each(inode: &Inode, each: impl FnMut(Attribute<'_>) -> Result) -> Result {
    let own = &inode.data().xattr;
    if own.block().is_none() {
        return Ok(());
    }
    let _nofs = NofsGuard::new();
    let _lock = own.lock.lock();
    match BlockCopy::read(inode)? {
        Some(copy) => copy.attributes(inode)?.iter().try_for_each(each),
        None => Ok(()),
    }
}

/// Calls `found` with the value of an attribute.
///
/// # Context
///
/// As [`for_each`].
///
/// # Errors
///
/// [`ENODATA`] if there is none of that name; as [`for_each`].
fn with_value<R>(
    inode: &Inode,
    index: Index,
    name: &[u8],
    found: impl FnOnce(&[u8]) -> Result<R>,
) -> Result<R> {
    let own = &inode.data().xattr;
    if own.block().is_none() {
        return Err(ENODATA);
    }
    let _nofs = NofsGuard::new();
    let _lock = own.lock.lock();
    let copy = BlockCopy::read(inode)?.ok_or(ENODATA)?;
    let attributes = copy.attributes(inode)?;
    found(attributes.get(index, name).ok_or(ENODATA)?)
}

/// Puts the value of an attribute into `room`. Returns its length in bytes.
///
/// # Errors
///
/// [`ERANGE`] if it is longer; as [`with_value`].
pub(in crate::fs) fn get(
    inode: &Inode,
    index: Index,
    name: &[u8],
    mut room: Room<'_>,
) -> Result<usize> {
    with_value(inode, index, name, |value| {
        room.push(value)?;
        Ok(room.used())
    })
}

/// Returns the value of an attribute.
///
/// # Errors
///
/// As [`with_value`].
pub(in crate::fs) fn read_value(inode: &Inode, index: Index, name: &[u8]) -> Result<KVec<u8>> {
    with_value(inode, index, name, |value| {
        let mut copy = KVec::with_capacity(value.len(), GFP_KERNEL)?;
        copy.extend_from_slice(value, GFP_KERNEL)?;
        Ok(copy)
    })
}

/// Sets an attribute, or removes it if there is no value.
///
/// # Context
///
/// May sleep. Takes [`Own::lock`].
///
/// # Errors
///
/// [`ERANGE`] if the value is longer than a block, [`EEXIST`] and [`ENODATA`] as `existence` says,
/// [`ENOSPC`] if one block has no room for it or the volume has no block; [`EUCLEAN`] if the block
/// is damaged, [`EIO`] or [`ENOMEM`].
pub(in crate::fs) fn set(
    inode: &Inode,
    index: Index,
    name: &[u8],
    value: Option<&[u8]>,
    existence: Existence,
) -> Result {
    let size = u32_as_usize(inode.sb().data().disk.block_size());
    if value.is_some_and(|value| value.len() > size) {
        return Err(ERANGE);
    }
    let own = &inode.data().xattr;
    let _nofs = NofsGuard::new();
    let _lock = own.lock.lock();
    let old = BlockCopy::read(inode)?;
    let attributes = match &old {
        Some(old) => Some(old.attributes(inode)?),
        None => None,
    };
    let there = attributes.is_some_and(|attributes| attributes.get(index, name).is_some());
    match (there, existence) {
        (true, Existence::Create | Existence::Neither) => return Err(EEXIST),
        (false, Existence::Replace | Existence::Neither) => return Err(ENODATA),
        (false, _) if value.is_none() => return Ok(()),
        _ => {}
    }
    let mut bytes = dir::block_of_zeros(inode)?;
    let made = edit(attributes, index, name, value, &mut bytes);
    let new = match made {
        Ok(Edit::Empty) => None,
        Ok(Edit::Made { hash }) => Some(place(inode, old.as_ref(), &bytes, hash)?),
        // To remove one makes room, unless values overlap.
        Err(Full) => match (value, &old) {
            (None, Some(old)) => return Err(error::corrupt_in(inode, &Corrupt::Xattr(old.block))),
            _ => return Err(ENOSPC),
        },
    };
    let gone = old.filter(|old| Some(old.block) != new);
    own.set_block(new);
    if gone.is_some() {
        // Before the inode is marked dirty: nothing else would write the count.
        inode.sub_blocks(1);
    }
    inode.note_changed();
    if inode.is_sync() {
        // If it fails, the inode on the device may have the old block: that stays in use, for
        // `e2fsck` to find.
        inode.sync_now()?;
    }
    match gone {
        Some(old) => release(inode, old.block, old.buffer),
        None => Ok(()),
    }
}

/// Puts the block that is to be the inode's somewhere: where it is already, where the old one is,
/// or elsewhere. Returns where; the inode is counted there.
fn place(inode: &Inode, old: Option<&BlockCopy>, bytes: &[u8], hash: u32) -> Result<DiskBlock> {
    let sb = inode.sb();
    let shared = &sb.data().xattrs;
    let own = old.map(|old| old.block);
    for block in shared.candidates(hash) {
        let Ok(buffer) = sb.bread(u64::from(block.get())) else {
            // It was there for others. Whoever has it will be told.
            continue;
        };
        let candidate = Candidate { block, buffer };
        if shared.share(&candidate, bytes, hash, own == Some(block))? {
            if own != Some(block) {
                inode.add_blocks(1);
            }
            return written(inode, block, &candidate.buffer);
        }
    }
    if let Some(old) = old {
        let overwritten = shared.overwrite(old.block, &old.buffer, bytes, hash);
        if overwritten.map_err(|error| error.tell(inode))? {
            return written(inode, old.block, &old.buffer);
        }
    }
    sb.data().state().note_ext_attr()?;
    let block = space::alloc_block(inode)?;
    let filled = sb.getblk_new(u64::from(block.get())).and_then(|buffer| {
        buffer.copy_from(0, bytes)?;
        Ok(buffer)
    });
    let buffer = filled.inspect_err(|_| space::free_blocks(sb, block, 1))?;
    inode.add_blocks(1);
    shared.note(hash, block);
    written(inode, block, &buffer)
}

/// Waits until the device has the block, if it is to. If that fails, the inode keeps what it had.
fn written(inode: &Inode, block: DiskBlock, buffer: &BufferHead) -> Result<DiskBlock> {
    if inode.is_sync() {
        if let Err(error) = buffer.sync() {
            if inode.data().xattr.block() != Some(block) {
                inode.sub_blocks(1);
                release(inode, block, buffer.clone())?;
            }
            return Err(error);
        }
    }
    Ok(block)
}

/// Counts the inode no longer at a block, and frees it if it was the last. That it is no longer one
/// of the inode's blocks is for the caller to count.
fn release(inode: &Inode, block: DiskBlock, buffer: BufferHead) -> Result {
    let sb = inode.sb();
    let released = sb.data().xattrs.release(block, &buffer);
    match released.map_err(|error| error.tell(inode))? {
        Release::Kept if inode.is_sync() => buffer.sync()?,
        Release::Kept => {}
        Release::Unused { .. } => {
            buffer.forget();
            space::free_blocks(sb, block, 1);
        }
    }
    Ok(())
}

/// Frees the block of attributes of an inode that is evicted for good, unless other files use it.
///
/// # Context
///
/// May sleep. Nobody else uses the inode.
///
/// # Errors
///
/// [`EUCLEAN`] if there is something else where the attributes should be, [`EIO`].
pub(in crate::fs) fn delete_inode(inode: &Inode) -> Result {
    let own = &inode.data().xattr;
    let Some(block) = own.block() else {
        return Ok(());
    };
    let sb = inode.sb();
    sb.data()
        .check_run(block, 1)
        .map_err(|found| error::corrupt_in(inode, &found))?;
    let _nofs = NofsGuard::new();
    let buffer = sb.bread(u64::from(block.get()))?;
    release(inode, block, buffer)?;
    own.set_block(None);
    inode.sub_blocks(1);
    Ok(())
}
