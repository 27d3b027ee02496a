// SPDX-License-Identifier: GPL-2.0

//! Runs the disk format's parsers, and what changes a structure in place, on bytes that nobody vouches for.
//!
//! The fuzz targets and the property tests call these. Whatever the bytes are, they return, soon
//! and without a panic; what a parser accepted is held to what its type promises, and a change is
//! held to leaving all else as it was.

mod attributes;

use crate::ext2::{
    dir, group_of_directory, group_of_file, max_file_size, run_length, Cut, DiskBlock, FileBlock,
    GroupDesc, Ino, Inode, Kind, Path, SuperBlock, Usage, SUPER_SIZE,
};
use crate::image::{Image, Survey};

/// Size of the device under [`sample`], in bytes.
const DEVICE: u64 = 64 << 20;

/// Takes the bytes for an image, and reads all of it; `None` if it would not be mounted.
///
/// # Panics
///
/// Never, or there is a mistake in the room `ext2`.
pub fn image(bytes: &[u8]) -> Option<Survey> {
    Some(Image::open(bytes).ok()?.survey())
}

/// Takes the bytes for each structure in turn, of file systems with all sizes of blocks.
///
/// # Panics
///
/// If a parser does, or if what it accepted is not what it promises.
pub fn structures(bytes: &[u8]) {
    for log in 0..=2 {
        for inode_size in [128, 256] {
            let raw = sample(log, inode_size);
            let sb = SuperBlock::parse(&raw, DEVICE).expect("the sample is good");
            group(bytes, &sb);
            inode(bytes, &sb);
            block_of_directory(bytes, &sb);
            changes_of_directory(bytes, &sb);
            pointers(bytes, &sb);
            cut(bytes, &sb);
            choice_of_group(bytes, &sb);
        }
        attributes::block(bytes, 1024 << log);
    }
    attributes::list(bytes);
    super_block(bytes);
}

/// Takes the bytes for a super block whose magic number is right.
fn super_block(bytes: &[u8]) {
    let mut raw = bytes.to_vec();
    raw.resize(SUPER_SIZE, 0);
    raw[0x38..0x3a].copy_from_slice(&0xef53u16.to_le_bytes());
    let sb = match SuperBlock::parse(&raw, u64::MAX) {
        Ok(sb) => sb,
        Err(why) => return assert!(!why.to_string().contains('\n')),
    };
    for group in (0..sb.groups_count())
        .take(1000)
        .chain([sb.groups_count() - 1])
    {
        let (first, last) = sb.group_blocks(group);
        assert!(
            first <= last && last.get() < sb.blocks_count(),
            "group {group}: {sb:?}"
        );
        assert_eq!(
            (sb.group_of(first), sb.group_of(last)),
            (Ok(group), Ok(group))
        );
        let (_, offset) = sb.desc_location(group);
        assert!(offset + 32 <= 1 << sb.block_bits());
        let _ = GroupDesc::parse(bytes, &sb, group);
    }
    assert!(max_file_size(&sb) > 1 << 30);
    for ino in [2, sb.first_ino(), sb.inodes_count()] {
        let group = sb
            .inode_group(Ino(ino))
            .expect("a number that may be named");
        assert!(group < sb.groups_count());
    }
    sb.inode_group(Ino(sb.inodes_count().wrapping_add(1)))
        .expect_err("there are no more");
    if sb.groups_count() < 10_000 {
        assert!(sb.overhead() > 0);
    }
    let _ = (sb.advice(0), sb.on_error(), sb.read_only_features());
    sb.store_mounted(&mut raw, u32::MAX).expect("long enough");
    sb.store_unmounted(&mut raw, u32::MAX).expect("long enough");
    SuperBlock::store_error(&mut raw).expect("long enough");
    SuperBlock::store_free(&mut raw, 1, 1, 1).expect("long enough");
    SuperBlock::store_large_file(&mut raw).expect("long enough");
    SuperBlock::parse(&raw, u64::MAX).expect("as good as before");
}

