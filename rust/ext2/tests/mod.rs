// SPDX-License-Identifier: GPL-2.0

//! What the format is, by example. Run on the host, by the `model` crate.

mod acl;
mod cut;
mod dir;
mod dir_edit;
mod geometry;
mod inode;
mod orlov;
mod path;
mod super_block;
mod xattr;

use super::{
    raw::RawSuper,
    Incompat,
    RoCompat,
    SuperBlock,
    SUPER_SIZE, //
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

/// Size of the device under [`raw_super`], in bytes.
const DEVICE: u64 = 64 << 20;

/// Returns the super block of 64 MiB as `mke2fs -b 1024 -I 128` would have it, more or less.
fn raw_super() -> RawSuper {
    let mut es = RawSuper::new_zeroed();
    es.magic.set(0xef53);
    es.rev_level.set(1);
    es.state.set(SuperBlock::VALID_FS);
    es.errors.set(1);
    es.first_data_block.set(1);
    es.blocks_count.set(65536);
    es.blocks_per_group.set(8192);
    es.inodes_per_group.set(2048);
    es.inodes_count.set(8 * 2048);
    es.first_ino.set(11);
    es.inode_size.set(128);
    es.feature_incompat.set(Incompat::FILETYPE);
    es.feature_ro_compat
        .set(RoCompat::SPARSE_SUPER | RoCompat::LARGE_FILE);
    es
}

/// Returns the super block as above, after a change, with blocks of 1024 bytes shifted by `log`.
fn super_block(log: u32, change: impl FnOnce(&mut RawSuper)) -> SuperBlock {
    let mut es = raw_super();
    es.log_block_size.set(log);
    es.log_frag_size.set(log);
    es.first_data_block.set(u32::from(log == 0));
    es.blocks_count.set(65536 >> log);
    es.inodes_per_group.set(2048 << log);
    let groups = (65536u32 >> log).div_ceil(8192);
    es.inodes_count.set(groups * (2048 << log));
    change(&mut es);
    SuperBlock::parse(es.as_bytes(), DEVICE).expect("the sample is good")
}

#[test]
fn a_super_block_is_as_long_as_the_room_for_it() {
    assert_eq!(raw_super().as_bytes().len(), SUPER_SIZE);
}
