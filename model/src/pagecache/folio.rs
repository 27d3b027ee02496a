// SPDX-License-Identifier: GPL-2.0

//! A folio on its way out of the page cache: the chain of `rust/pagecache/folio.rs`, step for step.

use super::{dirty, world::World, AddressSpace, Breakage, PageRange};
use crate::explore::Want;

/// A folio that may leave its mapping at any time.
#[derive(Clone, Copy)]
pub(crate) struct FolioRef<'a> {
    mapping: &'a AddressSpace,
    id: usize,
}

impl<'a> FolioRef<'a> {
    pub(super) fn new(mapping: &'a AddressSpace, id: usize) -> Self {
        Self { mapping, id }
    }

    /// Its number in the world.
    pub(super) fn id(&self) -> usize {
        self.id
    }

    /// Index in the file of the folio's first page.
    pub(crate) fn index(&self) -> u64 {
        self.mapping
            .machine()
            .at_once(|world, _| world.folios[self.id].index as u64)
    }

    /// The folio's pages in the file.
    pub(crate) fn pages(&self) -> PageRange {
        let count = self
            .mapping
            .machine()
            .at_once(|world, _| world.folios[self.id].pages as u64);
        PageRange::starting_at(self.index(), count)
    }

    /// Says whether a page table maps the folio.
    pub(crate) fn is_mapped(&self) -> bool {
        self.mapping.machine().step(
            format_args!("is folio {} mapped?", self.id),
            Want::Nothing,
            |world, _| world.is_mapped(self.id),
        )
    }

    /// Locks the folio, if it still belongs to `mapping` then.
    pub(crate) fn lock_in(self, mapping: &'a AddressSpace) -> Option<LockedFolio<'a>> {
        let belongs = mapping.machine().step(
            format_args!("locks folio {}: still ours?", self.id),
            Want::FolioLock(self.id),
            |world, _| world.is_cached(self.id) || world.broken(Breakage::NoRecheck),
        );
        let locked = LockedFolio {
            folio: self,
            mapping,
        };
        belongs.then_some(locked)
    }
}

/// A locked folio of `mapping`.
#[must_use = "the folio is unlocked when the guard is dropped"]
pub(crate) struct LockedFolio<'a> {
    folio: FolioRef<'a>,
    mapping: &'a AddressSpace,
}

impl<'a> LockedFolio<'a> {
    /// Takes the folio out of every page table.
    pub(crate) fn unmap(self) -> UnmappedFolio<'a> {
        self.mapping.machine().call(|| {
            if self.folio.is_mapped() {
                self.mapping.unmap(self.folio.pages());
            }
        });
        UnmappedFolio(self)
    }
}

impl Drop for LockedFolio<'_> {
    fn drop(&mut self) {
        let id = self.folio.id;
        self.mapping
            .machine()
            .at_once(|world, _| world.folios[id].locked = false);
    }
}

/// A locked folio that no page table maps.
#[must_use = "the folio is unlocked when the guard is dropped"]
pub(crate) struct UnmappedFolio<'a>(LockedFolio<'a>);

impl<'a> UnmappedFolio<'a> {
    /// Waits until the folio is not under writeback.
    pub(crate) fn wait_writeback(self) -> QuiescentFolio<'a> {
        let machine = self.0.mapping.machine();
        if !self.0.mapping.is_broken(Breakage::NoWaitWriteback) {
            machine.step(
                format_args!("waits for writeback of folio {}", self.0.folio.id),
                Want::WritebackEnd(self.0.folio.id),
                |_, _| (),
            );
        }
        QuiescentFolio(self)
    }
}

/// A locked, unmapped folio that no device is reading from for writeback.
#[must_use = "the folio is unlocked when the guard is dropped"]
pub(crate) struct QuiescentFolio<'a>(UnmappedFolio<'a>);

impl QuiescentFolio<'_> {
    /// Takes the folio out of the page cache, if nothing is lost by that.
    pub(crate) fn remove(self) -> Removal {
        let LockedFolio { folio, mapping } = &(self.0).0;
        mapping.machine().call(|| Self::try_remove(mapping, folio))
    }

    fn try_remove(mapping: &AddressSpace, folio: &FolioRef<'_>) -> Removal {
        let (id, machine) = (folio.id, mapping.machine());
        let ignored = |breakage| mapping.is_broken(breakage);
        let ask = |what: &str, act: fn(&World, usize) -> bool| {
            machine.step(
                format_args!("is folio {id} {what}?"),
                Want::Nothing,
                |world, _| act(world, id),
            )
        };
        if !ignored(Breakage::RemoveIgnoresDirty)
            && ask("dirty", |world, id| world.folios[id].dirty != 0)
        {
            return Removal::Busy(Busy::Dirty);
        }
        if !ignored(Breakage::RemoveIgnoresPins)
            && ask("pinned", |world, id| world.folios[id].pins != 0)
        {
            return Removal::Busy(Busy::Pinned);
        }
        if ask("private", |world, id| world.folios[id].private) {
            return Removal::Busy(Busy::Private);
        }
        dirty::remove(machine, id)
    }
}

/// What became of a folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Removal {
    /// It left the page cache.
    Removed,
    /// It stayed.
    Busy(Busy),
}

/// Why a folio stayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Busy {
    /// It holds bytes that are not on disk.
    Dirty,
    /// It is the source or target of somebody's I/O.
    Pinned,
    /// The file system did not release its private state.
    Private,
    /// Somebody was dirtying a folio of the file at this moment.
    Redirtied,
    /// The kernel's own walker left it behind, for a reason that it does not tell.
    Untold,
}
