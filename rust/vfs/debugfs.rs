// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs that show something of a mount.
//!
//! The kernel crate's [`kernel::debugfs`] gives its files no owner. A file of it that somebody
//! still holds open when the module goes would be released through a table that is gone
//! (`full_proxy_release` in `fs/debugfs/file.c`). So this makes its own, owned by the module.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)

use crate::bindings;
use core::{
    marker::PhantomData,
    ptr::NonNull, //
};
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    sync::Arc, //
};

/// A directory. It and what is in it are removed when it is dropped.
///
/// # Invariants
///
/// `0` is what `debugfs_create_dir` returned: a directory or an error, which C takes as well.
pub(crate) struct Dir(*mut bindings::dentry);

// SAFETY: debugfs locks what it must.
unsafe impl Send for Dir {}
// SAFETY: As above.
unsafe impl Sync for Dir {}

impl Dir {
    /// Makes a directory at the top, or in `parent`. Without debugfs it is not there, and silent.
    pub(crate) fn new(name: &CStr, parent: Option<&Dir>) -> Self {
        let parent = parent.map_or(core::ptr::null_mut(), |parent| parent.0);
        // SAFETY: The name is a string, and the parent a directory or an error.
        // INVARIANT: As C returns it.
        Self(unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), parent) })
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        // SAFETY: By the type invariants. C waits for readers of what is in it.
        unsafe { bindings::debugfs_remove(self.0) };
    }
}

/// What a file shows.
pub(crate) trait Show: Send + Sync + 'static {
    /// Writes it.
    fn show(&self, seq: &SeqFile);
}

/// A file that shows a `T`. It is removed when this is dropped.
///
/// # Invariants
///
/// Nobody opens the file any more, or is reading it, once it is removed.
pub(crate) struct File<T: Show> {
    dentry: *mut bindings::dentry,
    /// What the file's inode points to.
    _shown: Arc<T>,
}

// SAFETY: debugfs locks what it must.
unsafe impl<T: Show> Send for File<T> {}
// SAFETY: As above.
unsafe impl<T: Show> Sync for File<T> {}

impl<T: Show> File<T> {
    /// Makes a file in `dir` that shows `shown`.
    pub(crate) fn new(name: &CStr, dir: &Dir, shown: Arc<T>) -> Self {
        let data: *const T = &*shown;
        // SAFETY: The table is static, and `data` lives until the file is removed.
        let dentry = unsafe {
            bindings::debugfs_create_file_full(
                name.as_char_ptr(),
                0o444,
                dir.0,
                data.cast_mut().cast(),
                core::ptr::null(),
                &VTable::<T>::TABLE,
            )
        };
        Self {
            dentry,
            _shown: shown,
        }
    }
}

impl<T: Show> Drop for File<T> {
    fn drop(&mut self) {
        // SAFETY: Made by us, or an error, which C takes as well. C waits for readers.
        unsafe { bindings::debugfs_remove(self.dentry) };
    }
}

/// The C side of [`Show`].
struct VTable<T>(PhantomData<T>);

impl<T: Show> VTable<T> {
    const TABLE: bindings::file_operations = bindings::file_operations {
        owner: <crate::Module as kernel::ModuleMetadata>::THIS_MODULE.as_ptr(),
        open: Some(Self::open),
        read: Some(bindings::seq_read),
        llseek: Some(bindings::seq_lseek),
        release: Some(bindings::single_release),
        ..pin_init::zeroed()
    };

    /// # Safety
    ///
    /// Called by debugfs for a file made by [`File::new`] that is not removed yet.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `i_private` is what was given to `debugfs_create_file_full`.
        unsafe { bindings::single_open(file, Some(Self::print), (*inode).i_private) }
    }

    /// # Safety
    ///
    /// Called by `seq_read`, which debugfs lets run only while the file is not removed.
    unsafe extern "C" fn print(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: `private` is a `T`, by `open`, and alive while the file is there.
        unsafe { NonNull::new_unchecked((*seq).private.cast::<T>()).as_ref() }
            // SAFETY: The sequence file is this task's.
            .show(unsafe { SeqFile::from_raw(seq) });
        0
    }
}
