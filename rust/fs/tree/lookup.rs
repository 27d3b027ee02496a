// SPDX-License-Identifier: GPL-2.0

//! Following the pointers. Who may do so, and when: [`super`].
//!
//! C counterparts: `ext2_get_branch` and the first half of `ext2_get_blocks` in
//! [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::Node;
use crate::{
    ext2::{
        run_length,
        Corrupt,
        DiskBlock,
        FileBlock,
        Path, //
    },
    fs::{
        error,
        Inode, //
    },
    pagecache::ByteRange,
};
use core::iter;
use kernel::{
    num::casts::u32_as_usize,
    prelude::*,
    sync::barrier::{
        smp_mb,
        Read, //
    },
};

/// Consecutive blocks of a file that lie one behind the other, or are all holes.
#[derive(Clone, Copy)]
pub(in crate::fs) struct Run {
    /// Where the first is; nothing if they are holes.
    pub(in crate::fs) first: Option<DiskBlock>,
    /// How many there are; at least one.
    pub(in crate::fs) len: u32,
}

impl Run {
    /// One block that is not there.
    pub(in crate::fs) const HOLE: Self = Self {
        first: None,
        len: 1,
    };

    /// Returns the first `max` blocks of it; one, if `max` is zero.
    pub(super) fn at_most(self, max: u32) -> Self {
        Self {
            len: self.len.min(max.max(1)),
            ..self
        }
    }
}

/// How far the pointers to a block go.
pub(super) struct Branch {
    /// What holds the last of them.
    pub(super) node: Node,
    /// Its index there.
    pub(super) index: u32,
    /// It; zero if there is none, so that what it should lead to is missing.
    pub(super) pointer: u32,
    /// How many pointers are still to follow behind it.
    pub(super) below: usize,
}

/// So many blocks are looked at if somebody goes on where the last lookup ended: it is likely that he asks for
/// the next ones next.
const AHEAD: u32 = 32;

/// Why a lookup came to nothing.
pub(super) enum Failure {
    /// What was found cannot be. If the tree was cut meanwhile, it need not be the tree's.
    Corrupt(Corrupt),
    /// Anything else.
    Other(Error),
}

impl Failure {
    /// Notes what was found in the tree of `inode`; returns the error for the caller.
    pub(super) fn report(self, inode: &Inode) -> Error {
        match self {
            Self::Corrupt(found) => error::corrupt_in(inode, &found),
            Self::Other(error) => error,
        }
    }
}

impl From<Corrupt> for Failure {
    fn from(found: Corrupt) -> Self {
        Self::Corrupt(found)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Other(error)
    }
}

/// Follows the pointers of `path` as far as there are any.
///
/// # Errors
///
/// A pointer leads to where no data can be, or a block of pointers cannot be read.
pub(super) fn branch(inode: &Inode, path: &Path) -> Result<Branch, Failure> {
    let sb = inode.sb();
    let mut branch = Branch {
        node: Node::Inode,
        index: 0,
        pointer: 0,
        below: path.offsets().len(),
    };
    for &offset in path.offsets() {
        if let Some(block) = Some(branch.pointer).filter(|&pointer| pointer != 0) {
            sb.data().check_run(DiskBlock(block), 1)?;
            branch.node = Node::Block(sb.bread(u64::from(block))?);
        }
        branch.index = offset;
        branch.pointer = branch.node.get(inode, offset)?;
        // OVERFLOW: There are as many steps as there are pointers.
        branch.below -= 1;
        if branch.pointer == 0 {
            break;
        }
    }
    Ok(branch)
}

/// Returns where block `block` of the file is, and how many after it follow, up to `max` in all.
///
/// What the pointers cannot reach is a hole: `FIBMAP` may ask for it, and so may a read of the last
/// page of the longest file.
///
/// # Context
///
/// May sleep. One of the locks that [`super`] names is held.
///
/// # Errors
///
/// [`EUCLEAN`] if a pointer leads to where no data can be, [`EIO`] if a block of pointers cannot
/// be read.
pub(in crate::fs) fn run(inode: &Inode, block: FileBlock, max: u32) -> Result<Run> {
    let tree = &inode.data().tree;
    if let Some(before) = tree.uncut() {
        if let Some(run) = tree.known.get(block, max.max(1), before) {
            return Ok(run);
        }
        let found = find(inode, block, max);
        // What was read of a block of pointers was read while it was one.
        smp_mb(Read);
        if tree.uncut() == Some(before) {
            return found
                .inspect(|run| tree.known.note(block, run, before))
                .map(|run| run.at_most(max))
                .map_err(|failure| failure.report(inode));
        }
    }
    // LOCKING: Waits for the cut, and keeps the next one out.
    let _locked = tree.lock();
    find(inode, block, max)
        .map(|run| run.at_most(max))
        .map_err(|failure| failure.report(inode))
}

