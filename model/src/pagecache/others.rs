// SPDX-License-Identifier: GPL-2.0

//! Others who take folios away, dirty them or do I/O into them.

use super::{dirty::dirty_folio, ghost::WriteId, world::CELLS, AddressSpace};
use crate::explore::Want;

impl AddressSpace {
    /// Drops the folio of a page, if nobody uses it.
    ///
    /// `mapping_evict_folio` in `mm/truncate.c` and `shrink_folio_list`/`__remove_mapping` in
    /// `mm/vmscan.c`: the lock is only tried, and a reference that is not the cache's makes
    /// it give up. One step: the references are frozen over it.
    pub(crate) fn evict(&self, page: usize) {
        self.machine().step(
            format_args!("evicts the folio of page {page}, if unused"),
            Want::Nothing,
            |world, _| {
                let id = world.cache[page]?;
                let folio = &world.folios[id];
                let used = folio.locked
                    || folio.dirty != 0
                    || folio.writeback
                    || folio.private
                    || folio.pins != 0
                    || folio.references != 0
                    || world.is_mapped(id);
                (!used).then(|| world.remove(id))
            },
        );
    }

    /// Unmaps the file from a process (`zap_present_folio_ptes` in `mm/memory.c`): what its entry
    /// knows of dirtiness goes to the folio, without the folio lock.
    pub(crate) fn munmap(&self, mapper: usize) {
        let pages = self.machine().at_once(|world, _| world.cache.len());
        for page in 0..pages {
            self.machine().step(
                format_args!("unmaps page {page} from itself"),
                Want::Nothing,
                |world, _| world.zap(mapper, page),
            );
        }
    }

    /// Writes to a page through a plain reference and marks it dirty without the folio lock.
    ///
    /// What `get_user_pages` with `FOLL_GET` and `set_page_dirty` make of it in a driver. If the
    /// folio has left the cache when it is marked dirty, nothing was promised: such writers are not
    /// seen by anybody, and COHERENCY rules say so. If it has not, the bytes must survive.
    pub(crate) fn scribble(&self, cell: usize, write: WriteId) {
        let machine = self.machine();
        let found = machine.step(
            format_args!("takes a reference to the folio of cell {cell}"),
            Want::Nothing,
            |world, _| {
                world.ghost.begin(write);
                let id = world.cache[cell / CELLS].filter(|&id| world.folios[id].uptodate)?;
                world.folios[id].references += 1;
                Some(id)
            },
        );
        let Some(id) = found else {
            machine.at_once(|world, _| world.ghost.end(write, []));
            return;
        };
        machine.step(
            format_args!("writes cell {cell} to folio {id}"),
            Want::Nothing,
            |world, _| *world.folios[id].cell(cell) = write,
        );
        let kept = dirty_folio(machine, id, 1 << cell);
        machine.at_once(|world, _| {
            world.folios[id].references -= 1;
            world.ghost.end(write, kept.then_some(cell));
        });
    }

    /// Has a device write into a page of a mapping: a direct read of another file, RDMA.
    ///
    /// `gup_fast` in `mm/gup.c` pins what a writable entry maps; `bio_set_pages_dirty` in
    /// `block/bio.c` marks the page dirty at the end, under the folio lock.
    pub(crate) fn dma(&self, mapper: usize, cell: usize, write: WriteId) {
        let machine = self.machine();
        machine.step(
            format_args!("calls a read into cell {cell} of the mapping"),
            Want::Nothing,
            |world, _| world.ghost.begin(write),
        );
        let id = machine.retry(|| {
            let pinned = machine.step(
                format_args!("pins the page of cell {cell}"),
                Want::Nothing,
                |world, _| {
                    let pte = world.ptes[mapper][cell / CELLS].filter(|pte| pte.writable)?;
                    world.folios[pte.folio].pins += 1;
                    Some(pte.folio)
                },
            );
            if pinned.is_none() {
                self.write_fault(mapper, cell / CELLS);
            }
            pinned
        });
        machine.step(
            format_args!("device writes cell {cell} to folio {id}"),
            Want::Nothing,
            |world, _| *world.folios[id].cell(cell) = write,
        );
        machine.step(
            format_args!("locks folio {id} to mark it dirty"),
            Want::FolioLock(id),
            |_, _| (),
        );
        dirty_folio(machine, id, 1 << cell);
        self.unlock(id);
        machine.at_once(|world, _| {
            world.folios[id].pins -= 1;
            world.ghost.end(write, [cell]);
        });
    }
}
