// SPDX-License-Identifier: GPL-2.0

//! Reservation windows: blocks that others leave alone while a file grows into them.
//!
//! Two files that grow in turns would get every other block each. So each has a window, in memory
//! only, of blocks ahead of it; the windows of a group do not overlap. When a window is used up and
//! most of it went to its file, the next one is twice as long. Allocations without a window, for
//! directories or when all that is free lies in windows, take blocks from those of others too.
//!
//! C counterparts: `alloc_new_reservation`, `try_to_extend_reservation` and
//! `ext2_try_to_allocate_with_rsv` in [`fs/ext2/balloc.c`](srctree/fs/ext2/balloc.c). There a window
//! may reach into the next group, and all windows of a volume are under one lock; here they end
//! with their group, and are under its lock.

use super::{
    super::Inode,
    bits::{
        find_usable,
        take, //
    },
    group::Group,
    Space, //
};
use crate::vfs::BufferHead;
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{
        RBTree,
        RBTreeNode,
        RBTreeNodeReservation, //
    },
    sync::{
        lock::mutex::MutexGuard,
        Mutex, //
    },
};
use pin_init::pin_data;

/// Blocks of a file's first window.
const DEFAULT_BLOCKS: u32 = 8;

/// Blocks that a window does not grow beyond by itself.
const MAX_BLOCKS: u32 = 1027;

/// The windows of a group: first block and last block, as bits of its bitmap.
///
/// # Invariants
///
/// No two overlap.
pub(super) struct Windows(RBTree<u32, u32>);

impl Windows {
    /// Makes none.
    pub(super) fn new() -> Self {
        Self(RBTree::new())
    }

    /// Returns the first bit from `start` on, before `end`, from which on no window lies in the
    /// way of one of `len` blocks; nor does one of fewer at the end of the group.
    fn room(&mut self, start: u32, end: u32, len: u32) -> Option<u32> {
        let before = match self.0.cursor_lower_bound(&start) {
            Some(next) => next.peek_prev().map(|(_, &last)| last),
            None => self.0.cursor_back().map(|back| *back.current().1),
        };
        // OVERFLOW: A group has at most 2^15 blocks.
        let mut at = before.map_or(start, |last| start.max(last + 1));
        let mut next = self.0.cursor_lower_bound_mut(&start);
        while let Some(window) = next {
            let (&first, &last) = window.current();
            if at.saturating_add(len) <= first {
                break;
            }
            at = at.max(last + 1);
            next = window.move_next();
        }
        (at < end).then_some(at)
    }

    /// Lets the window from `first` on end up to `more` blocks later, but before the next window
    /// and before `end`. Returns its last block.
    fn extend(&mut self, first: u32, more: u32, end: u32) -> Option<u32> {
        let mut window = self.0.cursor_lower_bound_mut(&first)?;
        // OVERFLOW: A window has a block, so nothing that follows it starts at 0.
        let limit = window.peek_next().map_or(end, |(&next, _)| next) - 1;
        let (_, last) = window.current_mut();
        *last = limit.min(last.saturating_add(more));
        Some(*last)
    }
}

/// The window of an inode, if it has one.
#[pin_data]
pub(in crate::fs) struct Reservation {
    #[pin]
    window: Mutex<Window>,
}

impl Reservation {
    /// Makes one without a window.
    pub(in crate::fs) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            window <- new_mutex!(Window {
                place: None,
                len: DEFAULT_BLOCKS,
                hits: 0,
                spare: None,
            }),
        })
    }

    /// Takes the lock of the window.
    pub(super) fn lock(&self) -> MutexGuard<'_, Window> {
        self.window.lock()
    }
}

/// Gives up the window of an inode: its last writer is gone, it was cut, or it is evicted.
///
/// # Context
///
/// May sleep, but does not wait for anything that waits for memory.
pub(in crate::fs) fn discard_window(inode: &Inode) {
    let mut window = inode.data().reservation.lock();
    window.leave(&inode.sb().data().space);
    window.spare = None;
}

/// What an inode knows of its window.
///
/// # Invariants
///
/// If it has a place, the windows of that group have just this one there.
pub(super) struct Window {
    place: Option<Place>,
    /// Blocks that the next one is to have.
    len: u32,
    /// Blocks taken from this one.
    hits: u32,
    /// Memory for an entry in the windows of a group.
    spare: Option<RBTreeNodeReservation<u32, u32>>,
}

