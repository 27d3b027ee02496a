// SPDX-License-Identifier: GPL-2.0

//! Which pointers lead to a block of a file.

use super::{
    super::{
        max_file_size,
        run_length,
        Corrupt,
        DiskBlock,
        FileBlock,
        Path, //
    },
    super_block, //
};

#[test]
fn each_level_starts_where_the_one_before_ends() {
    for (log, per_block) in [(0, 256u64), (1, 512), (2, 1024)] {
        let sb = super_block(log, |_| ());
        let last = u32::try_from(per_block).expect("small") - 1;
        let to = |block: u64| {
            Path::to(FileBlock(u32::try_from(block).expect("fits")), &sb).expect("in reach")
        };
        let single = 12;
        let double = single + per_block;
        let triple = double + per_block * per_block;
        let end = triple + per_block * per_block * per_block;
        let cases: [(u64, &[u32], u32); 11] = [
            (0, &[0], 11),
            (11, &[11], 0),
            (single, &[12, 0], last),
            (single + 1, &[12, 1], last - 1),
            (double - 1, &[12, last], 0),
            (double, &[13, 0, 0], last),
            (double + per_block, &[13, 1, 0], last),
            (triple - 1, &[13, last, last], 0),
            (triple, &[14, 0, 0, 0], last),
            (triple + per_block * per_block + 5, &[14, 1, 0, 5], last - 5),
            (end - 1, &[14, last, last, last], 0),
        ];
        for (block, offsets, boundary) in cases {
            let path = to(block);
            assert_eq!(path.offsets(), offsets, "block {block} of {per_block}");
            assert_eq!(path.boundary, boundary, "block {block} of {per_block}");
            assert_eq!(path.depth, offsets.len());
        }
        for block in [end, u64::from(u32::MAX)] {
            let block = FileBlock(u32::try_from(block).expect("fits"));
            assert_eq!(Path::to(block, &sb), Err(Corrupt::BeyondMap(block)));
        }
    }
}

#[test]
fn a_run_ends_with_its_blocks_or_with_what_is_wanted() {
    let run = |next: &[u32], max| run_length(next.iter().copied(), DiskBlock(100), max);
    assert_eq!(run(&[], 9), 1);
    assert_eq!(run(&[101, 102, 103], 9), 4);
    assert_eq!(run(&[101, 102, 103], 3), 3);
    assert_eq!(run(&[101, 103], 9), 2);
    assert_eq!(run(&[0, 102], 9), 1);
    assert_eq!(run(&[101], 1), 1);
    assert_eq!(run(&[101], 0), 1);
    // Behind the last block number there is none, and not the first either.
    assert_eq!(run_length([0, 1], DiskBlock(u32::MAX), 9), 1);
}

#[test]
fn the_largest_file_is_that_of_c() {
    // What `ext2_max_size` returns for 10, 11 and 12 bits.
    let of = |log| max_file_size(&super_block(log, |_| ()));
    assert_eq!(
        [of(0), of(1), of(2)],
        [17_247_252_480, 275_415_851_008, 2_196_873_666_560]
    );
}
