// SPDX-License-Identifier: GPL-2.0

//! Directories.
//!
//! A block of a directory is a chain of entries from its first byte to its last; none reaches
//! into another block. An entry with inode zero is free space, or the hash tree of `dir_index`,
//! or the checksum of `metadata_csum`, and is passed over.
//!
//! C counterpart: `ext2_check_folio` in [`fs/ext2/dir.c`](srctree/fs/ext2/dir.c)

use super::{
    raw::RawDirEntry,
    Corrupt,
    DirFault,
    Incompat,
    Ino,
    Kind,
    SuperBlock, //
};
use core::mem::size_of;
use zerocopy::FromBytes;

mod edit;
mod lookup;

pub(crate) use self::edit::{
    add,
    dotdot,
    entry_len,
    init_dots,
    init_unused,
    is_empty,
    remove,
    set, //
};
pub(crate) use self::lookup::{
    find,
    Block, //
};

/// Size of the head of an entry, and of the shortest entry, in bytes.
const HEAD_LEN: usize = size_of::<RawDirEntry>();
const MIN_REC_LEN: usize = 12;

/// An entry. Those that leave this room are in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DirEntry<'a> {
    /// The inode it names; not zero if in use, and not larger than there are.
    pub(crate) ino: Ino,
    /// The name, of 1 to 255 bytes; no slash and no zero byte.
    pub(crate) name: &'a [u8],
    /// What the inode is, if the entry says.
    pub(crate) kind: Option<Kind>,
    /// Where it starts in its block, in bytes.
    pub(crate) offset: usize,
    /// Where the next entry, used or not, starts; the size of the block if it is the last.
    pub(crate) next_offset: usize,
}

/// Returns the entries in use of one block of the directory `dir`, in their order.
///
/// Each is checked as it is reached. After an error there are no more.
pub(crate) fn entries<'a>(block: &'a [u8], sb: &SuperBlock, dir: Ino) -> Entries<'a> {
    Entries(records(block, sb, dir))
}

/// Returns all entries of a block, those not in use as well. Their names are not checked.
fn records<'a>(block: &'a [u8], sb: &SuperBlock, dir: Ino) -> Records<'a> {
    Records {
        block,
        offset: 0,
        dir,
        inodes_count: sb.inodes_count(),
        has_kind: sb.has_incompat(Incompat::FILETYPE),
    }
}

/// What an entry begins with.
struct Head {
    ino: Ino,
    rec_len: u16,
    name_len: u8,
    file_type: u8,
}

impl Head {
    /// Checks the entry, which starts at byte `offset` of a block of `block_len` bytes. Returns where
    /// the next one starts.
    fn check(&self, offset: usize, block_len: usize, inodes_count: u32) -> Result<usize, DirFault> {
        let len = usize::from(self.rec_len);
        if len < MIN_REC_LEN {
            return Err(DirFault::TooShort(self.rec_len));
        }
        if len & 3 != 0 {
            return Err(DirFault::Unaligned(self.rec_len));
        }
        // OVERFLOW: At most 255 and eight. Rounding up to four is implied by the check above.
        if len < HEAD_LEN + usize::from(self.name_len) {
            return Err(DirFault::NameTooLong(self.name_len));
        }
        // OVERFLOW: An offset in a block, and 16 bits.
        let next = offset + len;
        if next > block_len {
            return Err(DirFault::CrossesBlock(self.rec_len));
        }
        if self.ino.get() > inodes_count {
            return Err(DirFault::Inode(self.ino));
        }
        Ok(next)
    }
}

/// The entries in use of a block; see [`entries`].
#[derive(Clone, Debug)]
pub(crate) struct Entries<'a>(Records<'a>);

impl<'a> Iterator for Entries<'a> {
    type Item = Result<DirEntry<'a>, Corrupt>;

    fn next(&mut self) -> Option<Self::Item> {
        let entry = match self
            .0
            .find(|record| !matches!(record, Ok(entry) if entry.ino.get() == 0))?
        {
            Ok(entry) => entry,
            Err(corrupt) => return Some(Err(corrupt)),
        };
        let unusable = |byte: &u8| matches!(byte, 0 | b'/');
        if entry.name.is_empty() || entry.name.iter().any(unusable) {
            return Some(Err(self.0.fail(entry.offset, DirFault::Name)));
        }
        Some(Ok(entry))
    }
}

/// All entries of a block; see [`records`].
#[derive(Clone, Debug)]
struct Records<'a> {
    block: &'a [u8],
    /// Where the next entry starts; the length of the block once there are no more.
    offset: usize,
    dir: Ino,
    inodes_count: u32,
    has_kind: bool,
}

impl<'a> Records<'a> {
    /// Checks the entry at `self.offset`.
    #[inline]
    fn entry(&self) -> Result<DirEntry<'a>, DirFault> {
        let rest = self.block.get(self.offset..).unwrap_or_default();
        let Ok((head, body)) = RawDirEntry::ref_from_prefix(rest) else {
            return Err(DirFault::NoRoom);
        };
        let head = Head {
            ino: Ino(head.inode.get()),
            rec_len: head.rec_len.get(),
            name_len: head.name_len,
            file_type: head.file_type,
        };
        let next_offset = head.check(self.offset, self.block.len(), self.inodes_count)?;
        let name = body.get(..usize::from(head.name_len)).unwrap_or_default();
        Ok(DirEntry {
            ino: head.ino,
            name,
            kind: self
                .has_kind
                .then(|| Kind::from_file_type(head.file_type))
                .flatten(),
            offset: self.offset,
            next_offset,
        })
    }

    /// Returns the error, after which there are no more entries.
    fn fail(&mut self, offset: usize, fault: DirFault) -> Corrupt {
        self.offset = self.block.len();
        corrupt(self.dir, offset, fault)
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<DirEntry<'a>, Corrupt>;

    // Not everybody looks at all of an entry.
    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.offset >= self.block.len() {
            return None;
        }
        Some(match self.entry() {
            Ok(entry) => {
                self.offset = entry.next_offset;
                Ok(entry)
            }
            Err(fault) => Err(self.fail(self.offset, fault)),
        })
    }
}

/// Returns what is wrong with the entry at byte `offset` of its block.
fn corrupt(dir: Ino, offset: usize, fault: DirFault) -> Corrupt {
    Corrupt::Dir {
        dir,
        offset: u32::try_from(offset).unwrap_or(u32::MAX),
        fault,
    }
}
