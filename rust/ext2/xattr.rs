// SPDX-License-Identifier: GPL-2.0

//! Blocks of extended attributes.
//!
//! ```text
//! RawXattrHeader   magic number, users, hash over all that follows
//! RawXattrEntry    namespace, name, where the value is; sorted, see [`Attribute::order`]
//! ...
//! four zero bytes
//! ...
//! values           packed against the end of the block, in any order
//! ```
//!
//! An inode has at most one such block. Files with the same attributes may share a block, which
//! counts them. `edit.rs` makes blocks.
//!
//! C counterpart: [`fs/ext2/xattr.c`](srctree/fs/ext2/xattr.c)

mod edit;

pub(crate) use self::edit::{
    edit,
    Edit,
    Full, //
};

use super::{
    raw::{
        RawXattrEntry,
        RawXattrHeader, //
    },
    Corrupt,
    DiskBlock, //
};
use core::{
    cmp::Ordering,
    mem::size_of, //
};
use zerocopy::FromBytes;

const MAGIC: u32 = 0xea02_0000;

/// Most inodes that share a block.
const MAX_USERS: u32 = 1024;

/// Size of what such a block begins with, in bytes.
pub(crate) const HEADER_SIZE: usize = size_of::<RawXattrHeader>();

/// Size of an entry without its name, in bytes.
const ENTRY_SIZE: usize = size_of::<RawXattrEntry>();

/// Size of the zero that ends the entries, in bytes.
const END_SIZE: usize = 4;

/// What the first part of a name is, which is a number on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// `user.`
    User,
    /// `system.posix_acl_access`; nothing follows.
    AclAccess,
    /// `system.posix_acl_default`; nothing follows.
    AclDefault,
    /// `trusted.`
    Trusted,
    /// `security.`
    Security,
}

impl Index {
    /// Returns what a number stands for, if anything that is served.
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        Some(match number {
            1 => Self::User,
            2 => Self::AclAccess,
            3 => Self::AclDefault,
            4 => Self::Trusted,
            6 => Self::Security,
            _ => return None,
        })
    }

    /// The number on disk.
    pub(crate) fn number(self) -> u8 {
        match self {
            Self::User => 1,
            Self::AclAccess => 2,
            Self::AclDefault => 3,
            Self::Trusted => 4,
            Self::Security => 6,
        }
    }
}

/// One attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    /// The number of the first part of its name, see [`Index`].
    pub(crate) index: u8,
    /// The rest of its name.
    pub(crate) name: &'a [u8],
    /// Its value.
    pub(crate) value: &'a [u8],
    /// The hash on disk, which is not checked.
    hash: u32,
}

impl Attribute<'_> {
    /// Says how a name compares to that of the attribute in the order of a block: by namespace, then
    /// by length, then by bytes.
    fn order(&self, index: u8, name: &[u8]) -> Ordering {
        index
            .cmp(&self.index)
            .then(name.len().cmp(&self.name.len()))
            .then_with(|| name.cmp(self.name))
    }
}

