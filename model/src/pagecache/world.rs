// SPDX-License-Identifier: GPL-2.0

//! Disk, folios, page tables and locks, and what one step may do to them.

use super::{
    ghost::{Ghost, WriteId, Writes},
    in_flight::Entered,
    Breakage, Cached, Setup, Verdict, Verdicts,
};
use crate::explore::Want;
use std::{
    hash::{Hash, Hasher},
    ops::Range,
};

/// Cells in a page.
pub(crate) const CELLS: usize = 2;

/// A folio, in the cache or removed from it.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Folio {
    /// First page.
    pub(super) index: usize,
    /// Number of pages.
    pub(super) pages: usize,
    /// Contents.
    pub(super) cells: Vec<WriteId>,
    /// Cells that must be written out.
    pub(super) dirty: u16,
    pub(super) uptodate: bool,
    pub(super) writeback: bool,
    pub(super) private: bool,
    pub(super) locked: bool,
    /// Pins for I/O (`FOLL_PIN`).
    pub(super) pins: u8,
    /// Plain references (`FOLL_GET`) of those whom reclaim has to notice.
    pub(super) references: u8,
}

impl Folio {
    /// Cells of the file that the folio holds.
    pub(super) fn range(&self) -> Range<usize> {
        self.index * CELLS..(self.index + self.pages) * CELLS
    }

    /// Returns the contents of a cell of the file.
    pub(super) fn cell(&mut self, cell: usize) -> &mut WriteId {
        let first = self.range().start;
        &mut self.cells[cell - first]
    }

    /// Cells of the file in the folio, as a mask.
    pub(super) fn mask(&self) -> u16 {
        self.range().fold(0, |mask, cell| mask | 1 << cell)
    }
}

/// A page-table entry.
#[derive(Clone, Copy, Debug, Hash)]
pub(crate) struct Pte {
    pub(super) folio: usize,
    pub(super) writable: bool,
    pub(super) dirty: bool,
}

/// A lock for one writer or many readers.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct SharedLock {
    pub(super) written: bool,
    pub(super) readers: u8,
}

/// The redirty gate of the file.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub(crate) struct Gate {
    pub(super) dirtying: u8,
    pub(super) removing: bool,
    pub(super) locked: bool,
}

/// What a walk over the whole file did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Walked {
    /// Folios that were there at the start.
    pub(crate) met: u64,
    /// Folios that the walk itself removed.
    pub(crate) removed: u64,
    /// Folios of those at the start that are there now.
    pub(crate) left: u64,
}

/// Everything there is.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(super) setup: Setup,
    pub(super) disk: Vec<WriteId>,
    pub(super) folios: Vec<Folio>,
    /// For each page of the file: its folio.
    pub(super) cache: Vec<Option<usize>>,
    /// For each mapper and page.
    pub(super) ptes: Vec<Vec<Option<Pte>>>,
    pub(super) inode: SharedLock,
    pub(super) invalidate: SharedLock,
    pub(super) gate: Gate,
    /// For each task: its claims.
    pub(super) claims: [Option<Entered>; 14],
    pub(super) ghost: Ghost,
    /// Folios that were cached when the current walk began, and how many it removed itself.
    pub(super) walk: (u16, u64),
}

impl Hash for World {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.disk, &self.folios, &self.cache, &self.ptes).hash(state);
        (self.inode, self.invalidate, self.gate, self.walk).hash(state);
        self.claims.hash(state);
        self.ghost.hash(state);
    }
}

impl World {
    /// Returns a world in its first state.
    pub(crate) fn new(setup: Setup) -> Self {
        let mut world = Self {
            setup,
            disk: vec![0; setup.pages * CELLS],
            folios: Vec::with_capacity(4),
            cache: vec![None; setup.pages],
            ptes: vec![vec![None; setup.pages]; setup.mappers],
            inode: SharedLock::default(),
            invalidate: SharedLock::default(),
            gate: Gate::default(),
            claims: [None; 14],
            ghost: Ghost::default(),
            walk: (0, 0),
        };
        match setup.cached {
            Cached::Nothing => (),
            Cached::Pages => (0..setup.pages).for_each(|page| {
                world.add(page, 1);
            }),
            Cached::LargeFolio => {
                world.add(0, setup.pages);
            }
        }
        for folio in &mut world.folios {
            folio.uptodate = true;
            folio.private = setup.private;
        }
        if setup.mapped {
            for table in &mut world.ptes {
                for (pte, folio) in table.iter_mut().zip(&world.cache) {
                    *pte = folio.map(|folio| Pte {
                        folio,
                        writable: false,
                        dirty: false,
                    });
                }
            }
        }
        world
    }

