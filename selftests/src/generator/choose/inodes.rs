// SPDX-License-Identifier: GPL-2.0

//! Steps on what only `ioctl(2)` shows of an inode.

use fastrand::Rng;
use rustix::fs::IFlags;

use super::Choice;
use super::Chooser;
use crate::generator::model::Kind;
use crate::generator::step::Step;
use crate::generator::step::Target;

/// Flags that do not forbid anything. The last two nobody may change.
const FLAGS: [u32; 13] = [
    IFlags::SECURE_REMOVAL.bits(),
    IFlags::UNRM.bits(),
    IFlags::COMPRESSED.bits(),
    IFlags::SYNC.bits(),
    IFlags::NODUMP.bits(),
    IFlags::NODUMP.bits(),
    IFlags::NOATIME.bits(),
    IFlags::NOATIME.bits(),
    IFlags::NOTAIL.bits(),
    IFlags::DIRSYNC.bits(),
    IFlags::TOPDIR.bits(),
    IFlags::JOURNALING.bits(),
    1 << 12,
];

impl Chooser {
    pub(super) fn set_flags(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let random = &mut self.random;
        // Mostly directories, whose new files inherit them.
        let path = match random.u8(..10) {
            0 => choice.any(random),
            1..4 => choice.file(random),
            _ => choice.those(random, |kind| matches!(kind, Kind::Dir(..))),
        }?;
        Some(Step::SetFlags {
            target: target(choice, random, path),
            flags: flags(random),
        })
    }
}

/// Now and then a file that is open, and not what has the path.
fn target(choice: &Choice<'_>, random: &mut Rng, path: String) -> Target {
    let slot = match random.u8(..8) {
        0 => choice.slot(random, true),
        _ => None,
    };
    slot.map_or(Target::Path(path), Target::Slot)
}

/// Any flags, or none.
fn flags(random: &mut Rng) -> u32 {
    let count = random.usize(..5);
    (0..count).fold(0, |flags, _| flags | FLAGS[random.usize(..FLAGS.len())])
}
