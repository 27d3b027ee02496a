// SPDX-License-Identifier: GPL-2.0

//! What a file must hold, however sparse it is, and the bytes that steps write.

use std::collections::BTreeMap;

/// The unit in which content is kept, in bytes.
pub const PAGE: u64 = 4096;

/// The bytes of a file. A page that is not kept is all zeros.
#[derive(Clone, Debug, Default)]
pub struct Content {
    size: u64,
    pages: BTreeMap<u64, Box<[u8; PAGE as usize]>>,
}

impl Content {
    /// The size in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// How many bytes are kept, in whole pages.
    pub fn kept(&self) -> u64 {
        self.pages.len() as u64 * PAGE
    }

    /// The pages that are kept, as runs of bytes: start and end.
    pub fn runs(&self) -> Vec<(u64, u64)> {
        let mut runs: Vec<(u64, u64)> = Vec::new();
        for page in self.pages.keys() {
            let start = page * PAGE;
            match runs.last_mut() {
                Some((_, end)) if *end == start => *end += PAGE,
                _ => runs.push((start, start + PAGE)),
            }
        }
        runs
    }

    /// Writes `bytes` at `at`, extending the file if need be.
    pub fn write(&mut self, at: u64, bytes: &[u8]) {
        let mut rest = bytes;
        let mut at = at;
        while !rest.is_empty() {
            let within = (at % PAGE) as usize;
            let (now, later) = rest.split_at(rest.len().min(PAGE as usize - within));
            let page = self.pages.entry(at / PAGE);
            let page = page.or_insert_with(|| Box::new([0; PAGE as usize]));
            page[within..within + now.len()].copy_from_slice(now);
            at += now.len() as u64;
            rest = later;
        }
        if !bytes.is_empty() {
            self.size = self.size.max(at);
        }
    }

    /// Up to `len` bytes at `at`; fewer at the end of the file.
    pub fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let end = self.size.min(at.saturating_add(len as u64));
        let mut bytes = vec![0; end.saturating_sub(at) as usize];
        let mut done = 0;
        while done < bytes.len() {
            let position = at + done as u64;
            let within = (position % PAGE) as usize;
            let count = (bytes.len() - done).min(PAGE as usize - within);
            if let Some(page) = self.pages.get(&(position / PAGE)) {
                bytes[done..done + count].copy_from_slice(&page[within..within + count]);
            }
            done += count;
        }
        bytes
    }

    /// Makes zeros of the bytes from `start` up to `end`, as far as the file has them.
    pub fn zero(&mut self, start: u64, end: u64) {
        let end = end.min(self.size);
        let mut at = start;
        while at < end {
            let (page, within) = (at / PAGE, at % PAGE);
            let len = (PAGE - within).min(end - at);
            if len == PAGE {
                self.pages.remove(&page);
            } else if let Some(bytes) = self.pages.get_mut(&page) {
                bytes[within as usize..(within + len) as usize].fill(0);
            }
            at += len;
        }
    }

    /// Cuts or extends the file to `size` bytes.
    pub fn truncate(&mut self, size: u64) {
        self.pages.split_off(&size.div_ceil(PAGE));
        if let Some(page) = self.pages.get_mut(&(size / PAGE)) {
            page[(size % PAGE) as usize..].fill(0);
        }
        self.size = size;
    }
}

/// `len` bytes that depend on `seed` alone. None is zero, so that zeros in their place are seen.
pub fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        bytes.extend((random.u64(..) | 0x0101_0101_0101_0101).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_that_of_a_plain_vector() {
        let mut random = fastrand::Rng::with_seed(1);
        let (mut content, mut plain) = (Content::default(), Vec::new());
        for step in 0..500 {
            let at = random.usize(..40_000);
            if step % 7 == 0 {
                content.truncate(at as u64);
                plain.resize(at, 0);
            } else if step % 7 == 1 {
                let end = at + random.usize(..9_000);
                content.zero(at as u64, end as u64);
                let end = end.min(plain.len());
                plain[at.min(end)..end].fill(0);
            } else {
                let bytes = pattern(step, random.usize(1..9_000));
                content.write(at as u64, &bytes);
                plain.resize(plain.len().max(at + bytes.len()), 0);
                plain[at..at + bytes.len()].copy_from_slice(&bytes);
            }
            assert_eq!(content.size(), plain.len() as u64);
            assert_eq!(content.read(0, 100_000), plain, "step {step}");
        }
    }

    #[test]
    fn what_was_cut_off_stays_away() {
        let mut content = Content::default();
        content.write(5_000, &[7; 10]);
        content.truncate(5_005);
        content.truncate(1 << 40);
        assert_eq!(content.read(5_003, 4), [7, 7, 0, 0]);
        assert_eq!(content.runs(), [(4096, 8192)]);
        assert_eq!(content.read((1 << 40) - 1, 9), [0]);
    }

    #[test]
    fn no_byte_of_a_pattern_is_zero() {
        assert!(!pattern(3, 10_000).contains(&0));
        assert_ne!(pattern(3, 100), pattern(4, 100));
    }
}
