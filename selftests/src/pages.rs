// SPDX-License-Identifier: GPL-2.0

//! The state of mapped pages: `/proc/self/pagemap` and `/proc/kpageflags`.

use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::Context as _;
use anyhow::Result;

use crate::mapping::Mapping;
use crate::sys;
use crate::verdict::skip;

/// A page table entry exists for the page.
const PRESENT: u64 = 1 << 63;
/// The part of a pagemap entry that is the page frame number.
const FRAME: u64 = (1 << 55) - 1;

/// Bits of a `/proc/kpageflags` word.
pub mod flag {
    /// The bytes are valid.
    pub const UPTODATE: u64 = 1 << 3;
    /// The page is to be written back.
    pub const DIRTY: u64 = 1 << 4;
    /// The page is mapped into some process.
    pub const MMAP: u64 = 1 << 11;
    /// The page is anonymous memory.
    pub const ANON: u64 = 1 << 12;
    /// First page of a compound page, such as a large folio.
    pub const COMPOUND_HEAD: u64 = 1 << 15;
    /// Another page of a compound page.
    pub const COMPOUND_TAIL: u64 = 1 << 16;
}

/// An open `/proc/self/pagemap`.
#[derive(Debug)]
pub struct PageMap(File);

impl PageMap {
    /// Opens it.
    pub fn open() -> Result<Self> {
        let file = File::open("/proc/self/pagemap").context("opening /proc/self/pagemap")?;
        Ok(Self(file))
    }

    fn entry(&self, mapping: &Mapping, page: usize) -> Result<u64> {
        let address = mapping.address(page * sys::page_size());
        let mut word = [0; 8];
        self.0
            .read_exact_at(&mut word, (address / sys::page_size() * 8) as u64)
            .context("reading /proc/self/pagemap")?;
        Ok(u64::from_ne_bytes(word))
    }

    /// Whether page number `page` of the mapping has a page table entry.
    pub fn present(&self, mapping: &Mapping, page: usize) -> Result<bool> {
        Ok(self.entry(mapping, page)? & PRESENT != 0)
    }

    /// How many pages of `range` have a page table entry.
    pub fn count(&self, mapping: &Mapping, range: std::ops::Range<usize>) -> Result<usize> {
        let mut count = 0;
        for page in range {
            count += usize::from(self.present(mapping, page)?);
        }
        Ok(count)
    }

    /// The page frame behind page number `page`, if it is mapped and we may know.
    pub fn frame(&self, mapping: &Mapping, page: usize) -> Result<Option<u64>> {
        let entry = self.entry(mapping, page)?;
        let frame = entry & FRAME;
        Ok((entry & PRESENT != 0 && frame != 0).then_some(frame))
    }
}

/// An open `/proc/kpageflags`.
#[derive(Debug)]
pub struct PageFlags(File);

impl PageFlags {
    /// Opens it, or skips the claim: only root may, and only some kernels have it.
    pub fn open() -> Result<Self> {
        match File::open("/proc/kpageflags") {
            Ok(file) => Ok(Self(file)),
            Err(error) => Err(skip(format!("/proc/kpageflags cannot be opened: {error}"))),
        }
    }

    /// The flags of a page frame.
    pub fn of(&self, frame: u64) -> Result<u64> {
        let mut word = [0; 8];
        self.0
            .read_exact_at(&mut word, frame * 8)
            .context("reading /proc/kpageflags")?;
        Ok(u64::from_ne_bytes(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Share;

    #[test]
    fn touched_pages_are_present() {
        let file = tempfile::tempfile().unwrap();
        file.set_len(3 * 4096).unwrap();
        let mapping = Mapping::new(&file, 3 * 4096, Share::Shared).unwrap();
        let map = PageMap::open().unwrap();
        assert_eq!(map.count(&mapping, 0..3).unwrap(), 0);
        mapping.store_word(0, 1);
        assert!(map.present(&mapping, 0).unwrap());
    }
}
