// SPDX-License-Identifier: GPL-2.0

//! Changing the entries of a directory.
//!
//! C counterparts: `ext2_add_link`, `ext2_delete_entry`, `ext2_set_link` and `ext2_make_empty` in
//! [`fs/ext2/dir.c`](srctree/fs/ext2/dir.c)

use super::{
    blocks,
    disk_ino,
    read_block,
    room_for_block,
    Entry, //
};
use crate::{
    ext2::{
        dir,
        flag,
        Corrupt,
        FileBlock,
        Ino,
        Kind,
        SuperBlock, //
    },
    fs::{
        error,
        tree,
        Inode, //
    },
    vfs::{
        self,
        BufferHead, //
    },
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

/// Changes entries of directories, which are locked exclusively.
///
/// It has room for the copy of a block. That is there before anything is changed, so that what takes
/// several changes does not stop half-way for lack of memory.
pub(in crate::fs) struct Editor {
    copy: KVec<u8>,
}

impl Editor {
    /// Makes one for the volume that `inode` is on.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub(in crate::fs) fn new(inode: &Inode) -> Result<Self> {
        Ok(Self {
            copy: room_for_block(inode)?,
        })
    }

    /// Makes an entry for `inode`, in the first place that is large enough, or in a new block at the
    /// end. There is no entry of that name yet.
    ///
    /// # Errors
    ///
    /// [`ENOENT`] if the directory was removed, [`ENAMETOOLONG`], [`ENOSPC`], [`EUCLEAN`] if it is
    /// damaged, [`EIO`]; [`EINTR`] if the task is being killed. Then nothing was changed.
    pub(in crate::fs) fn add_link(
        &mut self,
        directory: &Inode,
        name: &[u8],
        inode: &Inode,
    ) -> Result<Entry> {
        if directory.nlink() == 0 {
            return Err(ENOENT);
        }
        let len = dir::entry_len(u8::try_from(name.len()).map_err(|_| ENAMETOOLONG)?);
        let hints = &directory.data().dir;
        let blocks = blocks(directory)?;
        for block in hints.room_for(len)..blocks {
            vfs::check_killed()?;
            let buffer = read_block(directory, block)?;
            buffer.copy_whole(&mut self.copy)?;
            if let Some(offset) = self.put(directory, name, inode)? {
                hints.set_room(block, len);
                self.store(directory, &buffer)?;
                directory.touch_mtime();
                return Entry::new(buffer, block, offset, inode);
            }
        }
        dir::init_unused(self.blank(directory)?, disk_ino(directory)?)
            .map_err(|found| error::corrupt(directory.sb(), &found))?;
        let offset = self.put(directory, name, inode)?.ok_or(EUCLEAN)?;
        let buffer = tree::append_block(directory, FileBlock(blocks))?;
        hints.set_room(blocks, len);
        self.store(directory, &buffer)?;
        // OVERFLOW: What can be appended is within what a file can have.
        directory.set_size(u64::from(blocks + 1) << directory.sb().block_bits());
        directory.touch_mtime();
        Entry::new(buffer, blocks, offset, inode)
    }

    /// Removes an entry.
    ///
    /// # Errors
    ///
    /// [`EUCLEAN`] if the block is not any more what it was when the entry was found.
    pub(in crate::fs) fn delete_entry(&mut self, directory: &Inode, entry: &Entry) -> Result {
        self.change(directory, entry, |copy, sb, ino| {
            dir::remove(copy, sb, ino, entry.offset)
        })?;
        directory.data().dir.freed(entry.block);
        directory.touch_mtime();
        Ok(())
    }

    /// Makes an entry name `inode`.
    ///
    /// # Errors
    ///
    /// As [`Self::delete_entry`].
    pub(in crate::fs) fn set_link(
        &mut self,
        directory: &Inode,
        entry: &Entry,
        inode: &Inode,
    ) -> Result {
        let (ino, kind) = (disk_ino(inode)?, kind(inode)?);
        self.change(directory, entry, |copy, sb, dir| {
            dir::set(copy, sb, dir, entry.offset, ino, kind)
        })
    }

    /// Makes the first block of the new directory `directory` in `parent`.
    ///
    /// # Errors
    ///
    /// [`ENOSPC`], [`EIO`]. The block may be there then; it goes with the directory.
    pub(in crate::fs) fn make_empty(&mut self, directory: &Inode, parent: &Inode) -> Result {
        let sb = directory.sb();
        dir::init_dots(
            self.blank(directory)?,
            &sb.data().disk,
            disk_ino(directory)?,
            disk_ino(parent)?,
        )
        .map_err(|found| error::corrupt(sb, &found))?;
        let buffer = tree::append_block(directory, FileBlock(0))?;
        self.store(directory, &buffer)?;
        directory.set_size(1 << sb.block_bits());
        directory.mark_dirty();
        Ok(())
    }

    /// Returns the entry `..` of a directory.
    ///
    /// # Errors
    ///
    /// [`EUCLEAN`] if it has none, [`EIO`].
    pub(in crate::fs) fn dotdot(&mut self, directory: &Inode) -> Result<Entry> {
        let buffer = read_block(directory, 0)?;
        buffer.copy_whole(&mut self.copy)?;
        let sb = directory.sb();
        let dotdot = dir::dotdot(&self.copy, &sb.data().disk, disk_ino(directory)?)
            .map_err(|found| error::corrupt(sb, &found))?;
        Ok(Entry {
            buffer,
            block: 0,
            offset: dotdot.offset,
            ino: dotdot.ino,
        })
    }

    /// Makes the copy one of a block of zeros, and returns it.
    fn blank(&mut self, directory: &Inode) -> Result<&mut [u8]> {
        self.copy.clear();
        // There is room.
        self.copy
            .resize(1 << directory.sb().block_bits(), 0, GFP_KERNEL)?;
        Ok(&mut self.copy)
    }

    /// Makes an entry in the copy, if there is room. Returns where.
    fn put(&mut self, directory: &Inode, name: &[u8], inode: &Inode) -> Result<Option<usize>> {
        let sb = directory.sb();
        let (ino, kind) = (disk_ino(inode)?, kind(inode)?);
        dir::add(
            &mut self.copy,
            &sb.data().disk,
            disk_ino(directory)?,
            name,
            ino,
            kind,
        )
        .map_err(|found| error::corrupt(sb, &found))
    }

    /// Changes the block that an entry is in.
    fn change(
        &mut self,
        directory: &Inode,
        entry: &Entry,
        change: impl FnOnce(&mut [u8], &SuperBlock, Ino) -> Result<(), Corrupt>,
    ) -> Result {
        let sb = directory.sb();
        entry.buffer.copy_whole(&mut self.copy)?;
        change(&mut self.copy, &sb.data().disk, disk_ino(directory)?)
            .map_err(|found| error::corrupt(sb, &found))?;
        self.store(directory, &entry.buffer)
    }

    /// Copies the block in. A directory that is changed has no hash tree any more: it is not kept
    /// up to date, and its blocks are entries that are not in use for those who do not know it.
    fn store(&self, directory: &Inode, buffer: &BufferHead) -> Result {
        buffer.copy_from(0, &self.copy)?;
        directory.mark_metadata_dirty(buffer);
        let flags = &directory.data().flags;
        flags.store(flags.load(Relaxed) & !flag::INDEX, Relaxed);
        directory.mark_dirty();
        Ok(())
    }
}

impl Entry {
    fn new(buffer: BufferHead, block: u32, offset: usize, inode: &Inode) -> Result<Self> {
        Ok(Self {
            buffer,
            block,
            offset,
            ino: disk_ino(inode)?,
        })
    }
}

/// Returns what an inode is, as its entry says.
fn kind(inode: &Inode) -> Result<Kind> {
    Kind::from_mode(inode.mode()).ok_or(EUCLEAN)
}
