// SPDX-License-Identifier: GPL-2.0

//! Where things lie.

use super::{
    super::{
        raw::RawGroupDesc,
        BlockFault,
        Compat,
        Corrupt,
        DiskBlock,
        GroupDesc,
        Incompat,
        Ino,
        RoCompat,
        SuperBlock,
        ROOT_INO, //
    },
    super_block, //
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

/// Returns the descriptor of a group with its structures at these blocks.
fn desc(sb: &SuperBlock, group: u32, at: [u32; 3]) -> Result<GroupDesc, Corrupt> {
    let mut raw = RawGroupDesc::new_zeroed();
    raw.block_bitmap.set(at[0]);
    raw.inode_bitmap.set(at[1]);
    raw.inode_table.set(at[2]);
    GroupDesc::parse(raw.as_bytes(), sb, group)
}

fn fault(result: Result<DiskBlock, Corrupt>) -> BlockFault {
    match result {
        Err(Corrupt::Block { fault, .. }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn backups_are_in_groups_0_1_and_powers_of_3_5_and_7() {
    let sb = super_block(0, |_| ());
    let with: Vec<u32> = (0..400).filter(|group| sb.has_super(*group)).collect();
    assert_eq!(with, [0, 1, 3, 5, 7, 9, 25, 27, 49, 81, 125, 243, 343]);
    assert!(!sb.has_super(u32::MAX));

    let all = super_block(0, |es| es.feature_ro_compat.set(RoCompat::LARGE_FILE));
    assert!((0..400).all(|group| all.has_super(group)));

    let two = super_block(0, |es| {
        es.feature_compat.set(Compat::SPARSE_SUPER2);
        es.backup_bgs[0].set(1);
        es.backup_bgs[1].set(7);
    });
    let with: Vec<u32> = (0..400).filter(|group| two.has_super(*group)).collect();
    assert_eq!(with, [0, 1, 7]);
}

#[test]
fn descriptors_follow_the_super_block() {
    let small = super_block(0, |_| ());
    assert_eq!(small.desc_location(0), (DiskBlock(2), 0));
    assert_eq!(small.desc_location(7), (DiskBlock(2), 7 * 32));
    // With larger blocks the super block is in block 0.
    assert_eq!(super_block(2, |_| ()).desc_location(1), (DiskBlock(1), 32));
    let many = super_block(0, |es| {
        es.blocks_per_group.set(1024);
        es.inodes_per_group.set(64);
        es.inodes_count.set(64 * 64);
    });
    assert_eq!(many.desc_location(31), (DiskBlock(2), 31 * 32));
    assert_eq!(many.desc_location(33), (DiskBlock(3), 32));
}

#[test]
fn with_meta_bg_descriptors_are_in_the_groups_they_describe() {
    let sb = super_block(0, |es| {
        es.feature_incompat.set(Incompat::META_BG);
        es.blocks_per_group.set(1024);
        es.inodes_per_group.set(64);
        es.inodes_count.set(64 * 64);
    });
    assert_eq!(sb.groups_count(), 64);
    assert_eq!(sb.desc_location(0), (DiskBlock(2), 0));
    assert_eq!(sb.desc_location(31), (DiskBlock(2), 31 * 32));
    // Group 32 has no copy of the super block.
    assert_eq!(sb.desc_location(33), (DiskBlock(1 + 32 * 1024), 32));
    // Copies are in the second and in the last group of each 32.
    let descs: Vec<u32> = (0..64)
        .filter(|group| sb.group_overhead(*group) > 0)
        .collect();
    let supers = [0, 1, 3, 5, 7, 9, 25, 27, 49];
    let tables = [0, 1, 31, 32, 33, 63];
    let mut expected: Vec<u32> = supers.into_iter().chain(tables).collect();
    expected.sort_unstable();
    expected.dedup();
    assert_eq!(descs, expected);
}

#[test]
fn meta_bg_may_begin_later_than_the_first_group() {
    let sb = super_block(0, |es| {
        es.feature_incompat.set(Incompat::META_BG);
        es.first_meta_bg.set(1);
        es.blocks_per_group.set(1024);
        es.inodes_per_group.set(64);
        es.inodes_count.set(64 * 64);
    });
    assert_eq!(sb.desc_location(31), (DiskBlock(2), 31 * 32));
    assert_eq!(sb.desc_location(32), (DiskBlock(1 + 32 * 1024), 0));
    // The groups before it are as without: one block of descriptors with each super block.
    let overheads = [0, 2, 9, 31, 32, 33, 49, 63].map(|group| sb.group_overhead(group));
    assert_eq!(overheads, [2, 0, 2, 0, 1, 1, 1, 1]);
    assert_eq!(sb.check_data_block(DiskBlock(3)), Ok(DiskBlock(3)));
}

#[test]
fn overhead_is_what_c_counts() {
    // 8 groups, with backups in 0, 1, 3, 5 and 7; 256 blocks of inodes each; one of descriptors.
    let sb = super_block(0, |_| ());
    assert_eq!(sb.overhead(), 1 + 5 * 2 + 8 * (256 + 2));
    let reserved = super_block(0, |es| {
        es.feature_compat.set(Compat::RESIZE_INODE);
        es.reserved_gdt_blocks.set(100);
    });
    assert_eq!(reserved.overhead(), sb.overhead());
    assert_eq!(reserved.group_overhead(1), 102);
    assert_eq!(reserved.group_overhead(2), 0);
}

#[test]
fn the_last_group_may_be_short() {
    let sb = super_block(0, |_| ());
    assert_eq!(sb.group_blocks(0), (DiskBlock(1), DiskBlock(8192)));
    assert_eq!(sb.group_blocks(7), (DiskBlock(57345), DiskBlock(65535)));
    assert_eq!(sb.group_of(DiskBlock(8192)), Ok(0));
    assert_eq!(sb.group_of(DiskBlock(8193)), Ok(1));
    sb.group_of(DiskBlock(0))
        .expect_err("the boot block is in no group");
    sb.group_of(DiskBlock(65536))
        .expect_err("there are no more");
}

#[test]
fn a_group_holds_its_own_structures() {
    let sb = super_block(0, |_| ());
    // Group 1 has a copy of the super block and of the one block of descriptors.
    let first = 8193;
    let good = [first + 2, first + 3, first + 4];
    let group = desc(&sb, 1, good).expect("the usual places");
    assert_eq!(group.inode_table(), DiskBlock(first + 4));
    desc(&sb, 1, [first + 8191, first + 3, first + 4]).expect("the last block is in the group");

    let bad = [
        ([first + 1, first + 3, first + 4], "block bitmap"),
        ([first + 8192, first + 3, first + 4], "block bitmap"),
        ([u32::MAX, first + 3, first + 4], "block bitmap"),
        ([first + 2, first - 1, first + 4], "inode bitmap"),
        ([first + 2, first + 2, first + 4], "inode bitmap"),
        ([first + 2, first + 3, first + 3], "inode table"),
        ([first + 2, first + 3, first + 8192 - 255], "inode table"),
        ([first + 2, first + 3, u32::MAX], "inode table"),
        ([first + 4 + 255, first + 3, first + 4], "inode table"),
    ];
    for (at, what) in bad {
        match desc(&sb, 1, at) {
            Err(Corrupt::Group {
                group: 1,
                what: found,
                ..
            }) => assert_eq!(found, what, "{at:?}"),
            other => panic!("{at:?}: {other:?}"),
        }
    }
    desc(&sb, 8, good).expect_err("there are only eight groups");
    GroupDesc::parse(&[0; 31], &sb, 0).expect_err("one byte is missing");
}

#[test]
fn inodes_lie_in_the_table_of_their_group() {
    let sb = super_block(0, |es| es.inode_size.set(256));
    let group = desc(&sb, 1, [8195, 8196, 8197]).expect("the usual places");
    let at = |ino| sb.inode_location(Ino(ino), &group);
    assert_eq!(at(2049), Ok((DiskBlock(8197), 0)));
    assert_eq!(at(2052), Ok((DiskBlock(8197), 768)));
    assert_eq!(at(2053), Ok((DiskBlock(8198), 0)));
    assert_eq!(at(4096), Ok((DiskBlock(8197 + 511), 768)));
    assert_eq!(at(2048), Err(Corrupt::InodeNumber(Ino(2048))));
    assert_eq!(at(4097), Err(Corrupt::InodeNumber(Ino(4097))));
}

#[test]
fn reserved_inodes_are_not_named_but_for_the_root() {
    let sb = super_block(0, |_| ());
    assert_eq!(sb.inode_group(ROOT_INO), Ok(0));
    assert_eq!(sb.inode_group(Ino(11)), Ok(0));
    assert_eq!(sb.inode_group(Ino(8 * 2048)), Ok(7));
    for ino in [0, 1, 3, 7, 10, 8 * 2048 + 1, u32::MAX] {
        assert_eq!(
            sb.inode_group(Ino(ino)),
            Err(Corrupt::InodeNumber(Ino(ino)))
        );
    }
}

#[test]
fn data_is_neither_in_front_nor_beyond() {
    let sb = super_block(0, |_| ());
    for block in [0, 1, 2] {
        assert_eq!(
            fault(sb.check_data_block(DiskBlock(block))),
            BlockFault::SuperBlock
        );
    }
    sb.check_data_block(DiskBlock(3))
        .expect("behind the descriptors");
    sb.check_data_block(DiskBlock(65535))
        .expect("the last block");
    for block in [65536, u32::MAX] {
        assert_eq!(
            fault(sb.check_data_block(DiskBlock(block))),
            BlockFault::BeyondEnd
        );
    }
    sb.check_data_run(DiskBlock(65530), 6)
        .expect("up to the last block");
    assert_eq!(
        fault(sb.check_data_run(DiskBlock(65530), 7)),
        BlockFault::BeyondEnd
    );
    assert_eq!(
        fault(sb.check_data_run(DiskBlock(3), u32::MAX)),
        BlockFault::BeyondEnd
    );
}

#[test]
fn data_is_not_where_a_group_keeps_its_own() {
    let sb = super_block(0, |_| ());
    let group = desc(&sb, 1, [8195, 8196, 8200]).expect("the usual places");
    let check = |first, len| {
        let first = DiskBlock(first);
        fault(sb.check_against(first, len, &group).map(|()| first))
    };
    assert_eq!(check(8193, 1), BlockFault::SuperBlock);
    assert_eq!(check(8194, 1), BlockFault::SuperBlock);
    assert_eq!(check(8195, 1), BlockFault::BlockBitmap);
    assert_eq!(check(8196, 1), BlockFault::InodeBitmap);
    assert_eq!(check(8197, 4), BlockFault::InodeTable);
    assert_eq!(check(8455, 1), BlockFault::InodeTable);
    assert_eq!(check(8000, 1000), BlockFault::SuperBlock);
    sb.check_against(DiskBlock(8197), 3, &group)
        .expect("between bitmap and table");
    sb.check_against(DiskBlock(8456), 1000, &group)
        .expect("behind the table");
    sb.check_against(DiskBlock(3), 100, &group)
        .expect("another group");
    // A group without a copy of the super block starts with data.
    let group = desc(&sb, 2, [16390, 16391, 16392]).expect("the usual places");
    sb.check_against(DiskBlock(16384), 5, &group)
        .expect("from one group to the next");
}

#[test]
fn the_copies_of_the_descriptors_go_with_the_copy_of_the_super_block() {
    let copy = super_block(0, |_| ()).read_from(DiskBlock(8193));
    assert_eq!(copy.desc_location(3), (DiskBlock(8194), 3 * 32));
    // Nothing is read there, but nothing overflows either.
    let last = super_block(0, |_| ()).read_from(DiskBlock(u32::MAX));
    assert_eq!(last.desc_location(0).0, DiskBlock(u32::MAX));
}
