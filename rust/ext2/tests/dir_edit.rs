// SPDX-License-Identifier: GPL-2.0

//! What a change of a directory's block leaves behind.

use super::{
    super::{
        dir,
        Corrupt,
        DirFault,
        Ino,
        Kind,
        SuperBlock, //
    },
    super_block, //
};
use std::collections::BTreeMap;

const DIR: Ino = Ino(11);
const PARENT: Ino = Ino(2);
const SIZE: usize = 1024;

fn fresh(sb: &SuperBlock) -> Vec<u8> {
    let mut block = vec![0xee; SIZE];
    dir::init_dots(&mut block, sb, DIR, PARENT).expect("room for two");
    block
}

fn names(block: &[u8], sb: &SuperBlock) -> Vec<(String, u32)> {
    dir::entries(block, sb, DIR)
        .map(|entry| entry.expect("a good block"))
        .map(|entry| (String::from_utf8_lossy(entry.name).into(), entry.ino.get()))
        .collect()
}

fn add(block: &mut [u8], sb: &SuperBlock, name: &[u8]) -> Option<usize> {
    dir::add(block, sb, DIR, name, Ino(12), Kind::Regular).expect("a good block")
}

#[test]
fn a_new_directory_has_two_entries_and_is_empty() {
    let sb = super_block(0, |_| ());
    let block = fresh(&sb);
    assert_eq!(names(&block, &sb), [(".".into(), 11), ("..".into(), 2)]);
    assert_eq!(dir::is_empty(&block, &sb, DIR), Ok(true));
    let dotdot = dir::dotdot(&block, &sb, DIR).expect("it is there");
    assert_eq!(
        (dotdot.ino, dotdot.offset, dotdot.next_offset),
        (PARENT, 12, SIZE)
    );
    assert_eq!(dotdot.kind, Some(Kind::Directory));
    assert!(block[24..].iter().all(|&byte| byte == 0));
}

#[test]
fn an_entry_goes_where_stock_ext2_puts_it() {
    let sb = super_block(0, |_| ());
    let mut block = fresh(&sb);
    assert_eq!(add(&mut block, &sb, b"first"), Some(24));
    assert_eq!(add(&mut block, &sb, b"second"), Some(40));
    assert_eq!(add(&mut block, &sb, b"third"), Some(56));
    dir::remove(&mut block, &sb, DIR, 40).expect("it is there");
    // Its place belongs to the first now, which leaves just as much. Its name stays behind.
    assert_eq!(block[24 + 4..][..2], [32, 0]);
    assert_eq!(block[40..][..14], *b"\0\0\0\0\x10\0\x06\x01second");
    assert_eq!(add(&mut block, &sb, b"four"), Some(40));
    assert_eq!(
        names(&block, &sb).split_off(2),
        [
            ("first".into(), 12),
            ("four".into(), 12),
            ("third".into(), 12)
        ]
    );
    assert_eq!(dir::is_empty(&block, &sb, DIR), Ok(false));
}

#[test]
fn a_name_is_stored_with_its_kind_if_the_volume_does_so() {
    for (features, kind) in [(2, Some(Kind::Fifo)), (0, None)] {
        let sb = super_block(0, |es| es.feature_incompat.set(features));
        let stored = |block: &[u8]| {
            let last = dir::entries(block, &sb, DIR).last().expect("entries");
            let last = last.expect("a good block");
            (last.ino, last.kind)
        };
        let mut block = fresh(&sb);
        let at = dir::add(&mut block, &sb, DIR, b"pipe", Ino(13), Kind::Fifo)
            .expect("a good block")
            .expect("room");
        assert_eq!(stored(&block), (Ino(13), kind));
        dir::set(&mut block, &sb, DIR, at, Ino(14), Kind::Socket).expect("it is there");
        assert_eq!(stored(&block), (Ino(14), kind.map(|_| Kind::Socket)));
        assert_eq!(block[at + 7], if kind.is_some() { 6 } else { 0 });
    }
}

#[test]
fn a_full_block_takes_no_more_and_stays_as_it_is() {
    let sb = super_block(0, |_| ());
    let mut block = fresh(&sb);
    // 24 bytes are the dots': 3 times 264, 208 and no byte is left.
    for _ in 0..3 {
        assert!(add(&mut block, &sb, &[b'n'; 255]).is_some());
    }
    assert_eq!(add(&mut block, &sb, &[b'm'; 200]), Some(24 + 3 * 264));
    let before = block.clone();
    assert_eq!(add(&mut block, &sb, b"x"), None);
    assert_eq!(add(&mut block, &sb, &[b'x'; 256]), None);
    assert_eq!(block, before);
    let last = dir::entries(&block, &sb, DIR)
        .last()
        .expect("entries")
        .expect("good");
    assert_eq!(last.next_offset, SIZE);
}

