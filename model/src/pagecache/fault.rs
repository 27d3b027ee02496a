// SPDX-License-Identifier: GPL-2.0

//! Loads and stores through a mapping, and the faults that they take.

use super::{
    dirty::dirty_folio,
    ghost::WriteId,
    world::{Pte, CELLS},
    AddressSpace, Breakage, ByteRange, Verdict,
};
use crate::{
    coherency::{gates, turns, Counters},
    explore::Want,
    prelude::PAGE_SHIFT,
};

impl AddressSpace {
    /// Loads a cell through a mapping.
    pub(crate) fn load(&self, mapper: usize, cell: usize) {
        let machine = self.machine();
        let page = cell / CELLS;
        let old = machine.step(
            format_args!("is about to load cell {cell} through the mapping"),
            Want::Nothing,
            |world, _| world.ghost.old(cell),
        );
        machine.retry(|| {
            let value = machine.step(
                format_args!("loads cell {cell} through the mapping"),
                Want::Nothing,
                |world, _| {
                    let pte = world.ptes[mapper][page]?;
                    let value = *world.folios[pte.folio].cell(cell);
                    world.ghost.judge(value, old);
                    Some(value)
                },
            );
            if value.is_none() {
                self.read_fault(mapper, page);
            }
            value
        });
    }

    /// `do_read_fault` in `mm/memory.c`.
    fn read_fault(&self, mapper: usize, page: usize) {
        let id = self.filemap_fault(page);
        let entry = Pte {
            folio: id,
            writable: false,
            dirty: false,
        };
        if self.is_broken(Breakage::FaultMapsUnlocked) {
            self.unlock(id);
            self.set_entry(mapper, page, None, entry);
        } else {
            self.set_entry(mapper, page, None, entry);
            self.unlock(id);
        }
    }

    /// Stores to a cell through a mapping.
    pub(crate) fn store(&self, mapper: usize, cell: usize, id: WriteId) {
        let machine = self.machine();
        let page = cell / CELLS;
        machine.step(
            format_args!("is about to store to cell {cell} through the mapping"),
            Want::Nothing,
            |world, _| world.ghost.begin(id),
        );
        machine.retry(|| {
            let stored = machine.step(
                format_args!("stores to cell {cell} through the mapping"),
                Want::Nothing,
                |world, _| {
                    let pte = world.ptes[mapper][page].as_mut();
                    let pte = pte.filter(|pte| pte.writable)?;
                    pte.dirty = true;
                    let folio = pte.folio;
                    *world.folios[folio].cell(cell) = id;
                    world.ghost.end(id, [cell]);
                    Some(())
                },
            );
            if stored.is_none() {
                self.write_fault(mapper, page);
            }
            stored
        });
    }

    /// Makes a page-table entry writable, or finds that the access must be tried again.
    ///
    /// `do_shared_fault` and `do_wp_page`/`wp_page_shared` in `mm/memory.c`: get the folio from
    /// `filemap_fault` or from the entry; then `do_page_mkwrite` without any lock held, which
    /// returns with the folio locked; then the entry; then `fault_dirty_shared_page`.
    pub(super) fn write_fault(&self, mapper: usize, page: usize) {
        let machine = self.machine();
        let mapped = machine.step(
            format_args!("faults for writing: is page {page} mapped?"),
            Want::Nothing,
            |world, _| world.ptes[mapper][page].map(|pte| pte.folio),
        );
        let id = match mapped {
            Some(id) => id,
            None => {
                let id = self.filemap_fault(page);
                self.unlock(id);
                id
            }
        };

        let all = machine.at_once(|world, _| world.folios[id].mask());
        if !machine.call(|| self.page_mkwrite(id, all)) {
            return;
        }

        let entry = Pte {
            folio: id,
            writable: true,
            dirty: true,
        };
        if self.set_entry(mapper, page, mapped, entry) {
            // `fault_dirty_shared_page`; the flag is set already but for a writeback in between,
            // which the folio lock rules out, so this changes nothing and is one step.
            machine.step(
                format_args!("sets the dirty flag again"),
                Want::Nothing,
                |world, _| world.dirty(id, all),
            );
        }
        self.unlock(id);
    }

    /// `page_mkwrite` of `rust/vfs/fault.rs`, around `iomap_page_mkwrite` in
    /// `fs/iomap/buffered-io.c`. Returns with the folio locked and dirty, or says that the access
    /// must be tried again.
    fn page_mkwrite(&self, id: usize, all: u16) -> bool {
        let machine = self.machine();
        let gates = self.has_gates() && !self.is_broken(Breakage::FaultIgnoresGates);
        let _turn = gates.then(|| turns::turn(self, self.range_of(id), &Counters::default()));
        let ours = machine.step(
            format_args!("page_mkwrite: locks folio {id}, still ours?"),
            Want::FolioLock(id),
            |world, _| world.is_cached(id),
        );
        if !ours {
            self.unlock(id);
            return false;
        }
        dirty_folio(machine, id, all);
        true
    }

