// SPDX-License-Identifier: GPL-2.0

//! The page cache of the file, as `rust/pagecache/mapping.rs`.

use super::{
    world::{World, CELLS},
    Breakage, ByteRange, FolioRef, InFlight, PageRange, Sweep, Verdict, Walk,
};
use crate::{
    explore::{Machine, Want},
    prelude::*,
};
use std::{ops::Range, rc::Rc};

/// The page cache of the file.
pub(crate) struct AddressSpace {
    machine: Rc<Machine>,
    in_flight: InFlight,
}

impl AddressSpace {
    pub(super) fn new(machine: Rc<Machine>) -> Self {
        Self {
            in_flight: InFlight::new(Rc::clone(&machine)),
            machine,
        }
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    /// Says whether any process maps the file: in a run it never changes.
    pub(crate) fn is_mapped(&self) -> bool {
        self.machine.at_once(|world, _| world.setup.mappers != 0)
    }

    /// Says whether anything is cached. A moment later the answer may be another.
    pub(crate) fn has_folios(&self) -> bool {
        self.machine.step(
            format_args!("is anything cached?"),
            Want::Nothing,
            |world, _| world.cache.iter().any(Option::is_some),
        )
    }

    /// Says whether a folio over `range` is cached. A moment later the answer may be another.
    pub(crate) fn has_folios_in(&self, range: ByteRange) -> bool {
        self.machine.step(
            format_args!("is any of it cached?"),
            Want::Nothing,
            |world, _| !folios(world, range.pages()).is_empty(),
        )
    }

    /// Returns the claims of the file.
    pub(crate) fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }

    /// Takes `range` out of every page table that maps it, one mapper after the other.
    pub(crate) fn unmap(&self, range: PageRange) {
        let (mappers, broken) = self
            .machine
            .at_once(|world, _| (world.setup.mappers, world.broken(Breakage::NoUnmap)));
        if broken {
            return;
        }
        for mapper in 0..mappers {
            self.machine.step(
                format_args!("unmaps pages {} and on", range.first()),
                Want::Nothing,
                |world, _| clip(world, range).for_each(|page| world.zap(mapper, page)),
            );
        }
    }

    /// Writes out what is dirty in `range` and waits until it is on the device
    /// (`filemap_write_and_wait_range` in `mm/filemap.c`).
    pub(crate) fn write_and_wait(&self, range: ByteRange) -> Result {
        self.machine.call(|| self.write_then_wait(range));
        Ok(())
    }

    /// The same: no device fails here.
    pub(crate) fn write_out(&self, range: ByteRange) -> Result {
        self.write_and_wait(range)
    }

    fn write_then_wait(&self, range: ByteRange) {
        self.write_back(range.pages());
        let ids: Vec<usize> = self.machine.step(
            format_args!("what is still under writeback?"),
            Want::Nothing,
            |world, _| {
                folios(world, range.pages())
                    .into_iter()
                    .filter(|&id| world.folios[id].writeback)
                    .collect()
            },
        );
        for id in ids {
            self.machine.step(
                format_args!("waits for writeback of folio {id}"),
                Want::WritebackEnd(id),
                |_, _| (),
            );
        }
    }

    /// Drops what is clean, unmapped and unused in `range` (`invalidate_mapping_pages` in
    /// `mm/truncate.c`).
    pub(crate) fn drop_unused(&self, range: PageRange) {
        let pages = self.machine.at_once(|world, _| clip(world, range));
        for page in pages {
            self.evict(page);
        }
    }

    /// Removes `range` with the kernel's own walker.
    ///
    /// `invalidate_inode_pages2_range` and `folio_unmap_invalidate` in `mm/truncate.c`, for one
    /// folio, as `coherency` calls it. It looks at the dirty flag and not for pins.
    pub(crate) fn invalidate_inode_pages2(&self, range: PageRange) -> Result {
        let machine = &*self.machine;
        machine.call(|| {
            let mut result = Ok(());
            let mut walk = self.walk(range);
            while let Some(batch) = walk.next_batch() {
                for folio in batch {
                    let one = machine.call(|| self.unmap_invalidate(machine, folio));
                    result = one.and(result);
                }
            }
            result
        })
    }

    fn unmap_invalidate(&self, machine: &Machine, folio: FolioRef<'_>) -> Result {
        let Some(locked) = folio.lock_in(self) else {
            return Ok(());
        };
        let _quiescent = locked.unmap().wait_writeback();
        let id = folio.id();
        let stays = machine.step(
            format_args!("is folio {id} private or dirty?"),
            Want::Nothing,
            |world, _| world.folios[id].private || world.folios[id].dirty != 0,
        );
        if stays {
            return Err(EBUSY);
        }
        machine.step(
            format_args!("removes folio {id}"),
            Want::Nothing,
            |world, _| {
                world.walk.1 += 1;
                world.remove(id);
            },
        );
        Ok(())
    }

    /// Tells every open file, at its next `fsync`, that page cache and disk have gone apart.
    pub(crate) fn warn_stale(&self) {
        self.machine
            .at_once(|world, _| world.ghost.note(Verdict::ToldFsync));
    }

    /// Nobody traces.
    pub(crate) fn trace_through_cache(&self, _range: ByteRange) {}

    /// Nobody traces.
    pub(crate) fn trace_invalidate(&self, _range: PageRange, _removed: u64, _busy: u64) {}

    /// Starts a walk over the folios in `range`.
    pub(crate) fn walk(&self, range: PageRange) -> Walk<'_> {
        Walk::new(self, range)
    }

    /// Returns what unmaps the rest of `range` at once, when a walk meets its first mapped folio.
    pub(crate) fn sweep(&self, range: PageRange) -> Sweep<'_> {
        Sweep::new(self, range)
    }
}

/// The pages of `range` that the file has.
pub(super) fn clip(world: &World, range: PageRange) -> Range<usize> {
    let end = world.cache.len();
    let first = usize::try_from(range.first()).unwrap_or(end);
    let last = usize::try_from(range.last()).unwrap_or(end);
    first.min(end)..last.saturating_add(1).min(end)
}

/// The folios of `range`, each once.
pub(super) fn folios(world: &World, range: PageRange) -> Vec<usize> {
    let mut ids: Vec<usize> = clip(world, range)
        .filter_map(|page| world.cache[page])
        .collect();
    ids.dedup();
    ids
}

/// The cells of a range of bytes.
pub(crate) fn cells(range: ByteRange) -> Range<usize> {
    let size = (1 << PAGE_SHIFT) / CELLS as u64;
    (range.pos() / size) as usize..range.end().div_ceil(size) as usize
}
