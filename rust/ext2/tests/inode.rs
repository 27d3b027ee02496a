// SPDX-License-Identifier: GPL-2.0

//! What makes an inode one that can be used, and what of it is written back.

use super::{
    super::{
        raw::RawInode,
        Corrupt,
        Ino,
        Inode,
        InodeFault,
        Kind, //
    },
    super_block, //
};
use zerocopy::{
    little_endian::U32,
    FromBytes,
    FromZeros,
    IntoBytes, //
};

const INO: Ino = Ino(12);

/// Returns a file, after a change.
fn raw(change: impl FnOnce(&mut RawInode)) -> RawInode {
    let mut raw = RawInode::new_zeroed();
    raw.mode.set(0o100644);
    raw.links_count.set(1);
    change(&mut raw);
    raw
}

fn parse(raw: &RawInode) -> Result<Inode, Corrupt> {
    Inode::parse(raw.as_bytes(), INO, &super_block(0, |_| ()))
}

fn accepted(change: impl FnOnce(&mut RawInode)) -> Inode {
    parse(&raw(change)).unwrap_or_else(|found| panic!("{found}"))
}

fn fault(change: impl FnOnce(&mut RawInode)) -> InodeFault {
    match parse(&raw(change)) {
        Err(Corrupt::Inode { ino: INO, fault }) => fault,
        other => panic!("{other:?}"),
    }
}

#[test]
fn identifiers_have_two_halves_and_times_a_sign() {
    let inode = accepted(|raw| {
        raw.mode.set(0o104755);
        raw.uid.set(0x5678);
        raw.uid_high.set(0x1234);
        raw.gid.set(0xffff);
        raw.gid_high.set(1);
        raw.atime.set(1);
        raw.mtime.set(u32::MAX);
        raw.ctime.set(1 << 31);
    });
    assert_eq!(
        (inode.kind, inode.perm, inode.mode()),
        (Kind::Regular, 0o4755, 0o104755)
    );
    assert_eq!((inode.uid, inode.gid), (0x1234_5678, 0x1_ffff));
    assert_eq!((inode.atime, inode.mtime, inode.ctime), (1, -1, -(1 << 31)));
}

#[test]
fn every_kind_has_its_mode() {
    let kinds = [
        (Kind::Fifo, 0o010000),
        (Kind::CharDevice, 0o020000),
        (Kind::BlockDevice, 0o060000),
        (Kind::Regular, 0o100000),
        (Kind::Socket, 0o140000),
    ];
    for (kind, mode) in kinds {
        let inode = accepted(|raw| raw.mode.set(mode | 0o7));
        assert_eq!((inode.kind, inode.perm, inode.mode()), (kind, 7, mode | 7));
        assert_eq!(Kind::from_mode(mode), Some(kind));
    }
    for mode in [0, 0o030000, 0o050000, 0o170000] {
        assert_eq!(fault(|raw| raw.mode.set(mode)), InodeFault::Mode(mode));
    }
}

#[test]
fn a_deleted_inode_is_stale_and_one_without_names_is_damage() {
    let deleted = parse(&raw(|raw| {
        raw.links_count.set(0);
        raw.dtime.set(1);
    }));
    let never_used = parse(&RawInode::new_zeroed());
    for result in [deleted, never_used] {
        let found = result.expect_err("it is gone");
        assert_eq!(found, Corrupt::Deleted(INO));
        assert!(found.is_stale());
    }
    let nameless = fault(|raw| raw.links_count.set(0));
    assert_eq!(nameless, InodeFault::NoLinks(0o100644));
}

#[test]
fn only_a_regular_file_has_an_upper_half_of_its_size() {
    let large = accepted(|raw| {
        raw.size.set(5);
        raw.size_high.set(3);
    });
    assert_eq!(large.size, 3 << 32 | 5);
    let fifo = accepted(|raw| {
        raw.mode.set(0o010000);
        raw.size.set(5);
        raw.size_high.set(3);
    });
    assert_eq!(fifo.size, 5);
}

#[test]
fn no_file_is_larger_than_its_pointers_reach() {
    let reach: u64 = (12 + 256 + 256 * 256 + 256 * 256 * 256) << 10;
    let sized = |size: u64| {
        move |raw: &mut RawInode| {
            raw.size
                .set(u32::try_from(size & 0xffff_ffff).expect("masked"));
            raw.size_high
                .set(u32::try_from(size >> 32).expect("shifted"));
        }
    };
    assert_eq!(accepted(sized(reach)).size, reach);
    for size in [reach + 1, u64::MAX, 1 << 63] {
        assert_eq!(fault(sized(size)), InodeFault::Size(size));
    }
}