#[test]
fn the_first_entry_of_a_block_leaves_a_place() {
    let sb = super_block(0, |_| ());
    let mut block = vec![0xee; SIZE];
    dir::init_unused(&mut block, DIR).expect("room");
    assert!(names(&block, &sb).is_empty());
    assert_eq!(add(&mut block, &sb, b"only"), Some(0));
    dir::remove(&mut block, &sb, DIR, 0).expect("it is there");
    assert!(names(&block, &sb).is_empty());
    assert_eq!(add(&mut block, &sb, b"again"), Some(0));
}

#[test]
fn what_is_not_there_is_neither_removed_nor_changed() {
    let sb = super_block(0, |_| ());
    let mut block = fresh(&sb);
    let at = add(&mut block, &sb, b"file").expect("room");
    let before = block.clone();
    for offset in [4, at + 4, SIZE, SIZE + 12, usize::MAX] {
        let gone = Err(Corrupt::Dir {
            dir: DIR,
            offset: u32::try_from(offset).unwrap_or(u32::MAX),
            fault: DirFault::Gone,
        });
        assert_eq!(dir::remove(&mut block, &sb, DIR, offset), gone);
        assert_eq!(
            dir::set(&mut block, &sb, DIR, offset, Ino(5), Kind::Regular),
            gone
        );
    }
    assert_eq!(block, before);
}

#[test]
fn a_damaged_entry_on_the_way_is_told_and_nothing_changed() {
    let sb = super_block(0, |_| ());
    let mut block = fresh(&sb);
    let at = add(&mut block, &sb, b"file").expect("room");
    let behind = add(&mut block, &sb, b"behind").expect("room");
    block[at + 4] = 3;
    let before = block.clone();
    let fault = |offset: usize, fault| Corrupt::Dir {
        dir: DIR,
        offset: u32::try_from(offset).expect("small"),
        fault,
    };
    let short = fault(at, DirFault::TooShort(3));
    assert_eq!(dir::remove(&mut block, &sb, DIR, behind), Err(short));
    assert_eq!(
        dir::add(&mut block, &sb, DIR, b"new", Ino(12), Kind::Regular),
        Err(short)
    );
    assert_eq!(dir::is_empty(&block, &sb, DIR), Err(short));
    assert_eq!(block, before);
    block[12 + 8] = b'x';
    assert_eq!(
        dir::dotdot(&block, &sb, DIR),
        Err(fault(12, DirFault::NoDotDot))
    );
}

#[test]
fn an_entry_without_a_name_keeps_the_length_of_the_shortest() {
    let sb = super_block(0, |_| ());
    let mut block = vec![0; SIZE];
    dir::init_unused(&mut block, DIR).expect("room");
    assert_eq!(add(&mut block, &sb, b"file"), Some(0));
    block[6] = 0;
    assert_eq!(add(&mut block, &sb, b"behind"), Some(12));
    dir::remove(&mut block, &sb, DIR, 12).expect("it is reached");
}

#[test]
fn a_dot_that_is_another_directory_is_something_to_keep() {
    let sb = super_block(0, |_| ());
    let mut block = fresh(&sb);
    block[0] = 12;
    assert_eq!(dir::is_empty(&block, &sb, DIR), Ok(false));
}

#[test]
fn many_changes_leave_what_was_not_removed_where_it_was() {
    let sb = super_block(0, |_| ());
    let mut block = fresh(&sb);
    let mut there = BTreeMap::new();
    let mut state = 1_u64;
    let mut random = |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) % below
    };
    for step in 0..20_000 {
        if random(2) == 0 {
            let longest = if random(8) == 0 { 255 } else { 20 };
            let len = 1 + random(longest);
            let name: String = (0..len)
                .map(|_| char::from(b'a' + random(26) as u8))
                .collect();
            if there.contains_key(&name) {
                continue;
            }
            if let Some(at) = add(&mut block, &sb, name.as_bytes()) {
                there.insert(name, at);
            }
        } else if !there.is_empty() {
            let nth = random(there.len() as u64) as usize;
            let name = there.keys().nth(nth).expect("one of them").clone();
            let at = there.remove(&name).expect("it is there");
            dir::remove(&mut block, &sb, DIR, at).expect("it is there");
        }
        let found: BTreeMap<_, _> = dir::entries(&block, &sb, DIR)
            .skip(2)
            .map(|entry| entry.unwrap_or_else(|why| panic!("step {step}: {why}")))
            .map(|entry| {
                (
                    String::from_utf8_lossy(entry.name).into_owned(),
                    entry.offset,
                )
            })
            .collect();
        assert_eq!(found, there, "step {step}");
    }
}
