// SPDX-License-Identifier: GPL-2.0

//! Access control lists on disk and in system calls.

use super::super::acl::{
    from_disk,
    to_disk, //
};

/// Owner rw, user 1000 r, group r, mask rw, others nothing; as system calls have it, and the disk.
const CALL: &[u8] = &[
    2, 0, 0, 0, //
    1, 0, 6, 0, 255, 255, 255, 255, //
    2, 0, 4, 0, 232, 3, 0, 0, //
    4, 0, 4, 0, 255, 255, 255, 255, //
    16, 0, 6, 0, 255, 255, 255, 255, //
    32, 0, 0, 0, 255, 255, 255, 255,
];
const DISK: &[u8] = &[
    1, 0, 0, 0, //
    1, 0, 6, 0, //
    2, 0, 4, 0, 232, 3, 0, 0, //
    4, 0, 4, 0, //
    16, 0, 6, 0, //
    32, 0, 0, 0,
];

fn read(disk: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0xee; 2 * disk.len()];
    let len = from_disk(disk, &mut out)?;
    out.truncate(len);
    Some(out)
}

fn stored(call: &[u8]) -> Option<Vec<u8>> {
    let mut out = vec![0xee; call.len()];
    let len = to_disk(call, &mut out)?;
    out.truncate(len);
    Some(out)
}

#[test]
fn a_list_goes_to_disk_and_back() {
    assert_eq!(stored(CALL).as_deref(), Some(DISK));
    assert_eq!(read(DISK).as_deref(), Some(CALL));
    assert_eq!(read(&[1, 0, 0, 0]), Some(vec![2, 0, 0, 0]));
}

#[test]
fn what_is_no_list_is_refused() {
    for len in (0..DISK.len()).filter(|len| ![4, 8].contains(len)) {
        assert_eq!(read(&DISK[..len]), None, "{len}");
    }
    for at in [0, 1, 4, 5, 8, 16] {
        let mut disk = DISK.to_vec();
        disk[at] = 3;
        assert_eq!(read(&disk), None, "{at}");
    }
    // Five entries without a number.
    let five = [DISK, &[4, 0, 4, 0]].concat();
    assert_eq!(read(&five), None);
    for len in (0..CALL.len()).filter(|len| len % 8 != 4) {
        assert_eq!(stored(&CALL[..len]), None, "{len}");
    }
    assert_eq!(from_disk(DISK, &mut [0; 20]), None, "there is no room");
}
