// SPDX-License-Identifier: GPL-2.0

//! `getdents`.
//!
//! A position in a directory is the offset in bytes at which an entry starts. Entries do not move,
//! so names that stay are each returned once, whatever else is made and removed meanwhile. An entry
//! that was merged with the one before it leaves a position inside of that one: each call walks
//! its first block from the start, and takes up at the first entry that is not before the position.
//!
//! C counterpart: `ext2_readdir` in [`fs/ext2/dir.c`](srctree/fs/ext2/dir.c)

use super::{
    disk_ino,
    read_block,
    room_for_block, //
};
use crate::{
    ext2::{
        self,
        Kind, //
    },
    fs::{
        error,
        ioctl,
        Cohfs, //
    },
    vfs::{
        self,
        file_ops,
        DirContext,
        File,
        FileType, //
    },
};
use kernel::{
    num::casts::usize_as_u64,
    prelude::*,
    uaccess::UserPtr, //
};

/// Directories, as open files.
pub(in crate::fs) struct Open;

#[vtable]
impl file_ops::Operations for Open {
    type Fs = Cohfs;

    fn iterate_shared(file: &File<Cohfs>, context: &mut DirContext<'_>) -> Result {
        let dir = file.inode();
        let sb = dir.sb();
        let bits = sb.block_bits();
        let mut copy = room_for_block(dir)?;
        loop {
            // Positions come from user space as well.
            let pos = u64::try_from(context.pos()).map_err(|_| EINVAL)?;
            if pos >= dir.size() {
                return Ok(());
            }
            vfs::check_killed()?;
            let start = pos >> bits << bits;
            let block = u32::try_from(pos >> bits).map_err(|_| EFBIG)?;
            read_block(dir, block)?.copy_whole(&mut copy)?;
            for entry in ext2::dir::entries(&copy, &sb.data().disk, disk_ino(dir)?) {
                let entry = entry.map_err(|found| error::corrupt(sb, &found))?;
                // OVERFLOW: An offset in a block of a directory.
                let at = start + usize_as_u64(entry.offset);
                if at < pos {
                    continue;
                }
                context.set_pos(position(at)?);
                let ino = u64::from(entry.ino.get());
                if !context.emit(entry.name, ino, file_type(entry.kind)) {
                    return Ok(());
                }
                context.set_pos(position(start + usize_as_u64(entry.next_offset))?);
            }
            // OVERFLOW: Below the size of the directory, a multiple of the block size.
            context.set_pos(position(start + (1 << bits))?);
        }
    }

    fn fsync(file: &File<Cohfs>, start: i64, end: i64, datasync: bool) -> Result {
        file.sync(start, end, datasync)
    }

    fn ioctl(file: &File<Cohfs>, cmd: u32, arg: UserPtr) -> Result<c_long> {
        ioctl::ioctl(file, cmd, arg)
    }
}

/// Returns an offset as the VFS takes it.
fn position(offset: u64) -> Result<i64> {
    i64::try_from(offset).map_err(|_| EFBIG)
}

/// Returns what `getdents` says of an entry.
fn file_type(kind: Option<Kind>) -> FileType {
    match kind {
        None => FileType::UNKNOWN,
        Some(Kind::Regular) => FileType::REGULAR,
        Some(Kind::Directory) => FileType::DIRECTORY,
        Some(Kind::CharDevice) => FileType::CHAR_DEVICE,
        Some(Kind::BlockDevice) => FileType::BLOCK_DEVICE,
        Some(Kind::Fifo) => FileType::FIFO,
        Some(Kind::Socket) => FileType::SOCKET,
        Some(Kind::Symlink) => FileType::SYMLINK,
    }
}
