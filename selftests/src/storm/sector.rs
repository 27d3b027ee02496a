// SPDX-License-Identifier: GPL-2.0

//! What a sector holds in a storm: file, place, version and writer, and a checksum over them.

use std::fmt;

use crate::pattern::SECTOR;

const MAGIC: u64 = u64::from_le_bytes(*b"COHSTORM");
const WORDS: usize = SECTOR / 8;

/// A version of a sector: a number that grows by one with each write, who writes it, and whether
/// the sector is then a hole, or cut off and grown again, and holds zeros.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Version(pub(super) u64);

impl Version {
    /// Before the first write: anything may be there.
    pub(super) const UNKNOWN: Self = Self(0);

    /// The version after this one, written by thread `writer`.
    pub(super) fn next(self, writer: u32, zeros: bool) -> Self {
        Self(((self.number() + 1) << 16) | (u64::from(writer & 0x7fff) << 1) | u64::from(zeros))
    }

    /// How many writes there were.
    pub(super) fn number(self) -> u64 {
        self.0 >> 16
    }

    fn is_zeros(self) -> bool {
        self.0 & 1 != 0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let writer = (self.0 >> 1) & 0x7fff;
        let zeros = if self.is_zeros() { " (zeros)" } else { "" };
        write!(f, "v{}{zeros} of thread {writer}", self.number())
    }
}

/// Where a sector is: a number for this storm and file, and its place in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The storm and the file.
    pub(super) key: u64,
    /// The number of the sector.
    pub(super) sector: u64,
}

/// The bytes of a sector in a version.
pub(super) fn bytes(place: Place, version: Version) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    if version.is_zeros() {
        return bytes;
    }
    let mut state = place.key ^ place.sector.rotate_left(24) ^ version.0.rotate_left(40);
    let mut sum = 0_u64;
    for (index, word) in bytes.chunks_exact_mut(8).enumerate() {
        let value = match index {
            0 => MAGIC,
            1 => place.key,
            2 => place.sector,
            3 => version.0,
            _ if index == WORDS - 1 => sum,
            _ => super::random::mix(&mut state),
        };
        sum = sum.rotate_left(7) ^ value.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        word.copy_from_slice(&value.to_le_bytes());
    }
    bytes
}

/// What a piece of a file of a sector's length turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// An intact sector of this place.
    Version(Version),
    /// Zeros only.
    Zeros,
    /// An intact sector of another place, storm or file.
    Foreign(Place),
    /// A mixture, or what nobody wrote.
    Torn,
}

/// Says what `piece`, found at `place`, is.
pub(super) fn look(place: Place, piece: &[u8]) -> Seen {
    if piece.iter().all(|byte| *byte == 0) {
        return Seen::Zeros;
    }
    let word = |index: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&piece[index * 8..index * 8 + 8]);
        u64::from_le_bytes(word)
    };
    let found = Place {
        key: word(1),
        sector: word(2),
    };
    let version = Version(word(3));
    if word(0) != MAGIC || bytes(found, version) != *piece {
        Seen::Torn
    } else if found == place {
        Seen::Version(version)
    } else {
        Seen::Foreign(found)
    }
}

/// Whether every byte of `piece` is that of one of `versions`: what a reader may see while the
/// sector is being written.
pub(super) fn is_mixture(place: Place, piece: &[u8], versions: &[Version]) -> bool {
    let all: Vec<_> = versions
        .iter()
        .map(|version| bytes(place, *version))
        .collect();
    (0..piece.len()).all(|at| all.iter().any(|bytes| bytes[at] == piece[at]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Place = Place { key: 9, sector: 5 };

    #[test]
    fn a_sector_says_what_it_is() {
        let first = Version::UNKNOWN.next(3, false);
        let there = Place { sector: 6, ..HERE };
        assert_eq!(look(HERE, &bytes(HERE, first)), Seen::Version(first));
        assert_eq!(look(there, &bytes(HERE, first)), Seen::Foreign(HERE));
        assert_eq!(look(HERE, &bytes(HERE, first.next(4, true))), Seen::Zeros);
        assert!(first < first.next(0, true));
        assert_eq!(first.next(7, false).to_string(), "v2 of thread 7");
    }

    #[test]
    fn one_wrong_byte_is_seen_and_is_no_mixture() {
        let (old, new) = (Version::UNKNOWN.next(1, false), Version(5 << 16));
        for at in 0..SECTOR {
            let mut piece = bytes(HERE, old);
            piece[..at].copy_from_slice(&bytes(HERE, new)[..at]);
            assert!(is_mixture(HERE, &piece, &[old, new]), "cut at {at}");
            piece[at] ^= 0x55;
            assert!(!matches!(look(HERE, &piece), Seen::Version(_)), "byte {at}");
            let possible = [old, new].map(|version| bytes(HERE, version)[at]);
            let wrong = !possible.contains(&piece[at]);
            assert_eq!(!is_mixture(HERE, &piece, &[old, new]), wrong, "byte {at}");
        }
    }
}