/// Does what [`run`] says while nobody cuts the tree; else what it finds may be anything. Of blocks that
/// are there it may find more than `max`.
pub(super) fn find(inode: &Inode, block: FileBlock, max: u32) -> Result<Run, Failure> {
    let data = inode.sb().data();
    let Ok(path) = Path::to(block, &data.disk) else {
        return Ok(Run::HOLE);
    };
    // OVERFLOW: The number of pointers in a block is small.
    let max = max.clamp(1, path.boundary + 1);
    let branch = branch(inode, &path)?;
    if branch.below > 0 {
        return Ok(Run {
            first: None,
            len: max,
        });
    }
    if branch.pointer == 0 {
        return Ok(Run {
            first: None,
            len: branch.holes(inode, max),
        });
    }
    let first = DiskBlock(branch.pointer);
    let ahead = match inode.data().tree.known.ends_before(block) {
        true => max.max(AHEAD.min(path.boundary + 1)),
        false => max,
    };
    let mut len = run_length(branch.following(inode, ahead), first, ahead);
    if let Err(found) = data.check_run(first, len) {
        if len == 1 {
            return Err(found.into());
        }
        // Something in it is wrong; the first block need not be.
        len = 1;
        data.check_run(first, len)?;
    }
    Ok(Run {
        first: Some(first),
        len,
    })
}

impl Branch {
    /// Returns how many pointers are zero from this one on, which is, up to `max`.
    pub(super) fn holes(&self, inode: &Inode, max: u32) -> u32 {
        let end = self.index.saturating_add(max);
        let next = self.node.next(inode, self.index.saturating_add(1)..end);
        // OVERFLOW: What was found lies behind this one.
        next.unwrap_or(end) - self.index
    }

    /// Returns the pointers behind this one, so that they are `max` with it.
    fn following<'a>(&'a self, inode: &'a Inode, max: u32) -> impl Iterator<Item = u32> + 'a {
        // Reading a pointer cannot fail within the boundary; if it does, the run is shorter.
        let mut next = self.index;
        iter::from_fn(move || {
            next = next.checked_add(1)?;
            self.node.get(inode, next).ok()
        })
        .take(u32_as_usize(max.saturating_sub(1)))
    }
}

/// How the blocks of a range lie on the device.
pub(in crate::fs) enum Layout {
    /// One behind the other; this is the first.
    OnePiece(DiskBlock),
    /// All are there.
    Pieces,
    /// One is not there.
    WithHole,
}

/// Returns how the blocks of `range` lie.
///
/// # Context
///
/// As [`run`].
///
/// # Errors
///
/// Those of [`run`], and [`EFBIG`] if the range ends beyond what a file can have.
pub(in crate::fs) fn layout(inode: &Inode, range: ByteRange) -> Result<Layout> {
    let bits = inode.sb().block_bits();
    let block = |pos: u64| u32::try_from(pos >> bits).map(FileBlock).map_err(|_| EFBIG);
    // OVERFLOW: A range is not empty, by its invariants.
    let (first, last) = (block(range.pos())?, block(range.end() - 1)?);
    // OVERFLOW: The last is not before the first.
    let count = (last.get() - first.get()).saturating_add(1);
    let run = run(inode, first, count)?;
    let Some(start) = run.first else {
        return Ok(Layout::WithHole);
    };
    if run.len >= count {
        return Ok(Layout::OnePiece(start));
    }
    let rest = first.checked_add(run.len);
    match rest.map_or(Ok(false), |rest| has_hole_within(inode, rest, last))? {
        true => Ok(Layout::WithHole),
        false => Ok(Layout::Pieces),
    }
}

/// Says whether any of the blocks from `first` to `last` is a hole.
///
/// # Context and errors
///
/// As [`run`].
pub(super) fn has_hole_within(inode: &Inode, first: FileBlock, last: FileBlock) -> Result<bool> {
    let mut next = Some(first);
    while let Some(block) = next.filter(|&block| block <= last) {
        // OVERFLOW: Not beyond the last.
        let run = run(inode, block, (last.get() - block.get()).saturating_add(1))?;
        if run.first.is_none() {
            return Ok(true);
        }
        next = block.checked_add(run.len);
    }
    Ok(false)
}
