// SPDX-License-Identifier: GPL-2.0

//! What makes a super block one that can be mounted.

use super::{
    super::{
        raw::RawSuper,
        Compat,
        FeatureNames,
        OnError,
        Refusal,
        RoCompat,
        SuperBlock, //
    },
    raw_super,
    DEVICE, //
};
use zerocopy::IntoBytes;

/// Returns why the sample is refused after a change.
fn refusal(change: impl FnOnce(&mut RawSuper)) -> Refusal {
    let mut es = raw_super();
    change(&mut es);
    SuperBlock::parse(es.as_bytes(), DEVICE).expect_err("the change goes unnoticed")
}

/// Returns the sample after a change.
fn accepted(change: impl FnOnce(&mut RawSuper)) -> SuperBlock {
    let mut es = raw_super();
    change(&mut es);
    SuperBlock::parse(es.as_bytes(), DEVICE).unwrap_or_else(|why| panic!("{why}"))
}

#[test]
fn what_it_says_of_itself_comes_through() {
    let sb = accepted(|es| {
        es.uuid = [7; 16];
        es.r_blocks_count.set(5);
        es.def_resuid.set(8);
        es.def_resgid.set(9);
    });
    assert_eq!(
        (sb.block_size(), sb.block_bits(), sb.inode_size()),
        (1024, 10, 128)
    );
    assert_eq!(
        (sb.blocks_count(), sb.inodes_count(), sb.groups_count()),
        (65536, 16384, 8)
    );
    assert_eq!((sb.uuid(), sb.reserved_blocks()), ([7; 16], 5));
    assert_eq!((sb.def_resuid(), sb.def_resgid()), (8, 9));
    assert_eq!(sb.first_ino(), 11);
}

#[test]
fn revision_0_has_fixed_sizes_whatever_the_fields_say() {
    let sb = accepted(|es| {
        es.rev_level.set(0);
        es.inode_size.set(99);
        es.first_ino.set(0);
    });
    assert_eq!((sb.inode_size(), sb.first_ino()), (128, 11));
}

#[test]
fn the_magic_number_is_looked_at_first() {
    let why = refusal(|es| {
        es.magic.set(0x1234);
        es.feature_incompat.set(u32::MAX);
    });
    assert_eq!(why, Refusal::BadMagic(0x1234));
    assert!(!why.is_corrupt());
}

#[test]
fn features_are_looked_at_before_what_they_may_change() {
    let why = refusal(|es| {
        es.feature_incompat.set(0x2 | 0x80);
        es.blocks_count.set(0);
    });
    assert_eq!(why, Refusal::UnknownIncompat(FeatureNames::incompat(0x80)));
    assert!(!why.is_corrupt());
}

#[test]
fn a_feature_that_forbids_writing_is_no_refusal() {
    let sb = accepted(|es| es.feature_ro_compat.set(0x3 | 0x400));
    assert_eq!(
        sb.read_only_features(),
        Some(FeatureNames::ro_compat(0x400))
    );
    assert_eq!(accepted(|_| ()).read_only_features(), None);
}

#[test]
fn compatible_features_do_not_matter() {
    assert!(accepted(|es| es.feature_compat.set(!Compat::RESIZE_INODE)).has_compat(1 << 31));
}

#[test]
fn a_device_that_is_too_small_is_said_so_with_both_sizes() {
    let es = raw_super();
    let why = SuperBlock::parse(es.as_bytes(), DEVICE - 1).expect_err("one byte is missing");
    assert_eq!(
        why,
        Refusal::Truncated {
            need: DEVICE,
            have: DEVICE - 1
        }
    );
    let why = SuperBlock::parse(&es.as_bytes()[..1023], 2047).expect_err("the end is missing");
    assert_eq!(
        why,
        Refusal::Truncated {
            need: 2048,
            have: 2047
        }
    );
}

