// SPDX-License-Identifier: GPL-2.0

//! What the module's functions do to an image is what `e2fsck` expects, and what was asked.

#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::mem;

use cohfs_model::image::{Extent, Image};
use cohfs_model::volume::{Failure, Volume};
use common::{have_e2fsprogs, mke2fs, stdout, tool, Made};

const ROOT: u32 = 2;
const DIR: u16 = 0o040755;
const FILE: u16 = 0o100644;
/// Flag of a directory with a hash tree.
const INDEX: u32 = 0x1000;
/// Name of a file that takes up room.
const FILLER: &str = "full";
const OTHER: [u16; 3] = [0o120777, 0o010600, 0o140600];

/// Ways to make an image.
const FORMATS: [&[&str]; 6] = [
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
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005) + 1;
        usize::try_from(self.0 >> 33).expect("64 bits") % bound
    }

    fn of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// What a file should have in it: for each block that is no hole, the byte that fills it.
type Blocks = BTreeMap<u32, u8>;

/// What should be in an image. The root is the empty path.
#[derive(Default)]
struct Tree {
    /// Inode of each path, without a slash in front.
    paths: BTreeMap<String, u32>,
    dirs: BTreeMap<String, u32>,
    data: BTreeMap<u32, Blocks>,
}

impl Tree {
    fn new() -> Self {
        Self {
            dirs: BTreeMap::from([(String::new(), ROOT)]),
            ..Self::default()
        }
    }

    /// Some directory: its path with a slash behind, if it has a name, and its inode.
    fn dir(&self, random: &mut Random) -> (String, u32) {
        let (path, ino) = self
            .dirs
            .iter()
            .nth(random.below(self.dirs.len()))
            .expect("the root");
        let slash = if path.is_empty() { "" } else { "/" };
        (format!("{path}{slash}"), *ino)
    }

    /// Some name of a file or a directory, if there is one.
    fn name(&self, random: &mut Random) -> Option<String> {
        // The one of `fill` stays.
        let names = self.paths.keys().filter(|path| *path != FILLER);
        let nth = random.below(names.clone().count().max(1));
        let mut names = names.skip(nth);
        names.next().cloned()
    }

    /// Splits a path into the inode of its directory, and the name.
    fn split<'a>(&self, path: &'a str) -> (u32, &'a [u8]) {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        (self.dirs[dir], name.as_bytes())
    }

    fn has_names_below(&self, dir: &str) -> bool {
        let below = format!("{dir}/");
        self.paths.keys().any(|path| path.starts_with(&below))
    }

    /// Forgets a path.
    fn remove(&mut self, path: &str) {
        let ino = self.paths.remove(path).expect("it is there");
        self.dirs.remove(path);
        if !self.paths.values().any(|other| *other == ino) {
            self.data.remove(&ino);
        }
    }
}

/// A block around a place where another level of pointers begins.
fn some_block(random: &mut Random, block_size: u32) -> u32 {
    let per_block = block_size / 4;
    let single = 12 + per_block;
    let double = single + per_block * per_block;
    let near = [
        0,
        12,
        single,
        single + per_block,
        double,
        double + per_block,
    ];
    let far = u32::try_from(random.below(5)).expect("small");
    (random.of(&near) + far).saturating_sub(2)
}

/// Does something with the image, and the same with the tree. Returns what, by number, and whether
/// there was room for it.
fn step(
    volume: &mut Volume,
    tree: &mut Tree,
    random: &mut Random,
    block_size: u32,
) -> Option<(usize, bool)> {
    let longest = if random.below(4) == 0 { 255 } else { 30 };
    let len = 1 + random.below(longest);
    let new_name: String = (0..len)
        .map(|_| *random.of(&['a', 'b', 'c', '.', '\u{7f}']))
        .collect();
    let (parent, dir) = tree.dir(random);
    let new_path = format!("{parent}{new_name}");
    let is_free = !tree.paths.contains_key(&new_path) && ![".", ".."].contains(&&*new_name);
    let old = tree.name(random);
    let what = random.below(12);
    let done = match (what, old) {
        (0..=3, _) if is_free => volume.create(dir, new_name.as_bytes(), FILE).map(|ino| {
            tree.paths.insert(new_path, ino);
            tree.data.insert(ino, Blocks::new());
        }),
        (4, _) if is_free => volume.create(dir, new_name.as_bytes(), DIR).map(|ino| {
            tree.paths.insert(new_path.clone(), ino);
            tree.dirs.insert(new_path, ino);
        }),
        (5, _) if is_free => {
            let mode = *random.of(&OTHER);
            let made = volume.create(dir, new_name.as_bytes(), mode);
            made.map(|ino| _ = tree.paths.insert(new_path, ino))
        }
        (6, Some(old)) if is_free && !tree.dirs.contains_key(&old) => {
            let ino = tree.paths[&old];
            let linked = volume.link(dir, new_name.as_bytes(), ino);
            linked.map(|()| _ = tree.paths.insert(new_path, ino))
        }
        (7, Some(old)) => {
            let (dir, name) = tree.split(&old);
            let removed = volume.unlink(dir, name);
            if tree.has_names_below(&old) {
                assert_eq!(removed, Err(Failure::NotEmpty), "{old}");
                return None;
            }
            removed.map(|()| tree.remove(&old))
        }
        (8, Some(old)) if is_free && !tree.has_names_below(&old) => {
            if new_path.starts_with(&format!("{old}/")) {
                return None;
            }
            let moved = volume.rename(tree.split(&old), (dir, new_name.as_bytes()));
            moved.map(|()| rename(tree, &old, new_path))
        }
        (9, Some(old)) => {
            let over = tree.name(random).expect("there are names");
            let is_dir = |path: &str| tree.dirs.contains_key(path);
            let apart = tree.paths[&old] != tree.paths[&over];
            let below = over.starts_with(&format!("{old}/")) || tree.has_names_below(&old);
            if !apart || below || is_dir(&old) != is_dir(&over) || tree.has_names_below(&over) {
                return None;
            }
            let moved = volume.rename(tree.split(&old), tree.split(&over));
            moved.map(|()| {
                tree.remove(&over);
                rename(tree, &old, over);
            })
        }
        (10, Some(old)) => match tree.data.get_mut(&tree.paths[&old]) {
            Some(data) => {
                let keep = some_block(random, block_size);
                data.retain(|block, _| *block < keep);
                volume.cut(tree.paths[&old], keep)
            }
            None => return None,
        },
        (11, Some(old)) => match tree.data.get_mut(&tree.paths[&old]) {
            Some(data) => {
                let block = some_block(random, block_size);
                let byte = u8::try_from(random.below(256)).expect("a byte");
                let written = volume.write(tree.paths[&old], block, byte);
                written.map(|()| _ = data.insert(block, byte))
            }
            None => return None,
        },
        _ => return None,
    };
    match done {
        Ok(()) => Some((what, true)),
        Err(Failure::NoSpace) => Some((what, false)),
        Err(failure) => panic!("{failure}"),
    }
}

