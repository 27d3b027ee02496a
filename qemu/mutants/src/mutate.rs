// SPDX-License-Identifier: GPL-2.0

//! What is done to an image: a few changes, each to a field of what says where everything is, or
//! to a bit anywhere.

use std::fmt;
use std::ops::Range;

use fastrand::Rng;

use crate::layout::{Kind, Layout};

/// The fields of the super block, a descriptor and an inode, as offset and size, in bytes.
const SUPER: [(usize, usize); 29] = [
    (0, 4),
    (4, 4),
    (8, 4),
    (12, 4),
    (16, 4),
    (20, 4),
    (24, 4),
    (28, 4),
    (32, 4),
    (36, 4),
    (40, 4),
    (52, 2),
    (54, 2),
    (56, 2),
    (58, 2),
    (60, 2),
    (62, 2),
    (76, 4),
    (80, 2),
    (82, 2),
    (84, 4),
    (88, 2),
    (90, 2),
    (92, 4),
    (96, 4),
    (100, 4),
    (206, 2),
    (254, 2),
    (256, 4),
];
const DESCRIPTOR: [(usize, usize); 6] = [(0, 4), (4, 4), (8, 4), (12, 2), (14, 2), (16, 2)];
const INODE: [(usize, usize); 27] = [
    (0, 2),
    (2, 2),
    (4, 4),
    (16, 4),
    (20, 4),
    (26, 2),
    (28, 4),
    (32, 4),
    (40, 4),
    (44, 4),
    (48, 4),
    (52, 4),
    (56, 4),
    (60, 4),
    (64, 4),
    (68, 4),
    (72, 4),
    (76, 4),
    (80, 4),
    (84, 4),
    (88, 4),
    (92, 4),
    (96, 4),
    (100, 4),
    (104, 4),
    (108, 4),
    (116, 4),
];
/// Those of an entry of a directory: inode, length, length of the name, type, name.
const ENTRY: [(usize, usize); 5] = [(0, 4), (4, 2), (6, 1), (7, 1), (8, 1)];

/// A change that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    /// What it was made to, if that was chosen.
    kind: Option<Kind>,
    /// Byte in the image.
    at: usize,
    before: Vec<u8>,
    after: Vec<u8>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Some(kind) => write!(f, "{kind} at {}: ", self.at)?,
            None => write!(f, "byte {}: ", self.at)?,
        }
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let (before, after): (String, String) = (hex(&self.before), hex(&self.after));
        write!(f, "{before} -> {after}")
    }
}

/// Damages an image as the seed has it.
pub(crate) fn mutate(layout: &Layout, image: &mut [u8], seed: u64) -> Vec<Change> {
    let mut random = Rng::with_seed(seed);
    (0..random.usize(1..=4))
        .map(|_| change(layout, image, &mut random))
        .collect()
}

fn change(layout: &Layout, image: &mut [u8], random: &mut Rng) -> Change {
    let kind = Kind::ALL.get(random.usize(0..=Kind::ALL.len())).copied();
    let part = kind.and_then(|kind| {
        let parts: Vec<_> = layout.of(kind).cloned().collect();
        random.choice(parts)
    });
    let (at, after) = match (kind, part) {
        (Some(Kind::BlockBitmap | Kind::InodeBitmap), Some(part)) => {
            let at = random.usize(part.clone());
            let end = part.end.min(at + random.usize(1..=16));
            let filling = random.choice([0x00, 0xff, 0x55]).unwrap_or_default();
            (at, vec![filling; end - at])
        }
        (Some(kind), Some(part)) => {
            let (start, fields) = match kind {
                Kind::Super => (part.start, &SUPER[..]),
                Kind::Descriptor => (part.start, &DESCRIPTOR[..]),
                Kind::Inode => (part.start, &INODE[..]),
                Kind::Directory => {
                    let entries = entries(image, part.start, layout.block_size);
                    (random.choice(entries).unwrap_or(part.start), &ENTRY[..])
                }
                _ => (pointer(image, &part, random), &[(0, 4)][..]),
            };
            let (offset, size) = random.choice(fields.iter().copied()).unwrap_or((0, 4));
            field_change(layout, image, random, start + offset, size)
        }
        _ => {
            let at = random.usize(0..image.len());
            let byte = image.get(at).copied().unwrap_or_default();
            (at, vec![byte ^ (1 << random.u8(0..8))])
        }
    };
    let place = &mut image[at..at + after.len()];
    let before = place.to_vec();
    place.copy_from_slice(&after);
    Change {
        kind,
        at,
        before,
        after,
    }
}

