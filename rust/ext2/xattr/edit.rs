// SPDX-License-Identifier: GPL-2.0

//! Blocks of extended attributes, made anew.
//!
//! A change makes a whole block of the old one: the values are packed again, so that whatever the
//! old block has between them is neither kept nor in the way.
//!
//! C counterparts: `ext2_xattr_set`, `ext2_xattr_hash_entry` and `ext2_xattr_rehash` in
//! [`fs/ext2/xattr.c`](srctree/fs/ext2/xattr.c)

use super::{
    entry_len,
    padded,
    Attribute,
    Attributes,
    Index,
    RawXattrEntry,
    RawXattrHeader,
    END_SIZE,
    ENTRY_SIZE,
    HEADER_SIZE,
    MAGIC, //
};
use core::cmp::Ordering;
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

/// One block has no room for all attributes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// What a block is after a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Edit {
    /// There is no attribute left, so none is needed.
    Empty,
    /// It has attributes.
    Made {
        /// The hash over all; zero if it is not to be shared.
        hash: u32,
    },
}

/// Makes a block of `old`, if there is one, in which the attribute has `value`, or is not if that
/// is [`None`].
///
/// `new` is a whole block of zeroes. Its one user is the caller.
///
/// # Errors
///
/// [`Full`] if there is no room. What is in `new` is of no use then.
pub(crate) fn edit(
    old: Option<Attributes<'_>>,
    index: Index,
    name: &[u8],
    value: Option<&[u8]>,
    new: &mut [u8],
) -> Result<Edit, Full> {
    let index = index.number();
    let end = new.len();
    let mut block = Block {
        new,
        at: HEADER_SIZE,
        values: end,
        hash: Some(0),
    };
    // Taken when its place is reached.
    let mut value = Some(value);
    let put = |block: &mut Block<'_>, value: Option<&[u8]>| match value {
        Some(value) => {
            let hash = hash(name, value);
            block.push(&Attribute {
                index,
                name,
                value,
                hash,
            })
        }
        None => Ok(()),
    };
    for found in old.iter().flat_map(Attributes::iter) {
        let order = found.order(index, name);
        if order != Ordering::Greater {
            if let Some(value) = value.take() {
                put(&mut block, value)?;
                if order == Ordering::Equal {
                    continue;
                }
            }
        }
        block.push(&found)?;
    }
    if let Some(value) = value.take() {
        put(&mut block, value)?;
    }
    block.finish()
}

/// A block that is being filled.
struct Block<'a> {
    new: &'a mut [u8],
    /// Where the next entry goes.
    at: usize,
    /// Where the values begin.
    values: usize,
    /// Over the entries so far; none if one of them has none.
    hash: Option<u32>,
}

impl Block<'_> {
    /// Adds an attribute behind those that are there.
    fn push(&mut self, attribute: &Attribute<'_>) -> Result<(), Full> {
        let Attribute {
            index,
            name,
            value,
            hash,
        } = *attribute;
        let mut entry = RawXattrEntry::new_zeroed();
        entry.name_len = u8::try_from(name.len()).map_err(|_| Full)?;
        entry.name_index = index;
        entry
            .value_size
            .set(u32::try_from(value.len()).map_err(|_| Full)?);
        entry.hash.set(hash);
        // OVERFLOW: Lengths of slices are far from the largest number.
        let values = self.values.checked_sub(padded(value.len())).ok_or(Full)?;
        let next = self.at + entry_len(name.len());
        if next + END_SIZE > values {
            return Err(Full);
        }
        if !value.is_empty() {
            entry
                .value_offs
                .set(u16::try_from(values).map_err(|_| Full)?);
        }
        self.put(self.at, entry.as_bytes())?;
        self.put(self.at + ENTRY_SIZE, name)?;
        self.put(values, value)?;
        self.at = next;
        self.values = values;
        self.hash = match self.hash {
            Some(before) if hash != 0 => Some(before.rotate_left(BLOCK_HASH_SHIFT) ^ hash),
            _ => None,
        };
        Ok(())
    }

    fn put(&mut self, at: usize, bytes: &[u8]) -> Result<(), Full> {
        let room = self
            .new
            .get_mut(at..)
            .and_then(|room| room.get_mut(..bytes.len()));
        room.ok_or(Full)?.copy_from_slice(bytes);
        Ok(())
    }

    /// Fills in the header.
    fn finish(mut self) -> Result<Edit, Full> {
        if self.at == HEADER_SIZE {
            return Ok(Edit::Empty);
        }
        let hash = self.hash.unwrap_or(0);
        let mut header = RawXattrHeader::new_zeroed();
        header.magic.set(MAGIC);
        header.refcount.set(1);
        header.blocks.set(1);
        header.hash.set(hash);
        self.put(0, header.as_bytes())?;
        Ok(Edit::Made { hash })
    }
}

const NAME_HASH_SHIFT: u32 = 5;
const VALUE_HASH_SHIFT: u32 = 16;
const BLOCK_HASH_SHIFT: u32 = 16;

/// Returns the hash of an attribute, as `e2fsck` computes it as well.
///
/// Bytes of the name have no sign: the kernel is built with `-funsigned-char`.
fn hash(name: &[u8], value: &[u8]) -> u32 {
    let hash = name.iter().fold(0u32, |hash, &byte| {
        hash.rotate_left(NAME_HASH_SHIFT) ^ u32::from(byte)
    });
    value.chunks(4).fold(hash, |hash, word| {
        let mut padded = [0; 4];
        for (to, from) in padded.iter_mut().zip(word) {
            *to = *from;
        }
        hash.rotate_left(VALUE_HASH_SHIFT) ^ u32::from_le_bytes(padded)
    })
}
