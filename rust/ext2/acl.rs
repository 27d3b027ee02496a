// SPDX-License-Identifier: GPL-2.0

//! Access control lists, which are the values of two extended attributes.
//!
//! On disk (version 1) an entry that names no user or group has no number. In system calls, and in
//! what the kernel's helpers take (version 2), every entry has one. What a list must be to make
//! sense is not looked at here.
//!
//! C counterparts: `ext2_acl_from_disk` and `ext2_acl_to_disk` in
//! [`fs/ext2/acl.c`](srctree/fs/ext2/acl.c)

const VERSION_DISK: u32 = 1;
const VERSION_CALL: u32 = 2;

/// The number of an entry that has none.
const UNDEFINED_ID: u32 = u32::MAX;

/// How many entries without a number a list has that has others as well.
const UNNAMED: usize = 4;

/// What follows the tag and the permissions of an entry on disk.
enum Entry {
    /// Nothing: `ACL_USER_OBJ`, `ACL_GROUP_OBJ`, `ACL_MASK`, `ACL_OTHER`.
    Unnamed,
    /// The number of a user or group: `ACL_USER`, `ACL_GROUP`.
    Named,
}

impl Entry {
    fn from_tag(tag: [u8; 2]) -> Option<Self> {
        match u16::from_le_bytes(tag) {
            0x01 | 0x04 | 0x10 | 0x20 => Some(Self::Unnamed),
            0x02 | 0x08 => Some(Self::Named),
            _ => None,
        }
    }
}

/// Turns a list from the disk into that of a system call. Returns its length in bytes.
///
/// `out` needs no more than twice as many bytes as `disk` has. Returns [`None`] if the list is
/// malformed.
pub(crate) fn from_disk(disk: &[u8], out: &mut [u8]) -> Option<usize> {
    let (version, mut rest) = disk.split_first_chunk()?;
    if u32::from_le_bytes(*version) != VERSION_DISK {
        return None;
    }
    let mut out = Out { bytes: out, len: 0 };
    out.push(&VERSION_CALL.to_le_bytes())?;
    let (mut unnamed, mut named) = (0usize, 0usize);
    while !rest.is_empty() {
        let (&[a, b, c, d], behind) = rest.split_first_chunk()?;
        out.push(&[a, b, c, d])?;
        rest = match Entry::from_tag([a, b])? {
            Entry::Unnamed => {
                // OVERFLOW: Fewer than bytes.
                unnamed += 1;
                out.push(&UNDEFINED_ID.to_le_bytes())?;
                behind
            }
            Entry::Named => {
                named += 1;
                let (id, behind) = behind.split_first_chunk::<4>()?;
                out.push(id)?;
                behind
            }
        };
    }
    // What `ext2_acl_count` comes to.
    let whole = unnamed == UNNAMED || (named == 0 && unnamed < UNNAMED);
    whole.then_some(out.len)
}

/// Turns a list of a system call into that on the disk. Returns its length in bytes.
///
/// `out` needs no more bytes than `call` has. Returns [`None`] if the list is malformed.
pub(crate) fn to_disk(call: &[u8], out: &mut [u8]) -> Option<usize> {
    let (version, mut rest) = call.split_first_chunk()?;
    if u32::from_le_bytes(*version) != VERSION_CALL {
        return None;
    }
    let mut out = Out { bytes: out, len: 0 };
    out.push(&VERSION_DISK.to_le_bytes())?;
    while !rest.is_empty() {
        let (&[a, b, c, d], behind) = rest.split_first_chunk()?;
        let (id, behind) = behind.split_first_chunk::<4>()?;
        out.push(&[a, b, c, d])?;
        if let Entry::Named = Entry::from_tag([a, b])? {
            out.push(id)?;
        }
        rest = behind;
    }
    Some(out.len)
}

/// Bytes that are being filled.
struct Out<'a> {
    bytes: &'a mut [u8],
    len: usize,
}

impl Out<'_> {
    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let end = self.len.checked_add(bytes.len())?;
        self.bytes.get_mut(self.len..end)?.copy_from_slice(bytes);
        self.len = end;
        Some(())
    }
}
