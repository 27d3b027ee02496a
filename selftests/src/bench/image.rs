// SPDX-License-Identifier: GPL-2.0

//! Putting an image on disks of memory.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;

/// Copies `from` to every one of `to`, which hold nothing but zeros: pieces of zeros are left out.
pub fn copy_image(from: &Path, to: &[PathBuf]) -> Result<()> {
    const PIECE: usize = 1 << 20;
    let open = |path: &Path, write| {
        let file = File::options().read(true).write(write).open(path);
        file.with_context(|| format!("opening {}", path.display()))
    };
    let image = open(from, false)?;
    let disks: Vec<File> = to
        .iter()
        .map(|path| open(path, true))
        .collect::<Result<_>>()?;
    let mut piece = vec![0; PIECE];
    let mut at = 0;
    loop {
        let count = image.read_at(&mut piece, at).context("reading the image")?;
        if count == 0 {
            break;
        }
        let piece = &piece[..count];
        if piece.iter().any(|&byte| byte != 0) {
            for (disk, path) in disks.iter().zip(to) {
                disk.write_all_at(piece, at)
                    .with_context(|| format!("writing {}", path.display()))?;
            }
        }
        at += count as u64;
    }
    for disk in disks {
        disk.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_zero_is_copied() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        let mut bytes = vec![0; 3_000_000];
        bytes[2_999_999] = 7;
        bytes[70_000] = 8;
        std::fs::write(&from, &bytes).unwrap();
        File::create(&to).unwrap();
        copy_image(&from, std::slice::from_ref(&to)).unwrap();
        assert!(std::fs::read(&to).unwrap() == bytes);
    }
}
