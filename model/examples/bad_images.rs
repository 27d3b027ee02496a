// SPDX-License-Identifier: GPL-2.0

//! Writes the bad images, made from a good one, and what is to become of each.
//!
//! ```text
//! mke2fs -q -F -t ext2 good 256k
//! cargo run -p cohfs-model --example bad_images -- good bad
//! ```
//!
//! makes `bad/NAME` for each, and `bad.list` with a line for each: the name, the outcome
//! (`einval`, `euclean`, `ro-only`, `euclean-on-list`) and the text that the log must have, with
//! tabs between.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

use cohfs_model::bad_images::{bad_images, Expect};

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [good, dir] = arguments.as_slice() else {
        eprintln!("usage: bad_images GOOD_IMAGE NEW_DIRECTORY");
        return ExitCode::from(2);
    };
    match write_all(good, dir) {
        Ok(count) => {
            println!("{count} images in {}", dir.display());
            ExitCode::SUCCESS
        }
        Err((path, error)) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}

fn write_all(good: &Path, dir: &Path) -> Result<usize, (PathBuf, io::Error)> {
    let at = |path: &Path| {
        let path = path.to_path_buf();
        |error| (path, error)
    };
    let good = fs::read(good).map_err(at(good))?;
    fs::create_dir(dir).map_err(at(dir))?;
    let mut list = String::new();
    for bad in bad_images() {
        let mut image = good.clone();
        bad.apply(&mut image);
        let path = dir.join(bad.name);
        fs::write(&path, image).map_err(at(&path))?;
        let expect = match bad.expect {
            Expect::Einval => "einval",
            Expect::Euclean => "euclean",
            Expect::RoOnly => "ro-only",
            Expect::EucleanOnList => "euclean-on-list",
        };
        writeln!(list, "{}\t{expect}\t{}", bad.name, bad.needle).expect("room in memory");
    }
    let path = dir.with_extension("list");
    fs::write(&path, list).map_err(at(&path))?;
    Ok(bad_images().len())
}
