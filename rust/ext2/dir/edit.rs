// SPDX-License-Identifier: GPL-2.0

//! Changing the entries of one block of a directory.
//!
//! No function changes a byte of a block unless it succeeds. What it has to walk over is checked as
//! it is when a directory is read, whoever made sure of it before: the block may have changed.
//!
//! C counterparts: `ext2_add_link`, `ext2_delete_entry`, `ext2_set_link`, `ext2_make_empty`,
//! `ext2_empty_dir` and `ext2_dotdot` in [`fs/ext2/dir.c`](srctree/fs/ext2/dir.c)

use super::{
    corrupt,
    records,
    DirEntry,
    HEAD_LEN, //
};
use crate::ext2::{
    raw::RawDirEntry,
    Corrupt,
    DirFault,
    Incompat,
    Ino,
    Kind,
    SuperBlock, //
};
use zerocopy::FromBytes;

/// Returns the bytes that an entry with a name of `name_len` bytes takes.
pub(crate) fn entry_len(name_len: u8) -> usize {
    // OVERFLOW: At most 266.
    (HEAD_LEN + usize::from(name_len) + 3) & !3
}

/// Makes an entry in the first place of the block that is large enough.
///
/// Returns where it starts, in bytes, or nothing if there is no such place. The name has 1 to 255
/// bytes, and is not in the directory yet.
///
/// # Errors
///
/// [`Corrupt::Dir`] if an entry before that place is wrong.
pub(crate) fn add(
    block: &mut [u8],
    sb: &SuperBlock,
    dir: Ino,
    name: &[u8],
    ino: Ino,
    kind: Kind,
) -> Result<Option<usize>, Corrupt> {
    let Ok(name_len) = u8::try_from(name.len()) else {
        return Ok(None);
    };
    let need = entry_len(name_len);
    for entry in records(block, sb, dir) {
        let entry = entry?;
        let used = used(&entry);
        // OVERFLOW: An entry is as long as what it has in it, as was checked.
        let room = entry.next_offset - entry.offset - used;
        if room < need {
            continue;
        }
        let old = entry.offset;
        let new = old + used;
        if used > 0 {
            set_rec_len(block, dir, old, used)?;
        }
        put(block, dir, new, name, Target::new(sb, ino, kind))?;
        set_rec_len(block, dir, new, room)?;
        return Ok(Some(new));
    }
    Ok(None)
}

/// Removes the entry at byte `offset`: its place goes to the entry before it, if there is one.
///
/// # Errors
///
/// [`Corrupt::Dir`] if there is no such entry, or one before it is wrong.
pub(crate) fn remove(
    block: &mut [u8],
    sb: &SuperBlock,
    dir: Ino,
    offset: usize,
) -> Result<(), Corrupt> {
    let mut before = None;
    for entry in records(block, sb, dir) {
        let entry = entry?;
        if entry.offset < offset {
            before = Some(entry.offset);
            continue;
        }
        if entry.offset > offset || entry.ino.get() == 0 {
            break;
        }
        let end = entry.next_offset;
        head(block, dir, offset)?.inode.set(0);
        return match before {
            // OVERFLOW: `before` is less than `offset`, and `offset` than `end`.
            Some(before) => set_rec_len(block, dir, before, end - before),
            None => Ok(()),
        };
    }
    Err(corrupt(dir, offset, DirFault::Gone))
}

/// Makes the entry at byte `offset` name `ino`, which is of kind `kind`.
///
/// # Errors
///
/// As [`remove`].
pub(crate) fn set(
    block: &mut [u8],
    sb: &SuperBlock,
    dir: Ino,
    offset: usize,
    ino: Ino,
    kind: Kind,
) -> Result<(), Corrupt> {
    for entry in records(block, sb, dir) {
        let entry = entry?;
        if entry.offset == offset && entry.ino.get() != 0 {
            Target::new(sb, ino, kind).store(head(block, dir, offset)?);
            return Ok(());
        }
    }
    Err(corrupt(dir, offset, DirFault::Gone))
}

/// Makes `block` the first of the new directory `dir` in `parent`.
///
/// # Errors
///
/// [`Corrupt::Dir`] if the block is too small for that.
pub(crate) fn init_dots(
    block: &mut [u8],
    sb: &SuperBlock,
    dir: Ino,
    parent: Ino,
) -> Result<(), Corrupt> {
    let dot = entry_len(1);
    let Some(rest) = block.len().checked_sub(dot) else {
        return Err(corrupt(dir, 0, DirFault::NoRoom));
    };
    block.fill(0);
    put(block, dir, 0, b".", Target::new(sb, dir, Kind::Directory))?;
    set_rec_len(block, dir, 0, dot)?;
    put(
        block,
        dir,
        dot,
        b"..",
        Target::new(sb, parent, Kind::Directory),
    )?;
    set_rec_len(block, dir, dot, rest)
}

