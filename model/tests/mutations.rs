// SPDX-License-Identifier: GPL-2.0

//! Bytes that nobody vouches for: arbitrary ones, and those of a good image with some changed.

#[path = "common/mod.rs"]
mod common;
#[path = "common/staging.rs"]
mod staging;

use std::sync::OnceLock;

use cohfs_model::exercise;
use cohfs_model::image::Image;
use common::{have_e2fsprogs, mke2fs};
use proptest::prelude::*;
use proptest::sample::Index;

/// A change of an image: where, and what.
#[derive(Clone, Debug)]
struct Change {
    place: Place,
    at: Index,
    value: Value,
}

/// A part of an image in which a change is likely to matter.
#[derive(Clone, Copy, Debug)]
enum Place {
    SuperBlock,
    Descriptors,
    Inodes,
    Pointers,
    Directories,
    Anywhere,
}

/// Values that mistakes are made with.
#[derive(Clone, Copy, Debug)]
enum Value {
    Byte(u8),
    Half(u16),
    Word(u32),
}

fn change() -> impl Strategy<Value = Change> {
    let place = prop_oneof![
        1 => Just(Place::SuperBlock),
        1 => Just(Place::Descriptors),
        4 => Just(Place::Inodes),
        2 => Just(Place::Pointers),
        3 => Just(Place::Directories),
        1 => Just(Place::Anywhere),
    ];
    let edge = prop_oneof![
        Just(0),
        Just(1),
        Just(u32::MAX),
        Just(1 << 31),
        0u32..30_000
    ];
    let value = prop_oneof![
        any::<u8>().prop_map(Value::Byte),
        any::<u16>().prop_map(Value::Half),
        any::<u32>().prop_map(Value::Word),
        edge.prop_map(Value::Word),
    ];
    (place, any::<Index>(), value).prop_map(|(place, at, value)| Change { place, at, value })
}

/// A good image, and the offsets in bytes at which its parts are.
struct Base {
    bytes: Vec<u8>,
    parts: [Vec<usize>; 5],
}

/// Returns the good images, of each block size.
fn bases() -> &'static [Base] {
    static BASES: OnceLock<Vec<Base>> = OnceLock::new();
    BASES.get_or_init(|| {
        let staged = staging::stage();
        let make = |size| base(mke2fs(&["-t", "ext2", "-b", size], Some(staged.path())).bytes);
        ["1024", "2048", "4096"].map(make).into()
    })
}

fn base(bytes: Vec<u8>) -> Base {
    let image = Image::open(&bytes).expect("a good image");
    let size = usize::try_from(image.block_size()).expect("small");
    let start = |block: u32| usize::try_from(block).expect("small") * size;
    let inode_size: usize = image.account()["Inode size"].parse().expect("a number");
    let table = start(image.group_places()[0][2]);
    let mut directories = Vec::new();
    for stat in image
        .survey()
        .files
        .values()
        .filter(|stat| stat.mode >> 12 == 4)
    {
        for extent in image.extents(stat.ino).expect("good") {
            directories.extend((0..64).map(|at| start(extent.disk_block) + at));
        }
    }
    // Blocks of pointers lie before the data that they lead to.
    let deep = image.lookup(2, b"deep").expect("good").expect("there");
    let extents = image.extents(deep).expect("good");
    let pointers = extents.iter().filter(|extent| extent.file_block >= 12);
    let pointers =
        pointers.flat_map(|extent| start(extent.disk_block - 3)..start(extent.disk_block));
    let parts = [
        (1024..1024 + 0x108).collect(),
        (start(2048 / image.block_size()).max(size)..)
            .take(64)
            .collect(),
        (table + inode_size..table + 130 * inode_size).collect(),
        pointers.collect(),
        directories,
    ];
    Base { bytes, parts }
}

