// SPDX-License-Identifier: GPL-2.0

//! Steps on what files hold.

use super::Choice;
use super::Chooser;
use super::permissions;
use crate::generator::content::Content;
use crate::generator::data::SECTOR;
use crate::generator::model::Kind;
use crate::generator::step::Copier;
use crate::generator::step::Fallocate;
use crate::generator::step::Mode;
use crate::generator::step::Reader;
use crate::generator::step::Step;
use crate::generator::step::Syncer;
use crate::generator::step::Target;
use crate::generator::step::Writer;

/// Places in a file where something changes: its first bytes, and those that are mapped by the
/// first single, double and triple indirect block, for blocks of 1, 2 and 4 KiB.
const BORDERS: [u64; 10] = [
    12 << 10,
    12 << 11,
    12 << 12,
    (12 + 256) << 10,
    (12 + 512) << 11,
    (12 + 1024) << 12,
    (12 + 256 + 65_536) << 10,
    64 << 10,
    128 << 10,
    2 << 20,
];

/// Places that hardly any file reaches: where sizes need another feature or no longer fit.
const FAR: [u64; 7] = [
    (1 << 31) - 4_096,
    1 << 31,
    1 << 32,
    (12 + 512 + 262_144) << 11,
    (12 + 1_024 + 1_048_576) << 12,
    17_247_252_480,
    1 << 42,
];

impl Chooser {
    pub(super) fn on_files(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let random = &mut self.random;
        match random.u32(if self.allowed.alone { ..600 } else { ..550 }) {
            0..60 => {
                let slot = choice.slot(random, false)?;
                if random.u8(..4) == 0 {
                    let (dir, mode) = (choice.dir(random), permissions(random));
                    return Some(Step::Tmpfile { slot, dir, mode });
                }
                let path = if random.u8(..10) == 0 {
                    choice.those(random, |kind| !matches!(kind, Kind::Special))
                } else {
                    choice.file(random)
                };
                let mut mode = self.mode();
                mode.truncate = self.random.u8(..8) == 0;
                Some(Step::Open {
                    slot,
                    path: path?,
                    mode,
                })
            }
            60..95 => {
                let slot = choice.slot(random, true)?;
                Some(Step::Close { slot })
            }
            95..300 => self.write(choice),
            300..340 => {
                let (from, to) = (choice.file(random)?, choice.target(random)?);
                // What is copied need not be whole sectors. After such a direct write stock ext2
                // shows what was on the disk before; what is right is for the claims to say.
                if choice.is_direct(&to) {
                    return None;
                }
                // Within one file sendfile may send what it has written itself.
                let same = choice.model.find(&from) == choice.model.target(&to);
                let copier = if same || random.bool() {
                    Copier::Range
                } else {
                    Copier::Sendfile
                };
                let size = choice
                    .content(&Target::Path(from.clone()))
                    .map_or(0, Content::size);
                let from_at = random.u64(..=size);
                let (at, len) = (self.at(choice.content(&to)), self.len());
                Some(Step::Copy {
                    from,
                    from_at,
                    to,
                    at,
                    len,
                    copier,
                })
            }
            340..420 => self.read(choice),
            420..430 => self.extents(choice),
            430..490 => {
                let target = choice.target(random)?;
                let size = self.at(choice.content(&target));
                Some(Step::Truncate { target, size })
            }
            490..495 => {
                let target = choice.target(random)?;
                Some(Step::Fallocate {
                    target,
                    how: Fallocate::Allocate,
                    at: 0,
                    len: 100_000,
                })
            }
            550.. => self.fallocate(choice),
            _ => {
                let target = choice.target(random)?;
                let syncer = match random.u8(..10) {
                    0..5 => Syncer::Fsync,
                    5..9 => Syncer::Fdatasync,
                    _ => Syncer::Syncfs,
                };
                Some(Step::Sync { target, syncer })
            }
        }
    }

