// SPDX-License-Identifier: GPL-2.0

//! Buffers that direct I/O accepts.

use std::ops::Deref;
use std::ops::DerefMut;

/// The alignment of every buffer, in bytes: no device asks for more than a page.
const ALIGN: usize = 4096;

/// A byte buffer whose address is a multiple of the page size.
#[derive(Debug)]
pub struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// Makes a buffer of `len` zero bytes.
    pub fn zeroed(len: usize) -> Self {
        let memory = vec![0; len + ALIGN];
        // The vector is never resized, so its memory stays where it is.
        let start = memory.as_ptr().align_offset(ALIGN);
        Self { memory, start, len }
    }

    /// Makes a buffer that holds `bytes`.
    pub fn from(bytes: &[u8]) -> Self {
        let mut buffer = Self::zeroed(bytes.len());
        buffer.copy_from_slice(bytes);
        buffer
    }
}

impl Deref for Aligned {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory[self.start..self.start + self.len]
    }
}

impl DerefMut for Aligned {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..self.start + self.len]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_buffer_is_aligned() {
        for len in [1, 512, 4096, 100_000] {
            let buffer = Aligned::zeroed(len);
            assert_eq!(buffer.len(), len);
            assert_eq!(buffer.as_ptr() as usize % ALIGN, 0);
        }
        assert_eq!(&*Aligned::from(b"abc"), b"abc");
    }
}
