// SPDX-License-Identifier: GPL-2.0

//! Files in debugfs that show something of a mount.
//!
//! The kernel crate's [`kernel::debugfs`] gives its files no owner. A file of it that somebody
//! still holds open when the module goes would be released through a table that is gone
//! (`full_proxy_release` in `fs/debugfs/file.c`). So this makes its own, owned by the module.
//!
//! C header: [`include/linux/debugfs.h`](srctree/include/linux/debugfs.h)

use super::{
    FileSystem,
    SuperBlock, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ptr, //
};
use kernel::{
    prelude::*,
    seq_file::SeqFile, //
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
        let parent = parent.map_or(ptr::null_mut(), |parent| parent.0);
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

/// The files of each mount, in a directory that has the name of its device.
pub(crate) trait Operations: FileSystem {
    /// They are there from the end of a mount to the beginning of its unmounting.
    const FILES: &'static [File<Self>];

    /// Returns the directory in which each mount gets its own.
    fn directory(registered: &Self::Registered) -> &Dir;
}

/// A file that shows something of a mount.
pub(crate) struct File<T: FileSystem> {
    /// Its name.
    pub(crate) name: &'static CStr,
    /// Writes what is in it.
    pub(crate) show: fn(&SuperBlock<T>, &SeqFile),
}

/// Makes the files of a mount. Without debugfs they are not there, and silent.
pub(super) fn add<T: Operations>(sb: &SuperBlock<T>) {
    // `remove` finds it by its name.
    let dir = ManuallyDrop::new(Dir::new(sb.id(), Some(T::directory(sb.registered()))));
    for file in T::FILES {
        // SAFETY: The table and what the file shows are static, and `remove` is called before the
        // super block goes.
        unsafe {
            bindings::debugfs_create_file_full(
                file.name.as_char_ptr(),
                0o444,
                dir.0,
                sb.as_raw().cast(),
                ptr::from_ref(file).cast(),
                &VTable::<T>::TABLE,
            )
        };
    }
}

/// Removes them. Nobody reads one any more when this returns.
///
/// # Context
///
/// May sleep: waits for readers.
pub(super) fn remove<T: Operations>(sb: &SuperBlock<T>) {
    let parent = T::directory(sb.registered());
    // SAFETY: The name is a string, and the parent a directory or an error, which C takes as well.
    unsafe { bindings::debugfs_lookup_and_remove(sb.id().as_char_ptr(), parent.0) };
}

/// The C side of [`File`].
struct VTable<T>(PhantomData<T>);

impl<T: Operations> VTable<T> {
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
    /// Called by debugfs for a file made by [`add`] that is not removed yet.
    unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
        // SAFETY: `i_private` is what was given to `debugfs_create_file_full`.
        unsafe { bindings::single_open(file, Some(Self::print), (*inode).i_private) }
    }

    /// # Safety
    ///
    /// Called by `seq_read`, which debugfs lets run only while the file is not removed.
    unsafe extern "C" fn print(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
        // SAFETY: `private` is the super block of a mount in use, by `open`, while the file is there;
        // and the file has what `add` gave it.
        let (sb, shown) = unsafe {
            let shown = bindings::debugfs_get_aux((*seq).file).cast::<File<T>>();
            (SuperBlock::<T>::from_raw((*seq).private.cast()), &*shown)
        };
        // SAFETY: The sequence file is this task's.
        (shown.show)(sb, unsafe { SeqFile::from_raw(seq) });
        0
    }
}
