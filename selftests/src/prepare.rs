// SPDX-License-Identifier: GPL-2.0

//! Writes the claims' files, so that an image can be made of them.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;

use crate::pattern;
use crate::pattern::Version;
use crate::registry::Claim;

/// Writes every file of `claims` into `dir`, which is made if need be.
pub fn prepare(dir: &Path, claims: &[&Claim]) -> Result<()> {
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    for claim in claims {
        for file in claim.files {
            write_file(dir, file.name, file.size)?;
        }
    }
    Ok(())
}

/// Writes one file with real bytes throughout, since `mke2fs -d` makes a hole of a block of zeros.
pub fn write_file(dir: &Path, name: &str, size: u64) -> Result<()> {
    let path = dir.join(name);
    let bytes = pattern::bytes(pattern::file_id(name), 0, size as usize, |_| {
        Version::PREPARED
    });
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&path)?;
        file.write_all(&bytes)?;
        // The same in every image, whoever prepares it.
        file.set_permissions(fs::Permissions::from_mode(0o644))?;
        file.sync_all()
    };
    write().with_context(|| format!("preparing {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn no_prepared_block_is_zero() {
        let dir = tempfile::tempdir().unwrap();
        let claims: Vec<&Claim> = registry::all().collect();
        prepare(dir.path(), &claims).unwrap();
        for file in claims.iter().flat_map(|claim| claim.files) {
            let bytes = fs::read(dir.path().join(file.name)).unwrap();
            assert_eq!(bytes.len() as u64, file.size, "{}", file.name);
            for block in bytes.chunks(512) {
                assert!(block.iter().any(|byte| *byte != 0), "{}", file.name);
            }
        }
    }
}
