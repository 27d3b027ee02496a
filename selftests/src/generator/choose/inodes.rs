// SPDX-License-Identifier: GPL-2.0

//! Steps on what only `ioctl(2)` shows of an inode, and on files that are protected by it.

use fastrand::Rng;
use rustix::fs::IFlags;

use super::Choice;
use super::Chooser;
use crate::generator::model::Kind;
use crate::generator::model::Model;
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

/// What is protected for some steps.
#[derive(Debug)]
pub(super) struct Protected {
    path: String,
    /// How many steps are yet to be done on it.
    left: u8,
}

impl Chooser {
    pub(super) fn set_generation(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let random = &mut self.random;
        let path = choice.any(random)?;
        Some(Step::SetGeneration {
            target: target(choice, random, path),
            generation: random.u32(..),
        })
    }

    /// Makes a file or a directory immutable, or has it grow only, for some steps on it.
    pub(super) fn protect(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let random = &mut self.random;
        let wanted = |kind: &Kind| matches!(kind, Kind::File(_) | Kind::Dir(..));
        let path = choice.those(random, wanted)?;
        let protection = match random.bool() {
            true => IFlags::IMMUTABLE,
            false => IFlags::APPEND,
        };
        self.protected = Some(Protected {
            path: path.clone(),
            left: random.u8(2..12),
        });
        Some(Step::SetFlags {
            target: Target::Path(path),
            flags: protection.bits() | flags(random),
        })
    }

    /// A step on what is protected, if anything is, or the one that ends that.
    ///
    /// Which of them are refused is for the sides to agree on; none can take its path away.
    pub(super) fn on_protected(&mut self, model: &Model) -> Option<Step> {
        let protected = self.protected.as_mut()?;
        if protected.left == 0 {
            return self.unprotect();
        }
        protected.left -= 1;
        let choice = Choice::below(model, &protected.path);
        // The flag must hold for what is read from the disk as well.
        match self.random.u8(..12) {
            0 if self.allowed.remounts => return Some(Step::Remount),
            1 | 2 if self.allowed.remounts => return Some(Step::DropCaches),
            _ => {}
        }
        let mut step = || match self.random.u8(..3) {
            0 => self.on_files(&choice),
            1 => self.on_names(&choice, false),
            _ => self.on_names(&choice, true),
        };
        (0..20)
            .find_map(|_| step())
            .or_else(|| Some(self.list(&choice)))
    }

    /// The step after which nothing is protected, if something is.
    pub fn unprotect(&mut self) -> Option<Step> {
        let protected = self.protected.take()?;
        Some(Step::SetFlags {
            target: Target::Path(protected.path),
            flags: flags(&mut self.random),
        })
    }

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
