// SPDX-License-Identifier: GPL-2.0

//! Reading a directory.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use crate::bindings;
use kernel::prelude::*;

/// What a name stands for, as `getdents` tells it: C's `DT_*`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FileType(u8);

// CAST: The constants are small.
impl FileType {
    /// Not told; who wants to know calls `stat`.
    pub(crate) const UNKNOWN: Self = Self(bindings::DT_UNKNOWN as u8);
    /// A regular file.
    pub(crate) const REGULAR: Self = Self(bindings::DT_REG as u8);
    /// A directory.
    pub(crate) const DIRECTORY: Self = Self(bindings::DT_DIR as u8);
    /// A character device.
    pub(crate) const CHAR_DEVICE: Self = Self(bindings::DT_CHR as u8);
    /// A block device.
    pub(crate) const BLOCK_DEVICE: Self = Self(bindings::DT_BLK as u8);
    /// A named pipe.
    pub(crate) const FIFO: Self = Self(bindings::DT_FIFO as u8);
    /// A socket.
    pub(crate) const SOCKET: Self = Self(bindings::DT_SOCK as u8);
    /// A symbolic link.
    pub(crate) const SYMLINK: Self = Self(bindings::DT_LNK as u8);
}

/// Where entries go, and from which position on they are wanted.
///
/// # Invariants
///
/// The context is valid and lent to us alone.
pub(crate) struct DirContext<'a>(&'a mut bindings::dir_context);

impl DirContext<'_> {
    /// Creates a context from a C pointer.
    ///
    /// # Safety
    ///
    /// `context` is valid and ours alone for as long as the result is used.
    pub(super) unsafe fn from_raw(context: *mut bindings::dir_context) -> Self {
        // SAFETY: By our requirements.
        // INVARIANT: By our requirements.
        Self(unsafe { &mut *context })
    }

    /// Returns the position of the next entry; what it means is the file system's affair.
    pub(crate) fn pos(&self) -> i64 {
        self.0.pos
    }

    /// Sets the position.
    pub(crate) fn set_pos(&mut self, pos: i64) {
        self.0.pos = pos;
    }

    /// Hands over one entry. Returns `false` if there was no room for it.
    ///
    /// # Context
    ///
    /// Touches user memory.
    pub(crate) fn emit(&mut self, name: &[u8], ino: u64, file_type: FileType) -> bool {
        let Ok(len) = c_int::try_from(name.len()) else {
            return false;
        };
        // SAFETY: Valid by the type invariants; the name is `len` bytes long.
        unsafe { bindings::cohfs_dir_emit(self.0, name.as_ptr(), len, ino, u32::from(file_type.0)) }
    }
}