#[test]
fn a_directory_is_whole_blocks_without_holes() {
    let dir = |size, sectors| {
        move |raw: &mut RawInode| {
            raw.mode.set(0o040755);
            raw.size.set(size);
            raw.blocks.set(sectors);
        }
    };
    assert_eq!(accepted(dir(2048, 4)).kind, Kind::Directory);
    assert_eq!(fault(dir(0, 0)), InodeFault::DirSize(0));
    assert_eq!(fault(dir(1025, 4)), InodeFault::DirSize(1025));
    assert_eq!(fault(dir(1024, 0)), InodeFault::DirHole(1024));
    assert_eq!(fault(dir(3072, 4)), InodeFault::DirHole(3072));
}

#[test]
fn maps_of_later_formats_are_not_taken_for_pointers() {
    for flags in [0x8_0000, 0x1000_0000] {
        assert_eq!(fault(|raw| raw.flags.set(flags)), InodeFault::Flags(flags));
    }
}

#[test]
fn attributes_are_where_data_can_be() {
    assert_eq!(accepted(|raw| raw.file_acl.set(3)).file_acl.get(), 3);
    for block in [1, 2, 65536] {
        assert!(matches!(
            fault(|raw| raw.file_acl.set(block)),
            InodeFault::FileAcl(_)
        ));
    }
}

/// Makes an inode a symbolic link with this target in it.
fn link(target: &[u8], sectors: u32, acl: u32) -> impl FnOnce(&mut RawInode) + '_ {
    move |raw| {
        raw.mode.set(0o120777);
        raw.size.set(u32::try_from(target.len()).expect("short"));
        raw.blocks.set(sectors);
        raw.file_acl.set(acl);
        let room = raw.block.as_mut_bytes();
        let len = target.len().min(room.len());
        room[..len].copy_from_slice(&target[..len]);
    }
}

#[test]
fn a_short_symbolic_link_is_in_the_inode() {
    assert_eq!(
        accepted(link(b"target", 0, 0)).fast_symlink(),
        Some(&b"target"[..])
    );
    // A block of attributes is counted, and is not one of the link.
    assert_eq!(
        accepted(link(b"target", 2, 9)).fast_symlink(),
        Some(&b"target"[..])
    );
    assert_eq!(accepted(link(b"target", 2, 0)).fast_symlink(), None);
    assert_eq!(accepted(|_| ()).fast_symlink(), None);
    let longest = [b'x'; 59];
    assert_eq!(
        accepted(link(&longest, 0, 0)).fast_symlink(),
        Some(&longest[..])
    );
}

#[test]
fn a_symbolic_link_has_a_target_that_fits() {
    assert_eq!(fault(link(b"", 0, 0)), InodeFault::Symlink(0));
    assert_eq!(fault(link(b"", 2, 0)), InodeFault::Symlink(0));
    assert_eq!(fault(link(&[b'x'; 60], 0, 0)), InodeFault::Symlink(60));
    assert_eq!(fault(link(b"a\0b", 0, 0)), InodeFault::Symlink(3));
    assert_eq!(accepted(link(&[b'x'; 1023], 2, 0)).size, 1023);
    assert_eq!(fault(link(&[b'x'; 1024], 2, 0)), InodeFault::Symlink(1024));
}

#[test]
fn storing_writes_our_fields_and_no_others() {
    // Every byte is different from its neighbours; what is not a field must stay so.
    let mut disk = [0u8; 256];
    for (index, byte) in disk.iter_mut().enumerate() {
        *byte = u8::try_from(index).expect("256 of them");
    }
    let before = disk;
    let mut inode = accepted(|_| ());
    inode.perm = 0o1777;
    inode.uid = 0x0a0b_0c0d;
    inode.gid = 0x1a1b_1c1d;
    inode.size = 0x1_0000_0000;
    inode.atime = i64::MAX;
    inode.ctime = i64::MIN;
    inode.mtime = -1;
    inode.dtime = 5;
    inode.links = 6;
    inode.sectors = 7;
    inode.flags = 8;
    inode.generation = 9;
    inode.block = [U32::new(10); 15];
    inode.store(&mut disk).expect("long enough");
    let (raw, rest) = RawInode::ref_from_prefix(&disk).expect("long enough");
    assert_eq!(raw.mode.get(), 0o101777);
    assert_eq!((raw.uid.get(), raw.uid_high.get()), (0x0c0d, 0x0a0b));
    assert_eq!((raw.gid.get(), raw.gid_high.get()), (0x1c1d, 0x1a1b));
    assert_eq!((raw.size.get(), raw.size_high.get()), (0, 1));
    assert_eq!(
        (raw.atime.get(), raw.ctime.get()),
        (0x7fff_ffff, 0x8000_0000)
    );
    assert_eq!((raw.mtime.get(), raw.dtime.get()), (u32::MAX, 5));
    assert_eq!(
        (raw.links_count.get(), raw.blocks.get(), raw.flags.get()),
        (6, 7, 8)
    );
    assert_eq!((raw.generation.get(), raw.file_acl.get()), (9, 0));
    assert_eq!(raw.block, [U32::new(10); 15]);
    // The operating system's word, the fragment, two reserved fields, and all behind.
    assert_eq!(disk[36..40], before[36..40]);
    assert_eq!(disk[112..120], before[112..120]);
    assert_eq!(disk[124..128], before[124..128]);
    assert_eq!(*rest, before[128..]);

    inode
        .store(&mut disk[..127])
        .expect_err("one byte is missing");
}