    /// Says whether a task that wants this can go on.
    pub(crate) fn grants(&self, want: Want) -> bool {
        match want {
            Want::Nothing => true,
            Want::InodeLock => !self.inode.written && self.inode.readers == 0,
            Want::InodeLockShared => !self.inode.written,
            Want::InvalidateLock => !self.invalidate.written && self.invalidate.readers == 0,
            Want::InvalidateLockShared => !self.invalidate.written,
            Want::FolioLock(folio) => !self.folios[folio].locked,
            Want::WritebackEnd(folio) => !self.folios[folio].writeback,
            Want::GateLock => !self.gate.locked,
            Want::Turn(place) => self.claims[place].is_some_and(|entered| entered.elders == 0),
        }
    }

    /// Gives a task what it waited for.
    pub(crate) fn grant(&mut self, want: Want) {
        match want {
            Want::Nothing | Want::WritebackEnd(_) => (),
            Want::InodeLock => self.inode.written = true,
            Want::InodeLockShared => self.inode.readers += 1,
            Want::InvalidateLock => self.invalidate.written = true,
            Want::InvalidateLockShared => self.invalidate.readers += 1,
            Want::FolioLock(folio) => self.folios[folio].locked = true,
            Want::GateLock => self.gate.locked = true,
            Want::Turn(place) => {
                if let Some(entered) = &mut self.claims[place] {
                    entered.begun = true;
                }
            }
        }
    }

    pub(super) fn broken(&self, breakage: Breakage) -> bool {
        self.setup.breakage == Some(breakage)
    }

    /// Adds a folio that is not up to date.
    pub(super) fn add(&mut self, index: usize, pages: usize) -> usize {
        let id = self.folios.len();
        self.folios.push(Folio {
            index,
            pages,
            cells: vec![0; pages * CELLS],
            dirty: 0,
            uptodate: false,
            writeback: false,
            private: false,
            locked: false,
            pins: 0,
            references: 0,
        });
        self.cache[index..index + pages].fill(Some(id));
        id
    }

    /// Returns the folio of a page, adding one if there is none.
    pub(super) fn find_or_add(&mut self, page: usize) -> usize {
        self.cache[page].unwrap_or_else(|| self.add(page, 1))
    }

    pub(super) fn is_cached(&self, folio: usize) -> bool {
        self.cache[self.folios[folio].index] == Some(folio)
    }

    pub(super) fn is_mapped(&self, folio: usize) -> bool {
        let mut ptes = self.ptes.iter().flatten().flatten();
        ptes.any(|pte| pte.folio == folio)
    }

    /// Fills a folio from the disk.
    pub(super) fn read(&mut self, id: usize) {
        let folio = &mut self.folios[id];
        let range = folio.range();
        folio.cells.copy_from_slice(&self.disk[range]);
        folio.uptodate = true;
    }

    /// Marks cells of a folio dirty: with blocks as large as folios, all of them.
    pub(super) fn dirty(&mut self, id: usize, cells: u16) {
        let small_blocks = self.setup.small_blocks;
        let folio = &mut self.folios[id];
        folio.dirty |= if small_blocks { cells } else { folio.mask() };
    }

    /// Takes a page out of a page table; its dirty bit goes to the folio
    /// (`zap_present_folio_ptes` in `mm/memory.c`).
    pub(super) fn zap(&mut self, mapper: usize, page: usize) {
        if let Some(pte) = self.ptes[mapper][page].take().filter(|pte| pte.dirty) {
            self.dirty(pte.folio, self.folios[pte.folio].mask());
        }
    }

    /// Takes a folio out of the cache, whatever it holds, and notes what was wrong with that.
    pub(super) fn remove(&mut self, id: usize) {
        let wrong = [
            (!self.is_cached(id), Verdict::RemovedTwice),
            (self.folios[id].dirty != 0, Verdict::RemovedDirty),
            (self.folios[id].pins != 0, Verdict::RemovedPinned),
            (self.folios[id].writeback, Verdict::RemovedInWriteback),
            (self.is_mapped(id), Verdict::RemovedMapped),
        ];
        for (_, verdict) in wrong.into_iter().filter(|&(is, _)| is) {
            self.ghost.note(verdict);
        }
        self.folios[id].dirty = 0;
        for slot in &mut self.cache {
            slot.take_if(|folio| *folio == id);
        }
    }

