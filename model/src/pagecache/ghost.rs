// SPDX-License-Identifier: GPL-2.0

//! The history of a run, and the judgement on it: rules C2.1 and C2.2 of the contract.
//!
//! A write of a cell is *finished* when its call returned, whatever it returned, and *promised* when it
//! returned success for that cell. A value is *old* once a write was promised that began after
//! the value's own write was finished: no access that starts then may see it, and it must not be
//! all that is left. Two writes that overlapped in time may come out in either order.

use std::fmt::Debug;

/// Something that happened in a run. The first ones are forbidden, each by its own rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Verdict {
    /// An access returned a value that was old when it started.
    Stale,
    /// A promised write is nowhere: all that disk and cache have of a cell is old.
    Lost,
    /// As `Lost`, and not even `fsync` would say so.
    LostUntold,
    /// A dirty folio was removed.
    RemovedDirty,
    /// A pinned folio was removed.
    RemovedPinned,
    /// A page table maps a folio that is not in the cache.
    RemovedMapped,
    /// A folio was removed while under writeback.
    RemovedInWriteback,
    /// A folio was removed that had been removed already.
    RemovedTwice,
    /// A folio was mapped that was not up to date.
    MappedNotUptodate,
    /// The report of a walk is not what happened.
    WrongReport,
    /// All tasks wait.
    Deadlock,
    /// A task panicked.
    Panic,
    /// A direct write returned an error: its bytes may be there or not, and its caller knows.
    Told,
    /// The next `fsync` says that cache and disk have gone apart.
    ToldFsync,
    /// A direct write went through the cache.
    ThroughCache,
}

impl Verdict {
    /// Everything that no task may ever meet.
    pub(crate) const FORBIDDEN: [Self; 12] = [
        Self::Stale,
        Self::Lost,
        Self::LostUntold,
        Self::RemovedDirty,
        Self::RemovedPinned,
        Self::RemovedMapped,
        Self::RemovedInWriteback,
        Self::RemovedTwice,
        Self::MappedNotUptodate,
        Self::WrongReport,
        Self::Deadlock,
        Self::Panic,
    ];

    /// What the walker may never do, whatever the policy promises.
    pub(crate) const UNSAFE_WALK: [Self; 9] = [
        Self::RemovedDirty,
        Self::RemovedPinned,
        Self::RemovedMapped,
        Self::RemovedInWriteback,
        Self::RemovedTwice,
        Self::MappedNotUptodate,
        Self::WrongReport,
        Self::Deadlock,
        Self::Panic,
    ];

    /// Every verdict.
    pub(crate) const ALL: [Self; 15] = [
        Self::Stale,
        Self::Lost,
        Self::LostUntold,
        Self::RemovedDirty,
        Self::RemovedPinned,
        Self::RemovedMapped,
        Self::RemovedInWriteback,
        Self::RemovedTwice,
        Self::MappedNotUptodate,
        Self::WrongReport,
        Self::Deadlock,
        Self::Panic,
        Self::Told,
        Self::ToldFsync,
        Self::ThroughCache,
    ];
}

/// A set of verdicts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Verdicts(u16);

impl Verdicts {
    /// Adds one.
    pub(crate) fn insert(&mut self, verdict: Verdict) {
        self.0 |= 1 << verdict as u16;
    }

    /// Adds all of `other`.
    pub(crate) fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Says whether it is there.
    pub(crate) fn has(self, verdict: Verdict) -> bool {
        self.0 & 1 << verdict as u16 != 0
    }
}

/// Number of a write; 0 is the first contents of the disk.
pub(crate) type WriteId = u8;

/// A set of writes.
pub(crate) type Writes = u16;

/// The writes of a run.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Ghost {
    /// Writes whose call returned.
    finished: Writes,
    /// For each write: those that were finished when it began.
    before: [Writes; 8],
    /// For each write: the cells that it promised.
    promised: [u16; 8],
    /// What happened so far.
    verdicts: Verdicts,
}

impl Ghost {
    /// Begins write `id`.
    pub(crate) fn begin(&mut self, id: WriteId) {
        self.before[usize::from(id)] = self.finished | 1;
    }

    /// Ends write `id`, which promises these cells.
    pub(crate) fn end(&mut self, id: WriteId, promised: impl IntoIterator<Item = usize>) {
        self.finished |= 1 << id;
        for cell in promised {
            self.promised[usize::from(id)] |= 1 << cell;
        }
    }

    /// Returns the writes that an access of `cell` that starts now may not see.
    pub(crate) fn old(&self, cell: usize) -> Writes {
        (1..8)
            .filter(|&id| self.promised[id] & 1 << cell != 0)
            .fold(0, |old, id| old | self.before[id])
    }

    /// Judges an access that started when `old` was old.
    pub(crate) fn judge(&mut self, value: WriteId, old: Writes) {
        if old & 1 << value != 0 {
            self.note(Verdict::Stale);
        }
    }

    /// Notes that something happened.
    pub(crate) fn note(&mut self, verdict: Verdict) {
        self.verdicts.insert(verdict);
    }

    /// Returns what happened so far.
    pub(crate) fn verdicts(&self) -> Verdicts {
        self.verdicts
    }
}
