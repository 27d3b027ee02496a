// SPDX-License-Identifier: GPL-2.0

//! What steps that succeed do to the model.

use std::collections::BTreeMap;

use super::Id;
use super::Kind;
use super::Model;
use super::Node;
use super::Open;
use crate::generator::content::Content;
use crate::generator::content::pattern;
use crate::generator::observe::is_list;
use crate::generator::side::Xattrs;
use crate::generator::step::Existence;
use crate::generator::step::Fallocate;
use crate::generator::step::Mode;
use crate::generator::step::Reader;
use crate::generator::step::Rename;
use crate::generator::step::Slot;
use crate::generator::step::Step;
use crate::generator::step::Target;
use crate::generator::step::Writer;
use crate::generator::step::split;

/// Why a step cannot have come to what it came to.
type Impossible = String;

impl Model {
    /// Takes what a step came to, if it succeeded: `count` is what the system call returned.
    ///
    /// # Errors
    ///
    /// The step cannot have succeeded; the text says why.
    pub fn apply(&mut self, step: &Step, count: u64) -> Result<(), Impossible> {
        match step {
            Step::Create {
                path, exclusive, ..
            } => match self.find(path) {
                Some(_) if *exclusive => return Err(format!("{path} is there already")),
                Some(id) if self.names(id).is_some() => {
                    return Err(format!("{path} is a directory"));
                }
                Some(_) => {}
                None => self.add(path, Kind::File(Content::default()), 1)?,
            },
            Step::Open { slot, path, mode } => {
                let id = self
                    .find(path)
                    .ok_or_else(|| format!("{path} is not there"))?;
                if mode.truncate {
                    self.truncate(id, 0)?;
                }
                self.close(*slot);
                self.slots[*slot] = Some(Open { id, mode: *mode });
                self.node_mut(id).accessed_varies |= mode.direct;
            }
            Step::Tmpfile { slot, .. } => {
                let id = self.insert(Kind::File(Content::default()), 0);
                self.close(*slot);
                let mode = Mode::default();
                self.slots[*slot] = Some(Open { id, mode });
            }
            Step::Close { slot } => self.close(*slot),
            Step::Write {
                target,
                mode,
                writer,
                at,
                seed,
                len,
            } => {
                if count > *len as u64 {
                    return Err(format!("{count} bytes of {len} were written"));
                }
                let id = self.file(target)?;
                let append = match target {
                    Target::Path(_) => mode.append,
                    Target::Slot(slot) => self.open(*slot).is_some_and(|open| open.mode.append),
                };
                let bytes = &pattern(*seed, *len)[..count as usize];
                let at = if append && *writer != Writer::Store {
                    self.size(id)
                } else {
                    *at
                };
                self.write(id, at, bytes);
                self.node_mut(id).blocks_vary |= *writer == Writer::Store;
            }
            Step::Copy {
                from,
                from_at,
                to,
                at,
                ..
            } => {
                let source = self.file(&Target::Path(from.clone()))?;
                let id = self.file(to)?;
                let count = usize::try_from(count).map_err(|error| error.to_string())?;
                let bytes = self
                    .content(source)
                    .map(|content| content.read(*from_at, count));
                let bytes = bytes.filter(|bytes| bytes.len() == count);
                let bytes = bytes.ok_or_else(|| format!("{from} has no {count} bytes there"))?;
                self.write(id, *at, &bytes);
            }
            Step::Truncate { target, size } => {
                let id = self.file(target)?;
                self.truncate(id, *size)?;
            }
            Step::Fallocate {
                target,
                how,
                at,
                len,
            } => {
                let id = self.file(target)?;
                let end = at + len;
                if !keeps_size(*how) {
                    self.truncate(id, self.size(id).max(end))?;
                }
                if *how != Fallocate::Allocate {
                    self.zero(id, *at, end);
                }
            }
            Step::Link { from, to } => {
                let id = self
                    .find(from)
                    .ok_or_else(|| format!("{from} is not there"))?;
                self.link(id, to)?;
            }
            Step::LinkSlot { slot, to } => {
                let open = self
                    .open(*slot)
                    .ok_or_else(|| format!("{slot} is not open"))?;
                self.link(open.id, to)?;
            }
            Step::Symlink { text, path } => self.add(path, Kind::Link(text.clone()), 1)?,
            Step::Mknod { path, .. } => self.add(path, Kind::Special, 1)?,
            Step::Mkdir { path, .. } => {
                let (dir, _) = split(path);
                let dir = self
                    .find(dir)
                    .ok_or_else(|| format!("{dir} is not there"))?;
                self.add(path, Kind::Dir(BTreeMap::new(), dir), 2)?;
                self.node_mut(dir).links += 1;
            }
            Step::Rmdir { path } => self.remove_dir(path)?,
            Step::Unlink { path } => {
                let id = self
                    .find(path)
                    .ok_or_else(|| format!("{path} is not there"))?;
                if self.names(id).is_some() {
                    return Err(format!("{path} is a directory"));
                }
                self.unname(path)?;
                self.unlink(id);
            }
            Step::Rename { from, to, how } => self.rename(from, to, *how)?,
            Step::Chmod { target, .. } | Step::SetFlags { target, .. } => {
                self.forget(self.target(target))?;
            }
            Step::SetGeneration { target, generation } => {
                let id = self.target(target).ok_or("it is not there")?;
                self.node_mut(id).generation = Some(*generation);
            }
            Step::Chown { path, .. } => self.forget(self.find(path))?,
            Step::Read { target, reader, .. } => {
                let id = self.file(target)?;
                self.node_mut(id).accessed_varies |= *reader == Reader::Direct;
            }
            Step::Utimens { path, accessed, .. } => {
                let id = self
                    .find(path)
                    .ok_or_else(|| format!("{path} is not there"))?;
                let mut open = self.slots.iter().flatten();
                let direct = open.any(|open| open.id == id && open.mode.direct);
                self.node_mut(id).accessed_varies &= direct || accessed.is_none();
            }
            Step::SetXattr {
                path,
                name,
                value,
                existence,
            } => self.set_xattr(path, name, value, *existence)?,
            Step::RemoveXattr { path, name } => {
                let node = self.at(path)?;
                if is_list(name) {
                    self.forget(self.find(path))?;
                } else if node.xattrs.remove(name).is_none() {
                    return Err(format!("{path} has no {name}"));
                }
            }
            Step::Extents { .. }
            | Step::Sync { .. }
            | Step::GetXattr { .. }
            | Step::ListXattr { .. }
            | Step::Follow { .. }
            | Step::List { .. }
            | Step::Statfs
            | Step::DropCaches
            | Step::Remount => {}
        }
        Ok(())
    }