#[test]
fn geometry_that_contradicts_itself_is_damage() {
    type Change = fn(&mut RawSuper);
    let cases: [(&str, Change); 16] = [
        ("s_log_frag_size", |es| es.log_frag_size.set(1)),
        ("s_first_data_block", |es| es.first_data_block.set(0)),
        ("s_blocks_count", |es| es.blocks_count.set(1)),
        ("s_inodes_per_group", |es| es.inodes_per_group.set(0)),
        ("s_inodes_per_group", |es| es.inodes_per_group.set(8193)),
        ("s_inodes_per_group", |es| es.inodes_per_group.set(u32::MAX)),
        ("s_blocks_per_group", |es| es.blocks_per_group.set(0)),
        ("s_blocks_per_group", |es| es.blocks_per_group.set(259)),
        ("s_blocks_per_group", |es| es.blocks_per_group.set(8193)),
        ("s_inodes_count", |es| es.inodes_count.set(8 * 2048 + 1)),
        ("s_first_ino", |es| es.first_ino.set(10)),
        ("s_first_ino", |es| es.first_ino.set(8 * 2048 + 1)),
        ("s_inode_size", |es| es.inode_size.set(64)),
        ("s_inode_size", |es| es.inode_size.set(192)),
        ("s_inode_size", |es| es.inode_size.set(2048)),
        ("s_reserved_gdt_blocks", |es| {
            es.feature_compat.set(Compat::RESIZE_INODE);
            es.reserved_gdt_blocks.set(257);
        }),
    ];
    for (field, change) in cases {
        let why = refusal(change);
        assert!(why.is_corrupt(), "{why}");
        assert!(why.to_string().contains(field), "{why}, not {field}");
    }
}

#[test]
fn descriptors_must_fit() {
    let why = refusal(|es| {
        // One group of 300 blocks, and more reserved for descriptors than that.
        es.blocks_count.set(300);
        es.inodes_count.set(2048);
        es.feature_compat.set(Compat::RESIZE_INODE);
        es.reserved_gdt_blocks.set(256);
        es.blocks_count.set(258);
    });
    assert!(why.to_string().contains("descriptors do not fit"), "{why}");
    let why = refusal(|es| {
        es.feature_incompat.set(0x10);
        es.first_meta_bg.set(2);
    });
    assert!(why.to_string().contains("s_first_meta_bg"), "{why}");
}

#[test]
fn block_sizes_of_more_than_a_page_are_refused_but_not_called_damage() {
    for (log, part) in [
        (3, "8192 bytes"),
        (6, "65536 bytes"),
        (7, "s_log_block_size is 7"),
    ] {
        let why = refusal(|es| {
            es.log_block_size.set(log);
            es.log_frag_size.set(log);
        });
        assert!(!why.is_corrupt() && why.to_string().contains(part), "{why}");
    }
}

#[test]
fn what_to_do_on_damage_is_read_only_unless_known() {
    let of = |errors| accepted(|es| es.errors.set(errors)).on_error();
    assert_eq!(
        [of(1), of(2), of(3)],
        [OnError::Continue, OnError::ReadOnly, OnError::Panic]
    );
    assert_eq!([of(0), of(4)], [OnError::ReadOnly; 2]);
}

#[test]
fn a_check_is_advised_when_c_advises_it() {
    fn advice(change: impl FnOnce(&mut RawSuper)) -> &'static str {
        accepted(change).advice(1000).unwrap_or("none")
    }
    assert_eq!(advice(|_| ()), "none");
    assert!(advice(|es| es.state.set(0)).contains("not unmounted cleanly"));
    assert!(advice(|es| es.state.set(3)).contains("damage was found"));
    let counted = |es: &mut RawSuper, count, max| {
        es.mnt_count.set(count);
        es.max_mnt_count.set(max);
    };
    assert_eq!(advice(|es| counted(es, 500, u16::MAX)), "none");
    assert_eq!(advice(|es| counted(es, 19, 20)), "none");
    assert!(advice(|es| counted(es, 20, 20)).contains("mount count"));
    let checked = |es: &mut RawSuper, last, interval| {
        es.lastcheck.set(last);
        es.checkinterval.set(interval);
    };
    assert_eq!(advice(|es| checked(es, 1, 0)), "none");
    assert_eq!(advice(|es| checked(es, 900, 101)), "none");
    assert!(advice(|es| checked(es, 900, 100)).contains("interval"));
    assert_eq!(advice(|es| checked(es, u32::MAX, 2)), "none");
}

#[test]
fn a_mount_for_writing_leaves_its_marks_and_takes_them_back() {
    let sb = accepted(|es| es.mnt_count.set(4));
    let mut raw = raw_super();
    sb.store_mounted(raw.as_mut_bytes(), 77)
        .expect("long enough");
    assert_eq!((raw.state.get(), raw.mnt_count.get()), (0, 5));
    assert_eq!((raw.mtime.get(), raw.wtime.get()), (77, 77));
    // As in C, who never said after how many mounts to check is given a number.
    assert_eq!(raw.max_mnt_count.get(), 20);
    SuperBlock::store_error(raw.as_mut_bytes()).expect("long enough");
    sb.store_unmounted(raw.as_mut_bytes(), 88)
        .expect("long enough");
    assert_eq!(
        (raw.state.get(), raw.mtime.get(), raw.wtime.get()),
        (3, 77, 88)
    );
    // Frozen and thawed: what was found stays found.
    sb.store_mounted(raw.as_mut_bytes(), 99)
        .expect("long enough");
    assert_eq!(raw.state.get(), 2);
}