fn group(bytes: &[u8], sb: &SuperBlock) {
    for group in 0..sb.groups_count() {
        let Ok(desc) = GroupDesc::parse(bytes, sb, group) else {
            continue;
        };
        let (first, last) = sb.group_blocks(group);
        let inside = |block| first <= block && block <= last;
        assert!(inside(desc.block_bitmap()) && inside(desc.inode_bitmap()));
        for ino in [
            group * sb.inodes_per_group() + 11,
            (group + 1) * sb.inodes_per_group(),
        ] {
            let (block, offset) = sb.inode_location(Ino(ino), &desc).expect("in the group");
            assert!(inside(block) && offset < 1 << sb.block_bits());
            sb.check_against(block, 1, &desc)
                .expect_err("the table holds no data");
        }
    }
}

fn inode(bytes: &[u8], sb: &SuperBlock) {
    let Ok(inode) = Inode::parse(bytes, Ino(12), sb) else {
        return;
    };
    if let Some(target) = inode.fast_symlink() {
        assert!(!target.is_empty() && target.len() < 60 && !target.contains(&0));
    }
    if inode.size > 0 {
        let last = u32::try_from((inode.size - 1) >> sb.block_bits()).expect("in reach");
        Path::to(FileBlock(last), sb).expect("in reach");
    }
    let mut stored = bytes.to_vec();
    inode.store(&mut stored).expect("long enough");
    assert_eq!(stored, bytes, "what was read is what is stored");
}

fn block_of_directory(bytes: &[u8], sb: &SuperBlock) {
    let block = &bytes[..bytes.len().min(1 << sb.block_bits())];
    let mut end = 0;
    for entry in dir::entries(block, sb, Ino(2)) {
        let Ok(entry) = entry else {
            return;
        };
        assert!(entry.offset >= end && entry.next_offset <= block.len());
        assert!(entry.next_offset >= entry.offset + 8 + entry.name.len());
        assert!((1..=sb.inodes_count()).contains(&entry.ino.get()));
        end = entry.next_offset;
        let found = dir::find(block, sb, Ino(2), entry.name).expect("good so far");
        assert!(found.is_some_and(|found| found.offset <= entry.offset));
    }
}

/// Returns the names in a block of a directory up to the first damage, with what they stand for and
/// where they are.
fn names(block: &[u8], sb: &SuperBlock) -> Vec<(usize, Vec<u8>, Ino)> {
    let good = dir::entries(block, sb, Ino(2)).map_while(Result::ok);
    good.map(|entry| (entry.offset, entry.name.to_vec(), entry.ino))
        .collect()
}

fn changes_of_directory(bytes: &[u8], sb: &SuperBlock) {
    let before = &bytes[..bytes.len().min(1 << sb.block_bits())];
    let there = names(before, sb);
    let _ = dir::is_empty(before, sb, Ino(2));
    let _ = dir::dotdot(before, sb, Ino(2));

    for len in [1, 12, 200, 255] {
        let (mut block, name) = (before.to_vec(), vec![b'n'; len]);
        match dir::add(&mut block, sb, Ino(2), &name, Ino(12), Kind::Socket) {
            Ok(Some(at)) => {
                let mut now = names(&block, sb);
                let added = now.iter().position(|(offset, ..)| *offset == at);
                // If it was not reached, a name before it is one that nobody may have.
                if let Some(added) = added {
                    assert_eq!(now.remove(added), (at, name, Ino(12)));
                }
                assert!(now.starts_with(&there) || there.starts_with(&now));
                dir::remove(&mut block, sb, Ino(2), at).expect("it is there");
                assert!(names(&block, sb).starts_with(&there));
            }
            Ok(None) | Err(_) => assert!(block == before),
        }
    }
    for (index, (at, ..)) in there.iter().enumerate().take(20) {
        let mut block = before.to_vec();
        dir::set(&mut block, sb, Ino(2), *at, Ino(3), Kind::Fifo).expect("it is there");
        let mut expected = there.clone();
        expected[index].2 = Ino(3);
        assert_eq!(names(&block, sb), expected);
        dir::remove(&mut block, sb, Ino(2), *at).expect("it is there");
        expected.remove(index);
        assert!(names(&block, sb).starts_with(&expected));
    }
    for at in (0..64).chain([before.len(), usize::MAX]) {
        let mut block = before.to_vec();
        // An entry whose name nobody may have can be removed as well.
        match dir::remove(&mut block, sb, Ino(2), at) {
            Ok(()) => assert!(at % 4 == 0),
            Err(_) => assert!(block == before),
        }
    }
}

