// SPDX-License-Identifier: GPL-2.0

//! Prints what is in a directory, to compare what two drivers read from one image.

use std::fs;
use std::fs::File;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;
use sha2::Digest as _;
use sha2::Sha256;

/// Writes `sha256  relative/path  size  mode` of every regular file under `dir`, sorted by path.
pub fn digest(dir: &Path, out: &mut impl Write) -> Result<()> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort();
    for path in files {
        let relative = path.strip_prefix(dir).unwrap_or(&path);
        let describe = || format!("reading {}", path.display());
        let meta = fs::symlink_metadata(&path).with_context(describe)?;
        let mode = meta.permissions().mode() & 0o7777;
        let sum = sum(&path).with_context(describe)?;
        writeln!(
            out,
            "{sum}  {}  {}  {mode:04o}",
            relative.display(),
            meta.len()
        )?;
    }
    Ok(())
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let describe = || format!("listing {}", dir.display());
    for entry in fs::read_dir(dir).with_context(describe)? {
        let entry = entry.with_context(describe)?;
        let kind = entry.file_type().with_context(describe)?;
        if kind.is_dir() {
            collect(&entry.path(), files)?;
        } else if kind.is_file() {
            files.push(entry.path());
        }
    }
    Ok(())
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

    #[test]
    fn files_are_listed_sorted_with_their_sums() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        for (name, text) in [("b/x", "abc"), ("a", "")] {
            fs::write(dir.path().join(name), text).unwrap();
            fs::set_permissions(dir.path().join(name), fs::Permissions::from_mode(0o640)).unwrap();
        }
        let mut out = Vec::new();
        digest(dir.path(), &mut out).unwrap();
        assert_eq!(
            String::from_utf8(out).unwrap(),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  a  0  0640\n\
             ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  b/x  3  0640\n"
        );
    }
}