/// A new value for the field of so many bytes.
fn field_change(
    layout: &Layout,
    image: &[u8],
    random: &mut Rng,
    at: usize,
    width: usize,
) -> (usize, Vec<u8>) {
    let mut old = [0; 4];
    old[..width].copy_from_slice(&image[at..at + width]);
    let value = value(layout, random, u32::from_le_bytes(old));
    (at, value.to_le_bytes()[..width].to_vec())
}

/// Values that are likely to be mistaken for good ones, and some that are not.
fn value(layout: &Layout, random: &mut Rng, old: u32) -> u32 {
    // Another's block is as bad as none.
    let taken = Kind::ALL.get(random.usize(0..Kind::ALL.len())).map(|kind| {
        let starts: Vec<_> = layout.of(*kind).map(|part| part.start).collect();
        random.choice(starts).unwrap_or_default() / layout.block_size
    });
    let taken = taken.and_then(|block| u32::try_from(block).ok());
    let choices = [
        0,
        1,
        u32::MAX,
        u32::MAX / 2,
        u32::MAX / 2 + 1,
        layout.blocks,
        layout.blocks - 1,
        layout.inodes,
        layout.inodes + 1,
        random.u32(0..layout.blocks),
        random.u32(1..=layout.inodes),
        taken.unwrap_or_default(),
        old.wrapping_add(1),
        old.wrapping_sub(1),
        old ^ (1 << random.u32(0..32)),
        random.u32(..),
    ];
    random.choice(choices).unwrap_or_default()
}

/// A slot of an indirect block, more often than not one that points somewhere.
fn pointer(image: &[u8], part: &Range<usize>, random: &mut Rng) -> usize {
    let slots: Vec<_> = part.clone().step_by(4).collect();
    let used = slots
        .iter()
        .copied()
        .filter(|at| image[*at..at + 4] != [0; 4]);
    let used: Vec<_> = used.collect();
    let from = if random.u8(0..4) == 0 || used.is_empty() {
        slots
    } else {
        used
    };
    random.choice(from).unwrap_or(part.start)
}

/// Where the entries of a directory's block begin, as far as they make sense.
fn entries(image: &[u8], start: usize, block_size: usize) -> Vec<usize> {
    let mut found = Vec::new();
    let mut at = start;
    while at + 8 <= start + block_size {
        found.push(at);
        let len = usize::from(u16::from_le_bytes([image[at + 4], image[at + 5]]));
        if len < 8 {
            break;
        }
        at += len;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::tests::image;

    #[test]
    fn a_seed_does_the_same_every_time() {
        let good = image();
        let layout = Layout::read(&good).expect("a layout");
        let mutant = |seed| {
            let mut bytes = good.clone();
            let changes = mutate(&layout, &mut bytes, seed);
            (bytes, changes)
        };
        assert_eq!(mutant(7), mutant(7));
        assert_ne!(mutant(7).0, mutant(8).0);
    }

    #[test]
    fn every_kind_has_its_turn_and_nothing_else_changes() {
        let good = image();
        let layout = Layout::read(&good).expect("a layout");
        let mut kinds = std::collections::BTreeSet::new();
        for seed in 0..300 {
            let mut bytes = good.clone();
            let changes = mutate(&layout, &mut bytes, seed);
            kinds.extend(changes.iter().map(|change| change.kind));
            for change in changes.iter().rev() {
                bytes[change.at..change.at + change.before.len()].copy_from_slice(&change.before);
            }
            assert!(bytes == good, "seed {seed}");
        }
        assert_eq!(kinds.len(), Kind::ALL.len() + 1);
    }
}
