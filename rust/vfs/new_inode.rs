// SPDX-License-Identifier: GPL-2.0

//! The making of inodes: of files that are on disk, and of new ones.
//!
//! ```text
//! SuperBlock::iget       a file on disk    NewInode::publish     everybody may use it
//! SuperBlock::new_inode  a new file        NewInode::complete    FreshInode, until it has a name
//! ```
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/dcache.h`](srctree/include/linux/dcache.h)

use super::{
    inode_cache::InodeInfo,
    Attributes,
    Dentry,
    FileSystem,
    Inode,
    SuperBlock, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull, //
};
use kernel::{
    error::to_result,
    prelude::*,
    sync::aref::ARef, //
};

/// Either an inode that is in memory, or a new one for the caller to fill.
pub(crate) enum Get<'a, T: FileSystem> {
    /// It was there.
    Cached(ARef<Inode<T>>),
    /// Nobody has read it yet; those who ask for it now wait.
    New(NewInode<'a, T>),
}

impl<T: FileSystem> SuperBlock<T> {
    /// Returns inode `ino` of the volume.
    ///
    /// # Context
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn iget(&self, ino: u64) -> Result<Get<'_, T>> {
        // SAFETY: The super block is valid.
        let inode = unsafe { bindings::iget_locked(self.as_raw(), ino) };
        let inode = NonNull::new(inode).ok_or(ENOMEM)?;
        // SAFETY: We own a reference.
        if unsafe { bindings::cohfs_inode_is_new(inode.as_ptr()) } {
            // INVARIANT: As just found.
            return Ok(Get::New(NewInode {
                inode,
                _sb: PhantomData,
            }));
        }
        // SAFETY: The reference goes to the `ARef`. The inode is not new, and inodes that could
        // not be read are never found (`iget_failed` unhashes them).
        Ok(Get::Cached(unsafe { ARef::from_raw(inode.cast()) }))
    }

    /// Makes an inode with the number `ino` for a file of mode `mode` that is to be in `dir`.
    ///
    /// It has one link and is owned by the caller; a directory passes on its group if it has the
    /// set-group-ID bit, or if `bsd_groups`. All times are now, and the generation is chance.
    ///
    /// # Context
    ///
    /// May sleep; waits for an inode of that number that is being evicted.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if the number is that of an inode in use, [`ENOMEM`].
    pub(crate) fn new_inode(
        &self,
        dir: &Inode<T>,
        mode: u16,
        ino: u64,
        bsd_groups: bool,
    ) -> Result<NewInode<'_, T>> {
        // SAFETY: The super block is valid.
        let inode = unsafe { bindings::new_inode(self.as_raw()) };
        let inode = NonNull::new(inode).ok_or(ENOMEM)?;
        let raw = inode.as_ptr();
        // SAFETY: Only we know of the inode yet; the directory is valid. The type of file system
        // does not take part in mapped mounts, so nothing is to be mapped.
        let inserted = to_result(unsafe {
            (*raw).i_ino = ino;
            let idmap = &raw mut bindings::nop_mnt_idmap;
            bindings::inode_init_owner(idmap, raw, dir.as_raw(), mode);
            if bsd_groups {
                (*raw).i_gid = (*dir.as_raw()).i_gid;
                (*raw).i_mode = mode;
            }
            bindings::simple_inode_init_ts(raw);
            (*raw).i_generation = bindings::get_random_u32();
            bindings::insert_inode_locked(raw)
        });
        if let Err(error) = inserted {
            // SAFETY: We own the reference, and nobody can find the inode.
            unsafe {
                bindings::make_bad_inode(raw);
                bindings::iput(raw);
            }
            return Err(error);
        }
        // INVARIANT: `insert_inode_locked` made it so.
        Ok(NewInode {
            inode,
            _sb: PhantomData,
        })
    }
}

/// A new inode, which only its maker uses; it fails if it is dropped.
///
/// # Invariants
///
/// The inode is `I_NEW`, has no data, and we own a reference.
#[must_use = "an inode that is not published fails"]
pub(crate) struct NewInode<'a, T: FileSystem> {
    inode: NonNull<bindings::inode>,
    _sb: PhantomData<&'a SuperBlock<T>>,
}

impl<T: FileSystem> NewInode<'_, T> {
    /// Returns the C inode.
    pub(super) fn as_raw(&self) -> *mut bindings::inode {
        self.inode.as_ptr()
    }

    /// Fills in what the VFS and the file system keep, and lets everybody see the inode.
    ///
    /// `kind` sets the operations; it returns an error if it cannot.
    ///
    /// # Errors
    ///
    /// [`EUCLEAN`] if the size is not one that a file can have, or that of `kind` or of `data`.
    pub(crate) fn publish(
        self,
        attributes: &Attributes,
        data: impl PinInit<T::Inode, Error>,
        kind: impl FnOnce(&mut Self) -> Result,
    ) -> Result<ARef<Inode<T>>> {
        let size = i64::try_from(attributes.size).map_err(|_| EUCLEAN)?;
        let inode = self.as_raw();
        // SAFETY: The inode is new, by the type invariants, so only we use it.
        unsafe {
            (*inode).i_mode = attributes.mode;
            bindings::cohfs_i_uid_write(inode, attributes.uid);
            bindings::cohfs_i_gid_write(inode, attributes.gid);
            bindings::set_nlink(inode, attributes.nlink);
            (*inode).i_size = size;
            (*inode).i_blocks = attributes.sectors;
            bindings::cohfs_inode_set_atime(inode, attributes.atime, 0);
            bindings::cohfs_inode_set_mtime(inode, attributes.mtime, 0);
            bindings::cohfs_inode_set_ctime(inode, attributes.ctime, 0);
            (*inode).i_generation = attributes.generation;
        }
        let inode = ManuallyDrop::new(self.complete(data, kind)?).inode;
        // SAFETY: New and complete; those who wait for it see all of the above.
        unsafe { bindings::unlock_new_inode(inode.as_ptr()) };
        // SAFETY: We own the reference of what was not dropped.
        // INVARIANT: It has its data, by the invariants of `FreshInode`.
        Ok(unsafe { ARef::from_raw(inode.cast()) })
    }

    /// Fills in what the file system keeps; `kind` sets the operations. Nobody else sees the inode
    /// yet.
    ///
    /// # Errors
    ///
    /// That of `kind` or of `data`.
    pub(crate) fn complete(
        self,
        data: impl PinInit<T::Inode, Error>,
        kind: impl FnOnce(&mut Self) -> Result,
    ) -> Result<FreshInode<T>> {
        let mut new = self;
        kind(&mut new)?;
        let info = new.as_raw().cast::<InodeInfo<T>>();
        // SAFETY: Embedded in an `InodeInfo<T>`, as all inodes of the mount are, which does not move
        // and has no data yet, by the type invariants.
        unsafe { pin_init::raw_try_init((*info).data.get(), data)? };
        // INVARIANT: Just initialised.
        // SAFETY: As above.
        unsafe { (*info).has_data.set(true) };
        let inode = ManuallyDrop::new(new).inode;
        // INVARIANT: New, and the reference is that of what was not dropped. It has its data now.
        Ok(FreshInode {
            inode,
            _file_system: PhantomData,
        })
    }
}

impl<T: FileSystem> Drop for NewInode<'_, T> {
    fn drop(&mut self) {
        // SAFETY: New, and we own a reference, by the type invariants.
        unsafe { bindings::iget_failed(self.inode.as_ptr()) };
    }
}

/// An inode that is complete but has no name yet: it is deleted if it is dropped.
///
/// # Invariants
///
/// The inode is `I_NEW`, has its data, and we own a reference.
#[must_use = "an inode that gets no name is deleted"]
pub(crate) struct FreshInode<T: FileSystem> {
    inode: NonNull<bindings::inode>,
    _file_system: PhantomData<T>,
}

impl<T: FileSystem> FreshInode<T> {
    /// Binds it to the name that the directory now has for it, and lets everybody see it.
    pub(super) fn instantiate(self, dentry: &Dentry<T>) {
        let inode = ManuallyDrop::new(self).inode;
        // SAFETY: C takes over the reference of what was not dropped; the dentry's directory is
        // locked, by its invariants.
        unsafe { bindings::d_instantiate_new(dentry.as_raw(), inode.as_ptr()) };
    }

    /// Binds it to an open file, as the file's only use, and takes away its link.
    ///
    /// # Safety
    ///
    /// `file` is what `->tmpfile` is called with, and not bound yet.
    pub(super) unsafe fn open_unnamed(self, file: *mut bindings::file) {
        let inode = ManuallyDrop::new(self).inode;
        // SAFETY: C takes over the reference of what was not dropped, and the dentry keeps it
        // while the inode is made known.
        unsafe {
            bindings::d_tmpfile(file, inode.as_ptr());
            bindings::unlock_new_inode(inode.as_ptr());
        }
    }
}

impl<T: FileSystem> Deref for FreshInode<T> {
    type Target = Inode<T>;

    fn deref(&self) -> &Inode<T> {
        // SAFETY: It has its data, by the type invariants.
        unsafe { Inode::from_raw(self.inode.as_ptr()) }
    }
}

impl<T: FileSystem> Drop for FreshInode<T> {
    fn drop(&mut self) {
        // SAFETY: New, and we own a reference, by the type invariants. Without links, the inode is
        // deleted as it is evicted.
        unsafe {
            bindings::clear_nlink(self.inode.as_ptr());
            bindings::discard_new_inode(self.inode.as_ptr());
        }
    }
}
