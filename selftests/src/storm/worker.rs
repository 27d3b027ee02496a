// SPDX-License-Identifier: GPL-2.0

//! The threads that write, read and cut the files, and compare on every visit.

use std::os::unix::fs::FileExt as _;

use super::Storm;
use super::field::Field;
use super::field::Read;
use super::field::Write;
use super::ledger::Owned;
use super::random::Random;
use crate::aligned::Aligned;
use crate::pattern::SECTOR;
use crate::queue::Kind;
use crate::queue::Op;
use crate::queue::Queue;
use crate::sys;
use crate::verdict::Verdict;

/// Asynchronous writes of one thread in flight at once.
const DEPTH: usize = 4;

/// One thread.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    storm: &'a Storm,
    number: u32,
    random: Random,
    queues: Vec<(&'static str, Box<dyn Queue>)>,
}

impl<'a> Worker<'a> {
    /// Makes thread `number`, which is not 0.
    pub(super) fn new(storm: &'a Storm, number: u32) -> Self {
        let queue = |(kind, name): (Kind, _)| kind.open(DEPTH as u32).ok().map(|q| (name, q));
        let kinds = [
            (Kind::Libaio, "direct write by libaio"),
            (Kind::IoUring, "direct write by io_uring"),
        ];
        Self {
            storm,
            number,
            random: Random::new(storm.seed, number),
            queues: kinds.into_iter().filter_map(queue).collect(),
        }
    }

    /// Works until the storm is over.
    pub(super) fn run(mut self) {
        while self.storm.goes_on() {
            match self.random.below(100) {
                0..38 => self.write(),
                38..50 => self.write_asynchronously(),
                50..92 => self.read(),
                92..98 => self.sync(),
                _ => self.cut(),
            }
            self.storm.step(self.number);
        }
        self.storm.doing(self.number, "");
    }