fn rename(tree: &mut Tree, old: &str, new: String) {
    let ino = tree.paths.remove(old).expect("it is there");
    if tree.dirs.remove(old).is_some() {
        tree.dirs.insert(new.clone(), ino);
    }
    tree.paths.insert(new, ino);
}

/// Compares an image with what should be in it.
fn compare(bytes: &[u8], tree: &Tree, what: &str) {
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
fn check(made: &Made, bytes: &[u8]) {
    fs::write(made.path(), bytes).expect("room");
    stdout(tool("e2fsck").arg("-fn").arg(made.path()));
}

/// Does `steps` random things with an image that has `free` blocks left.
///
/// Returns how often each thing was done.
fn change(format: &[&str], seed: u64, steps: usize, free: Option<u32>) -> [[usize; 12]; 2] {
    let what = format!("{format:?}, seed {seed}");
    let mut made = mke2fs(format, None);
    let block_size = Image::open(&made.bytes).expect("good").block_size();
    let mut volume = open(&mut made);
    let mut tree = Tree::new();
    if let Some(free) = free {
        fill(&mut volume, &mut tree, free);
    }
    let mut random = Random(seed);
    let mut counts = [[0; 12]; 2];
    for _ in 0..steps {
        if let Some((what, done)) = step(&mut volume, &mut tree, &mut random, block_size) {
            counts[usize::from(done)][what] += 1;
        }
    }
    let bytes = volume.into_bytes();
    compare(&bytes, &tree, &what);
    check(&made, &bytes);
    counts
}

fn open(made: &mut Made) -> Volume {
    Volume::open(mem::take(&mut made.bytes), 1_700_000_000).expect("a good image")
}

/// Makes a file that leaves so many blocks.
fn fill(volume: &mut Volume, tree: &mut Tree, free: u32) {
    let full = volume.create(ROOT, FILLER.as_bytes(), FILE).expect("room");
    let blocks = (0..).take_while(|&block| volume.write(full, block, 0x55).is_ok());
    let len = u32::try_from(blocks.count()).expect("small") - free;
    volume.cut(full, len).expect("a good file");
    tree.paths.insert(FILLER.into(), full);
    let data = (0..len).map(|block| (block, 0x55));
    tree.data.insert(full, data.collect());
}

/// Adds up what was done; nothing may have been left out.
fn expect_all(counts: impl IntoIterator<Item = [usize; 12]>) {
    let mut sum = [0; 12];
    for count in counts {
        for (sum, count) in sum.iter_mut().zip(count) {
            *sum += count;
        }
    }
    assert!(sum.iter().all(|count| *count > 9), "{sum:?}");
}

#[test]
fn an_image_that_was_changed_is_clean() {
    if !have_e2fsprogs() {
        return;
    }
    let seeds = FORMATS
        .iter()
        .flat_map(|format| (1..4).map(move |seed| (format, seed)));
    expect_all(seeds.map(|(format, seed)| change(format, seed, 600, None)[1]));
}

#[test]
fn a_full_image_that_was_changed_is_clean() {
    if !have_e2fsprogs() {
        return;
    }
    let counts = FORMATS.map(|format| change(format, 7, 800, Some(20)));
    expect_all(counts.map(|[_, done]| done));
    let refused = counts.map(|[refused, _]| refused.iter().sum::<usize>());
    assert!(refused.iter().sum::<usize>() > 50, "{refused:?}");
}

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