/// Where a window is: a group, and the first and the last block as bits of its bitmap.
#[derive(Clone, Copy)]
struct Place {
    group: u32,
    first: u32,
    last: u32,
}

impl Window {
    /// Says whether to look for a place in a group with `free` blocks; `goal` says whether it is
    /// the one that the file wants.
    pub(super) fn suits(&self, free: u32, goal: bool) -> bool {
        if goal {
            self.place.is_some() || free >= self.len
        } else {
            free > self.len / 2
        }
    }

    /// Takes up to `want` consecutive blocks of a group from the window, at `goal` if that is free.
    ///
    /// The window moves there first if it is elsewhere, and on if it is used up. `end` is the
    /// number of blocks of the group. Returns the first block and how many they are; nothing if
    /// the group has no room.
    pub(super) fn take(
        &mut self,
        space: &Space,
        group: &Group,
        bitmap: &BufferHead,
        goal: Option<u32>,
        end: u32,
        want: u32,
    ) -> Option<(u32, u32)> {
        let number = group.desc().group();
        let mut place = self.place.filter(|place| place.holds(number, goal));
        loop {
            let Place {
                first, mut last, ..
            } = match place {
                Some(place) => place,
                None => self.renew(space, group, bitmap, goal.unwrap_or(0), end, want)?,
            };
            let goal = goal.filter(|goal| (first..=last).contains(goal));
            if let Some(goal) = goal {
                // OVERFLOW: The goal is in the window.
                let missing = want.saturating_sub(last - goal + 1);
                if missing > 0 {
                    last = self.extend(group, missing, end).unwrap_or(last);
                }
            }
            // OVERFLOW: A group has at most 2^15 blocks.
            let range = first..last + 1;
            let start = goal.or_else(|| find_usable(bitmap, &range));
            if let Some(taken) = start.and_then(|start| take(bitmap, start..range.end, want)) {
                // OVERFLOW: At most as many as the window is long.
                self.hits += taken.1;
                return Some(taken);
            }
            place = None;
        }
    }

    /// Finds a new place in `group`, at the first free block from `start` on that is in nobody's
    /// window.
    fn renew(
        &mut self,
        space: &Space,
        group: &Group,
        bitmap: &BufferHead,
        start: u32,
        end: u32,
        want: u32,
    ) -> Option<Place> {
        self.len = self.len.max(want);
        if let Some(Place { first, last, .. }) = self.place {
            // OVERFLOW: The first is not behind the last.
            if self.hits > (last - first + 1) / 2 {
                self.len = self.len.max(MAX_BLOCKS.min(self.len.saturating_mul(2)));
            }
        }
        self.leave(space);
        let spare = match self.spare.take() {
            Some(spare) => spare,
            // Without memory for it there is no window; the file gets its blocks all the same.
            None => RBTreeNodeReservation::new(GFP_KERNEL).ok()?,
        };
        let mut start = start;
        loop {
            // The lock is taken for the windows alone: a search of the bitmap may be long.
            start = bitmap.find_next_zero_bit(start, end)?;
            let mut locked = group.lock();
            let at = locked.windows.room(start, end, self.len)?;
            if at == start {
                // OVERFLOW: `room` is before the end.
                let last = end.min(at.saturating_add(self.len)) - 1;
                // INVARIANT: There was room. `last` is cut where the group ends only.
                locked.windows.0.insert(spare.into_node(at, last));
                let place = Place {
                    group: group.desc().group(),
                    first: at,
                    last,
                };
                self.place = Some(place);
                self.hits = 0;
                return Some(place);
            }
            // All from here to there is in windows: the next free block is beyond.
            start = at;
        }
    }

    /// Lets the window end up to `more` blocks later; returns its last block.
    fn extend(&mut self, group: &Group, more: u32, end: u32) -> Option<u32> {
        let place = self.place.as_mut()?;
        place.last = group.lock().windows.extend(place.first, more, end)?;
        Some(place.last)
    }

    /// Gives up the place.
    fn leave(&mut self, space: &Space) {
        self.hits = 0;
        let Some(place) = self.place.take() else {
            return;
        };
        if let Ok(group) = space.group(place.group) {
            let entry = group.lock().windows.0.remove_node(&place.first);
            self.spare = entry.map(RBTreeNode::into_reservation);
        }
    }
}

impl Place {
    /// Says whether the window is in `group`, and `goal`, if there is one, in the window.
    fn holds(&self, group: u32, goal: Option<u32>) -> bool {
        self.group == group && goal.is_none_or(|goal| (self.first..=self.last).contains(&goal))
    }
}
