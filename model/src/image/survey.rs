// SPDX-License-Identifier: GPL-2.0

//! Everything that a name leads to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fault, Image, Name, Stat};
use crate::ext2::{self, Ino, Kind};

/// All files of an image.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// By path, without a slash in front; the root is the empty one.
    pub files: BTreeMap<Vec<u8>, Stat>,
    /// What could not be read, with the path.
    pub faults: Vec<(Vec<u8>, Fault)>,
}

impl Image<'_> {
    /// Reads every inode, directory, symbolic link, map and attribute that a name leads to.
    pub fn survey(&self) -> Survey {
        let mut survey = Survey::default();
        let mut seen = BTreeSet::new();
        let mut todo = vec![(Vec::new(), ext2::ROOT_INO.get())];
        while let Some((path, ino)) = todo.pop() {
            if let Err(fault) = self.visit(&path, ino, &mut survey, &mut seen, &mut todo) {
                let enough = fault == Fault::TooMuch;
                survey.faults.push((path, fault));
                if enough {
                    break;
                }
            }
        }
        survey
    }

    fn visit(
        &self,
        path: &[u8],
        ino: u32,
        survey: &mut Survey,
        seen: &mut BTreeSet<u32>,
        todo: &mut Vec<(Vec<u8>, u32)>,
    ) -> Result<(), Fault> {
        self.step()?;
        let stat = self.stat(ino)?;
        survey.files.insert(path.to_vec(), stat);
        // Another name of a file, or a directory that is in itself.
        if !seen.insert(ino) {
            return Ok(());
        }
        self.extents(ino)?;
        self.attributes(ino)?;
        match self.inode(Ino(ino))?.kind {
            Kind::Directory => {
                for Name { name, ino, .. } in self.list(ino)? {
                    if name != b"." && name != b".." {
                        let slash: &[u8] = if path.is_empty() { b"" } else { b"/" };
                        todo.push(([path, slash, name.as_slice()].concat(), ino));
                    }
                }
            }
            Kind::Symlink => drop(self.target(ino)?),
            _ => {}
        }
        Ok(())
    }
}