/// Makes `block`, all of it, one entry that is not in use: a block that a directory grows by.
///
/// # Errors
///
/// [`Corrupt::Dir`] if the block is too small for that.
pub(crate) fn init_unused(block: &mut [u8], dir: Ino) -> Result<(), Corrupt> {
    let len = block.len();
    block.fill(0);
    set_rec_len(block, dir, 0, len)
}

/// Returns the entry `..` of the first block of a directory.
///
/// # Errors
///
/// [`Corrupt::Dir`] if it is not the second one there.
pub(crate) fn dotdot<'a>(
    block: &'a [u8],
    sb: &SuperBlock,
    dir: Ino,
) -> Result<DirEntry<'a>, Corrupt> {
    match records(block, sb, dir).nth(1).transpose()? {
        Some(entry) if entry.name == b".." && entry.ino.get() != 0 => Ok(entry),
        other => {
            let offset = other.map_or(0, |entry| entry.offset);
            Err(corrupt(dir, offset, DirFault::NoDotDot))
        }
    }
}

/// Says whether the block has no entry in use but `..` and a `.` that is the directory itself.
///
/// # Errors
///
/// [`Corrupt::Dir`] with the first entry that is wrong.
pub(crate) fn is_empty(block: &[u8], sb: &SuperBlock, dir: Ino) -> Result<bool, Corrupt> {
    for entry in records(block, sb, dir) {
        let entry = entry?;
        let dots = match entry.name {
            b"." => entry.ino == dir,
            name => name == b"..",
        };
        if entry.ino.get() != 0 && !dots {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Returns how many bytes an entry needs for itself.
fn used(entry: &DirEntry<'_>) -> usize {
    // CAST: A name has at most 255 bytes, by `records`.
    let name_len = u8::try_from(entry.name.len()).unwrap_or(u8::MAX);
    match entry.ino.get() {
        0 => 0,
        // Names are not checked, and an entry without one must not become shorter than the shortest.
        _ => entry_len(name_len.max(1)),
    }
}

/// What an entry names.
#[derive(Clone, Copy)]
struct Target {
    ino: Ino,
    file_type: u8,
}

impl Target {
    fn new(sb: &SuperBlock, ino: Ino, kind: Kind) -> Self {
        let file_type = match sb.has_incompat(Incompat::FILETYPE) {
            true => kind.file_type(),
            false => 0,
        };
        Self { ino, file_type }
    }

    fn store(self, head: &mut RawDirEntry) {
        head.inode.set(self.ino.get());
        head.file_type = self.file_type;
    }
}

/// Returns the head of the entry at byte `offset`.
fn head(block: &mut [u8], dir: Ino, offset: usize) -> Result<&mut RawDirEntry, Corrupt> {
    block
        .get_mut(offset..)
        .and_then(|rest| RawDirEntry::mut_from_prefix(rest).ok())
        .map(|(head, _)| head)
        .ok_or(corrupt(dir, offset, DirFault::NoRoom))
}

/// Sets the distance from one entry to the next.
fn set_rec_len(block: &mut [u8], dir: Ino, offset: usize, len: usize) -> Result<(), Corrupt> {
    let len = u16::try_from(len).map_err(|_| corrupt(dir, offset, DirFault::NoRoom))?;
    head(block, dir, offset)?.rec_len.set(len);
    Ok(())
}

/// Writes an entry but for its length.
fn put(
    block: &mut [u8],
    dir: Ino,
    offset: usize,
    name: &[u8],
    target: Target,
) -> Result<(), Corrupt> {
    let no_room = || corrupt(dir, offset, DirFault::NoRoom);
    let rest = block.get_mut(offset..).ok_or_else(no_room)?;
    let (head, body) = RawDirEntry::mut_from_prefix(rest).map_err(|_| no_room())?;
    let to = body.get_mut(..name.len()).ok_or_else(no_room)?;
    head.name_len = u8::try_from(name.len()).map_err(|_| no_room())?;
    target.store(head);
    to.copy_from_slice(name);
    Ok(())
}
