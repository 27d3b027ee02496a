// SPDX-License-Identifier: GPL-2.0

//! Inodes: taking one for a new file, and giving it back.
//!
//! C counterparts: `ext2_new_inode` and `ext2_free_inode` in
//! [`fs/ext2/ialloc.c`](srctree/fs/ext2/ialloc.c)

use super::{
    super::{
        error,
        inode::RAW_SIZE,
        Inode,
        SuperBlock, //
    },
    group::{
        bitmap_changed,
        Group, //
    },
};
use crate::{
    ext2::{
        self,
        flag,
        group_of_directory,
        group_of_file,
        Corrupt,
        GroupCount,
        Ino,
        Usage, //
    },
    vfs::{
        random_below,
        BufferHead,
        NofsGuard, //
    },
};
use core::{
    iter,
    ops::Range, //
};
use kernel::{
    prelude::*,
    sync::atomic::Relaxed, //
};

/// Takes a free inode for a file that is to be made in `dir`.
///
/// Returns its number and its group. Nobody else gets the number until [`free_inode`].
///
/// # Context
///
/// May sleep. The caller holds the inode lock of `dir`.
///
/// # Errors
///
/// [`ENOSPC`] if there is none, [`EIO`] if a bitmap cannot be read.
pub(in crate::fs) fn alloc_inode(dir: &Inode, is_dir: bool) -> Result<(Ino, u32)> {
    let sb = dir.sb();
    let data = sb.data();
    let _nofs = NofsGuard::new();
    let start = find_group(dir, is_dir)?;
    let per_group = data.disk.inodes_per_group();
    for number in data.space.round(start) {
        let group = data.space.group(number)?;
        if group.count(GroupCount::FreeInodes) == 0 {
            continue;
        }
        let bitmap = group.inode_bitmap(sb)?;
        // OVERFLOW: The numbers of all inodes fit, by the super block's invariants.
        let before = number * per_group;
        // The reserved ones are nobody's, whatever the bitmap says.
        let reserved = (data.disk.first_ino() - 1).saturating_sub(before);
        while let Some(bit) = take(&bitmap, reserved..per_group) {
            let ino = Ino(before + bit + 1);
            match is_unused(sb, group, ino) {
                Ok(true) => {}
                Ok(false) => {
                    // The bit stays set, as it should have been.
                    bitmap.mark_dirty();
                    continue;
                }
                Err(error) => {
                    bitmap.test_and_clear_bit(bit);
                    // It may have been written out meanwhile.
                    bitmap_changed(sb, &bitmap);
                    return Err(error);
                }
            }
            bitmap_changed(sb, &bitmap);
            group.take_inode(is_dir);
            data.space.free_inodes.add(-1);
            data.space.dirs.add(i64::from(is_dir));
            return Ok((ino, number));
        }
        // Somebody else was faster, or the count is wrong.
    }
    Err(ENOSPC)
}

/// Takes the first free inode of `range`, in bits of the bitmap.
fn take(bitmap: &BufferHead, range: Range<u32>) -> Option<u32> {
    let mut free = iter::from_fn(|| bitmap.find_next_zero_bit(range.start, range.end));
    free.find(|&bit| bitmap.test_and_set_bit(bit))
}

/// Checks that an inode which the bitmap has as free is: were it some file's, that file would be
/// overwritten. A deleted inode has no links on disk by the time its bit is clear.
///
/// The block that is read for this will soon be wanted anyway, to write the new inode to.
///
/// # Errors
///
/// [`EIO`] if it cannot be read.
fn is_unused(sb: &SuperBlock, group: &Group, ino: Ino) -> Result<bool> {
    let disk = &sb.data().disk;
    let locate = |ino| disk.inode_location(ino, group.desc());
    let (block, offset) = locate(ino).map_err(|found| error::corrupt(sb, &found))?;
    let mut raw = [0; RAW_SIZE];
    sb.bread(u64::from(block.get()))?
        .copy_to(offset, &mut raw)?;
    if offset == 0 {
        // Whoever fills this block with inodes goes on to the next.
        let next = ino.checked_add(disk.block_size() / disk.inode_size());
        if let Some((next, _)) = next.and_then(|next| locate(next).ok()) {
            sb.breadahead(u64::from(next.get()));
        }
    }
    if ext2::Inode::has_links(&raw) {
        let _ = error::corrupt(sb, &Corrupt::InUse(ino));
        return Ok(false);
    }
    Ok(true)
}

/// Returns the group where a free inode is looked for first.
fn find_group(dir: &Inode, is_dir: bool) -> Result<u32> {
    let data = dir.sb().data();
    let space = &data.space;
    let usage = |group| space.group(group).map_or(NO_ROOM, Group::usage);
    let ino = u32::try_from(dir.ino()).map(Ino).map_err(|_| EINVAL)?;
    let parent = data.disk.inode_group(ino).map_err(|_| EUCLEAN)?;
    if !is_dir {
        return group_of_file(&data.disk, usage, parent, ino).ok_or(ENOSPC);
    }
    let total = Usage {
        free_inodes: space.free_inodes.read(),
        free_blocks: space.free_blocks.read(),
        dirs: space.dirs.read(),
        debt: 0,
    };
    let flags = dir.data().flags.load(Relaxed);
    let spread = ino == ext2::ROOT_INO || flags & flag::TOPDIR != 0;
    let start = match spread {
        true => random_below(data.disk.groups_count()),
        false => parent,
    };
    group_of_directory(&data.disk, total, usage, start, spread).ok_or(ENOSPC)
}

/// The usage of a group that does not exist.
const NO_ROOM: Usage = Usage {
    free_inodes: 0,
    free_blocks: 0,
    dirs: 0,
    debt: 0,
};

/// Gives back inode `ino`, that of a directory if `is_dir`.
///
/// One that is free already, or is reserved, is damage: that is noted, and nothing is done.
///
/// # Context
///
/// May sleep. The inode is no longer in the inode cache, so that nobody meets a stale one when its
/// number is taken again.
pub(in crate::fs) fn free_inode(sb: &SuperBlock, ino: Ino, is_dir: bool) {
    if let Err(found) = try_free_inode(sb, ino, is_dir) {
        // Who frees cannot do anything about it.
        let _ = error::corrupt(sb, &found);
    }
}

fn try_free_inode(sb: &SuperBlock, ino: Ino, is_dir: bool) -> Result<(), Corrupt> {
    let data = sb.data();
    let number = data.disk.inode_group(ino)?;
    if ino.get() < data.disk.first_ino() {
        return Err(Corrupt::InodeNumber(ino));
    }
    let Ok(group) = data.space.group(number) else {
        return Err(Corrupt::InodeNumber(ino));
    };
    let _nofs = NofsGuard::new();
    let bitmap = match group.inode_bitmap(sb) {
        Ok(bitmap) => bitmap,
        Err(error) => {
            sb.err(format_args!(
                "group {number}: cannot read the inode bitmap: {error:?}; inode {ino} is lost"
            ));
            data.state().note_error(sb);
            return Ok(());
        }
    };
    // OVERFLOW: The inode is in this group.
    let bit = ino.get() - 1 - number * data.disk.inodes_per_group();
    if !bitmap.test_and_clear_bit(bit) {
        return Err(Corrupt::FreeInode { group: number, ino });
    }
    bitmap_changed(sb, &bitmap);
    group.give_inode(is_dir);
    data.space.free_inodes.add(1);
    data.space.dirs.add(-i64::from(is_dir));
    Ok(())
}
