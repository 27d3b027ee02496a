// SPDX-License-Identifier: GPL-2.0

//! Who may write a sector, which version it must have, and what happened to it lately.
//!
//! A sector has one owner at a time, and only the owner writes it. So its writes have an order, and
//! "old" is decidable: a reader looks before it begins which version was acknowledged, and after
//! it ended which was begun. What it saw is one of these or between them; and if they are the same
//! it is that version, whole. While a write is in flight a reader may also see a mixture, byte by
//! byte, for nothing in Linux makes a copy atomic.

use std::collections::VecDeque;
use std::fmt;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Instant;

use super::sector;
use super::sector::Place;
use super::sector::Seen;
use super::sector::Version;
use crate::pattern::SECTOR;
use crate::verdict::Verdict;

/// Writes of a sector that are remembered.
const REMEMBERED: usize = 8;

/// Nobody owns the sector.
const NOBODY: u32 = 0;

/// A write of a sector.
#[derive(Clone, Copy, Debug)]
struct Event {
    version: Version,
    way: &'static str,
    /// Microseconds since the storm began.
    began: u64,
    ended: Option<u64>,
    failed: bool,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} by {} from {} ", self.version, self.way, self.began)?;
        match self.ended {
            None => write!(f, "us on, in flight"),
            Some(end) if self.failed => write!(f, "to {end} us, failed"),
            Some(end) => write!(f, "to {end} us"),
        }
    }
}

#[derive(Debug, Default)]
struct Sector {
    owner: AtomicU32,
    acknowledged: AtomicU64,
    begun: AtomicU64,
    past: Mutex<VecDeque<Event>>,
}