    /// Writes bytes of a file that is there.
    pub fn overwrite(&mut self, target: &Target, at: u64, bytes: &[u8]) {
        if let Some(id) = self.target(target) {
            self.write(id, at, bytes);
        }
    }

    pub(super) fn insert(&mut self, kind: Kind, links: u32) -> Id {
        let id = self.next;
        self.next += 1;
        let node = Node {
            kind,
            links,
            attributes: None,
            xattrs: Xattrs::new(),
            lists: None,
            generation: None,
            blocks_vary: false,
            accessed_varies: false,
        };
        self.nodes.insert(id, node);
        id
    }

    fn add(&mut self, path: &str, kind: Kind, links: u32) -> Result<(), Impossible> {
        let id = self.insert(kind, links);
        self.name(path, id)
    }

    fn name(&mut self, path: &str, id: Id) -> Result<(), Impossible> {
        let (dir, name) = split(path);
        if name.len() > 255 {
            return Err(format!("{name} is too long"));
        }
        let dir = self
            .find(dir)
            .ok_or_else(|| format!("{dir} is not there"))?;
        match &mut self.node_mut(dir).kind {
            Kind::Dir(names, _) if !names.contains_key(name) => {
                names.insert(name.to_owned(), id);
                Ok(())
            }
            Kind::Dir(..) => Err(format!("{path} is there already")),
            _ => Err(format!("{path} is not in a directory")),
        }
    }

    fn unname(&mut self, path: &str) -> Result<Id, Impossible> {
        let (dir, name) = split(path);
        let dir = self
            .find(dir)
            .ok_or_else(|| format!("{dir} is not there"))?;
        match &mut self.node_mut(dir).kind {
            Kind::Dir(names, _) => names.remove(name),
            _ => None,
        }
        .ok_or_else(|| format!("{path} is not there"))
    }

    fn link(&mut self, id: Id, to: &str) -> Result<(), Impossible> {
        self.name(to, id)?;
        self.node_mut(id).links += 1;
        Ok(())
    }

    /// Takes a link away, and the node with the last one unless it is open.
    fn unlink(&mut self, id: Id) {
        self.node_mut(id).links -= 1;
        self.reap(id);
    }

    fn reap(&mut self, id: Id) {
        let open = self.slots.iter().flatten().any(|open| open.id == id);
        if self.node(id).links == 0 && !open {
            self.nodes.remove(&id);
        }
    }

    pub(super) fn close(&mut self, slot: Slot) {
        if let Some(open) = self.slots[slot].take() {
            self.reap(open.id);
        }
    }

