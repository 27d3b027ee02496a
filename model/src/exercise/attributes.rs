// SPDX-License-Identifier: GPL-2.0

//! Extended attributes and access control lists made of arbitrary bytes.

use crate::ext2::acl;
use crate::ext2::xattr::{edit, release, share, Attributes, Edit, Index};
use crate::ext2::DiskBlock;

const BLOCK: DiskBlock = DiskBlock(1000);

/// An attribute as it can be compared: namespace, name, value.
type Owned = (u8, Vec<u8>, Vec<u8>);

/// Takes the bytes for a block of `size` bytes whose magic number is right, and changes it.
pub(super) fn block(bytes: &[u8], size: usize) {
    let mut raw = bytes.to_vec();
    raw.resize(size, 0);
    let _ = (release(&mut raw, BLOCK), share(&mut raw, BLOCK));
    raw[..4].copy_from_slice(&0xea02_0000u32.to_le_bytes());
    raw[8..12].copy_from_slice(&1u32.to_le_bytes());
    let Ok(old) = Attributes::parse(&raw, BLOCK) else {
        return;
    };
    let before = all(&old);
    assert!(old.same_as(&old) && before.len() <= size / 16);
    for (index, name) in [
        (Index::User, &b"name"[..]),
        (Index::AclAccess, b""),
        (Index::Security, b"s"),
    ] {
        for value in [None, Some(&b""[..]), Some(b"value"), Some(&[7; 700])] {
            change(&old, &before, (index, name, value), size);
        }
    }
}

/// Makes one change, and holds the new block to be the old one with that change.
fn change(
    old: &Attributes<'_>,
    before: &[Owned],
    (index, name, value): (Index, &[u8], Option<&[u8]>),
    size: usize,
) {
    let mut new = vec![0; size];
    let there = old.get(index, name).map(<[u8]>::to_vec);
    // The values of the old one may overlap, so that they need more room than there is.
    let Ok(made) = edit(Some(*old), index, name, value, &mut new) else {
        return;
    };
    let mut others = before.to_vec();
    let is_it = |found: &Owned| found.0 == index.number() && found.1 == name;
    let position = others.iter().position(is_it).filter(|_| there.is_some());
    if let Some(position) = position {
        others.remove(position);
    }
    if made == Edit::Empty {
        assert!(others.is_empty() && value.is_none());
        return;
    }
    let parsed = Attributes::parse(&new, BLOCK).expect("just made");
    assert_eq!(parsed.get(index, name), value);
    let mut after = all(&parsed);
    if value.is_some() {
        let position = after.iter().position(is_it).expect("it was found");
        after.remove(position);
    }
    assert_eq!(after, others);
}

fn all(block: &Attributes<'_>) -> Vec<Owned> {
    block
        .iter()
        .map(|found| (found.index, found.name.to_vec(), found.value.to_vec()))
        .collect()
}

/// Takes the bytes for a list, as the disk has it and as a system call has.
pub(super) fn list(bytes: &[u8]) {
    for version in [1, 2] {
        let mut list = bytes.to_vec();
        list.resize(list.len().max(4), 0);
        list[..4].copy_from_slice(&u32::to_le_bytes(version));
        let (mut call, mut disk) = (vec![0; 2 * list.len()], vec![0; list.len()]);
        if version == 1 {
            let Some(len) = acl::from_disk(&list, &mut call) else {
                continue;
            };
            call.truncate(len);
            let len = acl::to_disk(&call, &mut disk).expect("just made");
            assert_eq!(disk[..len], list);
        } else {
            let _ = acl::to_disk(&list, &mut disk);
        }
    }
}