    /// Fills a locked folio from the disk and unlocks it: `read_folio` of `rust/vfs/aops.rs`. Says
    /// whether it did; if not, the caller tries again (`AOP_TRUNCATED_PAGE`).
    pub(super) fn read_folio(&self, id: usize) -> bool {
        self.machine().call(|| {
            let gates = self.has_gates() && !self.is_broken(Breakage::FillIgnoresGates);
            let range = self.range_of(id);
            if gates && gates::is_closed(self, range.pages()) {
                let locked = self.is_broken(Breakage::FillWaitsLocked);
                if !locked {
                    self.unlock(id);
                }
                let _turn = turns::turn(self, range, &Counters::default());
                let wanted = locked
                    || self.machine().step(
                        format_args!("locks folio {id} again: still ours, to be filled?"),
                        Want::FolioLock(id),
                        |world, _| world.is_cached(id) && !world.folios[id].uptodate,
                    );
                if wanted {
                    self.fill(id);
                }
                self.unlock(id);
                return wanted;
            }
            self.fill(id);
            self.unlock(id);
            true
        })
    }

    /// Reads a locked folio from the disk.
    pub(super) fn fill(&self, id: usize) {
        self.machine().step(
            format_args!("reads folio {id} from the disk"),
            Want::Nothing,
            |world, _| world.read(id),
        );
    }

    /// The bytes of the file that a folio holds.
    fn range_of(&self, id: usize) -> ByteRange {
        let (index, pages) = self
            .machine()
            .at_once(|world, _| (world.folios[id].index, world.folios[id].pages));
        ByteRange::new((index as u64) << PAGE_SHIFT, (pages as u64) << PAGE_SHIFT)
            .expect("a folio has a page")
    }

    /// Puts the entry in, if there is still `expected`: `finish_fault` and `finish_mkwrite_fault`.
    fn set_entry(&self, mapper: usize, page: usize, expected: Option<usize>, new: Pte) -> bool {
        self.machine().step(
            format_args!("maps page {page} to folio {}", new.folio),
            Want::Nothing,
            |world, _| {
                let entry = &mut world.ptes[mapper][page];
                if entry.map(|pte| pte.folio) != expected {
                    return false;
                }
                *entry = Some(new);
                if !world.folios[new.folio].uptodate {
                    world.ghost.note(Verdict::MappedNotUptodate);
                }
                if !world.is_cached(new.folio) {
                    world.ghost.note(Verdict::RemovedMapped);
                }
                true
            },
        )
    }

    /// Returns the folio of a page, up to date and locked.
    ///
    /// `filemap_fault` in `mm/filemap.c`: `invalidate_lock` is taken, shared, only to add a folio or
    /// to read one. Readahead and fault-around are left out: both leave alone what they
    /// would have to wait for.
    fn filemap_fault(&self, page: usize) -> usize {
        self.machine().call(|| self.get_locked(page))
    }

    fn get_locked(&self, page: usize) -> usize {
        let machine = self.machine();
        let lock = !self.is_broken(Breakage::FaultIgnoresInvalidateLock);
        let mut held = false;
        let hold = |held: &mut bool| {
            if !*held && lock {
                machine.step(
                    format_args!("fault: takes invalidate_lock, shared"),
                    Want::InvalidateLockShared,
                    |_, _| (),
                );
            }
            *held = true;
        };

        let found = machine.step(
            format_args!("fault: is page {page} cached, up to date?"),
            Want::Nothing,
            |world, _| world.cache[page].map(|id| (id, world.folios[id].uptodate)),
        );
        let mut known = found.map(|(id, _)| id);
        if found.is_some_and(|(_, uptodate)| !uptodate) {
            hold(&mut held);
        }
        let id = machine.retry(|| {
            let id = known.take().unwrap_or_else(|| {
                hold(&mut held);
                machine.step(
                    format_args!("fault: finds or adds the folio of page {page}"),
                    Want::Nothing,
                    |world, _| world.find_or_add(page),
                )
            });
            let (ours, uptodate) = machine.step(
                format_args!("fault: locks folio {id}: still ours, up to date?"),
                Want::FolioLock(id),
                |world, _| (world.is_cached(id), world.folios[id].uptodate),
            );
            if ours && uptodate {
                return Some(id);
            }
            if ours && held {
                self.read_folio(id);
            } else {
                self.unlock(id);
            }
            None
        });
        if held && lock {
            machine.at_once(|world, _| world.invalidate.readers -= 1);
        }
        id
    }

    /// Says whether some direct write is strict.
    pub(crate) fn has_gates(&self) -> bool {
        self.machine().at_once(|world, _| world.setup.gates)
    }

    /// Says whether this is broken on purpose.
    pub(crate) fn is_broken(&self, breakage: Breakage) -> bool {
        self.machine().at_once(|world, _| world.broken(breakage))
    }

    /// Unlocks a folio that this task has locked.
    pub(super) fn unlock(&self, id: usize) {
        self.machine()
            .at_once(|world, _| world.folios[id].locked = false);
    }
}
