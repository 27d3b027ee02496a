// SPDX-License-Identifier: GPL-2.0

//! What must be refused is refused, and for the right reason.

#[path = "common/mod.rs"]
mod common;

use std::collections::BTreeSet;

use cohfs_model::bad_images::{bad_images, Expect};
use cohfs_model::image::{Fault, Image};
use common::{have_e2fsprogs, mke2fs, stdout, tool};

/// Mounts the image as far as a parser can; returns what happened and what was said.
fn outcome(bytes: &[u8]) -> (Expect, String) {
    let image = match Image::open(bytes) {
        Err(Fault::Refused {
            why,
            corrupt: false,
        }) => return (Expect::Einval, why),
        Err(fault) => return (Expect::Euclean, fault.to_string()),
        Ok(image) => image,
    };
    if let Some(names) = image.read_only_features() {
        return (Expect::RoOnly, names);
    }
    match image.stat(2) {
        Err(fault) => return (Expect::Euclean, fault.to_string()),
        Ok(root) if root.mode & 0o170000 != 0o040000 => {
            return (Expect::Euclean, "the root inode is no directory".to_owned());
        }
        Ok(_) => {}
    }
    let listed = image.list(2).and_then(|names| {
        let mut files = names.iter();
        files.try_for_each(|name| image.attributes(name.ino).map(drop))
    });
    let fault = listed.expect_err("everything is in order");
    (Expect::EucleanOnList, fault.to_string())
}

#[test]
fn bad_images_are_refused_for_the_reason_that_the_list_gives() {
    if !have_e2fsprogs() {
        return;
    }
    for block_size in ["1024", "2048", "4096"] {
        for inode_size in ["128", "256"] {
            let good = mke2fs(&["-t", "ext2", "-b", block_size, "-I", inode_size], None).bytes;
            for bad in bad_images() {
                let mut image = good.clone();
                bad.apply(&mut image);
                let (expect, said) = outcome(&image);
                let name = format!("{}, blocks of {block_size}: {said}", bad.name);
                assert_eq!(expect, bad.expect, "{name}");
                assert!(said.contains(bad.needle), "{name}, not: {}", bad.needle);
            }
        }
    }
}

#[test]
fn names_of_bad_images_are_theirs_alone_and_fit_for_files() {
    let names: BTreeSet<&str> = bad_images().iter().map(|bad| bad.name).collect();
    assert_eq!(names.len(), bad_images().len());
    let fit = |c: char| c.is_ascii_alphanumeric() || c == '_';
    assert!(names.iter().all(|name| name.chars().all(fit)));
}

#[test]
fn features_of_later_formats_are_named_as_mke2fs_takes_them() {
    if !have_e2fsprogs() {
        return;
    }
    let features = [
        "extent",
        "64bit,extent",
        "flex_bg",
        "ea_inode",
        "mmp",
        "encrypt",
        "casefold",
        "large_dir",
        "inline_data",
        "metadata_csum_seed,metadata_csum",
    ];
    for asked in features {
        let made = mke2fs(&["-t", "ext2", "-O", asked], None);
        let Err(Fault::Refused {
            why,
            corrupt: false,
        }) = Image::open(&made.bytes).map(drop)
        else {
            panic!("{asked} is not refused");
        };
        for name in asked.split(',').filter(|name| *name != "metadata_csum") {
            assert!(why.contains(name), "{asked}: {why}");
        }
    }
}

#[test]
fn features_that_forbid_writing_are_named_as_dumpe2fs_prints_them() {
    if !have_e2fsprogs() {
        return;
    }
    let features = [
        "huge_file",
        "uninit_bg",
        "dir_nlink",
        "extra_isize",
        "quota",
        "metadata_csum",
        "project",
        "verity",
        "huge_file,dir_nlink,extra_isize",
    ];
    for asked in features {
        let options = ["-t", "ext2", "-I", "256", "-O", asked];
        let made = mke2fs(&options, None);
        let image = Image::open(&made.bytes).unwrap_or_else(|why| panic!("{asked}: {why}"));
        let names = image.read_only_features().unwrap_or_default();
        let dump = stdout(tool("dumpe2fs").arg("-h").arg(made.path()));
        let theirs = dump
            .lines()
            .find_map(|line| line.strip_prefix("Filesystem features:"));
        let theirs: BTreeSet<&str> = theirs.expect("a line").split_whitespace().collect();
        for name in names.split(", ") {
            assert!(
                theirs.contains(name),
                "{asked}: {name} is not in {theirs:?}"
            );
        }
        for name in asked.split(',') {
            assert!(
                names.split(", ").any(|found| found == name),
                "{asked}: {names}"
            );
        }
        assert_eq!(
            image.survey().faults,
            [],
            "{asked}: it can be read all the same"
        );
    }
}

#[test]
fn a_whole_ext4_is_refused_with_all_its_features() {
    if have_e2fsprogs() {
        let made = mke2fs(&["-t", "ext4"], None);
        let why = Image::open(&made.bytes)
            .map(drop)
            .expect_err("it is ext4")
            .to_string();
        assert!(
            why.contains("extent, 64bit, flex_bg; mount it as ext4"),
            "{why}"
        );
    }
}
