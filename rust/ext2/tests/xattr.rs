// SPDX-License-Identifier: GPL-2.0

//! Blocks of extended attributes: what is in them, how they change, and when they go.

use super::super::{
    raw::RawXattrHeader,
    xattr::{
        edit,
        release,
        share,
        Attributes,
        Edit,
        Full,
        Index,
        Release,
        HEADER_SIZE, //
    },
    Corrupt,
    DiskBlock, //
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

const BLOCK: DiskBlock = DiskBlock(77);
const SIZE: usize = 1024;

/// `user.a` is `xy`, as the kernel has it: `mke2fs`, `setfattr -n user.a -v xy`, `dd`.
const ENTRY: [u8; 17] = [
    1, 1, 0xfc, 3, 0, 0, 0, 0, 2, 0, 0, 0, 0x78, 0x79, 0x61, 0, b'a',
];

fn block(change: impl FnOnce(&mut RawXattrHeader)) -> Vec<u8> {
    let mut header = RawXattrHeader::new_zeroed();
    header.magic.set(0xea02_0000);
    header.refcount.set(1);
    header.blocks.set(1);
    header.hash.set(0x1234_5678);
    change(&mut header);
    let mut block = vec![0; SIZE];
    block[..HEADER_SIZE].copy_from_slice(header.as_bytes());
    block
}

fn set(
    old: Option<&[u8]>,
    index: Index,
    name: &str,
    value: Option<&[u8]>,
) -> Result<Vec<u8>, Full> {
    let mut new = vec![0; SIZE];
    let old = old.map(|old| Attributes::parse(old, BLOCK).expect("it was made here"));
    match edit(old, index, name.as_bytes(), value, &mut new)? {
        Edit::Empty => Ok(Vec::new()),
        Edit::Made { hash } => {
            assert_eq!(
                Attributes::parse(&new, BLOCK).map(|new| new.hash()),
                Ok(hash)
            );
            Ok(new)
        }
    }
}

/// Returns the names and values in their order.
fn all(block: &[u8]) -> Vec<(u8, String, Vec<u8>)> {
    let block = Attributes::parse(block, BLOCK).expect("it was made here");
    let name = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    block
        .iter()
        .map(|found| (found.index, name(found.name), found.value.to_vec()))
        .collect()
}

#[test]
fn a_block_is_made_as_the_kernel_makes_it() {
    let made = set(None, Index::User, "a", Some(b"xy")).expect("there is room");
    let mut expected = block(|header| header.hash.set(0x0061_7978));
    expected[HEADER_SIZE..HEADER_SIZE + ENTRY.len()].copy_from_slice(&ENTRY);
    expected[SIZE - 4..SIZE - 2].copy_from_slice(b"xy");
    assert_eq!(made, expected);
}

#[test]
fn attributes_are_sorted_and_found() {
    let mut block = None::<Vec<u8>>;
    let names = [
        (Index::Security, "capability"),
        (Index::User, "bb"),
        (Index::AclDefault, ""),
        (Index::User, "ab"),
        (Index::Trusted, "z"),
        (Index::User, "c"),
        (Index::AclAccess, ""),
    ];
    for (index, name) in names {
        let new = set(block.as_deref(), index, name, Some(name.as_bytes())).expect("there is room");
        block = Some(new);
    }
    let block = block.expect("there were some");
    let found: Vec<_> = all(&block)
        .into_iter()
        .map(|(index, name, _)| (index, name))
        .collect();
    let sorted = [
        (1, "c"),
        (1, "ab"),
        (1, "bb"),
        (2, ""),
        (3, ""),
        (4, "z"),
        (6, "capability"),
    ];
    assert_eq!(found, sorted.map(|(index, name)| (index, name.to_owned())));
    let parsed = Attributes::parse(&block, BLOCK).expect("good");
    for (index, name) in names {
        assert_eq!(parsed.get(index, name.as_bytes()), Some(name.as_bytes()));
    }
    for (index, name) in [
        (Index::User, "d"),
        (Index::User, ""),
        (Index::Security, "c"),
    ] {
        assert_eq!(parsed.get(index, name.as_bytes()), None);
    }
}

#[test]
fn values_are_replaced_and_removed_without_leaving_gaps() {
    let set = |old: &[u8], name: &str, value: Option<&[u8]>| {
        set(Some(old), Index::User, name, value).expect("there is room")
    };
    let one = self::set(None, Index::User, "a", Some(&[1; 100])).expect("there is room");
    let two = set(&one, "b", Some(&[2; 50]));
    let longer = set(&two, "a", Some(&[3; 200]));
    let (a, b) = ((1, "a".to_owned()), (1, "b".to_owned()));
    let with = |(index, name): &(u8, String), value: &[u8]| (*index, name.clone(), value.to_vec());
    assert_eq!(all(&longer), [with(&a, &[3; 200]), with(&b, &[2; 50])]);
    let none = set(&longer, "a", Some(&[]));
    assert_eq!(all(&none), [with(&a, &[]), with(&b, &[2; 50])]);
    let removed = set(&none, "a", None);
    assert_eq!(
        removed,
        self::set(None, Index::User, "b", Some(&[2; 50])).expect("room")
    );
    assert_eq!(set(&removed, "c", None), removed, "it was not there");
    assert!(set(&removed, "b", None).is_empty(), "the last one");
}

#[test]
fn a_block_is_used_to_the_last_byte() {
    // Header, entry with one letter, four zero bytes.
    let room = SIZE - HEADER_SIZE - 20 - 4;
    assert_eq!(
        set(None, Index::User, "a", Some(&vec![1; room + 1])),
        Err(Full)
    );
    let full = set(None, Index::User, "a", Some(&vec![1; room])).expect("there is room");
    assert_eq!(set(Some(&full), Index::User, "b", Some(&[])), Err(Full));
    let same = set(Some(&full), Index::User, "a", Some(&vec![2; room])).expect("as before");
    assert_eq!(all(&same), [(1, "a".to_owned(), vec![2; room])]);
    assert_eq!(
        set(None, Index::User, &"n".repeat(256), Some(&[])),
        Err(Full)
    );
}

#[test]
fn the_order_of_values_does_not_make_a_difference() {
    let set = |old: Option<&[u8]>, name: &str| {
        set(old, Index::User, name, Some(name.as_bytes())).expect("there is room")
    };
    let one = set(Some(&set(None, "one")), "two");
    let mut other = one.clone();
    let end = SIZE;
    other[end - 8..end - 4].copy_from_slice(&one[end - 4..]);
    other[end - 4..].copy_from_slice(&one[end - 8..end - 4]);
    let entry = HEADER_SIZE + 2;
    let (first, second) = (entry, entry + 20);
    for (to, from) in [(first, second), (second, first)] {
        other[to..to + 2].copy_from_slice(&one[from..from + 2]);
    }
    let parse = |block| Attributes::parse(block, BLOCK).expect("good");
    assert_ne!(one, other);
    assert!(parse(&one).same_as(&parse(&other)));
    let less = set(None, "one");
    assert!(!parse(&one).same_as(&parse(&less)));
    assert!(!parse(&less).same_as(&parse(&one)));
}

#[test]
fn an_entry_without_a_hash_keeps_the_block_from_being_shared() {
    let mut one = set(None, Index::User, "a", Some(b"xy")).expect("there is room");
    one[HEADER_SIZE + 12..HEADER_SIZE + 16].fill(0);
    let two = set(Some(&one), Index::User, "b", Some(b"xy")).expect("there is room");
    assert_eq!(Attributes::parse(&two, BLOCK).map(|two| two.hash()), Ok(0));
}

#[test]
fn an_entry_that_reaches_out_of_its_block_is_damage() {
    let good = set(None, Index::User, "a", Some(b"xy")).expect("there is room");
    let wrong: [(usize, &[u8]); 8] = [
        // The value: behind the block, over its end, too long, in another block.
        (2, &[0xff, 0xff]),
        (2, &[0xff, 0x03]),
        (8, &[0, 0x10, 0, 0]),
        (8, &[0xff; 4]),
        (4, &[1, 0, 0, 0]),
        // No name.
        (0, &[0, 0]),
        // The next entry.
        (20, &[255, 1, 0xff, 0xff]),
        (20, &[0, 1, 0xff, 0xff]),
    ];
    for (at, bytes) in wrong {
        let mut raw = good.clone();
        raw[HEADER_SIZE + at..HEADER_SIZE + at + bytes.len()].copy_from_slice(bytes);
        let found = Attributes::parse(&raw, BLOCK).map(|_| ());
        let offset = HEADER_SIZE as u32 + if at == 20 { 20 } else { 0 };
        let expected = Corrupt::XattrEntry {
            block: BLOCK,
            offset,
        };
        assert_eq!(found, Err(expected), "{at}");
    }
    // Entries to the end of the block.
    let mut raw = block(|_| ());
    for entry in raw[HEADER_SIZE..].chunks_mut(16) {
        entry.fill(0);
        entry[1] = 1;
    }
    Attributes::parse(&raw, BLOCK)
        .map(drop)
        .expect_err("there is no end");
}

#[test]
fn the_last_user_frees_it() {
    let mut raw = block(|_| ());
    let unused = Release::Unused { hash: 0x1234_5678 };
    assert_eq!(release(&mut raw, BLOCK), Ok(unused));
    assert_eq!(raw, block(|_| ()));
}

#[test]
fn others_keep_it() {
    for users in [2, 3, 1024, u32::MAX] {
        let mut raw = block(|header| header.refcount.set(users));
        assert_eq!(release(&mut raw, BLOCK), Ok(Release::Kept));
        assert_eq!(raw, block(|header| header.refcount.set(users - 1)));
    }
}

#[test]
fn no_more_share_it_than_it_may_have() {
    for (users, more) in [(1, true), (1023, true), (1024, false), (u32::MAX, false)] {
        let mut raw = block(|header| header.refcount.set(users));
        assert_eq!(share(&mut raw, BLOCK), Ok(more), "{users}");
        let now = if more { users + 1 } else { users };
        assert_eq!(raw, block(|header| header.refcount.set(now)));
    }
}

#[test]
fn what_is_something_else_is_left_alone() {
    let wrong: [fn(&mut RawXattrHeader); 4] = [
        |header| header.magic.set(0xea01_0000),
        |header| header.blocks.set(2),
        |header| header.blocks.set(0),
        |header| header.refcount.set(0),
    ];
    for change in wrong {
        let mut raw = block(change);
        assert_eq!(release(&mut raw, BLOCK), Err(Corrupt::Xattr(BLOCK)));
        assert_eq!(share(&mut raw, BLOCK), Err(Corrupt::Xattr(BLOCK)));
        assert_eq!(raw, block(change));
    }
    let mut short = block(|_| ());
    short.truncate(HEADER_SIZE - 1);
    release(&mut short, BLOCK).expect_err("too short");
    Attributes::parse(&short, BLOCK)
        .map(drop)
        .expect_err("too short");
}
