// SPDX-License-Identifier: GPL-2.0

//! The content protocol: every 512-byte sector says which file, place and version it is.
//!
//! A reader of such a sector can say more than "differs": it is an old version (*stale*), a
//! mixture (*torn*), or somebody else's (*foreign*). No byte of a sector is a part of a zero
//! block, so that a file made of sectors has no holes however it is copied into an image.

use std::fmt;

/// Bytes in a sector.
pub const SECTOR: usize = 512;

/// Every first word, but for its first byte.
const MAGIC: u64 = u64::from_le_bytes(*b"\0COHFSEC");
const WORDS: usize = SECTOR / 8;

/// A version of a sector: the run that wrote it, and its number within the run.
///
/// Runs are told apart so that what an earlier run left in the file is never mistaken for what
/// this run wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// Which run; 0 is the prepared image.
    pub run: u64,
    /// Which version within the run.
    pub number: u16,
}

impl Version {
    /// The version of a prepared file.
    pub const PREPARED: Self = Self { run: 0, number: 1 };

    fn word(self) -> u64 {
        (self.run << 16) | u64::from(self.number)
    }

    fn from_word(word: u64) -> Self {
        Self {
            run: word >> 16,
            number: (word & 0xffff) as u16,
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.number)
    }
}

/// What a sector-sized piece of a file turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen {
    /// An intact sector of this file and place.
    Version(Version),
    /// An intact sector of another file or place.
    Foreign {
        /// The file it was written for.
        file: u64,
        /// The sector it was written for.
        sector: u64,
    },
    /// Zeros only.
    Zeros,
    /// Neither: a mixture, or what nobody wrote.
    Torn,
}

/// Which file a sector belongs to: a hash of its name.
pub fn file_id(name: &str) -> u64 {
    fnv(name.as_bytes())
}

/// Makes the sector `sector` of the file `file` in version `version`.
pub fn sector(file: u64, sector: u64, version: Version) -> [u8; SECTOR] {
    let mut bytes = [0; SECTOR];
    let mut state = file ^ sector.rotate_left(20) ^ version.word().rotate_left(40);
    for (index, word) in bytes.chunks_exact_mut(8).enumerate() {
        let value = match index {
            0 => magic(version),
            1 => file,
            2 => sector,
            3 => version.word(),
            // No byte of the filling is zero.
            _ => mix(&mut state) | 0x0101_0101_0101_0101,
        };
        word.copy_from_slice(&value.to_le_bytes());
    }
    let sum = fnv(&bytes[..SECTOR - 8]);
    bytes[SECTOR - 8..].copy_from_slice(&sum.to_le_bytes());
    bytes
}

/// Makes the bytes from `start` of length `len`, both in bytes, with the version of each sector
/// as `version` says. `start` is on a sector boundary; the last sector may be cut.
pub fn bytes(file: u64, start: u64, len: usize, version: impl Fn(u64) -> Version) -> Vec<u8> {
    assert!(
        start.is_multiple_of(SECTOR as u64),
        "the pattern starts on a sector boundary"
    );
    let first = start / SECTOR as u64;
    let mut bytes = Vec::with_capacity(len.next_multiple_of(SECTOR));
    for number in first..first + len.div_ceil(SECTOR) as u64 {
        bytes.extend_from_slice(&sector(file, number, version(number)));
    }
    bytes.truncate(len);
    bytes
}

/// Says what `bytes`, found at sector `number` of `file`, is. `bytes` is at most one sector; a
/// cut one (at the end of a file) is compared with what its header says it should be.
pub fn look(file: u64, number: u64, bytes: &[u8]) -> Seen {
    if bytes.iter().all(|byte| *byte == 0) {
        return Seen::Zeros;
    }
    if bytes.len() < 32 || word(bytes, 0) & !0xff != MAGIC {
        return Seen::Torn;
    }
    let (id, place, version) = (
        word(bytes, 1),
        word(bytes, 2),
        Version::from_word(word(bytes, 3)),
    );
    if sector(id, place, version)[..bytes.len()] != *bytes {
        return Seen::Torn;
    }
    if (id, place) == (file, number) {
        Seen::Version(version)
    } else {
        Seen::Foreign {
            file: id,
            sector: place,
        }
    }
}

/// The first word: its first byte tells versions apart even where one byte is all there is.
fn magic(version: Version) -> u64 {
    MAGIC | 0x80 | (u64::from(version.number) & 0x7f)
}

fn word(bytes: &[u8], index: usize) -> u64 {
    debug_assert!(index < WORDS);
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[index * 8..index * 8 + 8]);
    u64::from_le_bytes(word)
}

/// FNV-1a, 64 bits: enough to tell a torn sector, and no more is asked of it.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// One step of splitmix64.
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: Version = Version { run: 77, number: 1 };
    const V2: Version = Version { run: 77, number: 2 };

    #[test]
    fn a_sector_says_who_it_is() {
        let bytes = sector(5, 9, V1);
        assert_eq!(look(5, 9, &bytes), Seen::Version(V1));
        assert_eq!(look(5, 8, &bytes), Seen::Foreign { file: 5, sector: 9 });
        assert_eq!(look(4, 9, &bytes), Seen::Foreign { file: 5, sector: 9 });
        assert_eq!(look(5, 9, &[0; SECTOR]), Seen::Zeros);
    }

    #[test]
    fn one_changed_byte_anywhere_is_torn() {
        for at in 0..SECTOR {
            let mut bytes = sector(5, 9, V1);
            bytes[at] ^= 0x40;
            assert!(!matches!(look(5, 9, &bytes), Seen::Version(_)), "byte {at}");
        }
    }

    #[test]
    fn a_mixture_of_two_versions_is_torn_wherever_it_is_cut() {
        let (old, new) = (sector(5, 9, V1), sector(5, 9, V2));
        for cut in 33..SECTOR {
            let mut bytes = old;
            bytes[..cut].copy_from_slice(&new[..cut]);
            if bytes != new {
                assert_eq!(look(5, 9, &bytes), Seen::Torn, "cut at {cut}");
            }
        }
    }

    #[test]
    fn a_cut_sector_is_recognised() {
        let bytes = bytes(5, 512, 512 + 100, |_| V2);
        assert_eq!(bytes.len(), 612);
        assert_eq!(look(5, 1, &bytes[..512]), Seen::Version(V2));
        assert_eq!(look(5, 2, &bytes[512..]), Seen::Version(V2));
    }

    #[test]
    fn the_filling_has_no_zero_byte() {
        assert!(
            sector(0, 0, Version::PREPARED)[32..504]
                .iter()
                .all(|byte| *byte != 0)
        );
    }
}
