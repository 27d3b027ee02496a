// SPDX-License-Identifier: GPL-2.0

//! What went into an image comes out of the parser.

#[path = "common/mod.rs"]
mod common;
#[path = "common/staging.rs"]
mod staging;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::path::Path;
use std::sync::OnceLock;

use cohfs_model::image::{Extent, Image, Stat};
use common::{have_e2fsprogs, mke2fs, stdout, tool, Made};
use staging::{deep_places, stage, PIECE};
use tempfile::TempDir;

/// Ways to make an image that cohfs mounts for writing.
const FORMATS: [(&str, &[&str]); 11] = [
    ("ext2", &["-t", "ext2"]),
    ("no features", &["-O", "none"]),
    ("no filetype", &["-t", "ext2", "-O", "^filetype"]),
    (
        "all backups",
        &["-t", "ext2", "-O", "^sparse_super,^resize_inode"],
    ),
    (
        "two backups",
        &["-t", "ext2", "-O", "sparse_super2", "-g", "1024"],
    ),
    (
        "meta_bg",
        &["-t", "ext2", "-O", "meta_bg,^resize_inode", "-g", "256"],
    ),
    (
        "journal",
        &["-t", "ext2", "-O", "has_journal", "-J", "size=4"],
    ),
    ("small groups", &["-t", "ext2", "-g", "512"]),
    ("odd groups", &["-t", "ext2", "-g", "1016"]),
    ("stride", &["-t", "ext2", "-E", "stride=3", "-g", "2048"]),
    (
        "label",
        &["-t", "ext2", "-L", "sixteen bytes ok", "-e", "remount-ro"],
    ),
];

fn staged() -> &'static Path {
    static STAGED: OnceLock<TempDir> = OnceLock::new();
    STAGED.get_or_init(stage).path()
}

