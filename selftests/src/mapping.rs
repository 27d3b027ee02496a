// SPDX-License-Identifier: GPL-2.0

//! Mappings of files, and loads and stores through them.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::ptr::NonNull;

/// Whose stores a mapping carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// `MAP_SHARED`, for loads and stores.
    Shared,
    /// `MAP_SHARED`, for loads only.
    SharedReadOnly,
    /// `MAP_PRIVATE`: a store makes a copy of the page.
    Private,
}

/// A mapping of the first bytes of a file, unmapped when dropped.
///
/// # Invariants
///
/// `address` is the start of a mapping of `len` bytes that lives as long as the value.
#[derive(Debug)]
pub struct Mapping {
    address: NonNull<u64>,
    len: usize,
    writable: bool,
}

// SAFETY: The mapping belongs to the process, not to a thread, and every access is volatile.
unsafe impl Send for Mapping {}
// SAFETY: As above; whatever races there are on the bytes are what the claims are about, and
// they go through volatile words only, never through references.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps `len` bytes from the start of `file`, without readahead on faults.
    pub fn new(file: &File, len: usize, share: Share) -> io::Result<Self> {
        let mapping = Self::with_readahead(file, len, share)?;
        mapping.advise(libc::MADV_RANDOM)?;
        Ok(mapping)
    }

    /// Maps `len` bytes from the start of `file`.
    pub fn with_readahead(file: &File, len: usize, share: Share) -> io::Result<Self> {
        let (protection, flags) = match share {
            Share::Shared => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED),
            Share::SharedReadOnly => (libc::PROT_READ, libc::MAP_SHARED),
            Share::Private => (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE),
        };
        // SAFETY: A new mapping at an address of the kernel's choice touches no other memory.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                len,
                protection,
                flags,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let address = NonNull::new(address.cast()).ok_or_else(io::Error::last_os_error)?;
        // INVARIANT: `mmap` just made it.
        Ok(Self {
            address,
            len,
            writable: share != Share::SharedReadOnly,
        })
    }

    /// The length in bytes.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the mapping has no bytes; it never has none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The address of byte `offset`, for `/proc/self/pagemap`.
    pub fn address(&self, offset: usize) -> usize {
        self.address.as_ptr() as usize + offset
    }

    /// Loads `len` bytes at `offset`, word by word. May raise `SIGBUS`.
    pub fn load(&self, offset: usize, len: usize) -> Vec<u8> {
        let first = offset / 8;
        let end = (offset + len).div_ceil(8);
        let mut bytes = Vec::with_capacity(len + 16);
        for word in first..end {
            bytes.extend_from_slice(&self.load_word(word).to_ne_bytes());
        }
        bytes.drain(..offset - first * 8);
        bytes.truncate(len);
        bytes
    }

    /// Loads the 8-byte word number `word`. May raise `SIGBUS`.
    pub fn load_word(&self, word: usize) -> u64 {
        assert!(word * 8 + 8 <= self.len.next_multiple_of(crate::sys::page_size()));
        // SAFETY: In the mapping by the assertion and the type invariant; aligned, as the
        // mapping starts on a page.
        unsafe { self.address.add(word).read_volatile() }
    }

    /// Stores the 8-byte word number `word`. May raise `SIGBUS`.
    pub fn store_word(&self, word: usize, value: u64) {
        assert!(self.writable && word * 8 + 8 <= self.len);
        // SAFETY: As for the load, and the mapping is writable.
        unsafe { self.address.add(word).write_volatile(value) }
    }

    /// Stores `bytes` at `offset`; both are multiples of 8. May raise `SIGBUS`.
    pub fn store(&self, offset: usize, bytes: &[u8]) {
        assert!(offset.is_multiple_of(8) && bytes.len().is_multiple_of(8));
        for (index, piece) in bytes.chunks_exact(8).enumerate() {
            let mut word = [0; 8];
            word.copy_from_slice(piece);
            self.store_word(offset / 8 + index, u64::from_ne_bytes(word));
        }
    }

    /// Loads one word of every page, so that every page is mapped.
    pub fn touch(&self) {
        for offset in (0..self.len).step_by(crate::sys::page_size()) {
            self.load_word(offset / 8);
        }
    }

    /// Gives the kernel a piece of advice on the whole mapping.
    pub fn advise(&self, advice: i32) -> io::Result<()> {
        // SAFETY: The range is the mapping, which holds nothing that Rust has references to.
        match unsafe { libc::madvise(self.address.as_ptr().cast(), self.len, advice) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Keeps `khugepaged` from this mapping: to put a huge page into a file it takes the page table
    /// of everybody who maps it, which a count of mapped pages would blame on somebody else.
    pub fn keep_page_tables(&self) -> io::Result<()> {
        match self.advise(libc::MADV_NOHUGEPAGE) {
            // A kernel without huge pages.
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => Ok(()),
            result => result,
        }
    }

    /// Touches every page, and then gives the kernel a piece of advice on the whole mapping.
    pub fn touch_and_advise(&self, advice: i32) -> io::Result<()> {
        self.touch();
        self.advise(advice)
    }

    /// Loads `len` bytes at `offset` as another process would, by `process_vm_readv(2)`: what cannot
    /// be loaded, such as what is beyond the end of the file, ends the bytes, and raises no signal.
    pub fn peek(&self, offset: usize, len: usize) -> Vec<u8> {
        assert!(offset + len <= self.len);
        let mut bytes = vec![0; len];
        let local = libc::iovec {
            iov_base: bytes.as_mut_ptr().cast(),
            iov_len: len,
        };
        let remote = libc::iovec {
            iov_base: self.address(offset) as *mut libc::c_void,
            iov_len: len,
        };
        // SAFETY: The destination is `bytes`, and the source is in our own mapping by the assertion.
        let count = unsafe {
            libc::process_vm_readv(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
        };
        bytes.truncate(usize::try_from(count).unwrap_or(0));
        bytes
    }

    /// Writes `bytes` at `offset` as another process would, by `process_vm_writev(2)`.
    pub fn poke(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        assert!(self.writable && offset + bytes.len() <= self.len);
        let local = libc::iovec {
            iov_base: bytes.as_ptr().cast_mut().cast(),
            iov_len: bytes.len(),
        };
        let remote = libc::iovec {
            iov_base: self.address(offset) as *mut libc::c_void,
            iov_len: bytes.len(),
        };
        // SAFETY: The source is `bytes`, and the destination in our own mapping by the assertion.
        let count = unsafe {
            libc::process_vm_writev(libc::getpid(), &raw const local, 1, &raw const remote, 1, 0)
        };
        match usize::try_from(count) {
            Ok(count) if count == bytes.len() => Ok(()),
            Ok(_) => Err(io::ErrorKind::WriteZero.into()),
            Err(_) => Err(io::Error::last_os_error()),
        }
    }

    /// Writes `bytes` at `offset` as a debugger would: by `/proc/self/mem`, whose `access_remote_vm` is
    /// that of `PTRACE_POKEDATA`.
    pub fn poke_by_proc(&self, offset: usize, bytes: &[u8]) -> io::Result<()> {
        assert!(self.writable && offset + bytes.len() <= self.len);
        // Opened for writing only: nothing that Rust has references to is touched.
        let memory = File::options().write(true).open("/proc/self/mem")?;
        memory.write_all_at(bytes, self.address(offset) as u64)
    }

    /// Locks the mapping into memory.
    pub fn lock(&self) -> io::Result<()> {
        // SAFETY: `mlock` changes no byte.
        match unsafe { libc::mlock(self.address.as_ptr().cast(), self.len) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Reads `len` bytes at `file_offset` of `file` straight into the mapping at `offset`.
    ///
    /// With a file opened for direct I/O the device writes into the mapped page.
    pub fn read_into(
        &self,
        offset: usize,
        len: usize,
        file: &File,
        file_offset: u64,
    ) -> io::Result<usize> {
        assert!(self.writable && offset + len <= self.len);
        // SAFETY: The destination is `len` bytes of the mapping by the assertion.
        let count = unsafe {
            libc::pread(
                file.as_raw_fd(),
                self.address.as_ptr().cast::<u8>().add(offset).cast(),
                len,
                file_offset.cast_signed(),
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Writes `len` bytes of the mapping from `offset` on to `file` at `file_offset`.
    ///
    /// The kernel reads them from the mapping itself, faults included.
    pub fn write_to(
        &self,
        offset: usize,
        len: usize,
        file: &File,
        file_offset: u64,
    ) -> io::Result<usize> {
        assert!(offset + len <= self.len);
        // SAFETY: The source is `len` bytes of the mapping by the assertion.
        let count = unsafe {
            libc::pwrite(
                file.as_raw_fd(),
                self.address.as_ptr().cast::<u8>().add(offset).cast(),
                len,
                file_offset.cast_signed(),
            )
        };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Writes `len` bytes from the start of each page of `pages` to `file`, one after the other from
    /// byte `at` on, with one `pwritev(2)`.
    pub fn write_starts(
        &self,
        pages: std::ops::Range<usize>,
        len: usize,
        file: &File,
        at: u64,
    ) -> io::Result<usize> {
        let page = crate::sys::page_size();
        assert!(len <= page && pages.end * page <= self.len);
        let pieces: Vec<libc::iovec> = pages
            .map(|number| libc::iovec {
                iov_base: self.address(number * page) as *mut libc::c_void,
                iov_len: len,
            })
            .collect();
        let count = c_int::try_from(pieces.len()).map_err(io::Error::other)?;
        // SAFETY: Every piece is in the mapping by the assertion, and the kernel only reads it.
        let count =
            unsafe { libc::pwritev(file.as_raw_fd(), pieces.as_ptr(), count, at.cast_signed()) };
        usize::try_from(count).map_err(|_| io::Error::last_os_error())
    }

    /// Writes out what was stored through the mapping, and waits: `msync(MS_SYNC)`.
    pub fn sync(&self) -> io::Result<()> {
        // SAFETY: The range is the mapping, and `msync` changes no byte of it.
        match unsafe { libc::msync(self.address.as_ptr().cast(), self.len, libc::MS_SYNC) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Which pages of the file are in the page cache.
    pub fn resident(&self) -> io::Result<Vec<bool>> {
        let mut map = vec![0_u8; self.len.div_ceil(crate::sys::page_size())];
        // SAFETY: The range is the mapping and `map` has a byte for each of its pages.
        let result =
            unsafe { libc::mincore(self.address.as_ptr().cast(), self.len, map.as_mut_ptr()) };
        match result {
            0 => Ok(map.into_iter().map(|byte| byte & 1 != 0).collect()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, and nobody uses the mapping any more.
        unsafe { libc::munmap(self.address.as_ptr().cast(), self.len) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loads_and_stores_are_those_of_the_file() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 8192], 0).unwrap();
        let mapping = Mapping::new(&file, 8192, Share::Shared).unwrap();
        mapping.store(4096, &[9; 16]);
        assert_eq!(mapping.load(4093, 8), [7, 7, 7, 9, 9, 9, 9, 9]);
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, 4094).unwrap();
        assert_eq!(bytes, [7, 7, 9, 9]);
        mapping.touch();
        assert_eq!(mapping.resident().unwrap(), [true, true]);
    }

    #[test]
    fn what_is_poked_is_in_the_file() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 4096], 0).unwrap();
        let mapping = Mapping::new(&file, 4096, Share::Shared).unwrap();
        mapping.poke_by_proc(1, &[8; 2]).unwrap();
        // A sandbox may forbid the other way.
        if mapping.poke(3, &[9; 2]).is_ok() {
            assert_eq!(mapping.load(0, 6), [7, 8, 8, 9, 9, 7]);
        }
        assert_eq!(mapping.load(0, 3), [7, 8, 8]);
    }

    #[test]
    fn a_private_store_stays_private() {
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&[7; 4096], 0).unwrap();
        let mapping = Mapping::new(&file, 4096, Share::Private).unwrap();
        mapping.store_word(0, 1);
        let mut bytes = [0; 1];
        file.read_exact_at(&mut bytes, 0).unwrap();
        assert_eq!((mapping.load_word(0), bytes), (1, [7]));
    }
}