impl Sector {
    fn past<T>(&self, f: impl FnOnce(&mut VecDeque<Event>) -> T) -> T {
        f(&mut self.past.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// All that is known of one file.
#[derive(Debug)]
pub(super) struct Ledger {
    key: u64,
    began: Instant,
    sectors: Vec<Sector>,
}

/// A sector that is not what it must be.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) sector: u64,
    pub(super) what: String,
}

/// What was acknowledged before a reader began.
#[derive(Debug)]
pub(super) struct Before {
    first: u64,
    acknowledged: Vec<Version>,
}

impl Ledger {
    /// The ledger of a file of `sectors` sectors that carry the number `key`.
    pub(super) fn new(key: u64, began: Instant, sectors: u64) -> Self {
        let new = |_| Sector {
            past: Mutex::new(VecDeque::with_capacity(REMEMBERED)),
            ..Sector::default()
        };
        Self {
            key,
            began,
            sectors: (0..sectors).map(new).collect(),
        }
    }

    /// The number of sectors.
    pub(super) fn len(&self) -> u64 {
        self.sectors.len() as u64
    }

    fn sector(&self, number: u64) -> &Sector {
        &self.sectors[number as usize]
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// Makes `writer`, which is not 0, the owner of `range` if no sector of it has one.
    pub(super) fn claim(&self, range: Range<u64>, writer: u32) -> Option<Owned<'_>> {
        let mut owned = Owned {
            ledger: self,
            range: range.start..range.start,
            writer,
        };
        for number in range {
            let owner = &self.sector(number).owner;
            if owner
                .compare_exchange(NOBODY, writer, SeqCst, SeqCst)
                .is_err()
            {
                return None;
            }
            owned.range.end = number + 1;
        }
        Some(owned)
    }

    /// To be asked before a reader of `range` begins.
    pub(super) fn before(&self, range: Range<u64>) -> Before {
        Before {
            first: range.start,
            acknowledged: range
                .map(|number| Version(self.sector(number).acknowledged.load(SeqCst)))
                .collect(),
        }
    }

    /// Judges what a reader saw: bytes from the first sector on. Fewer than were asked for means
    /// that the file ended there.
    ///
    /// What is wrong is reported once: after that the sector may be anything until it is written.
    pub(super) fn judge(&self, before: &Before, bytes: &[u8], old: Verdict) -> Vec<Finding> {
        let mut findings = Vec::new();
        let numbers = before.first..;
        for (index, (number, low)) in numbers.zip(&before.acknowledged).enumerate() {
            let sector = self.sector(number);
            let high = Version(sector.begun.load(SeqCst));
            if *low == Version::UNKNOWN {
                continue;
            }
            let piece = bytes.get(index * SECTOR..(index + 1) * SECTOR);
            let Some((verdict, what)) = self.wrong(number, piece, *low, high, old) else {
                continue;
            };
            let forgotten = Version::UNKNOWN.0;
            // Whoever writes it meanwhile makes it known again.
            let _ = sector
                .acknowledged
                .compare_exchange(low.0, forgotten, SeqCst, SeqCst);
            findings.push(Finding {
                verdict,
                sector: number,
                what,
            });
        }
        findings
    }

    fn wrong(
        &self,
        number: u64,
        piece: Option<&[u8]>,
        low: Version,
        high: Version,
        old: Verdict,
    ) -> Option<(Verdict, String)> {
        let place = Place {
            key: self.key,
            sector: number,
        };
        let must = if low == high {
            format!("{low}")
        } else {
            format!("{low} to {high}")
        };
        let Some(piece) = piece else {
            let ended = "the end of the file".to_owned();
            return (low == high).then_some((Verdict::Lost, format!("{ended}, not {must}")));
        };
        let (verdict, what) = match sector::look(place, piece) {
            Seen::Version(seen) if (low..=high).contains(&seen) => return None,
            Seen::Version(seen) => (old, format!("{seen}")),
            _ if self.may_be_mixture(place, piece, low, high) => return None,
            Seen::Zeros => (Verdict::Lost, "zeros".to_owned()),
            Seen::Foreign(found) if found.key == place.key => {
                (Verdict::Torn, format!("sector {}", found.sector))
            }
            Seen::Foreign(_) => (Verdict::Torn, "another file, or an earlier storm".into()),
            Seen::Torn => {
                let head: Vec<_> = piece[..32].iter().map(|b| format!("{b:02x}")).collect();
                (
                    Verdict::Torn,
                    format!("a torn sector ({} ...)", head.join("")),
                )
            }
        };
        Some((verdict, format!("{what}, not {must}")))
    }

    /// Whether `piece` can be what a reader sees while `low` is replaced by `high`. Too many writes
    /// meanwhile to remember is a yes.
    fn may_be_mixture(&self, place: Place, piece: &[u8], low: Version, high: Version) -> bool {
        let versions: Vec<Version> = self.sector(place.sector).past(|past| {
            let versions = past.iter().map(|event| event.version);
            versions.filter(|v| (low..=high).contains(v)).collect()
        });
        let all = high.number() - low.number() + 1;
        versions.len() as u64 != all || sector::is_mixture(place, piece, &versions)
    }

    /// What happened lately to a sector and to the others of its page, a line each.
    pub(super) fn history(&self, number: u64) -> Vec<String> {
        let page = number / 8 * 8;
        let mut lines: Vec<(u64, String)> = Vec::new();
        for other in page..(page + 8).min(self.len()) {
            let mark = if other == number { "*" } else { " " };
            let last = if other == number { REMEMBERED } else { 3 };
            self.sector(other).past(|past| {
                let later = |event: &&Event| other == number || event.version.number() > 1;
                for event in past.iter().rev().filter(later).take(last) {
                    lines.push((event.began, format!("{mark} sector {other}: {event}")));
                }
            });
        }
        lines.sort();
        lines.into_iter().map(|(_, line)| line).collect()
    }
}

/// Sectors that belong to one writer; dropped, they belong to nobody.
#[derive(Debug)]
pub(super) struct Owned<'a> {
    ledger: &'a Ledger,
    range: Range<u64>,
    writer: u32,
}

impl Owned<'_> {
    /// Which sectors.
    pub(super) fn range(&self) -> Range<u64> {
        self.range.clone()
    }

