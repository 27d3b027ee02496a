// SPDX-License-Identifier: GPL-2.0

//! What the module's functions do to an image is what `e2fsck` expects, and what was asked: random
//! changes.

#[path = "common/mod.rs"]
mod common;
#[path = "common/tree.rs"]
mod tree;

use cohfs_model::image::Image;
use cohfs_model::volume::{Failure, Volume};
use common::{have_e2fsprogs, mke2fs};
use tree::{check, compare, open, Blocks, Random, Tree, DIR, FILE, FILLER, FORMATS, OTHER, ROOT};

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
