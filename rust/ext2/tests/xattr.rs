// SPDX-License-Identifier: GPL-2.0

//! When a block of extended attributes goes.

use super::super::{
    raw::RawXattrHeader,
    xattr::{
        release,
        Release,
        HEADER_SIZE, //
    },
    Corrupt,
    DiskBlock, //
};
use zerocopy::{
    FromZeros,
    IntoBytes, //
};

const BLOCK: DiskBlock = DiskBlock(77);

fn block(change: impl FnOnce(&mut RawXattrHeader)) -> Vec<u8> {
    let mut header = RawXattrHeader::new_zeroed();
    header.magic.set(0xea02_0000);
    header.refcount.set(1);
    header.blocks.set(1);
    header.hash.set(0x1234_5678);
    change(&mut header);
    let mut block = vec![0xee; 1024];
    block[..HEADER_SIZE].copy_from_slice(header.as_bytes());
    block
}

#[test]
fn the_last_user_frees_it() {
    let mut raw = block(|_| ());
    assert_eq!(release(&mut raw, BLOCK), Ok(Release::Unused));
    assert_eq!(raw, block(|_| ()));
}

#[test]
fn others_keep_it() {
    for users in [2, 3, 1024, u32::MAX] {
        let mut raw = block(|header| header.refcount.set(users));
        assert_eq!(release(&mut raw, BLOCK), Ok(Release::Kept));
        assert_eq!(raw, block(|header| header.refcount.set(users - 1)));
    }
}

#[test]
fn what_is_something_else_is_left_alone() {
    let wrong: [fn(&mut RawXattrHeader); 4] = [
        |header| header.magic.set(0xea01_0000),
        |header| header.blocks.set(2),
        |header| header.blocks.set(0),
        |header| header.refcount.set(0),
    ];
    for change in wrong {
        let mut raw = block(change);
        assert_eq!(release(&mut raw, BLOCK), Err(Corrupt::Xattr(BLOCK)));
        assert_eq!(raw, block(change));
    }
    release(&mut block(|_| ())[..HEADER_SIZE - 1], BLOCK).expect_err("too short");
}
