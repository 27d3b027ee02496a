// SPDX-License-Identifier: GPL-2.0

//! A tree of files with everything that the format tells apart.

use std::collections::BTreeSet;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::{symlink, FileExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{makedev, mknodat, FileType, Mode, CWD};
use tempfile::TempDir;

/// Lengths of targets of symbolic links, on both sides of what fits an inode.
const TARGETS: [usize; 5] = [1, 58, 59, 60, 1000];

/// Makes the tree.
pub(crate) fn stage() -> TempDir {
    let dir = TempDir::new().expect("a directory");
    let at = |name: &str| dir.path().join(name);

    File::create(at("empty")).expect("room");
    fs::write(at("small"), b"five\n").expect("room");
    fs::write(at("dense"), pattern(0, 300 << 10)).expect("room");
    fs::hard_link(at("small"), at("second name of small")).expect("a link");
    sparse(&at("deep"));

    for mode in [0, 0o600, 0o1777, 0o2755, 0o4711] {
        let file = at(&format!("mode {mode:o}"));
        fs::write(&file, format!("{mode:o}")).expect("room");
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("ours");
    }
    for len in TARGETS {
        symlink("t".repeat(len), at(&format!("link of {len}"))).expect("a link");
    }
    fs::create_dir_all(at("a/b/c/d")).expect("room");
    fs::write(at("a/b/c/d/leaf"), b"leaf").expect("room");
    fs::create_dir(at("nothing in it")).expect("room");
    // Fills more blocks of a directory than an inode points to, if blocks are small.
    let many = at("many");
    fs::create_dir(&many).expect("room");
    for n in 0..70 {
        let name = format!("{n:03}{}", "n".repeat(252));
        fs::write(many.join(name), n.to_string()).expect("room");
    }
    fs::write(at("name with \u{e9} and \\ and \n"), b"x").expect("room");

    drop(UnixListener::bind(at("socket")));
    let mode = Mode::from_raw_mode(0o640);
    mknodat(CWD, at("fifo"), FileType::Fifo, mode, 0).expect("anybody may");
    // Only root may make these, and without them nothing else is lost.
    let _ = mknodat(
        CWD,
        at("tty"),
        FileType::CharacterDevice,
        mode,
        makedev(4, 64),
    );
    let _ = mknodat(
        CWD,
        at("disk"),
        FileType::BlockDevice,
        mode,
        makedev(259, 70000),
    );
    dir
}

/// Returns where the file `deep` has data, in bytes: around each place where, with blocks of 1, 2
/// or 4 KiB, another level of pointers begins, and at its end.
pub(crate) fn deep_places() -> BTreeSet<u64> {
    let mut places = BTreeSet::from([0, 5 << 30]);
    for block_size in [1024u64, 2048, 4096] {
        let per_block = block_size / 4;
        let single = 12;
        let double = single + per_block;
        let triple = double + per_block * per_block;
        for level in [single, double, triple] {
            places.extend([(level - 1) * block_size, level * block_size]);
        }
    }
    places
}

/// Bytes of data at each of these places.
pub(crate) const PIECE: usize = 700;

fn sparse(path: &Path) {
    let file = File::create(path).expect("room");
    for place in deep_places() {
        file.write_all_at(&pattern(place, PIECE), place)
            .expect("room");
    }
}

/// Returns bytes that say where in a file they are.
pub(crate) fn pattern(offset: u64, len: usize) -> Vec<u8> {
    let words = (offset / 8..).flat_map(|word| (word | 1 << 63).to_le_bytes());
    words.take(len).collect()
}
