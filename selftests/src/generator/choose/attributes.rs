// SPDX-License-Identifier: GPL-2.0

//! Steps on extended attributes and access control lists.

use fastrand::Rng;

use super::Choice;
use super::Chooser;
use crate::generator::model::Kind;
use crate::generator::step::Existence;
use crate::generator::step::Step;

/// Names of the two access control lists.
const LISTS: [&str; 2] = ["system.posix_acl_access", "system.posix_acl_default"];

impl Chooser {
    pub(super) fn on_attributes(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let random = &mut self.random;
        let path = choice.any(random)?;
        let name = name(random);
        match random.u8(..20) {
            0..9 => Some(Step::SetXattr {
                path,
                name,
                value: value(random),
                existence: existence(random),
            }),
            9..12 => Some(Step::RemoveXattr { path, name }),
            12..14 => Some(Step::GetXattr {
                path,
                name,
                room: room(random),
            }),
            14 => Some(Step::ListXattr {
                path,
                room: room(random),
            }),
            15 => Some(Step::RemoveXattr {
                path,
                name: LISTS[random.usize(..2)].to_owned(),
            }),
            kind => {
                let list = usize::from(kind % 2 == 0);
                // Mostly where there can be one.
                let dir = choice.those(random, |kind| matches!(kind, Kind::Dir(..)));
                let path = dir.filter(|_| list == 1 && random.u8(..5) > 0);
                Some(Step::SetXattr {
                    path: path.or_else(|| choice.any(random))?,
                    name: LISTS[list].to_owned(),
                    value: acl(random),
                    existence: existence(random),
                })
            }
        }
    }
}

fn existence(random: &mut Rng) -> Existence {
    match random.u8(..8) {
        0 => Existence::Create,
        1 => Existence::Replace,
        _ => Existence::Any,
    }
}

fn name(random: &mut Rng) -> String {
    let prefix = match random.u8(..16) {
        0..8 => "user.",
        8..12 => "trusted.",
        12..15 => "security.",
        _ => "nobody.",
    };
    let name = match random.u8(..12) {
        0..9 => ["a", "b", "ab", "c.d", "e-f"][random.usize(..5)].to_owned(),
        9 => "long".repeat(random.usize(1..61)),
        10 => format!("n{}", random.u8(..30)),
        _ => String::new(),
    };
    format!("{prefix}{name}")
}

/// One of few values that many files may have, or one of its own.
fn value(random: &mut Rng) -> Vec<u8> {
    let len = match random.u8(..24) {
        0 => 0,
        1..12 => random.usize(..9),
        12..20 => random.usize(..100),
        20..22 => random.usize(..1_000),
        22 => random.usize(900..4_200),
        _ => 70_000,
    };
    let byte = random.u8(..3);
    let mut value = vec![byte; len];
    if random.u8(..4) == 0 {
        random.fill(&mut value);
    }
    value
}

/// How many bytes to take at most; none asks for the length.
fn room(random: &mut Rng) -> usize {
    match random.u8(..5) {
        0 => 0,
        1 => random.usize(..20),
        _ => 5_000,
    }
}

/// A list as system calls have it: mostly a whole one.
fn acl(random: &mut Rng) -> Vec<u8> {
    let mut entries = Vec::new();
    let mut entry = |tag: u16, id: u32, random: &mut Rng| {
        entries.extend(tag.to_le_bytes());
        entries.extend(random.u16(..8).to_le_bytes());
        entries.extend(id.to_le_bytes());
    };
    let (users, groups) = (random.u32(..3), random.u32(..3));
    entry(0x01, u32::MAX, random);
    (0..users).for_each(|n| entry(0x02, 1_000 + n, random));
    entry(0x04, u32::MAX, random);
    (0..groups).for_each(|n| entry(0x08, 4_000_000_000 + n, random));
    if (users + groups > 0) != (random.u8(..12) == 0) {
        entry(0x10, u32::MAX, random);
    }
    if random.u8(..20) > 0 {
        entry(0x20, u32::MAX, random);
    }
    [&2u32.to_le_bytes()[..], &entries].concat()
}
