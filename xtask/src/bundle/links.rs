// SPDX-License-Identifier: GPL-2.0

//! Symbolic links of a bundle. Debian's packages hold absolute ones, which lead out of a bundle
//! that is not `/`.

use anyhow::{Context as _, Result};
use std::path::{Component, Path, PathBuf};

/// Makes every absolute link below `root` a relative one to the same place below `root`: it
/// leads there from outside and, chrooted, from inside.
pub(super) fn make_relative(root: &Path) -> Result<()> {
    visit(root, 0)
}

/// `depth` is the number of directories between the root and `dir`.
fn visit(dir: &Path, depth: usize) -> Result<()> {
    let entries = std::fs::read_dir(dir).with_context(|| format!("reading {}", dir.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", dir.display()))?;
        let (path, kind) = (entry.path(), entry.file_type()?);
        if kind.is_dir() {
            visit(&path, depth + 1)?;
        } else if kind.is_symlink() {
            let target = std::fs::read_link(&path)?;
            if target.is_absolute() {
                std::fs::remove_file(&path)
                    .and_then(|()| std::os::unix::fs::symlink(relative(&target, depth), &path))
                    .with_context(|| format!("replacing the link {}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// The way from a directory `depth` levels below the root to the absolute `target`. As under
/// `/`, nothing is above the root.
fn relative(target: &Path, depth: usize) -> PathBuf {
    let mut below = Vec::new();
    for component in target.components() {
        match component {
            Component::Normal(name) => below.push(name),
            Component::ParentDir => drop(below.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let way: PathBuf = std::iter::repeat_n("..".as_ref(), depth)
        .chain(below)
        .collect();
    if way.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_leads_up_to_the_root_and_down_again() {
        let way = |target: &str, depth| relative(Path::new(target), depth);
        assert_eq!(
            way("/usr/share/seabios/vgabios.bin", 3),
            Path::new("../../../usr/share/seabios/vgabios.bin")
        );
        assert_eq!(way("/lib/ld.so", 0), Path::new("lib/ld.so"));
        assert_eq!(way("/../../etc/../lib", 1), Path::new("../lib"));
        assert_eq!(way("/", 0), Path::new("."));
    }

    #[test]
    fn absolute_links_stay_below_the_root_and_others_stay_as_they_are() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("usr/share/qemu");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(root.path().join("usr/bios"), "bios").unwrap();
        let link = |target: &str, name: &str| {
            std::os::unix::fs::symlink(target, dir.join(name)).unwrap();
        };
        link("/usr/bios", "absolute");
        link("../../bios", "relative");
        link("/no/such/file", "dangling");
        make_relative(root.path()).unwrap();
        for name in ["absolute", "relative"] {
            assert_eq!(std::fs::read_to_string(dir.join(name)).unwrap(), "bios");
        }
        let read = |name| std::fs::read_link(dir.join(name)).unwrap();
        assert_eq!(read("relative"), Path::new("../../bios"));
        assert_eq!(read("dangling"), Path::new("../../../no/such/file"));
    }
}
