// SPDX-License-Identifier: GPL-2.0

//! What makes a block of a directory one that can be read.

use super::{
    super::{
        dir,
        Corrupt,
        DirFault,
        Ino,
        Kind, //
    },
    super_block, //
};

const DIR: Ino = Ino(2);

/// Appends an entry to a block.
fn push(block: &mut Vec<u8>, ino: u32, rec_len: u16, name: &[u8], file_type: u8) {
    let start = block.len();
    block.extend(ino.to_le_bytes());
    block.extend(rec_len.to_le_bytes());
    block.push(u8::try_from(name.len()).expect("a short name"));
    block.push(file_type);
    block.extend(name);
    block.resize(start + usize::from(rec_len).max(8 + name.len()), 0);
}

/// Returns the block of a directory with one file and room behind it.
fn sample() -> Vec<u8> {
    let mut block = Vec::new();
    push(&mut block, 2, 12, b".", 2);
    push(&mut block, 2, 12, b"..", 2);
    push(&mut block, 0, 20, b"deleted", 1);
    push(&mut block, 12, 980, b"file", 1);
    block
}

fn faults(block: &[u8]) -> (usize, Option<(u32, DirFault)>) {
    let sb = super_block(0, |_| ());
    let mut good = 0;
    let mut bad = None;
    for entry in dir::entries(block, &sb, DIR) {
        match entry {
            Ok(_) => good += 1,
            Err(Corrupt::Dir {
                dir: DIR,
                offset,
                fault,
            }) => assert_eq!(
                bad.replace((offset, fault)),
                None,
                "nothing follows an error"
            ),
            Err(other) => panic!("{other}"),
        }
    }
    (good, bad)
}

#[test]
fn entries_in_use_come_in_their_order_with_their_places() {
    let sb = super_block(0, |_| ());
    let block = sample();
    let found: Vec<_> = dir::entries(&block, &sb, DIR)
        .map(|entry| entry.expect("a good block"))
        .map(|entry| {
            (
                entry.ino.get(),
                entry.name,
                entry.kind,
                entry.offset,
                entry.next_offset,
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            (2, &b"."[..], Some(Kind::Directory), 0, 12),
            (2, &b".."[..], Some(Kind::Directory), 12, 24),
            (12, &b"file"[..], Some(Kind::Regular), 44, 1024),
        ]
    );
}

#[test]
fn without_the_feature_an_entry_does_not_say_what_it_names() {
    let sb = super_block(0, |es| es.feature_incompat.set(0));
    let block = sample();
    assert!(dir::entries(&block, &sb, DIR).all(|entry| entry.expect("good").kind.is_none()));
}

#[test]
fn a_kind_that_does_not_exist_is_not_known() {
    let mut block = Vec::new();
    push(&mut block, 12, 1024, b"file", 8);
    let sb = super_block(0, |_| ());
    let entry = dir::entries(&block, &sb, DIR).next().expect("there");
    assert_eq!(entry.expect("good").kind, None);
    let numbers: Vec<_> = (0..=u8::MAX).filter_map(Kind::from_file_type).collect();
    assert_eq!(numbers.len(), 7);
}

#[test]
fn a_name_is_found_whole_or_not_at_all() {
    let sb = super_block(0, |_| ());
    let block = sample();
    let find = |name: &[u8]| dir::find(&block[..], &sb, DIR, name).expect("a good block");
    assert_eq!(find(b"file").map(|entry| entry.ino), Some(Ino(12)));
    assert_eq!(find(b"..").map(|entry| entry.offset), Some(12));
    for name in [&b"fil"[..], b"files", b"deleted", b"", b"f\0le"] {
        assert_eq!(find(name), None);
    }
}

#[test]
fn an_empty_block_has_no_entries() {
    assert_eq!(faults(&[]), (0, None));
    let mut block = Vec::new();
    push(&mut block, 0, 1024, b"", 0);
    assert_eq!(faults(&block), (0, None));
}

#[test]
fn lengths_are_checked_in_the_order_of_c() {
    let with = |rec_len: u16| {
        let mut block = sample();
        block[48..50].copy_from_slice(&rec_len.to_le_bytes());
        faults(&block)
    };
    for short in [0, 4, 8, 11] {
        assert_eq!(with(short), (2, Some((44, DirFault::TooShort(short)))));
    }
    assert_eq!(with(13), (2, Some((44, DirFault::Unaligned(13)))));
    assert_eq!(with(984), (2, Some((44, DirFault::CrossesBlock(984)))));
    assert_eq!(with(65532), (2, Some((44, DirFault::CrossesBlock(65532)))));
    // Eight bytes are left behind it: no room for another.
    assert_eq!(with(972), (3, Some((1016, DirFault::TooShort(0)))));
    assert_eq!(with(976), (3, Some((1020, DirFault::NoRoom))));

    let mut block = sample();
    block[30] = 12;
    assert_eq!(faults(&block), (3, None));
    block[30] = 13;
    assert_eq!(faults(&block), (2, Some((24, DirFault::NameTooLong(13)))));
}

#[test]
fn an_entry_names_an_inode_that_exists_by_a_name_that_can_be() {
    let with = |ino: u32, name: &[u8]| {
        let mut block = Vec::new();
        push(&mut block, ino, 1024, name, 1);
        faults(&block)
    };
    let bad = |fault| (0, Some((0, fault)));
    assert_eq!(with(8 * 2048, b"last"), (1, None));
    assert_eq!(
        with(8 * 2048 + 1, b"none"),
        bad(DirFault::Inode(Ino(8 * 2048 + 1)))
    );
    for name in [&b""[..], b"a/b", b"a\0b"] {
        assert_eq!(with(12, name), bad(DirFault::Name));
    }
    // In free space the name is what happens to be there.
    assert_eq!(with(0, b"a/b"), (0, None));
}

#[test]
fn the_longest_name_fits() {
    let mut block = Vec::new();
    push(&mut block, 12, 264, &[b'n'; 255], 1);
    push(&mut block, 13, 760, b"next", 1);
    assert_eq!(faults(&block), (2, None));
}