    fn field(&mut self) -> &'a Field {
        let index = self.random.below(self.storm.fields.len() as u64);
        &self.storm.fields[index as usize]
    }

    fn scratch(&mut self, len: u64) -> Option<(&'a Field, Owned<'a>)> {
        let field = self.field();
        let range = field.some_scratch(&mut self.random, len);
        Some((field, field.ledger.claim(range, self.number)?))
    }

    fn write(&mut self) {
        let field = self.field();
        let way = self.random.pick(&Write::ALL);
        let mut range = field.some_data(&mut self.random);
        let scratch = if way == Write::FromMapping {
            range.end = range.end.min(range.start + 4);
            let Some(scratch) = self.scratch(range.end - range.start) else {
                return;
            };
            Some(scratch)
        } else {
            None
        };
        let Some(owned) = field.ledger.claim(range, self.number) else {
            return;
        };
        if self.random.once_in(3) {
            // Nobody else writes it: it is exactly what was written last.
            self.look(field, &owned);
        }
        self.storm.doing(self.number, way.name());
        let bytes = owned.begin(way.name(), false);
        let place = scratch
            .as_ref()
            .map(|(field, owned)| (*field, owned.range().start));
        let result = field.write(way, owned.range().start, &bytes, place);
        self.settle(field, &owned, way.name(), bytes.len(), result);
    }

    fn settle(
        &self,
        field: &Field,
        owned: &Owned<'_>,
        way: &str,
        len: usize,
        result: std::io::Result<usize>,
    ) {
        let good = result.as_ref().map_or(0, |count| count / SECTOR);
        owned.end(good as u64);
        let sector = owned.range().start;
        match result {
            Ok(count) if count == len => {}
            Ok(count) => {
                let what = format!("{way} returned {count} of {len}");
                self.storm.find(field, Verdict::Lost, sector, &what);
            }
            Err(error) => {
                let what = format!("{way} of {len} bytes returned {error}");
                self.storm.find(field, Verdict::Error, sector, &what);
            }
        }
    }

    fn write_asynchronously(&mut self) {
        if self.queues.is_empty() {
            return self.write();
        }
        let mut flight: Vec<Option<(&Field, Owned<'_>)>> = Vec::with_capacity(DEPTH);
        let which = self.random.below(self.queues.len() as u64) as usize;
        let name = self.queues[which].0;
        self.storm.doing(self.number, name);
        for tag in 0..1 + self.random.below(DEPTH as u64) {
            let field = self.field();
            let range = field.some_data(&mut self.random);
            let Some(owned) = field.ledger.claim(range, self.number) else {
                flight.push(None);
                continue;
            };
            let buffer = Aligned::from(&owned.begin(name, false));
            let at = owned.range().start * SECTOR as u64;
            let queue = &mut self.queues[which].1;
            if let Err(error) = queue.submit(tag, Op::Write, &field.direct, at, buffer) {
                owned.end(0);
                let sector = owned.range().start;
                let what = format!("{name} was not taken: {error}");
                self.storm.find(field, Verdict::Error, sector, &what);
                flight.push(None);
                continue;
            }
            flight.push(Some((field, owned)));
        }
        // Of what is in flight somebody reads, and writes next to it.
        self.read();
        self.storm.doing(self.number, name);
        for _ in 0..flight.iter().flatten().count() {
            match self.queues[which].1.reap(true) {
                Ok(Some(done)) => {
                    if let Some((field, owned)) = flight[done.tag as usize].take() {
                        self.settle(field, &owned, name, done.buffer.len(), done.result);
                    }
                }
                Ok(None) => {}
                Err(error) => {
                    let what = format!("waiting for completions: {error}");
                    self.storm.trouble(Verdict::Error, &what);
                }
            }
        }
    }

    fn read(&mut self) {
        let field = self.field();
        let mut range = field.some_data(&mut self.random);
        let mut way = self.random.pick(&Read::ALL);
        if range.end > field.head() && !way.takes_the_end() {
            way = Read::Buffered;
        }
        let mut scratch = None;
        if way == Read::IntoMapping {
            range.end = range.end.min(range.start + 4);
            scratch = self.scratch(range.end - range.start);
            if scratch.is_none() {
                return;
            }
        }
        let place = scratch
            .as_ref()
            .map(|(field, owned)| (*field, owned.range().start));
        self.storm.doing(self.number, way.name());
        let before = field.ledger.before(range.clone());
        match field.read(way, range.clone(), place) {
            Ok(bytes) => {
                self.storm
                    .judge(field, &before, &bytes, way.name(), Verdict::Stale);
            }
            Err(error) => {
                let what = format!("{} returned {error}", way.name());
                self.storm.find(field, Verdict::Error, range.start, &what);
            }
        }
    }

    /// Looks at what it owns, by some way.
    fn look(&mut self, field: &Field, owned: &Owned<'_>) {
        let way = self
            .random
            .pick(&[Read::Buffered, Read::Direct, Read::Peek]);
        self.storm.doing(self.number, way.name());
        let before = field.ledger.before(owned.range());
        match field.read(way, owned.range(), None) {
            Ok(bytes) => {
                self.storm
                    .judge(field, &before, &bytes, way.name(), Verdict::Stale);
            }
            Err(error) => {
                let what = format!("{} returned {error}", way.name());
                self.storm
                    .find(field, Verdict::Error, owned.range().start, &what);
            }
        }
    }

    /// Syncs, and looks on the device itself: what was acknowledged before is there.
    fn sync(&mut self) {
        let field = self.field();
        let range = field.some_data(&mut self.random);
        let never_cut = range.end <= field.head();
        let before = field.ledger.before(range.clone());
        let file = field.file.file();
        let name = self
            .random
            .pick(&["fsync", "fdatasync", "msync", "sync_file_range"]);
        self.storm.doing(self.number, name);
        let result = match name {
            "fsync" => file.sync_all(),
            "fdatasync" => file.sync_data(),
            "msync" => field.mapping.sync(),
            _ => sys::start_writeback(file, 0, 0),
        };
        if let Err(error) = result {
            let what = format!("{name} returned {error}");
            self.storm.trouble(Verdict::FalseError, &what);
        } else if never_cut && name != "sync_file_range" && self.storm.device_is_readable {
            let at = range.start * SECTOR as u64;
            let len = (range.end - range.start) as usize * SECTOR;
            if let Ok((bytes, way)) = field.file.on_disk(at, len) {
                self.storm.judge(field, &before, &bytes, way, Verdict::Lost);
            }
        }
    }

    /// Cuts the file somewhere in its second half and makes it grow again: zeros.
    fn cut(&mut self) {
        if !self.storm.can_cut {
            return;
        }
        let field = self.field();
        let all = field.ledger.len();
        // Mostly near the end, or there would always be an owner who is in the way.
        let tail = if self.random.once_in(4) {
            all - field.head()
        } else {
            96
        };
        let first = all - 1 - self.random.below(tail - 1);
        let Some(owned) = field.ledger.claim(first..all, self.number) else {
            return;
        };
        self.storm.doing(self.number, "truncate");
        owned.begin("truncate", true);
        let (cut, size) = (first * SECTOR as u64, all * SECTOR as u64);
        let file = field.file.file();
        let grow = |random: &mut Random| -> std::io::Result<()> {
            file.set_len(cut)?;
            if !first.is_multiple_of(8) && random.once_in(2) {
                // Bytes beyond the end of the file, which nobody may ever see.
                field.mapping.store(cut as usize, &[0x5a; 64]);
            }
            if random.once_in(2) {
                let last = [0; SECTOR];
                file.write_all_at(&last, size - SECTOR as u64)
            } else {
                file.set_len(size)
            }
        };
        match grow(&mut self.random) {
            Ok(()) => owned.end(all - first),
            Err(error) => {
                owned.end(0);
                let what = format!("truncate returned {error}");
                self.storm.find(field, Verdict::Error, first, &what);
            }
        }
    }
}
