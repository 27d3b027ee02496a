// SPDX-License-Identifier: GPL-2.0

//! Steps on extended attributes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rustix::fs::XattrFlags;
use rustix::io::Errno;

use super::Answer;
use super::Side;
use crate::generator::step::Existence;
use crate::generator::step::Step;

/// What no value and no list is longer than, in bytes.
const LONGEST: usize = 70_000;

/// The attributes of a file by their full names.
pub type Xattrs = BTreeMap<String, Vec<u8>>;

impl Side {
    /// Does a step that is about extended attributes.
    pub(super) fn perform_on_xattrs(&self, step: &Step) -> Result<Answer, Errno> {
        match step {
            Step::SetXattr {
                path,
                name,
                value,
                existence,
            } => {
                let flags = match existence {
                    Existence::Any => XattrFlags::empty(),
                    Existence::Create => XattrFlags::CREATE,
                    Existence::Replace => XattrFlags::REPLACE,
                };
                rustix::fs::lsetxattr(self.full(path), name.as_str(), value, flags)?;
                Ok(Answer::default())
            }
            Step::RemoveXattr { path, name } => {
                rustix::fs::lremovexattr(self.full(path), name.as_str())?;
                Ok(Answer::default())
            }
            Step::GetXattr { path, name, room } => {
                let mut bytes = vec![0; *room];
                let count = rustix::fs::lgetxattr(self.full(path), name.as_str(), &mut bytes[..])?;
                bytes.truncate(count);
                Ok(Answer {
                    count: count as u64,
                    bytes,
                    text: String::new(),
                })
            }
            Step::ListXattr { path, room } => {
                let mut bytes = vec![0; *room];
                let count = rustix::fs::llistxattr(self.full(path), &mut bytes[..])?;
                bytes.truncate(count);
                Ok(Answer {
                    count: count as u64,
                    text: names(&bytes).join("\n"),
                    bytes: Vec::new(),
                })
            }
            _ => Ok(Answer::default()),
        }
    }

    /// All attributes of a path, which is not followed. None if the file system has none at all.
    pub fn xattrs(&self, path: &str) -> Result<Xattrs, Errno> {
        let full = self.full(path);
        let mut list = vec![0; LONGEST];
        let len = match rustix::fs::llistxattr(&full, &mut list[..]) {
            Ok(len) => len,
            Err(Errno::OPNOTSUPP) => 0,
            Err(error) => return Err(error),
        };
        let mut found = Xattrs::new();
        for name in names(&list[..len]) {
            let mut value = vec![0; LONGEST];
            let len = rustix::fs::lgetxattr(&full, name.as_str(), &mut value[..])?;
            value.truncate(len);
            found.insert(name, value);
        }
        Ok(found)
    }

    fn full(&self, path: &str) -> PathBuf {
        self.tree().join(path)
    }
}

/// The names of a list, sorted: in which order they come is up to the file system.
fn names(list: &[u8]) -> Vec<String> {
    let names = list
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let mut names: Vec<_> = names
        .map(|name| String::from_utf8_lossy(name).into_owned())
        .collect();
    names.sort();
    names
}