/// Calls `check` with an image of each format, block size and inode size.
fn each_image(block_sizes: &[u32], check: impl Fn(&str, &Made, &Image<'_>)) {
    for (name, options) in FORMATS {
        for block_size in block_sizes {
            for inode_size in [128, 256] {
                let sizes = [block_size.to_string(), inode_size.to_string()];
                let sizes = ["-b", &sizes[0], "-I", &sizes[1]];
                let made = mke2fs(&[options, &sizes].concat(), Some(staged()));
                let what = format!("{name}, blocks of {block_size}, inodes of {inode_size}");
                let image = Image::open(&made.bytes).unwrap_or_else(|why| panic!("{what}: {why}"));
                assert_eq!(image.read_only_features(), None, "{what}");
                check(&what, &made, &image);
            }
        }
    }
}

#[test]
fn trees_come_out_as_they_went_in_1k() {
    if have_e2fsprogs() {
        each_image(&[1024], |what, _, image| compare_trees(what, image));
    }
}

#[test]
fn trees_come_out_as_they_went_in_2k() {
    if have_e2fsprogs() {
        each_image(&[2048], |what, _, image| compare_trees(what, image));
    }
}

#[test]
fn trees_come_out_as_they_went_in_4k() {
    if have_e2fsprogs() {
        each_image(&[4096], |what, _, image| compare_trees(what, image));
    }
}

#[test]
fn revision_0_is_read() {
    if have_e2fsprogs() {
        let made = mke2fs(&["-r", "0", "-O", "none", "-b", "1024"], Some(staged()));
        let image = Image::open(&made.bytes).expect("a good image");
        assert_eq!(image.account()["First inode"], "11");
        compare_trees("revision 0", &image);
    }
}

#[test]
fn a_hash_tree_looks_like_free_space() {
    if have_e2fsprogs() {
        let mut made = mke2fs(&["-t", "ext2", "-b", "1024"], Some(staged()));
        // Builds the tree; 1 says that something was changed.
        let status = tool("e2fsck")
            .args(["-fyD"])
            .arg(made.path())
            .output()
            .expect("it starts");
        assert!(matches!(status.status.code(), Some(0 | 1)), "{status:?}");
        made.reload();
        let image = Image::open(&made.bytes).expect("a good image");
        let many = image.lookup(2, b"many").expect("good").expect("there");
        assert_ne!(
            image.stat(many).expect("good").flags & 0x1000,
            0,
            "no tree was built"
        );
        compare_trees("hash tree", &image);
    }
}

#[test]
fn attributes_in_a_block_of_their_own_are_no_block_of_the_file() {
    if have_e2fsprogs() {
        let options = ["-t", "ext2", "-b", "1024", "-I", "128"];
        let mut made = mke2fs(&options, Some(staged()));
        let short = "link of 58";
        let commands = format!("ea_set \"/{short}\" trusted.k v\nea_set /small user.k v\n");
        made.debugfs(true, &commands);
        made.reload();
        let image = Image::open(&made.bytes).expect("a good image");
        for name in [short, "small"] {
            let ino = image
                .lookup(2, name.as_bytes())
                .expect("good")
                .expect("there");
            assert_ne!(image.stat(ino).expect("good").file_acl, 0, "{name}");
        }
        compare_trees("attributes", &image);
    }
}

/// Compares every file with the one it was made from.
fn compare_trees(what: &str, image: &Image<'_>) {
    let survey = image.survey();
    assert_eq!(survey.faults, [], "{what}");
    let mut found: BTreeSet<&[u8]> = survey.files.keys().map(Vec::as_slice).collect();
    assert!(found.remove(&b"lost+found"[..]), "{what}");
    assert!(found.remove(&b""[..]), "{what}");
    let mut links = BTreeMap::new();
    for path in host_files(staged()) {
        let at = format!("{what}: {}", path.display());
        let bytes = path.as_os_str().as_bytes();
        assert!(found.remove(bytes), "{at} is missing");
        let stat = &survey.files[bytes];
        compare_file(&at, image, stat, &staged().join(&path));
        links.entry(stat.ino).or_insert((0, stat.links)).0 += 1;
    }
    assert!(found.is_empty(), "{what}: {found:?} came from nowhere");
    let (names, links) = links[&survey.files[&b"small"[..]].ino];
    assert_eq!((names, links), (2, 2), "{what}");
}

fn compare_file(at: &str, image: &Image<'_>, stat: &Stat, host: &Path) {
    let meta = fs::symlink_metadata(host).expect("it is there");
    let kind = meta.mode() & 0o170000;
    assert_eq!(u32::from(stat.mode), meta.mode(), "{at}");
    assert_eq!((stat.uid, stat.gid), (meta.uid(), meta.gid()), "{at}");
    assert_eq!(stat.mtime, meta.mtime(), "{at}");
    match kind {
        0o040000 => {
            let dirs = fs::read_dir(host).expect("readable");
            let dirs = dirs.filter(|entry| entry.as_ref().is_ok_and(|entry| is_dir(&entry.path())));
            assert_eq!(usize::from(stat.links), 2 + dirs.count(), "{at}");
            compare_names(at, image, stat.ino, host);
        }
        0o120000 => {
            let target = fs::read_link(host)
                .expect("readable")
                .into_os_string()
                .into_vec();
            assert_eq!(image.target(stat.ino), Ok(target), "{at}");
        }
        0o100000 => {
            assert_eq!(
                (stat.size, u64::from(stat.links)),
                (meta.size(), meta.nlink()),
                "{at}"
            );
            compare_data(at, image, stat, host);
        }
        _ => {}
    }
}

/// Compares what the entries of a directory say, one by one and by looking each up.
fn compare_names(at: &str, image: &Image<'_>, ino: u32, host: &Path) {
    for entry in image.list(ino).expect("good") {
        assert_eq!(image.lookup(ino, &entry.name), Ok(Some(entry.ino)), "{at}");
        if let Some(kind) = entry.kind {
            let stat = image.stat(entry.ino).expect("good");
            assert_eq!(kind, stat.mode & 0o170000, "{at}");
        }
    }
    for entry in fs::read_dir(host).expect("readable") {
        let mut name = entry.expect("readable").file_name().into_vec();
        name.push(b'x');
        assert_eq!(image.lookup(ino, &name), Ok(None), "{at}");
    }
}

/// Compares the blocks of a file; what is in no block must be zero.
fn compare_data(at: &str, image: &Image<'_>, stat: &Stat, host: &Path) {
    let size = u64::from(image.block_size());
    let extents = image.extents(stat.ino).expect("good");
    let file = File::open(host).expect("readable");
    let mut mapped = BTreeMap::new();
    for Extent {
        file_block,
        disk_block,
        len,
    } in extents
    {
        for n in 0..len {
            mapped.insert(u64::from(file_block + n), disk_block + n);
        }
    }
    // Where there may be data: every block, or those that `deep` has something in.
    let mut blocks: BTreeSet<u64> = mapped.keys().copied().collect();
    if stat.size < 1 << 20 {
        blocks.extend(0..stat.size.div_ceil(size));
    } else {
        blocks.extend(deep_places().iter().map(|place| place / size));
        let end = u64::try_from(PIECE).expect("small");
        blocks.extend(deep_places().iter().map(|place| (place + end - 1) / size));
    }
    for block in blocks {
        let mut expected = vec![0; image.block_size().try_into().expect("small")];
        read_up_to_end(&file, &mut expected, block * size);
        match mapped.get(&block) {
            Some(disk) => assert!(image.block(*disk) == Ok(&expected), "{at}, block {block}"),
            None => assert!(
                expected.iter().all(|byte| *byte == 0),
                "{at}, hole at {block}"
            ),
        }
    }
}

fn read_up_to_end(file: &File, mut buffer: &mut [u8], mut offset: u64) {
    loop {
        match file.read_at(buffer, offset).expect("readable") {
            0 => return,
            n => {
                buffer = &mut buffer[n..];
                offset += u64::try_from(n).expect("64 bits");
            }
        }
    }
}

/// Returns the paths of all files below a directory, without it.
fn host_files(root: &Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    let mut todo = vec![root.to_path_buf()];
    while let Some(dir) = todo.pop() {
        for entry in fs::read_dir(dir).expect("readable") {
            let path = entry.expect("readable").path();
            if is_dir(&path) {
                todo.push(path.clone());
            }
            files.push(path.strip_prefix(root).expect("below it").to_path_buf());
        }
    }
    files
}

fn is_dir(path: &Path) -> bool {
    fs::symlink_metadata(path).expect("it is there").is_dir()
}

#[test]
fn e2fsprogs_agrees_on_every_inode_and_block() {
    if have_e2fsprogs() {
        each_image(&[1024], compare_with_e2fsprogs);
    }
}

fn compare_with_e2fsprogs(what: &str, made: &Made, image: &Image<'_>) {
    let dump = stdout(tool("dumpe2fs").arg(made.path()));
    for (field, value) in image.account() {
        let line = dump
            .lines()
            .find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        let theirs = line.unwrap_or_else(|| panic!("{what}: no {field}")).trim();
        assert_eq!(value, theirs.replace("<none>", ""), "{what}: {field}");
    }
    let places: Vec<u32> = image.group_places().concat();
    let theirs = dump.lines().flat_map(|line| {
        line.split(" at ")
            .zip(line.split(" at ").skip(1))
            .filter_map(|(name, rest)| {
                let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
                let ours = ["lock bitmap", "node bitmap", "node table"];
                ours.iter()
                    .any(|end| name.ends_with(end))
                    .then(|| digits.parse::<u32>().ok())?
            })
    });
    assert_eq!(places, theirs.collect::<Vec<_>>(), "{what}");

    let files = image
        .survey()
        .files
        .into_values()
        .map(|stat| (stat.ino, stat));
    let files: BTreeMap<u32, Stat> = files.collect();
    let mut commands = String::new();
    for ino in files.keys() {
        commands += &format!("stat <{ino}>\n");
        for (file_block, _) in some_blocks(image, *ino) {
            commands += &format!("bmap <{ino}> {file_block}\n");
        }
    }
    let said = made.debugfs(false, &commands);
    let mut answers = said.split("debugfs: stat <").skip(1);
    for (ino, stat) in files {
        let answer = answers.next().expect("one for each command");
        let expected = [
            format!("Mode:  0{:03o}", stat.mode & 0o7777),
            format!("Size: {}", stat.size),
            format!("Links: {} ", stat.links),
            format!("Blockcount: {}", stat.sectors),
            format!("File ACL: {}", stat.file_acl),
            format!("mtime: 0x{:08x}", stat.mtime),
        ];
        let is_device = matches!(stat.mode >> 12, 2 | 6);
        for part in expected {
            let found = answer.replace('\n', " ").contains(&part);
            assert!(
                found || is_device && part == "Size: 0",
                "{what}: {ino}: {part}\n{answer}"
            );
        }
        let theirs: Vec<u32> = answer
            .lines()
            .filter_map(|line| line.parse().ok())
            .collect();
        let ours: Vec<u32> = some_blocks(image, ino)
            .map(|(_, disk_block)| disk_block)
            .collect();
        assert_eq!(theirs, ours, "{what}: {ino}");
    }
    assert_eq!(answers.next(), None, "{what}");
}

/// Returns blocks of a file, counted from its start, and where they are: the ends of its first
/// runs. All of a long one would take too long.
fn some_blocks(image: &Image<'_>, ino: u32) -> impl Iterator<Item = (u32, u32)> {
    let extents = image.extents(ino).expect("good");
    let ends = extents
        .into_iter()
        .flat_map(|extent| [(extent, 0), (extent, extent.len - 1)]);
    ends.map(|(extent, n)| (extent.file_block + n, extent.disk_block + n))
        .take(40)
}
