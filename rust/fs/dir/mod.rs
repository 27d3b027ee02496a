// SPDX-License-Identifier: GPL-2.0

//! Directories: their blocks and what is in them.
//!
//! A directory's blocks lie in the device's page cache, like its other metadata, and belong to the
//! directory's inode (`vfs/metadata.rs`). To be changed they are copied out, and copied in under the
//! buffer's lock: bytes of the device can change under a reader at any moment. A name is looked for in
//! place. The directory's inode lock is held by the VFS: shared by those who read, exclusive by those
//! who change.
//!
//! `read.rs` is `getdents`, `edit.rs` changes entries, `../namei.rs` and `../rename.rs` do what system
//! calls ask.
//!
//! C counterpart: [`fs/ext2/dir.c`](srctree/fs/ext2/dir.c)

mod edit;
mod read;

pub(super) use self::{
    edit::Editor,
    read::Open, //
};

use super::{
    error,
    tree,
    Dentry,
    Inode, //
};
use crate::{
    ext2::{
        self,
        Corrupt,
        FileBlock,
        Ino, //
    },
    vfs::{
        self,
        BufferHead, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
};

/// Where in a directory the next search is likely to end: without it, making N files is N^2 work.
///
/// Blocks are counted from the directory's first. Both are hints to readers, who race; the second
/// is right whenever the directory is locked exclusively, as it is for all who set it.
pub(super) struct Hints {
    /// The block in which a name was found last.
    found: Atomic<u32>,
    /// No block before this one has room for `room_len` bytes or more.
    room: Atomic<u32>,
    /// See `room`.
    room_len: Atomic<usize>,
}

impl Default for Hints {
    fn default() -> Self {
        Self {
            found: Atomic::new(0),
            room: Atomic::new(0),
            room_len: Atomic::new(0),
        }
    }
}

impl Hints {
    /// Returns the first block that may have room for `len` bytes.
    fn room_for(&self, len: usize) -> u32 {
        if len < self.room_len.load(Relaxed) {
            return 0;
        }
        self.room.load(Relaxed)
    }

    /// Notes that no block before `block` has room for `len` bytes.
    fn set_room(&self, block: u32, len: usize) {
        self.room.store(block, Relaxed);
        self.room_len.store(len, Relaxed);
    }

    /// Notes that `block` has more room now.
    fn freed(&self, block: u32) {
        if block < self.room.load(Relaxed) {
            self.room.store(block, Relaxed);
        }
    }
}

/// An entry of a directory that is locked.
pub(super) struct Entry {
    /// The block that it is in.
    buffer: BufferHead,
    /// Which block of the directory that is.
    block: u32,
    /// Where it starts in the block, in bytes.
    offset: usize,
    /// What it names.
    pub(super) ino: Ino,
}

/// Returns the entry of that name, if there is one.
///
/// # Errors
///
/// [`EUCLEAN`] if the directory is damaged, [`EIO`] or [`ENOMEM`]; [`EINTR`] if the task is being
/// killed.
pub(super) fn find(dir: &Inode, name: &[u8]) -> Result<Option<Entry>> {
    let blocks = blocks(dir)?;
    let hint = &dir.data().dir.found;
    let start = match hint.load(Relaxed) {
        start if start < blocks => start,
        _ => 0,
    };
    for block in Iterator::chain(start..blocks, 0..start) {
        vfs::check_killed()?;
        let buffer = read_block(dir, block)?;
        let found = ext2::dir::find(&buffer, &dir.sb().data().disk, disk_ino(dir)?, name)
            .map_err(|found| error::corrupt(dir.sb(), &found))?;
        if let Some(entry) = found {
            hint.store(block, Relaxed);
            return Ok(Some(Entry {
                buffer,
                block,
                offset: entry.offset,
                ino: entry.ino,
            }));
        }
    }
    Ok(None)
}

/// Returns the entry of a name of `inode`.
///
/// # Errors
///
/// [`ENOENT`] if there is none of that name, or it names something else; those of [`find`].
pub(super) fn find_of(dir: &Inode, dentry: &Dentry, inode: &Inode) -> Result<Entry> {
    match find(dir, dentry.name())? {
        Some(entry) if u64::from(entry.ino.get()) == inode.ino() => Ok(entry),
        _ => Err(ENOENT),
    }
}

/// Says whether a directory has no entries but `.` and `..`.
///
/// # Errors
///
/// As [`find`].
pub(super) fn is_empty(dir: &Inode) -> Result<bool> {
    let mut copy = room_for_block(dir)?;
    for block in 0..blocks(dir)? {
        vfs::check_killed()?;
        read_block(dir, block)?.copy_whole(&mut copy)?;
        let empty = ext2::dir::is_empty(&copy, &dir.sb().data().disk, disk_ino(dir)?)
            .map_err(|found| error::corrupt(dir.sb(), &found))?;
        if !empty {
            return Ok(false);
        }
    }
    Ok(true)
}

impl ext2::dir::Block for BufferHead {
    fn size(&self) -> usize {
        self.size()
    }

    fn head(&self, offset: usize) -> Option<[u8; 8]> {
        let mut head = [0; 8];
        // They are either within the block or not.
        self.copy_to(offset, &mut head).ok().map(|()| head)
    }

    fn has(&self, offset: usize, name: &[u8]) -> bool {
        self.has(offset, name)
    }
}

/// Returns the number of blocks of a directory.
fn blocks(dir: &Inode) -> Result<u32> {
    u32::try_from(dir.size() >> dir.sb().block_bits()).map_err(|_| EFBIG)
}

/// Returns room for the copy of a block; nothing is in it yet.
pub(super) fn room_for_block(inode: &Inode) -> Result<KVec<u8>> {
    Ok(KVec::with_capacity(
        1 << inode.sb().block_bits(),
        GFP_KERNEL,
    )?)
}

/// Returns a block of zeros.
pub(super) fn block_of_zeros(inode: &Inode) -> Result<KVec<u8>> {
    Ok(KVec::from_elem(
        0,
        1 << inode.sb().block_bits(),
        GFP_KERNEL,
    )?)
}

/// Returns the buffer of block `block` of a directory, or of a symbolic link.
///
/// # Errors
///
/// [`EUCLEAN`] if it is a hole, which no directory has; [`EIO`].
pub(super) fn read_block(inode: &Inode, block: u32) -> Result<BufferHead> {
    let block = FileBlock(block);
    let Some(first) = tree::run(inode, block, 1)?.first else {
        return Err(error::corrupt_in(inode, &Corrupt::Hole(block)));
    };
    inode.sb().bread(u64::from(first.get()))
}

/// Returns an inode's number, as the disk counts.
pub(super) fn disk_ino(inode: &Inode) -> Result<Ino> {
    u32::try_from(inode.ino()).map(Ino).map_err(|_| EINVAL)
}
