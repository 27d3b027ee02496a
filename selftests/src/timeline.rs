// SPDX-License-Identifier: GPL-2.0

//! Who does what when in a claim that is a race: for pictures of it.
//!
//! A timeline says what a claim tries to have happen, in the order in which it makes it happen. Time
//! is counted in ticks from 0 on, which stand for no length; what has the same ticks happens at
//! the same time. A claim without an interleaving of its own has no timeline.

use serde::Serialize;

/// One step of somebody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Act {
    /// Who: a short word, the same for all that one party does.
    pub actor: &'static str,
    /// What, in a few words.
    pub step: &'static str,
    /// The tick in which it begins.
    pub from: u8,
    /// The tick in which it ends; an instant ends in the tick in which it begins.
    pub to: u8,
}

const fn act(actor: &'static str, step: &'static str, from: u8, to: u8) -> Act {
    Act {
        actor,
        step,
        from,
        to,
    }
}

/// The timeline of the claim called `id`, in the order in which the acts begin; empty if it has none.
pub fn of(id: &str) -> &'static [Act] {
    let found = TIMELINES.iter().find(|(claim, _)| *claim == id);
    found.map_or(&[], |(_, acts)| acts)
}

/// By claim. The first line is that of the operation that takes its time.
#[rustfmt::skip]
const TIMELINES: &[(&str, &[Act])] = &[
    ("T21", &[
        act("writer", "direct write of block 0", 0, 6),
        act("disk", "block 0 in flight", 1, 6),
        act("storer", "load the page: old", 2, 2),
        act("storer", "store to block 3", 3, 3),
        act("checker", "cache: 0 new, 3 stored?", 7, 7),
        act("checker", "fsync, disk: 0 new, 3 stored?", 8, 8),
    ]),
    ("Sc", &[
        act("writer", "direct write of the whole page", 0, 6),
        act("disk", "page in flight", 1, 6),
        act("storer", "load the page: old", 2, 2),
        act("storer", "store to its last sector", 3, 3),
        act("checker", "all new but for the store, or an error told?", 7, 7),
    ]),
    ("T22", &[
        act("writer", "direct write of block 0, O_DSYNC", 0, 7),
        act("disk", "block 0 in flight", 1, 5),
        act("storer", "load the page, store to block 3", 2, 2),
        act("disk", "flush, if its cache is volatile", 6, 6),
        act("checker", "both survive? same answer on either disk?", 8, 8),
    ]),
    ("T23", &[
        act("writer", "submit direct write of block 0", 0, 0),
        act("disk", "block 0 in flight", 1, 5),
        act("storer", "load the page, store to block 3", 2, 2),
        act("writer", "take the completion: exact count?", 6, 6),
        act("checker", "both survive? fsync clean?", 7, 7),
    ]),
    ("T27", &[
        act("writer", "direct write of block 0", 0, 5),
        act("disk", "block 0 in flight", 1, 5),
        act("storer", "load the page, store to block 3", 2, 2),
        act("log writer", "append elsewhere by write(2)", 3, 3),
        act("log writer", "fsync succeeds?", 6, 6),
        act("checker", "the log is on the disk?", 7, 7),
    ]),
    ("T28", &[
        act("bystanders", "open three descriptors", 0, 0),
        act("writer", "direct write of block 0", 1, 6),
        act("disk", "block 0 in flight", 2, 6),
        act("storer", "load the page, store to block 3", 3, 3),
        act("bystanders", "open a fourth", 7, 7),
        act("bystanders", "each syncs twice: no error?", 8, 8),
    ]),
    ("T30", &[
        act("writer", "direct write of a page; four times", 0, 6),
        act("disk", "page in flight", 1, 6),
        act("storer", "load the page, store to it", 2, 4),
        act("checker", "no alarm in the kernel log? fsync clean?", 7, 7),
    ]),
    ("T32", &[
        act("writer", "direct write of block 0", 0, 5),
        act("disk", "block 0 in flight", 1, 5),
        act("storer", "load the page, store to block 3", 2, 2),
        act("storer", "msync(MS_SYNC) succeeds?", 6, 6),
        act("checker", "the store is on the disk?", 7, 7),
    ]),
    ("T33", &[
        act("writer", "submit direct write of a page", 0, 0),
        act("disk", "page in flight", 1, 5),
        act("reader", "read(2): old or new, cached", 3, 3),
        act("writer", "take the completion", 6, 6),
        act("reader", "read(2): new?", 7, 7),
    ]),
    ("T34", &[
        act("writer", "submit direct write of a page", 0, 0),
        act("disk", "page in flight", 1, 5),
        act("loader", "load in a loop: never from new to old?", 1, 6),
        act("writer", "take the completion", 6, 6),
        act("loader", "load on: always new?", 7, 9),
    ]),
    ("T35", &[
        act("writer", "submit direct write of a page", 0, 0),
        act("disk", "page in flight", 1, 6),
        act("buffered", "write(2) of one sector: reads the page first", 2, 3),
        act("writer", "take the completion", 7, 7),
        act("checker", "fsync, disk: new but for that sector?", 8, 8),
    ]),
    ("T36", &[
        act("writer A", "submit direct write of block 0", 0, 0),
        act("writer B", "submit direct write of block 1", 0, 0),
        act("disk", "blocks 0 and 1 in flight", 1, 5),
        act("storer", "load the page, store to block 3", 2, 2),
        act("writer A", "take the completion", 6, 6),
        act("writer B", "take the completion", 6, 6),
        act("checker", "all three survive?", 7, 7),
    ]),
    ("T37", &[
        act("writer A", "submit direct write of block 0", 0, 0),
        act("disk", "block 0 in flight", 1, 4),
        act("writer B", "direct write into the hole behind: copies to the cache", 2, 6),
        act("writer A", "completion finds a dirty page", 5, 5),
        act("checker", "nobody told of an error?", 7, 7),
    ]),
    ("T39", &[
        act("writer", "submit direct write of a page", 0, 0),
        act("disk", "page in flight", 1, 4),
        act("loader", "as soon as the disk is done: load, new?", 5, 5),
        act("writer", "take the completion", 6, 6),
        act("loader", "load again: new?", 7, 7),
    ]),
    ("T43", &[
        act("writer", "submit direct write of a page", 0, 0),
        act("disk", "page in flight", 1, 5),
        act("killer", "kill the writer", 2, 2),
        act("loader", "load the page: comes back?", 3, 6),
        act("checker", "cache and disk agree? next direct write works?", 7, 7),
    ]),
    ("T44", &[
        act("writer", "submit direct write of a page", 0, 0),
        act("disk", "page in flight", 1, 5),
        act("truncater", "truncate in front of it", 2, 6),
        act("truncater", "make another file of the free blocks", 7, 7),
        act("checker", "write never in the other file? extended: zeros?", 8, 8),
    ]),
    ("T44b", &[
        act("writer", "submit direct write of a page", 0, 0),
        act("disk", "page in flight", 1, 5),
        act("remover", "unlink, close, make another file", 2, 4),
        act("writer", "take the completion: exact count?", 6, 6),
        act("checker", "write never in the other file?", 7, 7),
    ]),
    ("T45", &[
        act("writer", "submit direct write of a page", 0, 0),
        act("disk", "page in flight", 1, 4),
        act("freezer", "freeze: comes after the write's end?", 2, 5),
        act("storer", "store: waits for the thaw", 6, 8),
        act("checker", "disk unchanged while frozen?", 7, 7),
        act("freezer", "thaw", 8, 8),
        act("checker", "all on the disk?", 9, 9),
    ]),
    ("T58", &[
        act("reader", "direct read into blocks 2 and 3 of a mapped page", 0, 6),
        act("disk", "read in flight, page pinned", 1, 6),
        act("writer", "direct write of block 0 of that page", 2, 4),
        act("checker", "both in the mapping and on the disk?", 7, 7),
    ]),
    ("K2", &[
        act("reader", "direct read into a mapped page", 0, 6),
        act("disk", "read in flight, page pinned", 1, 6),
        act("invalidater", "sync, then invalidate by ioctl", 2, 3),
        act("checker", "what was read is in the mapping and on the disk?", 7, 7),
    ]),
    ("K8", &[
        act("storer", "dirty the page", 0, 0),
        act("disk", "writeback in flight", 1, 5),
        act("invalidater", "invalidate by ioctl: waits", 2, 5),
        act("storer", "load: the bytes that were on their way?", 6, 6),
    ]),
    ("T24", &[
        act("writer", "direct write of two extents", 0, 6),
        act("disk", "first extent in flight", 1, 4),
        act("reader", "read(2) caches a page of the first", 2, 2),
        act("disk", "second extent fails", 5, 5),
        act("checker", "read(2), direct read and disk agree?", 7, 7),
    ]),
    ("W1", &[
        act("writer", "direct write of page 0", 0, 7),
        act("disk", "page 0 in flight", 1, 7),
        act("others", "load and store page 1", 2, 3),
        act("others", "read(2) of page 2", 4, 4),
        act("checker", "over before the write is?", 5, 5),
    ]),
    ("V11", &[
        act("cutter", "set_len on a mount with sync", 0, 6),
        act("disk", "inode in flight", 1, 6),
        act("reader", "read(2) of page 0, which is not cached", 2, 4),
        act("checker", "over before the cut is?", 5, 5),
    ]),
    ("W2", &[
        act("writer", "direct write of a range", 0, 5),
        act("disk", "range in flight", 1, 5),
        act("reader", "read of a page of it: waits", 2, 6),
        act("checker", "the list of gates has both?", 3, 3),
        act("checker", "the list is empty?", 7, 7),
    ]),
    ("T61", &[
        act("writer", "direct write of a page", 0, 7),
        act("disk", "page in flight", 1, 7),
        act("adviser", "readahead, WILLNEED, POPULATE_READ", 2, 3),
        act("adviser", "POPULATE_WRITE: dirty without a store", 4, 4),
        act("adviser", "COLD, PAGEOUT, DONTNEED", 5, 5),
        act("checker", "new everywhere? fsync clean?", 8, 8),
    ]),
    ("T69", &[
        act("writer", "direct write of block 0", 0, 6),
        act("disk", "block 0 in flight", 1, 6),
        act("storer", "map, store to block 3", 2, 2),
        act("storer", "unmap: the page becomes dirty", 3, 3),
        act("checker", "both survive?", 7, 7),
    ]),
    ("H1", &[
        act("writer", "free blocks by truncation", 0, 0),
        act("writer", "direct write into the hole, from a mapped source", 1, 7),
        act("disk", "source read in, slowly", 2, 6),
        act("reader", "read the hole: zeros or new, never old?", 3, 5),
        act("checker", "all new?", 8, 8),
    ]),
    ("T21b", &[
        act("writer", "direct write of block 0", 0, 6),
        act("disk", "block 0 in flight", 1, 6),
        act("storer", "load the page, store to block 3", 2, 2),
        act("storer", "write the page out: clean", 3, 3),
        act("checker", "both survive, or somebody was told?", 7, 7),
    ]),
    ("T31", &[
        act("writer", "direct write of block 0", 0, 4),
        act("disk", "block 0 in flight", 1, 4),
        act("storer", "load the page, store to block 3", 2, 2),
        act("watcher", "heard of nothing?", 5, 5),
        act("writer", "direct write that the disk fails", 6, 7),
        act("watcher", "heard of it once?", 8, 8),
    ]),
    ("T64", &[
        act("writer", "direct write of a page in the middle", 0, 6),
        act("disk", "page in flight", 1, 6),
        act("storer", "readahead makes a large folio anew", 2, 2),
        act("storer", "store to its last page", 3, 3),
        act("checker", "both survive, nobody told?", 7, 7),
    ]),
    ("T59", &[
        act("writer", "direct write of block 0", 0, 6),
        act("disk", "block 0 in flight", 1, 6),
        act("poker", "write into block 3 from outside", 2, 3),
        act("checker", "both survive, nobody told?", 7, 7),
    ]),
    ("T60", &[
        act("reader", "direct read into half a page", 0, 6),
        act("disk", "read in flight", 1, 5),
        act("parent", "fork", 2, 2),
        act("child", "write over its copy", 3, 3),
        act("parent", "store to the other half", 4, 4),
        act("checker", "parent has what was read and stored?", 7, 7),
    ]),
    ("T60b", &[
        act("writer", "direct write of half a page", 0, 6),
        act("disk", "write in flight", 1, 5),
        act("parent", "fork", 2, 2),
        act("child", "write over its copy", 3, 3),
        act("parent", "store to the other half", 4, 4),
        act("checker", "file and parent have the parent's?", 7, 7),
    ]),
    ("P3", &[
        act("writer", "direct write of 16 pages", 0, 5),
        act("disk", "the pages in flight", 1, 5),
        act("puncher", "punch 4 of them: waits", 2, 6),
        act("checker", "zero where punched, new beside it?", 7, 7),
    ]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;
    use crate::registry::Disk;

    #[test]
    fn timelines_are_of_claims_and_go_forward() {
        for (id, acts) in TIMELINES {
            assert_eq!(registry::find(id).map(|claim| claim.id), Some(*id));
            assert!(acts.len() > 2, "{id}");
            assert_eq!(acts[0].from, 0, "{id}");
            assert!(acts.iter().all(|act| act.from <= act.to), "{id}");
            let begins: Vec<u8> = acts.iter().map(|act| act.from).collect();
            assert!(begins.is_sorted(), "{id}: {begins:?}");
        }
    }

    #[test]
    fn nobody_does_two_things_at_once() {
        for (id, acts) in TIMELINES {
            for (number, act) in acts.iter().enumerate() {
                let mut own = acts[..number].iter().filter(|own| own.actor == act.actor);
                assert!(own.all(|before| before.to < act.from), "{id}: {act:?}");
            }
        }
    }

    #[test]
    fn every_race_has_a_timeline() {
        let races = registry::all().filter(|claim| claim.needs.disk != Disk::Plain);
        let without: Vec<&str> = races
            .map(|claim| claim.id)
            .filter(|id| of(id).is_empty())
            .collect();
        assert!(
            without.is_empty(),
            "give {without:?} a timeline, in this file"
        );
    }
}
