// SPDX-License-Identifier: GPL-2.0

//! `read` and `write` through the page cache.

use super::{
    dirty::dirty_folio,
    ghost::WriteId,
    world::{World, CELLS},
    AddressSpace,
};
use crate::explore::Want;
use std::ops::Range;

impl AddressSpace {
    /// Reads a cell through the cache.
    ///
    /// `filemap_read`, `filemap_create_folio` and `filemap_update_page` in `mm/filemap.c`: no inode
    /// lock; `invalidate_lock`, shared, to add or fill a folio; and the bytes are copied out of a
    /// folio that is not locked and may have left the cache.
    pub(crate) fn read_buffered(&self, cell: usize) {
        let machine = self.machine();
        let page = cell / CELLS;
        let old = machine.step(
            format_args!("calls read of cell {cell}"),
            Want::Nothing,
            |world, _| world.ghost.old(cell),
        );
        let id = machine.retry(|| {
            let found = machine.step(
                format_args!("read: is page {page} cached, up to date?"),
                Want::Nothing,
                |world, _| world.cache[page].map(|id| (id, world.folios[id].uptodate)),
            );
            match found {
                Some((id, true)) => Some(id),
                Some((id, false)) => self.update(id),
                None => self.create(page),
            }
        });
        machine.step(
            format_args!("copies cell {cell} from folio {id}"),
            Want::Nothing,
            |world, _| {
                let value = *world.folios[id].cell(cell);
                world.ghost.judge(value, old);
                value
            },
        );
    }

    fn create(&self, page: usize) -> Option<usize> {
        let machine = self.machine();
        machine.step(
            format_args!("read: takes invalidate_lock, shared"),
            Want::InvalidateLockShared,
            |_, _| (),
        );
        let added = machine.step(
            format_args!("read: adds a locked folio for page {page}, if none"),
            Want::Nothing,
            |world, _| {
                world.cache[page].is_none().then(|| {
                    let id = world.add(page, 1);
                    world.folios[id].locked = true;
                    id
                })
            },
        );
        let filled = added.filter(|&id| self.read_folio(id));
        machine.at_once(|world, _| world.invalidate.readers -= 1);
        filled
    }

    fn update(&self, id: usize) -> Option<usize> {
        let machine = self.machine();
        machine.step(
            format_args!("read: takes invalidate_lock, shared"),
            Want::InvalidateLockShared,
            |_, _| (),
        );
        let (ours, uptodate) = machine.step(
            format_args!("read: locks folio {id}: still ours, up to date?"),
            Want::FolioLock(id),
            |world, _| (world.is_cached(id), world.folios[id].uptodate),
        );
        let usable = if ours && !uptodate {
            self.read_folio(id)
        } else {
            self.unlock(id);
            ours
        };
        machine.at_once(|world, _| world.invalidate.readers -= 1);
        usable.then_some(id)
    }

    /// Writes cells through the cache, under the inode lock of the caller.
    ///
    /// `iomap_write_iter`, `iomap_write_begin` and `iomap_write_end` in `fs/iomap/buffered-io.c`:
    /// no `invalidate_lock`; a folio that is not up to date and not written as a whole is read
    /// first. (iomap reads single blocks of it; here it is the whole folio.)
    pub(crate) fn write_buffered(&self, cells: Range<usize>, write: WriteId) {
        let machine = self.machine();
        for page in cells.start / CELLS..cells.end.div_ceil(CELLS) {
            let part = cells.start.max(page * CELLS)..cells.end.min((page + 1) * CELLS);
            let (id, filled) = machine.retry(|| {
                let id = machine.step(
                    format_args!("write: finds or adds the folio of page {page}"),
                    Want::Nothing,
                    |world, _| world.find_or_add(page),
                );
                let (ours, uptodate) = machine.step(
                    format_args!("write: locks folio {id}: still ours, up to date?"),
                    Want::FolioLock(id),
                    |world, _| (world.is_cached(id), world.folios[id].uptodate),
                );
                if !ours {
                    self.unlock(id);
                }
                ours.then_some((id, uptodate || part.len() == CELLS))
            });
            if !filled {
                self.fill(id);
            }
            machine.step(
                format_args!("write: copies cells {part:?} to folio {id}"),
                Want::Nothing,
                |world: &mut World, _| {
                    let folio = &mut world.folios[id];
                    part.clone().for_each(|cell| *folio.cell(cell) = write);
                    folio.uptodate = true;
                },
            );
            dirty_folio(machine, id, part.fold(0, |mask, cell| mask | 1 << cell));
            self.unlock(id);
        }
    }
}
