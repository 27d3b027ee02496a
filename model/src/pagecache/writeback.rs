// SPDX-License-Identifier: GPL-2.0

//! Writeback.

use super::{mapping::folios, AddressSpace, PageRange};
use crate::explore::Want;

impl AddressSpace {
    /// Writes out the dirty folios of `range` and does not wait for what others write.
    ///
    /// `writeback_iter` and `folio_clear_dirty_for_io` in `mm/page-writeback.c`, `folio_mkclean` in
    /// `mm/rmap.c`, `iomap_writeback_folio` in `fs/iomap/buffered-io.c`: lock the folio, write-protect
    /// it in every page table, clear its dirty flag, say that it is under writeback, unlock it;
    /// then the device reads it.
    pub(crate) fn write_back(&self, range: PageRange) {
        let machine = self.machine();
        let ids: Vec<usize> = machine.step(
            format_args!("which folios are dirty?"),
            Want::Nothing,
            |world, _| {
                let ids = folios(world, range).into_iter();
                ids.filter(|&id| world.folios[id].dirty != 0).collect()
            },
        );
        for id in ids {
            let dirty = machine.step(
                format_args!("locks folio {id}: still dirty?"),
                Want::FolioLock(id),
                |world, _| {
                    let dirty = world.is_cached(id) && world.folios[id].dirty != 0;
                    world.folios[id].locked = dirty;
                    dirty
                },
            );
            if !dirty {
                continue;
            }
            let cells = machine.step(
                format_args!("cleans folio {id} and starts its writeback"),
                Want::WritebackEnd(id),
                |world, _| {
                    let mut was_dirty = false;
                    for pte in world.ptes.iter_mut().flatten().flatten() {
                        if pte.folio == id {
                            was_dirty |= pte.dirty;
                            pte.writable = false;
                            pte.dirty = false;
                        }
                    }
                    if was_dirty {
                        world.dirty(id, world.folios[id].mask());
                    }
                    let folio = &mut world.folios[id];
                    folio.writeback = true;
                    folio.locked = false;
                    std::mem::take(&mut folio.dirty)
                },
            );
            machine.step(
                format_args!("folio {id} is on disk"),
                Want::Nothing,
                |world, _| {
                    let folio = &mut world.folios[id];
                    for cell in folio.range() {
                        if cells & 1 << cell != 0 {
                            world.disk[cell] = *folio.cell(cell);
                        }
                    }
                    folio.writeback = false;
                },
            );
        }
    }
}
