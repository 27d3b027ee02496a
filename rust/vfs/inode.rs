// SPDX-License-Identifier: GPL-2.0

//! Inodes: what the VFS knows of a file.
//!
//! C header: [`include/linux/fs.h`](srctree/include/linux/fs.h)

use super::{
    inode_cache::InodeInfo,
    FileSystem,
    SuperBlock, //
};
use crate::{
    bindings,
    pagecache::Host, //
};
use core::{
    marker::PhantomData,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    sync::aref::AlwaysRefCounted,
    types::Opaque, //
};

/// Type bits of a mode, as C's `S_IFMT`.
const S_IFMT: u16 = bindings::S_IFMT as u16; // CAST: 16 bits.

/// An inode that anybody may see. Locks and page cache are those of its [`Host`].
///
/// # Invariants
///
/// The inode is that of an `InodeInfo<T>` that has its data, and its super block's private part
/// exists.
#[repr(transparent)]
pub(crate) struct Inode<T: FileSystem>(Opaque<bindings::inode>, PhantomData<T>);

// SAFETY: Every access goes through C functions that lock what they must, or to words that C reads
// without a lock as well.
unsafe impl<T: FileSystem> Send for Inode<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for Inode<T> {}

// SAFETY: `i_count` keeps the inode alive.
unsafe impl<T: FileSystem> AlwaysRefCounted for Inode<T> {
    fn inc_ref(&self) {
        // SAFETY: A shared reference means that the count is not zero.
        unsafe { bindings::ihold(self.as_raw()) };
    }

    unsafe fn dec_ref(obj: NonNull<Self>) {
        // SAFETY: The caller gives up a reference.
        unsafe { bindings::iput(obj.as_ptr().cast()) };
    }
}

/// What the VFS itself keeps of an inode.
#[derive(Clone, Copy)]
pub(crate) struct Attributes {
    /// Type and permissions.
    pub(crate) mode: u16,
    /// Owner, as on disk.
    pub(crate) uid: u32,
    /// Group, as on disk.
    pub(crate) gid: u32,
    /// Links.
    pub(crate) nlink: u32,
    /// Bytes.
    pub(crate) size: u64,
    /// 512-byte sectors in use.
    pub(crate) sectors: u64,
    /// Last access, seconds.
    pub(crate) atime: i64,
    /// Last change of the data, seconds.
    pub(crate) mtime: i64,
    /// Last change of the inode, seconds.
    pub(crate) ctime: i64,
    /// For NFS.
    pub(crate) generation: u32,
}

impl<T: FileSystem> Inode<T> {
    /// Creates a reference from a C pointer.
    ///
    /// # Safety
    ///
    /// For `'a`, `inode` is valid, of a mount of `T`, and has its data.
    pub(super) unsafe fn from_raw<'a>(inode: *mut bindings::inode) -> &'a Self {
        // SAFETY: By our requirements; `Self` is a transparent wrapper.
        // INVARIANT: By our requirements.
        unsafe { &*inode.cast() }
    }

    /// Returns the C inode.
    pub(super) fn as_raw(&self) -> *mut bindings::inode {
        self.0.get()
    }

    /// Returns the whole that the C inode begins.
    pub(super) fn info(&self) -> *mut InodeInfo<T> {
        self.as_raw().cast()
    }

    /// Returns the file system's own part.
    pub(crate) fn data(&self) -> &T::Inode {
        // SAFETY: Embedded in an `InodeInfo<T>`, and initialised, by the type invariants.
        unsafe { &*(*self.info()).data.get() }
    }

    /// Returns the mount.
    pub(crate) fn sb(&self) -> &SuperBlock<T> {
        // SAFETY: `i_sb` is constant; its private part exists, by the type invariants.
        unsafe { SuperBlock::from_raw((*self.as_raw()).i_sb) }
    }

    /// Returns the inode's number.
    pub(crate) fn ino(&self) -> u64 {
        // SAFETY: Constant once the inode is hashed.
        unsafe { (*self.as_raw()).i_ino }
    }

    /// Returns the file's size in bytes.
    pub(crate) fn size(&self) -> u64 {
        // SAFETY: Valid by the type invariants.
        let size = unsafe { bindings::cohfs_i_size_read(self.as_raw()) };
        // Never negative: it comes from `publish` or from C, which keeps to `s_maxbytes`.
        size.unsigned_abs()
    }

    /// Returns the type and the permissions.
    pub(crate) fn mode(&self) -> u16 {
        // SAFETY: Valid by the type invariants; C reads the word without a lock as well.
        unsafe { (&raw const (*self.as_raw()).i_mode).read_volatile() }
    }

    /// Says whether a write takes no privileges away from the file, as far as is known.
    pub(crate) fn is_nosec(&self) -> bool {
        // SAFETY: Valid by the type invariants; C reads the word without a lock as well.
        let flags = unsafe { (&raw const (*self.as_raw()).i_flags).read_volatile() };
        flags & bindings::S_NOSEC != 0
    }

    /// Says whether this is a directory.
    pub(crate) fn is_dir(&self) -> bool {
        u32::from(self.mode() & S_IFMT) == bindings::S_IFDIR
    }

    /// Says whether this is a regular file.
    pub(crate) fn is_regular(&self) -> bool {
        u32::from(self.mode() & S_IFMT) == bindings::S_IFREG
    }

    /// Returns what the VFS keeps, to be written to the disk.
    pub(crate) fn attributes(&self) -> Attributes {
        let inode = self.as_raw();
        // SAFETY: Valid by the type invariants. C reads these words without a lock as well when it
        // writes an inode (`ext2_write_inode`): whoever changes one marks the inode dirty after it.
        unsafe {
            Attributes {
                mode: self.mode(),
                uid: bindings::cohfs_i_uid_read(inode),
                gid: bindings::cohfs_i_gid_read(inode),
                nlink: (*inode).__bindgen_anon_1.i_nlink,
                size: self.size(),
                sectors: (*inode).i_blocks,
                atime: bindings::cohfs_inode_get_atime_sec(inode),
                mtime: bindings::cohfs_inode_get_mtime_sec(inode),
                ctime: bindings::cohfs_inode_get_ctime_sec(inode),
                generation: (*inode).i_generation,
            }
        }
    }

    /// Marks the inode dirty, to be written some time later. Whoever changed what leads to its blocks
    /// does it after that.
    pub(crate) fn mark_dirty(&self) {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::__mark_inode_dirty(self.as_raw(), bindings::COHFS_CONST_I_DIRTY) };
        self.count_change();
    }

    /// Notes that the inode's block was changed and is not on the device yet, so that an `fsync`
    /// that finds the inode clean waits for the block all the same.
    pub(crate) fn set_metadata_writeback(&self) {
        // SAFETY: Valid by the type invariants.
        unsafe { bindings::cohfs_set_inode_metadata_writeback(self.as_raw()) };
    }
}

impl<T: FileSystem> Deref for Inode<T> {
    type Target = Host;

    fn deref(&self) -> &Host {
        // SAFETY: The C inode is the first member of a `Host`, by the type invariants.
        unsafe { Host::from_inode(self.as_raw()) }
    }
}
