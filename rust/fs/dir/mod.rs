// SPDX-License-Identifier: GPL-2.0

//! Directories.
//!
//! A position in a directory is the offset in bytes at which an entry starts, as in `fs/ext2`.
//!
//! C counterparts: [`fs/ext2/dir.c`](srctree/fs/ext2/dir.c),
//! [`fs/ext2/namei.c`](srctree/fs/ext2/namei.c)

use super::{
    attr,
    error,
    inode,
    ioctl,
    super_block::NAME_LEN,
    tree,
    Cohfs,
    Dentry,
    Inode, //
};
use crate::{
    ext2::{
        dir,
        Corrupt,
        FileBlock,
        Ino,
        Kind, //
    },
    vfs::{
        self,
        file_ops,
        inode_ops,
        DirContext,
        File,
        FileType,
        SetAttr,
        Stat, //
    },
};
use kernel::{
    num::casts::{
        u32_as_usize,
        usize_as_u64, //
    },
    prelude::*,
    sync::aref::ARef,
    uaccess::UserPtr, //
};

/// Directories, as inodes and as open files.
pub(super) struct Dir;

#[vtable]
impl inode_ops::Operations for Dir {
    type Fs = Cohfs;

    fn lookup(dir: &Inode, dentry: &Dentry) -> Result<Option<ARef<Inode>>> {
        let name = dentry.name();
        if name.len() > u32_as_usize(NAME_LEN) {
            return Err(ENAMETOOLONG);
        }
        let Some(ino) = find(dir, name)? else {
            return Ok(None);
        };
        inode::iget(dir.sb(), ino).map(Some).map_err(|error| {
            if error == ESTALE {
                return error::corrupt_in(dir, &Corrupt::Deleted(ino));
            }
            error
        })
    }

    fn setattr(inode: &Inode, change: &mut SetAttr<'_>) -> Result {
        attr::setattr(inode, change)
    }

    fn getattr(inode: &Inode, stat: &mut Stat<'_>) -> Result {
        attr::getattr(inode, stat)
    }

    fn fileattr_get(inode: &Inode) -> u32 {
        attr::fileattr_get(inode)
    }

    fn fileattr_set(inode: &Inode, flags: u32) -> Result {
        attr::fileattr_set(inode, flags)
    }
}

#[vtable]
impl file_ops::Operations for Dir {
    type Fs = Cohfs;

    fn iterate_shared(file: &File<Cohfs>, context: &mut DirContext<'_>) -> Result {
        let dir = file.inode();
        let sb = dir.sb();
        let bits = sb.block_bits();
        let mut buffer = block_buffer(dir)?;
        loop {
            // Positions come from user space as well.
            let pos = u64::try_from(context.pos()).map_err(|_| EINVAL)?;
            if pos >= dir.size() {
                return Ok(());
            }
            vfs::check_killed()?;
            let start = pos >> bits << bits;
            read_block(dir, pos >> bits, &mut buffer)?;
            for entry in dir::entries(&buffer, &sb.data().disk, disk_ino(dir)?) {
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

/// Returns the inode that `name` stands for.
fn find(dir: &Inode, name: &[u8]) -> Result<Option<Ino>> {
    let sb = dir.sb();
    let mut buffer = block_buffer(dir)?;
    for block in 0..dir.size() >> sb.block_bits() {
        vfs::check_killed()?;
        read_block(dir, block, &mut buffer)?;
        let found = dir::find(&buffer, &sb.data().disk, disk_ino(dir)?, name)
            .map_err(|found| error::corrupt(sb, &found))?;
        if let Some(entry) = found {
            return Ok(Some(entry.ino));
        }
    }
    Ok(None)
}

/// Returns room for a block of the directory.
pub(super) fn block_buffer(dir: &Inode) -> Result<KVec<u8>> {
    Ok(KVec::from_elem(0, 1 << dir.sb().block_bits(), GFP_KERNEL)?)
}

/// Copies block `block` of the directory.
///
/// # Errors
///
/// [`EUCLEAN`] if it is a hole, which no directory has.
pub(super) fn read_block(dir: &Inode, block: u64, buffer: &mut [u8]) -> Result {
    let block = u32::try_from(block).map(FileBlock).map_err(|_| EFBIG)?;
    let Some(first) = tree::run(dir, block, 1)?.first else {
        return Err(error::corrupt_in(dir, &Corrupt::Hole(block)));
    };
    dir.sb().bread(u64::from(first.get()))?.copy_to(0, buffer)
}

/// Returns the directory's number, as the disk counts.
fn disk_ino(dir: &Inode) -> Result<Ino> {
    u32::try_from(dir.ino()).map(Ino).map_err(|_| EINVAL)
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