#[test]
fn what_was_not_clean_before_is_not_made_clean() {
    let sb = accepted(|es| es.state.set(0));
    let mut raw = raw_super();
    sb.store_mounted(raw.as_mut_bytes(), 1)
        .expect("long enough");
    sb.store_unmounted(raw.as_mut_bytes(), 2)
        .expect("long enough");
    assert_eq!(raw.state.get(), 0);
    sb.store_mounted(&mut raw.as_mut_bytes()[..1023], 1)
        .expect_err("too short");
}

#[test]
fn what_is_free_is_written_down_with_the_time() {
    let mut raw = raw_super();
    let before = raw.as_bytes().to_vec();
    SuperBlock::store_free(raw.as_mut_bytes(), 5, 6, 7).expect("long enough");
    let stored = (
        raw.free_blocks_count.get(),
        raw.free_inodes_count.get(),
        raw.wtime.get(),
    );
    assert_eq!(stored, (5, 6, 7));
    raw.free_blocks_count.set(0);
    raw.free_inodes_count.set(0);
    raw.wtime.set(0);
    assert_eq!(raw.as_bytes(), before);
    SuperBlock::store_free(&mut raw.as_mut_bytes()[..1023], 5, 6, 7).expect_err("too short");
}

#[test]
fn a_name_is_what_was_written_down_and_nothing_else_is_changed() {
    let mut raw = raw_super();
    let before = raw.as_bytes().to_vec();
    let label = *b"of sixteen bytes";
    SuperBlock::store_label(raw.as_mut_bytes(), label).expect("long enough");
    assert_eq!(SuperBlock::label(raw.as_mut_bytes()), Ok(label));
    // Where the format has it.
    assert_eq!(raw.as_bytes()[120..136], label);
    raw.volume_name = [0; 16];
    assert_eq!(raw.as_bytes(), before);
    SuperBlock::label(&mut raw.as_mut_bytes()[..1023]).expect_err("too short");
}

#[test]
fn the_first_large_file_is_written_down_once() {
    let mut raw = raw_super();
    raw.feature_ro_compat.set(RoCompat::SPARSE_SUPER);
    let before = raw.as_bytes().to_vec();
    assert_eq!(SuperBlock::store_large_file(raw.as_mut_bytes()), Ok(true));
    assert_eq!(
        raw.feature_ro_compat.get(),
        RoCompat::SPARSE_SUPER | RoCompat::LARGE_FILE
    );
    let after = raw.as_bytes().to_vec();
    assert_eq!(SuperBlock::store_large_file(raw.as_mut_bytes()), Ok(false));
    assert_eq!(raw.as_bytes(), after);
    // Nothing but the flag is different.
    raw.feature_ro_compat.set(RoCompat::SPARSE_SUPER);
    assert_eq!(raw.as_bytes(), before);
    SuperBlock::store_large_file(&mut raw.as_mut_bytes()[..1023]).expect_err("too short");
}

#[test]
fn a_large_file_makes_revision_0_into_revision_1() {
    let mut raw = raw_super();
    raw.rev_level.set(0);
    raw.first_ino.set(77);
    raw.inode_size.set(999);
    // A flag that says nothing in revision 0.
    for features in [0, RoCompat::LARGE_FILE] {
        raw.feature_ro_compat.set(features);
        let mut stored = raw_super();
        stored.as_mut_bytes().copy_from_slice(raw.as_bytes());
        let old = SuperBlock::parse(stored.as_bytes(), DEVICE).expect("good");
        assert_eq!(
            SuperBlock::store_large_file(stored.as_mut_bytes()),
            Ok(true)
        );
        let new = SuperBlock::parse(stored.as_bytes(), DEVICE).expect("as good as before");
        assert_eq!(stored.rev_level.get(), 1);
        assert!(new.has_ro_compat(RoCompat::LARGE_FILE));
        assert_eq!(
            (new.inode_size(), new.first_ino()),
            (old.inode_size(), old.first_ino())
        );
    }
}
