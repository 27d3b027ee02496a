// SPDX-License-Identifier: GPL-2.0

//! What should be in an image that was changed.

#![allow(dead_code)] // Each test program uses a part.

use std::collections::BTreeMap;
use std::fs;
use std::mem;

use cohfs_model::image::{Extent, Image};
use cohfs_model::volume::Volume;

use crate::common::{stdout, tool, Made};

pub(crate) const ROOT: u32 = 2;
pub(crate) const DIR: u16 = 0o040755;
pub(crate) const FILE: u16 = 0o100644;
/// Flag of a directory with a hash tree.
pub(crate) const INDEX: u32 = 0x1000;
/// Name of a file that takes up room.
pub(crate) const FILLER: &str = "full";
pub(crate) const OTHER: [u16; 3] = [0o120777, 0o010600, 0o140600];

/// Ways to make an image.
pub(crate) const FORMATS: [&[&str]; 6] = [
    &["-t", "ext2", "-b", "1024", "-I", "128"],
    &["-t", "ext2", "-b", "1024", "-I", "256", "-g", "1024"],
    &["-O", "none", "-b", "1024", "-I", "128"],
    &["-t", "ext2", "-b", "2048", "-O", "^filetype", "-g", "512"],
    &["-t", "ext2", "-b", "4096"],
    &[
        "-t",
        "ext2",
        "-b",
        "1024",
        "-O",
        "meta_bg,^resize_inode",
        "-g",
        "256",
    ],
];

/// Numbers that look random and are the same each time.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005) + 1;
        usize::try_from(self.0 >> 33).expect("64 bits") % bound
    }

    pub(crate) fn of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What a file should have in it: for each block that is no hole, the byte that fills it.
pub(crate) type Blocks = BTreeMap<u32, u8>;

/// What should be in an image. The root is the empty path.
#[derive(Default)]
pub(crate) struct Tree {
    /// Inode of each path, without a slash in front.
    pub(crate) paths: BTreeMap<String, u32>,
    pub(crate) dirs: BTreeMap<String, u32>,
    pub(crate) data: BTreeMap<u32, Blocks>,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self {
            dirs: BTreeMap::from([(String::new(), ROOT)]),
            ..Self::default()
        }
    }

    /// Some directory: its path with a slash behind, if it has a name, and its inode.
    pub(crate) fn dir(&self, random: &mut Random) -> (String, u32) {
        let (path, ino) = self
            .dirs
            .iter()
            .nth(random.below(self.dirs.len()))
            .expect("the root");
        let slash = if path.is_empty() { "" } else { "/" };
        (format!("{path}{slash}"), *ino)
    }

    /// Some name of a file or a directory, if there is one.
    pub(crate) fn name(&self, random: &mut Random) -> Option<String> {
        // The one of `fill` stays.
        let names = self.paths.keys().filter(|path| *path != FILLER);
        let nth = random.below(names.clone().count().max(1));
        let mut names = names.skip(nth);
        names.next().cloned()
    }

    /// Splits a path into the inode of its directory, and the name.
    pub(crate) fn split<'a>(&self, path: &'a str) -> (u32, &'a [u8]) {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        (self.dirs[dir], name.as_bytes())
    }

    pub(crate) fn has_names_below(&self, dir: &str) -> bool {
        let below = format!("{dir}/");
        self.paths.keys().any(|path| path.starts_with(&below))
    }

    /// Forgets a path.
    pub(crate) fn remove(&mut self, path: &str) {
        let ino = self.paths.remove(path).expect("it is there");
        self.dirs.remove(path);
        if !self.paths.values().any(|other| *other == ino) {
            self.data.remove(&ino);
        }
    }
}

/// Compares an image with what should be in it.
pub(crate) fn compare(bytes: &[u8], tree: &Tree, what: &str) {
    let image = Image::open(bytes).expect("it still is one");
    let survey = image.survey();
    assert_eq!(survey.faults, [], "{what}");
    let found = survey.files.iter().map(|(path, stat)| {
        let path = String::from_utf8(path.clone()).expect("as it was made");
        (path, stat.ino)
    });
    let mut found: BTreeMap<String, u32> = found.collect();
    assert!(found.remove("lost+found").is_some() && found.remove("") == Some(ROOT));
    assert_eq!(found, tree.paths, "{what}");
    for (ino, data) in &tree.data {
        let extents = image.extents(*ino).expect("good");
        let blocks = extents.iter().flat_map(|extent| {
            let Extent {
                file_block,
                disk_block,
                len,
            } = *extent;
            (0..len).map(move |n| (file_block + n, disk_block + n))
        });
        let read = blocks.map(|(file_block, disk_block)| {
            let bytes = image.block(disk_block).expect("good");
            assert!(bytes.iter().all(|byte| *byte == bytes[0]), "{what}");
            (file_block, bytes[0])
        });
        assert_eq!(read.collect::<Blocks>(), *data, "{what}, inode {ino}");
    }
}

/// Lets `e2fsck` look; it says yes to nothing.
pub(crate) fn check(made: &Made, bytes: &[u8]) {
    fs::write(made.path(), bytes).expect("room");
    stdout(tool("e2fsck").arg("-fn").arg(made.path()));
}

pub(crate) fn open(made: &mut Made) -> Volume {
    Volume::open(mem::take(&mut made.bytes), 1_700_000_000).expect("a good image")
}