    fn write(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let target = choice.target(&mut self.random)?;
        let content = choice.content(&target)?;
        let (mut at, mut len) = (self.at(Some(content)), self.len());
        let mut writer = match self.random.u8(..20) {
            0..4 => Writer::Write,
            4..11 => Writer::Pwrite,
            11..14 => Writer::Pwritev,
            14..16 => Writer::Splice,
            _ => Writer::Store,
        };
        let mode = match &target {
            Target::Path(_) => self.mode(),
            Target::Slot(slot) => choice.model.open(*slot)?.mode,
        };
        if writer == Writer::Store {
            // Words inside the file.
            let size = content.size().min(64 << 20);
            at = self.random.u64(..=size) / 8 * 8;
            len = len.min((size - at) as usize) / 8 * 8;
            if self.allowed.buffered || len == 0 || mode.read_only {
                writer = Writer::Pwrite;
                len = len.max(1);
            }
        }
        if mode.direct && writer != Writer::Store {
            let unit = *self.random.choice(&[SECTOR, 4096, 4096, 4096])?;
            at = at / unit as u64 * unit as u64;
            len = len.next_multiple_of(unit);
        }
        let seed = self.random.u64(..);
        Some(Step::Write {
            target,
            mode,
            writer,
            at,
            len,
            seed,
        })
    }

    fn read(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let target = choice.target(&mut self.random)?;
        let size = choice.content(&target)?.size();
        let (mut at, mut len) = (self.at(choice.content(&target)), self.len());
        let reader = match self.random.u8(..5) {
            0 if matches!(target, Target::Path(_)) => Reader::Direct,
            1 => Reader::Load,
            2 => Reader::Splice,
            3 => Reader::Preadv,
            _ => Reader::Pread,
        };
        if reader == Reader::Load {
            at = at.min(size).min(64 << 20);
            len = len.min((size - at) as usize);
            if len == 0 {
                return None;
            }
        } else if choice.is_direct(&target) || reader == Reader::Direct {
            at = at / 4096 * 4096;
            len = len.next_multiple_of(4096);
        }
        Some(Step::Read {
            target,
            reader,
            at,
            len,
        })
    }

    /// Makes a hole or zeros.
    fn fallocate(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let target = choice.target(&mut self.random)?;
        let content = choice.content(&target);
        let size = content.map_or(0, Content::size);
        let (mut at, mut len) = (self.at(content), self.len() as u64);
        let random = &mut self.random;
        if random.u8(..3) == 0 {
            at = at / 1024 * 1024;
            len = len.next_multiple_of(1024);
        }
        let how = match random.u8(..6) {
            0 => Fallocate::ZeroRange { keep_size: false },
            1 => Fallocate::ZeroRange { keep_size: true },
            2 => {
                // Much of it, or all.
                at = random.choice([0, at])?;
                len = size.saturating_sub(at).max(1) + random.u64(..5_000);
                Fallocate::PunchHole
            }
            _ => Fallocate::PunchHole,
        };
        Some(Step::Fallocate {
            target,
            how,
            at,
            len,
        })
    }

    /// Around some of what a file holds, for stock ext2 goes over holes block by block.
    fn extents(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let random = &mut self.random;
        let target = choice.target(random)?;
        let id = choice.model.target(&target)?;
        if choice.model.node(id).blocks_vary {
            return None;
        }
        let runs = choice.model.content(id)?.runs();
        let (start, end) = random.choice(runs).unwrap_or((0, 1));
        Some(Step::Extents {
            target,
            start: start.saturating_sub(random.u64(..100_000)),
            end: end + random.u64(..100_000),
        })
    }

    fn mode(&mut self) -> Mode {
        let kind = self.random.u8(..24);
        Mode {
            read_only: kind == 0,
            append: (1..4).contains(&kind),
            direct: (4..8).contains(&kind) && !self.allowed.buffered,
            sync: kind == 8,
            dsync: kind == 9,
            truncate: false,
        }
    }

    /// A place in a file, in bytes: inside, at its end, beyond it, or where something changes.
    fn at(&mut self, content: Option<&Content>) -> u64 {
        let random = &mut self.random;
        let size = content.map_or(0, Content::size);
        match random.u32(..200) {
            0..90 => random.u64(..=size.min(300_000)),
            90..130 => size,
            130..160 => size.saturating_add(random.u64(..70_000)),
            160..194 => BORDERS[random.usize(..BORDERS.len())] - 2_000 + random.u64(..4_000),
            194..198 => random.u64(..20_000_000),
            _ => FAR[random.usize(..FAR.len())] - 2_000 + random.u64(..4_000),
        }
    }

    /// How many bytes to move.
    fn len(&mut self) -> usize {
        let random = &mut self.random;
        match random.u8(..40) {
            0..12 => random.usize(1..600),
            12..28 => random.usize(1..9_000),
            28..32 => 4096 * random.usize(1..5),
            32..38 => random.usize(1..66_000),
            _ => random.usize(1..300_000),
        }
    }
}