/// A block of attributes that was checked.
#[derive(Clone, Copy)]
pub(crate) struct Attributes<'a> {
    header: &'a RawXattrHeader,
    raw: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Checks `raw`, which is all of block `block`.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Xattr`] if it is no block of attributes; [`Corrupt::XattrEntry`] with where the
    /// first entry is that reaches out of it. [`Corrupt::Short`] if `raw` is too short.
    pub(crate) fn parse(raw: &'a [u8], block: DiskBlock) -> Result<Self, Corrupt> {
        let Ok((header, _)) = RawXattrHeader::ref_from_prefix(raw) else {
            return Err(short(raw.len()));
        };
        if !is_valid(header) {
            return Err(Corrupt::Xattr(block));
        }
        let mut at = HEADER_SIZE;
        loop {
            match entry(raw, at) {
                Some(Some((_, next))) => at = next,
                Some(None) => return Ok(Self { header, raw }),
                None => {
                    return Err(Corrupt::XattrEntry {
                        block,
                        // CAST: Within a block.
                        offset: at as u32,
                    });
                }
            }
        }
    }

    /// The hash over all attributes; zero if the block is not to be shared. It is not checked.
    pub(crate) fn hash(&self) -> u32 {
        self.header.hash.get()
    }

    /// Returns the attributes in the order in which they are.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Attribute<'a>> {
        let raw = self.raw;
        let mut at = HEADER_SIZE;
        core::iter::from_fn(move || {
            let (attribute, next) = entry(raw, at)??;
            at = next;
            Some(attribute)
        })
    }

    /// Returns the value of an attribute, if it is there.
    pub(crate) fn get(&self, index: Index, name: &[u8]) -> Option<&'a [u8]> {
        let index = index.number();
        let mut from = self
            .iter()
            .skip_while(|found| found.order(index, name) == Ordering::Greater);
        from.next()
            .filter(|found| found.order(index, name) == Ordering::Equal)
            .map(|found| found.value)
    }

    /// Says whether two blocks have the same attributes, wherever in the block the values are.
    pub(crate) fn same_as(&self, other: &Attributes<'_>) -> bool {
        self.iter().eq(other.iter())
    }
}

/// Returns the attribute whose entry starts at byte `at`, and where the next does; nothing if the
/// entries end there.
///
/// The outer [`None`] is an entry that is not all in the block, has its value elsewhere, or has no
/// name whatever.
fn entry(raw: &[u8], at: usize) -> Option<Option<(Attribute<'_>, usize)>> {
    let rest = raw.get(at..)?;
    if *rest.first_chunk::<END_SIZE>()? == [0; END_SIZE] {
        return Some(None);
    }
    let (entry, rest) = RawXattrEntry::ref_from_prefix(rest).ok()?;
    let name_len = usize::from(entry.name_len);
    let name = rest.get(..name_len)?;
    if entry.name_index == 0 && name.is_empty() {
        // Nobody has made it, and without a value it would be an end.
        return None;
    }
    let value = if entry.value_block.get() == 0 {
        let from = usize::from(entry.value_offs.get());
        let len = usize::try_from(entry.value_size.get()).ok()?;
        raw.get(from..from.checked_add(len)?)?
    } else {
        return None;
    };
    let attribute = Attribute {
        index: entry.name_index,
        name,
        value,
        hash: entry.hash.get(),
    };
    // OVERFLOW: Within a block, and 255 bytes more.
    Some(Some((attribute, at + entry_len(name_len))))
}

/// Returns how long an entry is whose name has `name_len` bytes, which are at most 255.
fn entry_len(name_len: usize) -> usize {
    // OVERFLOW: Small.
    padded(ENTRY_SIZE + name_len)
}

/// Returns `len` or what is more to the next multiple of four.
fn padded(len: usize) -> usize {
    len.next_multiple_of(4)
}

/// What becomes of a block that has one user less.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Release {
    /// Others use it, and the count was changed.
    Kept,
    /// It is to be freed. Nothing was changed.
    Unused {
        /// The hash that it has.
        hash: u32,
    },
}

/// Counts one user less of the block `block` of attributes, which `raw` is the beginning of.
///
/// # Errors
///
/// [`Corrupt::Xattr`] if it is no such block, or has no user. [`Corrupt::Short`] if `raw` is too
/// short.
pub(crate) fn release(raw: &mut [u8], block: DiskBlock) -> Result<Release, Corrupt> {
    let header = header_mut(raw, block)?;
    match header.refcount.get() {
        0 => Err(Corrupt::Xattr(block)),
        1 => Ok(Release::Unused {
            hash: header.hash.get(),
        }),
        users => {
            // OVERFLOW: More than one.
            header.refcount.set(users - 1);
            Ok(Release::Kept)
        }
    }
}

/// Counts one user more, as [`release`] does one less. Says whether there may be one more; nothing
/// was changed if not.
///
/// # Errors
///
/// As [`release`].
pub(crate) fn share(raw: &mut [u8], block: DiskBlock) -> Result<bool, Corrupt> {
    let header = header_mut(raw, block)?;
    match header.refcount.get() {
        0 => Err(Corrupt::Xattr(block)),
        users if users < MAX_USERS => {
            // OVERFLOW: Small.
            header.refcount.set(users + 1);
            Ok(true)
        }
        _ => Ok(false),
    }
}

fn header_mut(raw: &mut [u8], block: DiskBlock) -> Result<&mut RawXattrHeader, Corrupt> {
    let have = raw.len();
    match RawXattrHeader::mut_from_prefix(raw) {
        Ok((header, _)) if is_valid(header) => Ok(header),
        Ok(_) => Err(Corrupt::Xattr(block)),
        Err(_) => Err(short(have)),
    }
}

fn is_valid(header: &RawXattrHeader) -> bool {
    header.magic.get() == MAGIC && header.blocks.get() == 1
}

fn short(have: usize) -> Corrupt {
    Corrupt::Short {
        what: "block of extended attributes",
        need: HEADER_SIZE,
        have,
    }
}
