// SPDX-License-Identifier: GPL-2.0

//! Runs the disk format's parsers on bytes that nobody vouches for.
//!
//! The fuzz targets and the property tests call these. Whatever the bytes are, they return, soon
//! and without a panic; and what a parser accepted is held to what its type promises.

use crate::ext2::{
    dir, max_file_size, run_length, DiskBlock, FileBlock, GroupDesc, Ino, Inode, Path, SuperBlock,
    SUPER_SIZE,
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
            pointers(bytes, &sb);
        }
    }
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
    let _ = (
        sb.advice(0),
        sb.on_error(),
        sb.label(),
        sb.read_only_features(),
    );
    sb.store_mounted(&mut raw, u32::MAX).expect("long enough");
    sb.store_unmounted(&mut raw, u32::MAX).expect("long enough");
    SuperBlock::store_error(&mut raw).expect("long enough");
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
