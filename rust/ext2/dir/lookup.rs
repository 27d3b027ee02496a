// SPDX-License-Identifier: GPL-2.0

//! Looking for a name in a block where it lies: a large directory is searched without being copied.
//!
//! C counterpart: `ext2_find_entry` in [`fs/ext2/dir.c`](srctree/fs/ext2/dir.c)

use super::{
    corrupt,
    Head,
    HEAD_LEN, //
};
use crate::ext2::{
    Corrupt,
    DirFault,
    Ino,
    SuperBlock, //
};

/// A block of a directory, which others may change while it is looked at.
pub(crate) trait Block {
    /// Returns its size in bytes.
    fn size(&self) -> usize;

    /// Returns the eight bytes from `offset` on, if they are within the block.
    fn head(&self, offset: usize) -> Option<[u8; HEAD_LEN]>;

    /// Says whether the bytes from `offset` on are `name`.
    fn has(&self, offset: usize, name: &[u8]) -> bool;
}

impl Block for [u8] {
    fn size(&self) -> usize {
        self.len()
    }

    fn head(&self, offset: usize) -> Option<[u8; HEAD_LEN]> {
        self.get(offset..)?.first_chunk().copied()
    }

    fn has(&self, offset: usize, name: &[u8]) -> bool {
        self.get(offset..)
            .is_some_and(|rest| rest.starts_with(name))
    }
}

/// An entry that was looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// The inode it names; not zero, and not larger than there are.
    pub(crate) ino: Ino,
    /// Where it starts in its block, in bytes.
    pub(crate) offset: usize,
}

/// Returns the entry of that name in one block of the directory `dir`.
///
/// # Errors
///
/// [`Corrupt::Dir`] if an entry before it is wrong, or, when there is no such name, any.
pub(crate) fn find(
    block: &(impl Block + ?Sized),
    sb: &SuperBlock,
    dir: Ino,
    name: &[u8],
) -> Result<Option<Found>, Corrupt> {
    let (len, inodes_count) = (block.size(), sb.inodes_count());
    let mut offset = 0;
    while offset < len {
        let head = head(block, offset).ok_or_else(|| corrupt(dir, offset, DirFault::NoRoom))?;
        let next = head
            .check(offset, len, inodes_count)
            .map_err(|fault| corrupt(dir, offset, fault))?;
        let alike = usize::from(head.name_len) == name.len() && head.ino.get() != 0;
        // OVERFLOW: An offset in a block.
        if alike && block.has(offset + HEAD_LEN, name) {
            let ino = head.ino;
            return Ok(Some(Found { ino, offset }));
        }
        offset = next;
    }
    Ok(None)
}

fn head(block: &(impl Block + ?Sized), offset: usize) -> Option<Head> {
    let [a, b, c, d, low, high, name_len, file_type] = block.head(offset)?;
    Some(Head {
        ino: Ino(u32::from_le_bytes([a, b, c, d])),
        rec_len: u16::from_le_bytes([low, high]),
        name_len,
        file_type,
    })
}