#[test]
fn what_is_read_is_what_is_stored() {
    let disk = raw(|raw| {
        raw.uid_high.set(4);
        raw.size_high.set(1);
        raw.blocks.set(99);
        raw.mtime.set(u32::MAX - 5);
        raw.file_acl.set(77);
        raw.osd1.set(u32::MAX);
        raw.faddr.set(u32::MAX);
    });
    let mut again = raw(|_| ());
    again.osd1 = disk.osd1;
    again.faddr = disk.faddr;
    parse(&disk)
        .and_then(|inode| inode.store(again.as_mut_bytes()))
        .expect("a good inode");
    assert_eq!(disk.as_bytes(), again.as_bytes());
}

#[test]
fn the_upper_half_of_the_size_of_what_is_no_file_is_left_alone() {
    let mut disk = raw(|raw| {
        raw.mode.set(0o010644);
        raw.size_high.set(0x55);
    });
    parse(&disk)
        .and_then(|inode| inode.store(disk.as_mut_bytes()))
        .expect("a good inode");
    assert_eq!(disk.size_high.get(), 0x55);
}

#[test]
fn an_inode_in_use_has_links() {
    let has_links = |raw: &RawInode| Inode::has_links(raw.as_bytes());
    assert!(has_links(&raw(|_| ())));
    assert!(!has_links(&raw(|raw| raw.links_count.set(0))));
    assert!(!has_links(&RawInode::new_zeroed()));
    assert!(!Inode::has_links(&[0xff; 127]));
}

#[test]
fn a_new_file_inherits_what_suits_its_kind() {
    let all = Inode::new(Kind::Directory, u32::MAX).flags;
    assert_eq!(all, 0x1_c6cf);
    assert_eq!(Inode::new(Kind::Regular, u32::MAX).flags, 0xc6cf);
    for kind in [Kind::Symlink, Kind::Fifo, Kind::CharDevice] {
        assert_eq!(Inode::new(kind, u32::MAX).flags, 0xc0);
        assert_eq!(Inode::new(kind, 0x8 | 0x1000).flags, 0);
    }
}

#[test]
fn a_new_link_holds_a_target_of_up_to_59_bytes() {
    let mut inode = Inode::new(Kind::Symlink, 0);
    for long in [&b""[..], &[b'l'; 60]] {
        assert!(!inode.store_target(long));
        assert_eq!(inode.fast_symlink(), None);
    }
    for target in [&[b'l'; 59][..], b"short"] {
        assert!(inode.store_target(target));
        let mut raw = RawInode::new_zeroed();
        inode.store(raw.as_mut_bytes()).expect("room");
        let read = parse(&raw).unwrap_or_else(|found| panic!("{found}"));
        assert_eq!(read.fast_symlink(), Some(target));
        assert!(raw.block.as_bytes()[target.len()..]
            .iter()
            .all(|&byte| byte == 0));
    }
}

#[test]
fn a_new_device_has_its_number_in_one_of_two_forms() {
    let stored = |old, new| {
        let mut inode = Inode::new(Kind::BlockDevice, 0);
        inode.store_device(old, new);
        let [first, second, ..] = inode.block;
        (first.get(), second.get())
    };
    assert_eq!(stored(Some(0x801), 0x801), (0x801, 0));
    assert_eq!(stored(None, 0x1234_5678), (0, 0x1234_5678));
}

#[test]
fn a_file_is_large_from_2_gib_on() {
    let is_large = |kind, size| {
        let mut inode = Inode::new(kind, 0);
        inode.size = size;
        inode.is_large_file()
    };
    assert!(!is_large(Kind::Regular, (1 << 31) - 1));
    assert!(is_large(Kind::Regular, 1 << 31));
    assert!(!is_large(Kind::Directory, 1 << 31));
}
