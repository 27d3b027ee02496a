// SPDX-License-Identifier: GPL-2.0

//! Taking a range of a file out of the page cache: unmap, wait, invalidate, report.
//!
//! This is what `invalidate_inode_pages2` became when it was taught in 2004 to take pages out of
//! page tables, with three differences. A folio that cannot go without losing something stays and
//! is counted: dirty bytes are never dropped. A folio that is pinned for somebody's I/O stays as
//! well, for the bytes of that I/O would land where nobody looks. And nothing is added to
//! the range while it is walked over, so that the walk ends.
//!
//! # What holds when it returns
//!
//! Every folio of the range that was in the cache at the start was removed or is in the report.
//! Whoever touches a removed page again, by a system call or through a mapping, reads the disk.
//! The report is exact at the moment when each folio was looked at. What happens to the range
//! after the guard is dropped is for the caller to know.

use super::{
    Counters,
    Gate,
    Inside,
    Walker, //
};
use crate::pagecache::{
    AddressSpace,
    Busy,
    InvalidateGuard,
    PageRange,
    Removal, //
};

/// Proof that nothing is added to the range that is walked over, for as long as it is walked over.
pub(crate) trait KeepsOut {
    /// The page cache that is kept as it is.
    fn mapping(&self) -> &AddressSpace;
}

/// Keeps new folios out of the whole file.
impl KeepsOut for InvalidateGuard<'_> {
    fn mapping(&self) -> &AddressSpace {
        self.mapping()
    }
}

/// Keeps folios of its range from being filled or dirtied; empty ones do no harm.
impl KeepsOut for Gate<'_> {
    fn mapping(&self) -> &AddressSpace {
        self.mapping()
    }
}

/// As a [`Gate`].
impl KeepsOut for Inside<'_> {
    fn mapping(&self) -> &AddressSpace {
        self.mapping()
    }
}

/// Whether one folio that stays ends the walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnBusy {
    /// The walk goes on to the end of the range.
    GoOn,
    /// The walk ends there, as in 2004.
    Stop,
}

/// What a walk did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Folios removed.
    pub(crate) removed: u64,
    /// Folios that stayed.
    pub(crate) busy: u64,
    /// Page index of the first folio that stayed.
    pub(crate) first_busy: Option<u64>,
}

impl Report {
    /// Adds what became of the folio at page `index`.
    fn note(&mut self, index: u64, removal: Removal, counters: &Counters) {
        match removal {
            Removal::Removed => {
                counters.removed.add(1);
                self.removed += 1;
            }
            Removal::Busy(why) => {
                counters.busy(why);
                self.busy += 1;
                self.first_busy.get_or_insert(index);
            }
        }
    }
}

/// Removes every folio that overlaps `range` from the page cache.
///
/// `range` is in pages, inclusive. A large folio goes as a whole.
///
/// # Context
///
/// May sleep. Takes each folio lock in turn, under whatever keeps others out.
pub(crate) fn invalidate(
    closed: &impl KeepsOut,
    walker: Walker,
    range: PageRange,
    on_busy: OnBusy,
    counters: &Counters,
) -> Report {
    let mut report = Report::default();
    let mapping = closed.mapping();
    let mut sweep = mapping.sweep(range);
    let mut walk = mapping.walk(range);

    counters.walks.add(1);
    'walk: while let Some(folios) = walk.next_batch() {
        for folio in folios {
            let index = folio.index();
            sweep.unmap_rest_once(&folio);
            let removal = match walker {
                Walker::Own => {
                    let Some(locked) = folio.lock_in(mapping) else {
                        continue; // Truncated or reclaimed meanwhile: it is gone.
                    };
                    locked.unmap().wait_writeback().remove()
                }
                Walker::Kernel => match mapping.invalidate_inode_pages2(folio.pages()) {
                    Ok(()) => Removal::Removed,
                    Err(_) => Removal::Busy(Busy::Untold),
                },
            };
            report.note(index, removal, counters);
            if on_busy == OnBusy::Stop && report.busy > 0 {
                break 'walk;
            }
        }
    }
    mapping.trace_invalidate(range, report.removed, report.busy);
    report
}
