// SPDX-License-Identifier: GPL-2.0

//! In which group a new inode goes.

use super::{
    super::{
        group_of_directory,
        group_of_file,
        Ino,
        Usage, //
    },
    super_block, //
};

/// The groups of the sample: 8 of 2048 inodes and 8192 blocks.
const GROUPS: usize = 8;

const FULL: Usage = Usage {
    free_inodes: 0,
    free_blocks: 0,
    dirs: 2048,
    debt: 0,
};

const EMPTY: Usage = Usage {
    free_inodes: 2000,
    free_blocks: 8000,
    dirs: 2,
    debt: 0,
};

fn choose(groups: &[Usage; GROUPS], start: u32, spread: bool) -> Option<u32> {
    let sum = |of: fn(&Usage) -> u64| groups.iter().map(of).sum();
    let total = Usage {
        free_inodes: sum(|usage| usage.free_inodes),
        free_blocks: sum(|usage| usage.free_blocks),
        dirs: sum(|usage| usage.dirs),
        debt: 0,
    };
    let usage = |group: u32| groups[usize::try_from(group).expect("small")];
    group_of_directory(&super_block(0, |_| ()), total, usage, start, spread)
}

/// Returns the group for a file in directory `dir`, which is in group `parent`.
fn choose_for_file(groups: &[Usage; GROUPS], parent: u32, dir: u32) -> Option<u32> {
    let usage = |group: u32| groups[usize::try_from(group).expect("small")];
    group_of_file(&super_block(0, |_| ()), usage, parent, Ino(dir))
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
fn directories_do_not_get_far_ahead_of_their_files() {
    let mut groups = [EMPTY; GROUPS];
    // 8192 blocks by 256, or 2048 inodes by 64.
    groups[6].debt = 31;
    assert_eq!(choose(&groups, 6, false), Some(6));
    groups[6].debt = 32;
    assert_eq!(choose(&groups, 6, false), Some(7));
    // Where all are in debt, that does not matter any more.
    assert_eq!(
        choose(&[Usage { debt: 255, ..EMPTY }; GROUPS], 6, false),
        Some(6)
    );
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
    let mut groups = [FULL; GROUPS];
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
        debt: 0,
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

#[test]
fn a_file_stays_with_its_directory() {
    for parent in 0..8 {
        let group = choose_for_file(&[EMPTY; GROUPS], parent, 2048 * parent + 12);
        assert_eq!(group, Some(parent));
    }
}

#[test]
fn files_of_one_directory_meet_where_those_of_another_do_not() {
    for full in [
        FULL,
        Usage {
            free_inodes: 0,
            ..EMPTY
        },
        Usage {
            free_blocks: 0,
            ..EMPTY
        },
    ] {
        let mut groups = [EMPTY; GROUPS];
        groups[3] = full;
        // Their sum is a multiple of 8; then it is one more, two more, which is full, and four more.
        assert_eq!(choose_for_file(&groups, 3, 6149), Some(1));
        assert_eq!(choose_for_file(&groups, 3, 6150), Some(2));
        groups[1] = full;
        assert_eq!(choose_for_file(&groups, 3, 6149), Some(7));
    }
}

#[test]
fn a_file_without_data_takes_the_last_inode_wherever_it_is() {
    assert_eq!(choose_for_file(&[FULL; GROUPS], 3, 6149), None);
    for last in 0..8 {
        let mut groups = [FULL; GROUPS];
        groups[last].free_inodes = 1;
        let group = choose_for_file(&groups, 3, 6149);
        assert_eq!(group, u32::try_from(last).ok());
    }
    // The next one counts as nearer, and the directory's own as farthest.
    let mut groups = [FULL; GROUPS];
    groups[2].free_inodes = 1;
    groups[3].free_inodes = 1;
    assert_eq!(choose_for_file(&groups, 3, 6149), Some(2));
    groups[4].free_inodes = 1;
    assert_eq!(choose_for_file(&groups, 3, 6149), Some(4));
}
