// SPDX-License-Identifier: GPL-2.0

//! What the module's functions do to an image is what `e2fsck` expects, and what was asked: what
//! random changes do not come upon.

#[path = "common/mod.rs"]
mod common;
#[path = "common/tree.rs"]
mod tree;

use std::fs;
use std::mem;

use cohfs_model::image::Image;
use cohfs_model::volume::Volume;
use common::{have_e2fsprogs, mke2fs, tool};
use tree::{check, compare, open, Tree, DIR, FILE, FORMATS, INDEX, OTHER, ROOT};

#[test]
fn a_directory_that_grew_and_lost_its_hash_tree_is_clean() {
    if !have_e2fsprogs() {
        return;
    }
    for format in [FORMATS[0], FORMATS[3]] {
        let mut made = mke2fs(format, None);
        let mut volume = open(&mut made);
        let mut tree = Tree::new();
        let dir = volume.create(ROOT, b"dir", DIR).expect("room");
        let file = volume.create(dir, b"file", FILE).expect("room");
        tree.paths
            .extend([("dir".into(), dir), ("dir/file".into(), file)]);
        let names = (0..1000).map(|n| format!("{n}{}", "n".repeat(n % 252)));
        let names: Vec<String> = names.collect();
        for name in &names {
            volume.link(dir, name.as_bytes(), file).expect("room");
            tree.paths.insert(format!("dir/{name}"), file);
        }
        let bytes = volume.into_bytes();
        compare(&bytes, &tree, "all names");
        check(&made, &bytes);
        // Directories are put in order, and given a hash tree.
        let output = tool("e2fsck").arg("-fyD").arg(made.path()).output();
        let status = output.expect("it starts").status.code();
        // Nothing was wrong, or something was put right.
        assert!(matches!(status, Some(0 | 1)), "{status:?}");
        made.reload();
        let flags = |bytes: &[u8]| {
            let image = Image::open(bytes).expect("a good image");
            image.stat(dir).expect("a good inode").flags
        };
        assert_eq!(flags(&made.bytes) & INDEX, INDEX);

        let mut volume = open(&mut made);
        for name in names.iter().step_by(3) {
            volume.unlink(dir, name.as_bytes()).expect("it is there");
            tree.paths.remove(&format!("dir/{name}"));
        }
        for n in 0..200 {
            let name = format!("new {n}{}", "m".repeat(n));
            volume.link(dir, name.as_bytes(), file).expect("room");
            tree.paths.insert(format!("dir/{name}"), file);
        }
        let bytes = volume.into_bytes();
        assert_eq!(flags(&bytes) & INDEX, 0);
        compare(&bytes, &tree, "names removed and added");
        check(&made, &bytes);
    }
}

#[test]
fn extended_attributes_go_with_the_last_file_that_has_them() {
    if !have_e2fsprogs() {
        return;
    }
    let mut made = mke2fs(FORMATS[0], None);
    let mut volume = open(&mut made);
    let mut tree = Tree::new();
    let modes = [
        ("file", FILE),
        ("same", FILE),
        ("link", OTHER[0]),
        ("dir", DIR),
    ];
    for (name, mode) in modes {
        let ino = volume.create(ROOT, name.as_bytes(), mode).expect("room");
        tree.paths.insert(name.into(), ino);
    }
    fs::write(made.path(), volume.into_bytes()).expect("room");
    let set = modes.map(|(name, _)| format!("ea_set {name} user.what {name}\n"));
    made.debugfs(true, &set[..].concat());
    made.reload();
    // Two files share a block; that of the second is left over.
    let acl = |bytes: &[u8], name| {
        let image = Image::open(bytes).expect("a good image");
        let ino = tree.paths[name];
        image.stat(ino).expect("a good inode").file_acl
    };
    let (shared, left) = (acl(&made.bytes, "file"), acl(&made.bytes, "same"));
    assert!(shared != 0 && left != 0 && shared != left);
    made.debugfs(true, &format!("sif same file_acl {shared}\nfreeb {left}\n"));
    let _ = tool("e2fsck").arg("-fy").arg(made.path()).output();
    made.reload();
    let users = 1024 * usize::try_from(shared).expect("64 bits") + 4;
    assert_eq!(made.bytes[users..][..4], [2, 0, 0, 0]);

    let mut bytes = mem::take(&mut made.bytes);
    for (name, _) in modes {
        let mut volume = Volume::open(bytes, 1_700_000_000).expect("a good image");
        volume.unlink(ROOT, name.as_bytes()).expect("it is there");
        tree.paths.remove(name);
        bytes = volume.into_bytes();
        compare(&bytes, &tree, name);
        check(&made, &bytes);
    }
}