    /// Begins a write of all of them by `way`, of the next versions or of zeros; gives the bytes.
    pub(super) fn begin(&self, way: &'static str, zeros: bool) -> Vec<u8> {
        let mut bytes = Vec::with_capacity((self.range.end - self.range.start) as usize * SECTOR);
        for number in self.range() {
            let sector = self.ledger.sector(number);
            let version = Version(sector.begun.load(SeqCst)).next(self.writer, zeros);
            sector.past(|past| {
                if past.len() == REMEMBERED {
                    past.pop_front();
                }
                past.push_back(Event {
                    version,
                    way,
                    began: self.ledger.now(),
                    ended: None,
                    failed: false,
                });
            });
            sector.begun.store(version.0, SeqCst);
            let place = Place {
                key: self.ledger.key,
                sector: number,
            };
            bytes.extend_from_slice(&sector::bytes(place, version));
        }
        bytes
    }

    /// Ends it: the first `good` sectors were written. The others may be in either version.
    pub(super) fn end(&self, good: u64) {
        for (index, number) in self.range().enumerate() {
            let sector = self.ledger.sector(number);
            let failed = index as u64 >= good;
            let now = self.ledger.now();
            sector.past(|past| {
                if let Some(event) = past.back_mut() {
                    event.ended = Some(now);
                    event.failed = failed;
                }
            });
            if !failed {
                let version = sector.begun.load(SeqCst);
                sector.acknowledged.store(version, SeqCst);
            }
        }
    }
}

impl Drop for Owned<'_> {
    fn drop(&mut self) {
        for number in self.range() {
            self.ledger.sector(number).owner.store(NOBODY, SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(ledger: &Ledger, before: &Before, bytes: &[u8]) -> Vec<Verdict> {
        let findings = ledger.judge(before, bytes, Verdict::Stale);
        findings.iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn a_sector_has_one_owner() {
        let ledger = Ledger::new(1, Instant::now(), 8);
        let owned = ledger.claim(2..4, 1).unwrap();
        assert!(ledger.claim(0..3, 2).is_none());
        assert!(ledger.claim(0..2, 2).is_some());
        drop(owned);
        assert!(ledger.claim(0..8, 2).is_some());
    }

    #[test]
    fn old_is_what_was_replaced_before_the_reader_began() {
        let ledger = Ledger::new(1, Instant::now(), 2);
        let owned = ledger.claim(0..2, 1).unwrap();
        let first = owned.begin("test", false);
        owned.end(2);
        let early = ledger.before(0..2);
        let second = owned.begin("test", false);
        let mut both = first.clone();
        both[..700].copy_from_slice(&second[..700]);
        // In flight: either, or a mixture.
        for seen in [&first, &second, &both] {
            assert_eq!(judge(&ledger, &early, seen), []);
        }
        owned.end(2);
        // A reader that began before the write ended may still have seen the old bytes.
        assert_eq!(judge(&ledger, &early, &first), []);
        assert_eq!(judge(&ledger, &ledger.before(0..2), &second), []);
        let late = ledger.before(0..2);
        assert_eq!(judge(&ledger, &late, &first), [Verdict::Stale; 2]);
        // Reported once, until it is written again.
        assert_eq!(judge(&ledger, &ledger.before(0..2), &first), []);
        let third = owned.begin("test", false);
        owned.end(1);
        let late = ledger.before(0..2);
        assert_eq!(judge(&ledger, &late, &both), [Verdict::Stale]);
        let _ = third;
    }

    #[test]
    fn a_torn_sector_that_nobody_writes_is_a_finding() {
        let ledger = Ledger::new(1, Instant::now(), 2);
        let owned = ledger.claim(0..2, 1).unwrap();
        let mut bytes = owned.begin("test", false);
        owned.end(2);
        bytes[600] ^= 1;
        let before = ledger.before(0..2);
        assert_eq!(judge(&ledger, &before, &bytes), [Verdict::Torn]);
        let before = ledger.before(0..1);
        assert_eq!(judge(&ledger, &before, &[]), [Verdict::Lost]);
        assert!(ledger.history(1).iter().any(|line| line.starts_with('*')));
    }
}
