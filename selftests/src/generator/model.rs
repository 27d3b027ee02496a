// SPDX-License-Identifier: GPL-2.0

//! What the tree must be: names, links and bytes, kept in memory.
//!
//! The model does not foretell errors; those are compared between two file systems. It takes what
//! a step came to and says whether that could be: an error has changed nothing, a success has
//! changed exactly what it says.

mod apply;

use std::collections::BTreeMap;

use super::content::Content;
use super::observe::Attributes;
use super::side::Xattrs;
use super::step::Mode;
use super::step::Slot;
use super::step::Target;
use super::step::join;

/// How many files can be open from step to step.
pub const SLOTS: usize = 10;

/// Number of a node, which has nothing to do with that of an inode.
pub type Id = u32;

/// What a node is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A regular file.
    File(Content),
    /// A directory: its names, and the directory that it is in.
    Dir(BTreeMap<String, Id>, Id),
    /// A symbolic link: its text.
    Link(String),
    /// Anything else.
    Special,
}

/// An inode, as it must be.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Link count.
    pub links: u32,
    /// Permissions, owner, device and flags, if they were seen since a step set them.
    pub attributes: Option<Attributes>,
    /// Extended attributes but access control lists.
    pub xattrs: Xattrs,
    /// Access control lists, if they were seen since a step set them.
    pub lists: Option<Xattrs>,
    /// The generation, if a step set it; before, each file system has one of its own.
    pub generation: Option<u32>,
    /// Whether the number of its blocks may differ between file systems. A store through a mapping
    /// into a hole takes blocks for as much as the file system likes: stock ext2 for the page when
    /// it is written out, iomap for the whole folio at once.
    pub blocks_vary: bool,
    /// Whether the time of access may differ: stock ext2 does not note direct reads.
    pub accessed_varies: bool,
}

/// A file that is open from step to step.
#[derive(Clone, Copy, Debug)]
pub struct Open {
    /// The file.
    pub id: Id,
    /// How it was opened.
    pub mode: Mode,
}

/// The whole tree. Node 0 is its root.
#[derive(Clone, Debug)]
pub struct Model {
    nodes: BTreeMap<Id, Node>,
    next: Id,
    slots: [Option<Open>; SLOTS],
}

impl Default for Model {
    fn default() -> Self {
        let mut model = Self {
            nodes: BTreeMap::new(),
            next: 0,
            slots: [None; SLOTS],
        };
        model.insert(Kind::Dir(BTreeMap::new(), 0), 2);
        model
    }
}

impl Model {
    /// The node of a path, if there is one.
    pub fn find(&self, path: &str) -> Option<Id> {
        let mut id = 0;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            id = *self.names(id)?.get(name)?;
        }
        Some(id)
    }

    /// A node that is there.
    pub fn node(&self, id: Id) -> &Node {
        &self.nodes[&id]
    }

    /// The same, to note what was seen.
    pub fn node_mut(&mut self, id: Id) -> &mut Node {
        self.nodes.get_mut(&id).expect("the node is there")
    }

    /// The names in a directory.
    pub fn names(&self, id: Id) -> Option<&BTreeMap<String, Id>> {
        match &self.nodes.get(&id)?.kind {
            Kind::Dir(names, _) => Some(names),
            _ => None,
        }
    }

    /// The content of a file.
    pub fn content(&self, id: Id) -> Option<&Content> {
        match &self.nodes.get(&id)?.kind {
            Kind::File(content) => Some(content),
            _ => None,
        }
    }

    /// An open file.
    pub fn open(&self, slot: Slot) -> Option<Open> {
        self.slots.get(slot).copied().flatten()
    }

    /// The node that a target stands for.
    pub fn target(&self, target: &Target) -> Option<Id> {
        match target {
            Target::Path(path) => self.find(path),
            Target::Slot(slot) => self.open(*slot).map(|open| open.id),
        }
    }

    /// Takes permissions and what else is in [`Node::attributes`] as they are seen next.
    pub fn forget_attributes(&mut self, target: &Target) {
        if let Some(id) = self.target(target) {
            self.node_mut(id).attributes = None;
        }
    }

    /// Every path and its node, directories before what is in them.
    pub fn walk(&self) -> Vec<(String, Id)> {
        let mut found = vec![(String::new(), 0)];
        let mut next = 0;
        while let Some((path, id)) = found.get(next).cloned() {
            let names = self.names(id).into_iter().flatten();
            found.extend(names.map(|(name, id)| (join(&path, name), *id)));
            next += 1;
        }
        found
    }

    /// How many bytes all files keep.
    pub fn kept(&self) -> u64 {
        let contents = self.nodes.keys().filter_map(|id| self.content(*id));
        contents.map(Content::kept).sum()
    }

    /// How many nodes there are.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// Files without a name, by an open file of theirs.
    pub fn nameless(&self) -> impl Iterator<Item = (Slot, Id)> {
        let open = |slot: Slot| Some((slot, self.open(slot)?.id));
        (0..SLOTS)
            .filter_map(open)
            .filter(|(_, id)| self.node(*id).links == 0)
    }

    /// How many nodes have attributes of some kind, and so a block that others may have as well.
    pub fn with_xattrs(&self) -> usize {
        let has = |node: &&Node| {
            let lists = node.lists.as_ref();
            !node.xattrs.is_empty() || lists.is_none_or(|lists| !lists.is_empty())
        };
        self.nodes.values().filter(has).count()
    }

    /// Closes every file.
    pub fn close_all(&mut self) {
        (0..SLOTS).for_each(|slot| self.close(slot));
    }
}
