// SPDX-License-Identifier: GPL-2.0

//! Steps on names, by the system calls that take a directory and a path in it.

use std::mem::MaybeUninit;
use std::os::fd::AsFd as _;

use rustix::fs::AtFlags;
use rustix::fs::Dev;
use rustix::fs::FileType;
use rustix::fs::Gid;
use rustix::fs::OFlags;
use rustix::fs::RawDir;
use rustix::fs::RenameFlags;
use rustix::fs::Timespec;
use rustix::fs::Timestamps;
use rustix::fs::UTIME_OMIT;
use rustix::fs::Uid;
use rustix::io::Errno;

use super::Side;
use super::mode;
use crate::generator::step::Node;
use crate::generator::step::Rename;
use crate::generator::step::Step;
use crate::generator::step::join;

impl Side {
    /// Does a step that is about names.
    pub(super) fn perform_on_names(&mut self, step: &Step) -> Result<(), Errno> {
        let root = self.root()?;
        match step {
            Step::Link { from, to } => rustix::fs::linkat(root, from, root, to, AtFlags::empty()),
            Step::LinkSlot { slot, to } => {
                rustix::fs::linkat(self.slot(*slot)?, "", root, to, AtFlags::EMPTY_PATH)
            }
            Step::Symlink { text, path } => rustix::fs::symlinkat(text, root, path),
            Step::Mknod {
                path,
                node,
                mode: bits,
            } => {
                let (kind, device): (_, Dev) = match node {
                    Node::Fifo => (FileType::Fifo, 0),
                    Node::Socket => (FileType::Socket, 0),
                    Node::Character(major, minor) => (
                        FileType::CharacterDevice,
                        rustix::fs::makedev(*major, *minor),
                    ),
                    Node::Block(major, minor) => {
                        (FileType::BlockDevice, rustix::fs::makedev(*major, *minor))
                    }
                };
                rustix::fs::mknodat(root, path, kind, mode(*bits), device)
            }
            Step::Mkdir { path, mode: bits } => rustix::fs::mkdirat(root, path, mode(*bits)),
            Step::Rmdir { path } => rustix::fs::unlinkat(root, path, AtFlags::REMOVEDIR),
            Step::Unlink { path } => rustix::fs::unlinkat(root, path, AtFlags::empty()),
            Step::Rename { from, to, how } => {
                let flags = match how {
                    Rename::Replace => RenameFlags::empty(),
                    Rename::NoReplace => RenameFlags::NOREPLACE,
                    Rename::Exchange => RenameFlags::EXCHANGE,
                    Rename::Whiteout => RenameFlags::WHITEOUT,
                };
                rustix::fs::renameat_with(root, from, root, to, flags)
            }
            Step::Chown { path, uid, gid } => {
                let owner = (Some(Uid::from_raw(*uid)), Some(Gid::from_raw(*gid)));
                rustix::fs::chownat(root, path, owner.0, owner.1, AtFlags::SYMLINK_NOFOLLOW)
            }
            Step::Utimens {
                path,
                accessed,
                modified,
            } => {
                let time = |seconds: Option<i64>| Timespec {
                    tv_sec: seconds.unwrap_or(0),
                    tv_nsec: if seconds.is_some() { 0 } else { UTIME_OMIT },
                };
                let times = Timestamps {
                    last_access: time(*accessed),
                    last_modification: time(*modified),
                };
                rustix::fs::utimensat(root, path, &times, AtFlags::SYMLINK_NOFOLLOW)
            }
            _ => Ok(()),
        }
    }

    /// Lists a directory, one `name:type` a line, sorted: in which order they come is up to the
    /// file system. The scratch names are not among them.
    pub(super) fn list(
        &self,
        path: &str,
        buffer: usize,
        scratch: &[String],
    ) -> Result<String, Errno> {
        let dir = self.open(path, OFlags::RDONLY | OFlags::DIRECTORY, 0)?;
        let mut memory = vec![MaybeUninit::uninit(); buffer];
        let mut entries = RawDir::new(dir.as_fd(), &mut memory);
        let mut names = Vec::new();
        let mut made = Vec::new();
        let mut rest = scratch.iter();
        loop {
            if entries.is_buffer_empty()
                && let Some(name) = rest.next()
            {
                let bits = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR;
                if self.open(&join(path, name), bits, 0o600).is_ok() {
                    made.push(name);
                }
                if made.len() > 3 {
                    let name = made.remove(0);
                    rustix::fs::unlinkat(&dir, name, AtFlags::empty())?;
                }
            }
            let Some(entry) = entries.next() else { break };
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if !scratch.contains(&name) {
                names.push(format!("{name}:{:?}", entry.file_type()));
            }
        }
        for name in made {
            rustix::fs::unlinkat(&dir, name, AtFlags::empty())?;
        }
        names.sort();
        Ok(names.join("\n"))
    }
}
