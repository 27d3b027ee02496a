// SPDX-License-Identifier: GPL-2.0

//! Prints what is in a directory, to compare what two drivers read from one image.

use std::fs;
use std::fs::File;
use std::fs::Metadata;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;
use rustix::io::Errno;
use sha2::Digest as _;
use sha2::Sha256;

use crate::generation::flags_and_generation;

/// How much is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// `sha256  relative/path  size  mode` of every regular file.
    Files,
    /// Of everything: type, permissions, owner, link count, device, size, times of access and
    /// modification, flags and generation, path, the sum or the text of a link, and extended attributes.
    Everything,
}

/// Writes a line for each of the files under `dir`, sorted by path.
pub fn digest(dir: &Path, detail: Detail, out: &mut impl Write) -> Result<()> {
    let mut entries = Vec::new();
    collect(dir, &mut entries)?;
    entries.sort_by(|(left, _), (right, _)| left.cmp(right));
    for (path, meta) in entries {
        let relative = path.strip_prefix(dir).unwrap_or(&path).display();
        let describe = || format!("reading {}", path.display());
        let kind = meta.file_type();
        if detail == Detail::Everything {
            let content = if kind.is_file() {
                sum(&path).with_context(describe)?
            } else if kind.is_symlink() {
                let text = fs::read_link(&path).with_context(describe)?;
                text.display().to_string()
            } else {
                String::new()
            };
            let attributes = attributes(&path).with_context(describe)?;
            let more = if kind.is_file() || kind.is_dir() {
                more(&path).with_context(describe)?
            } else {
                String::new()
            };
            writeln!(
                out,
                "{:06o} {}:{} {} {} {} {} {} {more} {relative} {content}{attributes}",
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.nlink(),
                meta.rdev(),
                meta.size(),
                meta.atime(),
                meta.mtime(),
            )?;
        } else if kind.is_file() {
            let mode = meta.mode() & 0o7777;
            let sum = sum(&path).with_context(describe)?;
            writeln!(out, "{sum}  {relative}  {}  {mode:04o}", meta.len())?;
        }
    }
    Ok(())
}

/// Adds everything below `dir`, each with its attributes from before anything of it was read: to list
/// a directory, or to read a file by another of its names, changes the time of access.
fn collect(dir: &Path, entries: &mut Vec<(PathBuf, Metadata)>) -> Result<()> {
    let describe = || format!("listing {}", dir.display());
    for entry in fs::read_dir(dir).with_context(describe)? {
        let entry = entry.with_context(describe)?;
        let (path, meta) = (entry.path(), entry.metadata().with_context(describe)?);
        if meta.is_dir() {
            collect(&path, entries)?;
        }
        entries.push((path, meta));
    }
    Ok(())
}

/// What only `ioctl(2)` tells of a file or a directory, in words.
fn more(path: &Path) -> Result<String> {
    let (flags, generation) = flags_and_generation(File::open(path)?)?;
    Ok(format!("{flags:x?} {generation:?}"))
}

/// The extended attributes of a file, sorted: each name after a space, and the value in hexadecimal.
fn attributes(path: &Path) -> Result<String> {
    let mut room = vec![0; 64 << 10];
    let len = match rustix::fs::llistxattr(path, &mut room[..]) {
        Ok(len) => len,
        Err(Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error.into()),
    };
    let list = String::from_utf8_lossy(&room[..len]).into_owned();
    let mut names: Vec<_> = list.split('\0').filter(|name| !name.is_empty()).collect();
    names.sort_unstable();
    let mut text = String::new();
    for name in names {
        let len = rustix::fs::lgetxattr(path, name, &mut room[..])?;
        text += &format!(" {name}=");
        text.extend(room[..len].iter().map(|byte| format!("{byte:02x}")));
    }
    Ok(text)
}

fn sum(path: &Path) -> Result<String> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            count => hash.update(&buffer[..count]),
        }
    }
    Ok(hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::FileTimes;
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::fs::symlink;
    use std::time::Duration;
    use std::time::UNIX_EPOCH;

    #[test]
    fn files_are_listed_sorted_with_their_sums() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        for (name, text) in [("b/x", "abc"), ("a", "")] {
            fs::write(dir.path().join(name), text).unwrap();
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o640)).unwrap();
        }
        let mut out = Vec::new();
        digest(dir.path(), Detail::Files, &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a  0  0640\n\
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b/x  3  0640\n"
        );
    }

    #[test]
    fn everything_is_described_if_that_is_wanted() {
        let dir = tempfile::tempdir().unwrap();
        symlink("nowhere", dir.path().join("link")).unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        let mut out = Vec::new();
        digest(dir.path(), Detail::Everything, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[0].starts_with("120777 ") && lines[0].ends_with(" link nowhere"),
            "{text}"
        );
        assert!(
            lines[1].starts_with("040") && lines[1].ends_with(" sub "),
            "{text}"
        );
    }

    #[test]
    fn the_time_of_access_is_that_from_before_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (sub, file) = (dir.path().join("sub"), dir.path().join("sub/file"));
        fs::create_dir(&sub).unwrap();
        fs::write(&file, "abc").unwrap();
        fs::hard_link(&file, dir.path().join("again")).unwrap();
        let times = FileTimes::new().set_accessed(UNIX_EPOCH + Duration::from_secs(77));
        for path in [&file, &sub] {
            File::open(path).unwrap().set_times(times).unwrap();
        }
        let mut out = Vec::new();
        digest(dir.path(), Detail::Everything, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().count(), 3);
        assert!(text.lines().all(|line| line.contains(" 77 ")), "{text}");
    }
}