    fn remove_dir(&mut self, path: &str) -> Result<(), Impossible> {
        let id = self
            .find(path)
            .ok_or_else(|| format!("{path} is not there"))?;
        let Kind::Dir(names, parent) = &self.node(id).kind else {
            return Err(format!("{path} is no directory"));
        };
        if !names.is_empty() {
            return Err(format!("{path} has {} names", names.len()));
        }
        let parent = *parent;
        self.unname(path)?;
        self.node_mut(parent).links -= 1;
        self.node_mut(id).links = 0;
        self.reap(id);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str, how: Rename) -> Result<(), Impossible> {
        let id = self
            .find(from)
            .ok_or_else(|| format!("{from} is not there"))?;
        let there = self.find(to);
        if format!("{to}/").starts_with(&format!("{from}/")) && from != to {
            return Err(format!("{to} is inside {from}"));
        }
        match (how, there) {
            (Rename::NoReplace, Some(_)) => return Err(format!("{to} is there already")),
            (Rename::Exchange, None) => return Err(format!("{to} is not there")),
            // Two names of one file stay two names.
            (_, Some(other)) if other == id => return Ok(()),
            (Rename::Exchange, Some(other)) => {
                self.unname(from)?;
                self.unname(to)?;
                self.name(from, other)?;
                self.name(to, id)?;
                self.moved(other, split(from).0);
            }
            (_, Some(other)) => {
                if self.names(other).is_some() != self.names(id).is_some() {
                    return Err(format!("only one of {from} and {to} is a directory"));
                }
                if self.names(other).is_some() {
                    self.remove_dir(to)?;
                } else {
                    self.unname(to)?;
                    self.unlink(other);
                }
                self.unname(from)?;
                self.name(to, id)?;
            }
            (_, None) => {
                self.unname(from)?;
                self.name(to, id)?;
            }
        }
        self.moved(id, split(to).0);
        if how == Rename::Whiteout {
            self.add(from, Kind::Special, 1)?;
        }
        Ok(())
    }

    /// A directory is now in another: its `..` and the link counts follow.
    fn moved(&mut self, id: Id, dir: &str) {
        let new = self.find(dir).unwrap_or_default();
        if let Kind::Dir(_, parent) = &mut self.node_mut(id).kind {
            let old = std::mem::replace(parent, new);
            self.node_mut(old).links -= 1;
            self.node_mut(new).links += 1;
        }
    }

    fn file(&self, target: &Target) -> Result<Id, Impossible> {
        let id = self.target(target).filter(|id| self.content(*id).is_some());
        id.ok_or_else(|| format!("{target:?} is no file"))
    }

    fn size(&self, id: Id) -> u64 {
        self.content(id).map_or(0, Content::size)
    }

    fn write(&mut self, id: Id, at: u64, bytes: &[u8]) {
        let node = self.node_mut(id);
        // Who is not privileged loses the set-user-ID bit with it.
        node.attributes = None;
        if let Kind::File(content) = &mut node.kind {
            content.write(at, bytes);
        }
    }

    fn zero(&mut self, id: Id, start: u64, end: u64) {
        let node = self.node_mut(id);
        node.attributes = None;
        if let Kind::File(content) = &mut node.kind {
            content.zero(start, end);
        }
    }

    fn truncate(&mut self, id: Id, size: u64) -> Result<(), Impossible> {
        let node = self.node_mut(id);
        let Kind::File(content) = &mut node.kind else {
            return Err("what was cut is no file".to_owned());
        };
        content.truncate(size);
        node.attributes = None;
        node.blocks_vary &= size != 0;
        Ok(())
    }

    fn at(&mut self, path: &str) -> Result<&mut Node, Impossible> {
        let id = self.find(path);
        Ok(self.node_mut(id.ok_or_else(|| format!("{path} is not there"))?))
    }

    fn set_xattr(
        &mut self,
        path: &str,
        name: &str,
        value: &[u8],
        existence: Existence,
    ) -> Result<(), Impossible> {
        let node = self.at(path)?;
        if is_list(name) {
            return self.forget(self.find(path));
        }
        let old = node.xattrs.insert(name.to_owned(), value.to_vec());
        match (existence, old) {
            (Existence::Create, Some(_)) => Err(format!("{path} has {name} already")),
            (Existence::Replace, None) => Err(format!("{path} has no {name}")),
            _ => Ok(()),
        }
    }

    /// Permissions, flags and access control lists are looked at anew.
    fn forget(&mut self, id: Option<Id>) -> Result<(), Impossible> {
        let id = id.ok_or("what was changed is not there")?;
        self.node_mut(id).lists = None;
        self.node_mut(id).attributes = None;
        Ok(())
    }
}

/// Whether it leaves the size of a file as it is.
fn keeps_size(how: Fallocate) -> bool {
    match how {
        Fallocate::Allocate => false,
        Fallocate::PunchHole => true,
        Fallocate::ZeroRange { keep_size } => keep_size,
    }
}
