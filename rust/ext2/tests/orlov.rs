// SPDX-License-Identifier: GPL-2.0

//! In which group a new directory goes.

use super::{
    super::{
        group_of_directory,
        Usage, //
    },
    super_block, //
};

/// The groups of the sample: 8 of 2048 inodes and 8192 blocks.
const GROUPS: usize = 8;

const EMPTY: Usage = Usage {
    free_inodes: 2000,
    free_blocks: 8000,
    dirs: 2,
};

fn choose(groups: &[Usage; GROUPS], start: u32, spread: bool) -> Option<u32> {
    let sum = |of: fn(&Usage) -> u64| groups.iter().map(of).sum();
    let total = Usage {
        free_inodes: sum(|usage| usage.free_inodes),
        free_blocks: sum(|usage| usage.free_blocks),
        dirs: sum(|usage| usage.dirs),
    };
    let usage = |group: u32| groups[usize::try_from(group).expect("small")];
    group_of_directory(&super_block(0, |_| ()), total, usage, start, spread)
}

#[test]
fn a_directory_stays_with_its_parent() {
    for start in 0..8 {
        assert_eq!(choose(&[EMPTY; GROUPS], start, false), Some(start));
    }
}

#[test]
fn it_goes_on_where_the_parents_group_is_fuller_than_most() {
    for full in [
        Usage {
            free_inodes: 1000,
            ..EMPTY
        },
        Usage {
            free_blocks: 4000,
            ..EMPTY
        },
        Usage { dirs: 300, ..EMPTY },
    ] {
        let mut groups = [EMPTY; GROUPS];
        groups[6] = full;
        groups[7] = full;
        assert_eq!(choose(&groups, 6, false), Some(0), "{full:?}");
    }
}

#[test]
fn at_the_top_the_group_with_the_fewest_directories_is_chosen() {
    let mut groups = [EMPTY; GROUPS];
    groups[2].dirs = 1;
    groups[5].dirs = 1;
    assert_eq!(choose(&groups, 0, true), Some(2));
    assert_eq!(choose(&groups, 3, true), Some(5));
    assert_eq!(choose(&groups, 6, true), Some(2));
    // One that is fuller than the average does not count.
    groups[2].free_blocks -= 1000;
    assert_eq!(choose(&groups, 0, true), Some(5));
    groups[5].free_inodes -= 1000;
    assert_eq!(choose(&groups, 0, true), Some(0));
}

#[test]
fn the_last_free_inode_is_found() {
    let none = Usage {
        free_inodes: 0,
        free_blocks: 0,
        dirs: 2048,
    };
    let mut groups = [none; GROUPS];
    for spread in [false, true] {
        assert_eq!(choose(&groups, 3, spread), None);
    }
    groups[1].free_inodes = 1;
    for spread in [false, true] {
        assert_eq!(choose(&groups, 3, spread), Some(1));
    }
}

#[test]
fn wrong_totals_hide_no_group() {
    let total = Usage {
        free_inodes: 100_000,
        free_blocks: 100_000,
        dirs: 0,
    };
    let usage = |group| Usage {
        free_inodes: u64::from(group == 4),
        ..EMPTY
    };
    let sb = super_block(0, |_| ());
    for spread in [false, true] {
        assert_eq!(group_of_directory(&sb, total, usage, 7, spread), Some(4));
    }
}