fn apply(base: &Base, changes: &[Change]) -> Vec<u8> {
    let mut bytes = base.bytes.clone();
    for Change { place, at, value } in changes {
        let at = match place {
            Place::SuperBlock => *at.get(&base.parts[0]),
            Place::Descriptors => *at.get(&base.parts[1]),
            Place::Inodes => *at.get(&base.parts[2]),
            Place::Pointers => *at.get(&base.parts[3]),
            Place::Directories => *at.get(&base.parts[4]),
            Place::Anywhere => at.index(bytes.len()),
        };
        let (value, len) = match value {
            Value::Byte(byte) => (u32::from(*byte), 1),
            Value::Half(half) => (u32::from(*half), 2),
            Value::Word(word) => (*word, 4),
        };
        // Words are mostly at multiples of their size.
        let at = (at / len * len).min(bytes.len() - len);
        bytes[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    }
    bytes
}

/// Returns 4096 bytes in which a block of any size is a good one of a directory, with entries in use
/// and not, and with more and with less room behind the names.
fn block_of_directory() -> Vec<u8> {
    let entry = |n: u8| {
        let (ino, name_len) = match n % 5 {
            0 => (0, 0),
            _ => (n, 1 + n % 17),
        };
        let mut entry = vec![0; 32];
        entry[..4].copy_from_slice(&u32::from(ino).to_le_bytes());
        entry[4..8].copy_from_slice(&[32, 0, name_len, 1 + n % 7]);
        entry[8..][..usize::from(name_len)].fill(b'a' + n % 26);
        entry
    };
    (0..128).flat_map(entry).collect()
}

/// Returns 4096 bytes in which a block of any size is a good one of attributes.
fn block_of_attributes() -> Vec<u8> {
    let mut block = vec![0; 4096];
    block[..12].copy_from_slice(&[0, 0, 2, 0xea, 1, 0, 0, 0, 1, 0, 0, 0]);
    for n in 0..12u8 {
        let (at, value) = (32 + 24 * usize::from(n), 1000 - 40 * u16::from(n));
        let [low, high] = value.to_le_bytes();
        let name = [b'a' + n; 6];
        block[at..at + 16].copy_from_slice(&[6, 1, low, high, 0, 0, 0, 0, 20, 0, 0, 0, n, 0, 0, 1]);
        block[at + 16..at + 22].copy_from_slice(&name);
        block[usize::from(value)..][..20].fill(n);
    }
    block
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn arbitrary_bytes_are_parsed_without_harm(
        bytes in prop::collection::vec(any::<u8>(), 0..4200),
    ) {
        exercise::structures(&bytes);
        exercise::image(&bytes);
    }

    #[test]
    fn mostly_zero_bytes_are_parsed_without_harm(
        changes in prop::collection::vec((0usize..1024, any::<u8>()), 0..12),
    ) {
        let mut bytes = vec![0; 4096];
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        exercise::structures(&bytes);
    }

    #[test]
    fn changed_blocks_of_attributes_are_changed_without_harm(
        changes in prop::collection::vec((0usize..400, any::<u8>()), 0..6),
    ) {
        let mut bytes = block_of_attributes();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        exercise::structures(&bytes);
    }

    #[test]
    fn changed_blocks_of_directories_are_changed_without_harm(
        changes in prop::collection::vec((0usize..1024, any::<u8>()), 0..6),
    ) {
        let mut bytes = block_of_directory();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        exercise::structures(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn changed_images_are_read_without_harm(
        which in 0usize..3,
        changes in prop::collection::vec(change(), 1..8),
    ) {
        if have_e2fsprogs() {
            exercise::image(&apply(&bases()[which], &changes));
        }
    }
}

/// If nearly all changes were refused at once, or none was noticed, little would be tried.
#[test]
fn changes_reach_every_part() {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;
    if !have_e2fsprogs() {
        return;
    }
    let mut runner = TestRunner::deterministic();
    let (mut refused, mut damaged, mut unnoticed) = (0, 0, 0);
    for _ in 0..200 {
        let strategy = prop::collection::vec(change(), 1..8);
        let changes = strategy.new_tree(&mut runner).expect("a value").current();
        match exercise::image(&apply(&bases()[0], &changes)) {
            None => refused += 1,
            Some(survey) if survey.faults.is_empty() => unnoticed += 1,
            Some(_) => damaged += 1,
        }
    }
    assert!(
        refused > 10 && damaged > 40 && unnoticed > 10,
        "{refused} {damaged} {unnoticed}"
    );
}
