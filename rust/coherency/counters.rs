// SPDX-License-Identifier: GPL-2.0

//! What happened on one mount, for `/sys/kernel/debug/cohfs/<device>/counters`.

use crate::pagecache::Busy;
use crate::prelude::*;

/// The counters of one mount. Each only grows.
#[derive(Default)]
pub(crate) struct Counters {
    /// Direct writes asked for.
    pub(super) direct_writes: Counter,
    /// Of these, the ones that went through the cache because a folio could not be removed, or the
    /// file had a hole.
    pub(super) through_cache: Counter,
    /// Direct writes that returned an error because a folio could not be removed.
    pub(super) reported: Counter,
    /// Direct writes that left old bytes in the cache and said so to the next `fsync`.
    pub(super) left_stale: Counter,
    /// Direct writes that waited for those before them.
    pub(super) gate_waits: Counter,
    /// Fillers that waited for direct writes.
    pub(super) turn_waits: Counter,
    /// Walks over a range.
    pub(super) walks: Counter,
    /// Folios removed.
    pub(super) removed: Counter,
    busy_dirty: Counter,
    busy_pinned: Counter,
    busy_private: Counter,
    busy_redirtied: Counter,
    busy_untold: Counter,
}

impl Counters {
    /// Counts a folio that stayed.
    pub(super) fn busy(&self, why: Busy) {
        match why {
            Busy::Dirty => &self.busy_dirty,
            Busy::Pinned => &self.busy_pinned,
            Busy::Private => &self.busy_private,
            Busy::Redirtied => &self.busy_redirtied,
            Busy::Untold => &self.busy_untold,
        }
        .add(1);
    }

    /// Counts a direct write that goes through the cache because the file has a hole.
    pub(crate) fn met_hole(&self) {
        self.through_cache.add(1);
    }

    /// Counts a direct write for which there was a way at once, beside others.
    pub(crate) fn wrote_directly(&self) {
        self.direct_writes.add(1);
    }

    /// Calls `show` with the name and the value of each counter.
    pub(crate) fn each<E>(
        &self,
        mut show: impl FnMut(&'static str, u64) -> Result<(), E>,
    ) -> Result<(), E> {
        for (name, counter) in [
            ("direct_writes", &self.direct_writes),
            ("direct_writes_through_cache", &self.through_cache),
            ("direct_writes_reported_busy", &self.reported),
            ("direct_writes_left_stale", &self.left_stale),
            ("gate_waits", &self.gate_waits),
            ("turn_waits", &self.turn_waits),
            ("walks", &self.walks),
            ("folios_removed", &self.removed),
            ("folios_busy_dirty", &self.busy_dirty),
            ("folios_busy_pinned", &self.busy_pinned),
            ("folios_busy_private", &self.busy_private),
            ("folios_busy_redirtied", &self.busy_redirtied),
            ("folios_busy_untold", &self.busy_untold),
        ] {
            show(name, counter.get())?;
        }
        Ok(())
    }
}