    /// Looks whether a promised write has vanished from both disk and cache.
    pub(crate) fn check(&mut self) {
        for cell in 0..self.disk.len() {
            let old = self.ghost.old(cell);
            if old == 0 {
                continue;
            }
            let is_old = |value: WriteId| old & 1 << value != 0;
            let cached = self.cached(cell);
            if is_old(self.disk[cell]) && cached.is_none_or(is_old) {
                self.ghost.note(Verdict::Lost);
            }
        }
    }

    /// Returns what the cache has of a cell.
    fn cached(&self, cell: usize) -> Option<WriteId> {
        let folio = &self.folios[self.cache[cell / CELLS]?];
        folio
            .uptodate
            .then(|| folio.cells[cell - folio.range().start])
    }

    /// Writes out all that is dirty, once no task is left, and judges what remains.
    pub(crate) fn settle(&mut self) -> (Verdicts, String) {
        for mapper in 0..self.ptes.len() {
            for page in 0..self.cache.len() {
                self.zap(mapper, page);
            }
        }
        for page in 0..self.cache.len() {
            if let Some(id) = self.cache[page] {
                self.write_out(id);
            }
        }
        self.check();
        for cell in 0..self.disk.len() {
            let old: Writes = self.ghost.old(cell);
            // A folio that differs from the disk and is not dirty: lost is another matter.
            if let Some(value) = self.cached(cell).filter(|&value| value != self.disk[cell]) {
                self.ghost.judge(value, old);
            }
        }
        let mut verdicts = self.ghost.verdicts();
        if verdicts.has(Verdict::Lost) && !verdicts.has(Verdict::ToldFsync) {
            verdicts.insert(Verdict::LostUntold);
        }
        (verdicts, self.picture())
    }

    /// Puts the dirty cells of a folio on disk.
    pub(super) fn write_out(&mut self, id: usize) {
        let folio = &mut self.folios[id];
        for cell in folio.range() {
            if folio.dirty & 1 << cell != 0 {
                self.disk[cell] = *folio.cell(cell);
            }
        }
        folio.dirty = 0;
    }

    /// Returns what happened so far.
    pub(crate) fn verdicts(&self) -> Verdicts {
        self.ghost.verdicts()
    }

    /// Begins write `id`.
    pub(crate) fn begin(&mut self, id: WriteId) {
        self.ghost.begin(id);
    }

    /// Ends write `id`, which promises these cells.
    pub(crate) fn end(&mut self, id: WriteId, promised: impl IntoIterator<Item = usize>) {
        self.ghost.end(id, promised);
    }

    /// Notes that something happened.
    pub(crate) fn note(&mut self, verdict: Verdict) {
        self.ghost.note(verdict);
    }

    /// What a direct write does to the disk, cell by cell.
    pub(crate) fn put_on_disk(&mut self, cell: usize, write: WriteId) {
        self.disk[cell] = write;
    }

    /// Returns what the last walk over the whole file did.
    pub(crate) fn walked(&self) -> Walked {
        let (met, removed) = self.walk;
        let left = (0..self.folios.len())
            .filter(|&id| met & 1 << id != 0 && self.is_cached(id))
            .count();
        Walked {
            met: met.count_ones().into(),
            removed,
            left: left as u64,
        }
    }

    /// Disk and cache on one line: `A` is the first contents, `B` what task 0 writes, and so on.
    pub(crate) fn picture(&self) -> String {
        let letter = |&value: &WriteId| char::from(b'A' + value);
        let disk: String = self.disk.iter().map(letter).collect();
        let cache: String = (0..self.cache.len())
            .map(|page| match self.cache[page] {
                None => format!("{:<6}", "-"),
                Some(id) => {
                    let folio = &self.folios[id];
                    let first = page * CELLS - folio.range().start;
                    let cells: String = match folio.uptodate {
                        true => folio.cells[first..first + CELLS]
                            .iter()
                            .map(letter)
                            .collect(),
                        false => "..".to_owned(),
                    };
                    let flag = |is, text| if is { text } else { "" };
                    format!(
                        "{:<6}",
                        format!(
                            "{cells}{}{}{}{}",
                            flag(folio.dirty != 0, "*"),
                            flag(folio.writeback, "w"),
                            flag(self.ptes.iter().any(|table| table[page].is_some()), "m"),
                            flag(folio.pins != 0, "p"),
                        )
                    )
                }
            })
            .collect();
        format!("disk {disk}  cache {}", cache.trim_end())
    }
}