fn cut(bytes: &[u8], sb: &SuperBlock) {
    let (numbers, _) = bytes.as_chunks();
    for number in numbers.iter().take(20).map(|n| u64::from_le_bytes(*n)) {
        // Large ones are all the same.
        for keep in [number, number >> 32, number >> 48] {
            let cut = Cut::to(keep, sb);
            assert!(cut.roots.end == 15 && cut.roots.start <= 15);
            let Some(partial) = cut.partial else {
                continue;
            };
            assert_eq!(partial.root + 1, cut.roots.start);
            let mut steps = partial.steps().iter();
            assert!(steps.all(|step| (1..=1 << sb.pointer_bits()).contains(&step.from)));
        }
    }
}

fn choice_of_group(bytes: &[u8], sb: &SuperBlock) {
    let usage = |group: u32| {
        let group = usize::try_from(group).expect("small");
        let byte = |n| u64::from(bytes.get(4 * group + n).copied().unwrap_or_default());
        Usage {
            free_inodes: byte(0),
            free_blocks: byte(1),
            dirs: byte(2),
            debt: byte(3),
        }
    };
    let count = sb.groups_count();
    let has_inode = |group: &u32| usage(*group).free_inodes > 0;
    let possible = (0..count).any(|group| has_inode(&group));
    for start in 0..count {
        let dir = Ino(start * sb.inodes_per_group() + 11);
        let chosen = [
            group_of_file(sb, usage, start, dir),
            group_of_directory(sb, usage(count), usage, start, false),
            group_of_directory(sb, usage(count), usage, start, true),
        ];
        for group in chosen {
            assert_eq!(group.is_some(), possible);
            assert!(group.iter().all(|group| *group < count) && group.iter().all(has_inode));
        }
    }
}

fn pointers(bytes: &[u8], sb: &SuperBlock) {
    let (words, _) = bytes.as_chunks();
    let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
    let Some(first) = words.next() else {
        return;
    };
    if let Ok(path) = Path::to(FileBlock(first), sb) {
        let per_block = 1 << sb.pointer_bits();
        let (top, below) = path.offsets().split_first().expect("a path has a pointer");
        assert!(*top < 15 && below.iter().all(|offset| *offset < per_block));
        assert!(path.boundary < per_block);
    }
    let len = run_length(words.clone(), DiskBlock(first), 1000);
    assert!((1..=1000).contains(&len));
    for block in words.take(100).map(DiskBlock) {
        if sb.check_data_run(block, len).is_ok() {
            let last = block.checked_add(len - 1).expect("in the file system");
            assert!(last.get() < sb.blocks_count());
            sb.group_of(last).expect("in a group");
        }
    }
}

/// Returns the super block of 64 MiB with blocks of 1024 bytes shifted by `log`.
fn sample(log: u32, inode_size: u16) -> [u8; SUPER_SIZE] {
    let mut raw = [0; SUPER_SIZE];
    let mut put32 = |at: usize, value: u32| raw[at..at + 4].copy_from_slice(&value.to_le_bytes());
    let blocks: u32 = 65536 >> log;
    let groups = blocks.div_ceil(4096);
    put32(0x0, groups * 512);
    put32(0x4, blocks);
    put32(0x14, u32::from(log == 0));
    put32(0x18, log);
    put32(0x1c, log);
    put32(0x20, 4096);
    put32(0x28, 512);
    put32(0x38, 0xef53);
    put32(0x4c, 1);
    put32(0x54, 11);
    put32(0x58, u32::from(inode_size));
    put32(0x60, 0x2);
    put32(0x64, 0x3);
    raw
}
