// SPDX-License-Identifier: GPL-2.0

//! A mounted volume.
//!
//! C header: [`include/linux/fs/super_types.h`](srctree/include/linux/fs/super_types.h)

use super::{
    BufferHead,
    FileSystem,
    Registration, //
};
use crate::{
    bindings,
    pagecache::{
        AddressSpace,
        Host, //
    }, //
};
use core::{
    fmt,
    marker::PhantomData,
    ops::Deref, //
};
use kernel::{
    container_of,
    num::casts::u32_as_usize,
    prelude::*,
    types::Opaque, //
};

/// What every super block of the file system can do, whether its private part exists yet or not.
///
/// # Invariants
///
/// The super block has a block device, and its type is that of a [`Registration<T>`].
#[repr(transparent)]
pub(crate) struct AnySuperBlock<T: FileSystem>(Opaque<bindings::super_block>, PhantomData<T>);

// SAFETY: Every access goes through C functions that lock what they must, or to words that are
// set once before anybody else sees them.
unsafe impl<T: FileSystem> Send for AnySuperBlock<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for AnySuperBlock<T> {}

impl<T: FileSystem> AnySuperBlock<T> {
    /// Returns the C super block.
    pub(super) fn as_raw(&self) -> *mut bindings::super_block {
        self.0.get()
    }

    /// Returns what registered the file system.
    pub(super) fn registration(&self) -> &Registration<T> {
        // SAFETY: By the type invariants; the registration outlives every mount, because a mount
        // holds a reference to the module.
        unsafe { Registration::from_fs_type((*self.as_raw()).s_type) }
    }

    /// Returns what the file system keeps once for all mounts.
    pub(crate) fn registered(&self) -> &T::Registered {
        self.registration().registered()
    }

    /// Returns the name of the device, for messages and as a directory name.
    pub(crate) fn id(&self) -> &CStr {
        // SAFETY: `s_id` is a NUL-terminated string that is set before `fill_super`.
        unsafe { CStr::from_char_ptr((&raw const (*self.as_raw()).s_id).cast()) }
    }

    /// Prints an error about the volume: one line, with the device's name first.
    pub(crate) fn err(&self, message: fmt::Arguments<'_>) {
        pr_err!("{}: {message}\n", self.id().to_str().unwrap_or("?"));
    }

    /// Prints a warning about the volume, as [`Self::err`] does an error.
    pub(crate) fn warn(&self, message: fmt::Arguments<'_>) {
        pr_warn!("{}: {message}\n", self.id().to_str().unwrap_or("?"));
    }

    /// Prints something about the volume that somebody wants to know, as [`Self::err`] does an error.
    pub(crate) fn info(&self, message: fmt::Arguments<'_>) {
        pr_info!("{}: {message}\n", self.id().to_str().unwrap_or("?"));
    }

    /// Says whether the mount is read-only now.
    pub(crate) fn is_rdonly(&self) -> bool {
        // SAFETY: Valid by the type invariants; C reads one word.
        unsafe { bindings::cohfs_sb_rdonly(self.as_raw()) }
    }

    /// Makes the mount read-only from here on, as an error that must not spread asks for.
    pub(crate) fn force_rdonly(&self) {
        // SAFETY: Valid by the type invariants. Like C (`ext2_error`), this is not locked against
        // a remount: the last one wins.
        unsafe { (*self.as_raw()).s_flags |= bindings::COHFS_CONST_SB_RDONLY };
    }

    /// Stops the machine, as an administrator wants it who would rather have none than a volume that
    /// is damaged. Does not return, which the types do not say: objtool would have to know.
    pub(crate) fn panic(&self) {
        // SAFETY: A string that ends in a NUL.
        unsafe { bindings::cohfs_panic(self.id().as_char_ptr()) }
    }

    /// Says whether files are open that have no name any more.
    pub(crate) fn has_unlinked(&self) -> bool {
        // SAFETY: Valid by the type invariants; C reads one word.
        unsafe { bindings::cohfs_sb_remove_count(self.as_raw()) != 0 }
    }

    /// Returns the shift that makes bytes of blocks.
    pub(crate) fn block_bits(&self) -> u32 {
        // SAFETY: Set in `fill_super`, and constant from then on.
        u32::from(unsafe { (*self.as_raw()).s_blocksize_bits })
    }

    /// Reads one block of the file system through the device's page cache.
    ///
    /// # Errors
    ///
    /// [`EIO`] if the device could not read it.
    pub(crate) fn bread(&self, block: u64) -> Result<BufferHead> {
        // SAFETY: Valid by the type invariants; the block size is never unset.
        unsafe { BufferHead::read(self.as_raw(), block) }
    }

    /// Begins to read a block that [`Self::bread`] will soon be called for.
    pub(crate) fn breadahead(&self, block: u64) {
        // SAFETY: As in `bread`.
        unsafe { bindings::cohfs_sb_breadahead(self.as_raw(), block) };
    }

    /// Returns a block that was just allocated, zeroed and up to date, without reading it.
    ///
    /// It is not dirty yet, so that what is changed in it next is not written out in between.
    ///
    /// # Context
    ///
    /// May sleep: waits for a read or write of the block, through the device, that is in flight.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(crate) fn getblk_new(&self, block: u64) -> Result<BufferHead> {
        // SAFETY: As in `bread`.
        unsafe { BufferHead::zeroed(self.as_raw(), block) }
    }

    /// Drops what the device's page cache holds of a block, if it does, as
    /// [`forget`](BufferHead::forget) does.
    pub(crate) fn forget(&self, block: u64) {
        // SAFETY: Valid by the type invariants; the reference that C returns is given back to it.
        unsafe {
            let bh = bindings::cohfs_sb_find_get_block(self.as_raw(), block);
            if !bh.is_null() {
                bindings::__bforget(bh);
            }
        }
    }

    /// Drops what the device's page cache holds of blocks that become a file's data, so that it
    /// is not written over the file's own.
    ///
    /// # Context
    ///
    /// May sleep: waits for writes in flight.
    pub(crate) fn clean_bdev_aliases(&self, first: u64, len: u64) {
        // SAFETY: There is a block device, by the type invariants.
        unsafe { bindings::clean_bdev_aliases((*self.as_raw()).s_bdev, first, len) };
    }

    /// Says whether every change is to be on the device before it is reported: `-o sync`.
    pub(crate) fn is_sync(&self) -> bool {
        // SAFETY: Valid by the type invariants; C reads the word without a lock as well.
        let flags = unsafe { (&raw const (*self.as_raw()).s_flags).read_volatile() };
        flags & bindings::COHFS_CONST_SB_SYNCHRONOUS != 0
    }
}

/// A super block of a mount in use.
///
/// # Invariants
///
/// As [`AnySuperBlock`], and `s_fs_info` is a `Pin<KBox<T::Super>>` that lives as long as this.
#[repr(transparent)]
pub(crate) struct SuperBlock<T: FileSystem>(AnySuperBlock<T>);

impl<T: FileSystem> SuperBlock<T> {
    /// Creates a reference from a C pointer.
    ///
    /// # Safety
    ///
    /// For `'a`, `sb` is a super block of a [`Registration<T>`] on a block device, and `s_fs_info`
    /// is what [`NewSuperBlock`] set.
    pub(super) unsafe fn from_raw<'a>(sb: *mut bindings::super_block) -> &'a Self {
        // SAFETY: By our requirements; `Self` is a transparent wrapper.
        // INVARIANT: By our requirements.
        unsafe { &*sb.cast() }
    }

    /// Returns the file system's own part.
    pub(crate) fn data(&self) -> &T::Super {
        // SAFETY: By the type invariants.
        unsafe { &*(*self.as_raw()).s_fs_info.cast::<T::Super>() }
    }

    /// Calls `visit` with the number and the page cache of every inode in memory.
    ///
    /// # Context
    ///
    /// A spinlock is held meanwhile that whoever brings an inode into memory, or drops one, takes
    /// (`s_inode_list_lock`): `visit` is short and does not sleep.
    pub(crate) fn each_mapping(&self, mut visit: impl FnMut(u64, &AddressSpace)) {
        let sb = self.as_raw();
        // SAFETY: Valid by the type invariants. An inode leaves the list under this lock
        // (`inode_sb_list_del` in `fs/inode.c`), and only then goes, so those on it are alive;
        // and each is in a `Host`, for it was allocated by our `alloc_inode`.
        unsafe {
            bindings::spin_lock(&raw mut (*sb).s_inode_list_lock);
            let head = &raw mut (*sb).s_inodes;
            let mut link = (*head).next;
            while link != head {
                let inode = container_of!(link, bindings::inode, i_sb_list);
                visit((*inode).i_ino, Host::from_inode(inode).mapping());
                link = (*link).next;
            }
            bindings::spin_unlock(&raw mut (*sb).s_inode_list_lock);
        }
    }

    /// Lets nobody go on who wants something of a volume that is given up.
    ///
    /// # Errors
    ///
    /// [`EIO`] if it is.
    pub(crate) fn check_up(&self) -> Result {
        match T::is_shut_down(self.data()) {
            true => Err(EIO),
            false => Ok(()),
        }
    }

    /// As [`AnySuperBlock::bread`], unless the volume is given up.
    ///
    /// # Errors
    ///
    /// As [`AnySuperBlock::bread`].
    pub(crate) fn bread(&self, block: u64) -> Result<BufferHead> {
        self.check_up()?;
        self.0.bread(block)
    }

    /// As [`AnySuperBlock::getblk_new`], unless the volume is given up.
    ///
    /// # Errors
    ///
    /// As [`AnySuperBlock::getblk_new`], or [`EIO`].
    pub(crate) fn getblk_new(&self, block: u64) -> Result<BufferHead> {
        self.check_up()?;
        self.0.getblk_new(block)
    }
}

impl<T: FileSystem> Deref for SuperBlock<T> {
    type Target = AnySuperBlock<T>;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

/// What is the same for all files of a mount.
pub(crate) struct Limits {
    /// The number by which programs know the format, `f_type` of `statfs`.
    pub(crate) magic: u32,
    /// Greatest size of a file in bytes.
    pub(crate) max_bytes: u64,
    /// Most links to one inode.
    pub(crate) max_links: u32,
    /// First and last second that a time stamp can hold.
    pub(crate) times: (i64, i64),
    /// The volume's UUID.
    pub(crate) uuid: [u8; 16],
}

/// A super block that is being filled; nobody else sees it yet.
pub(crate) struct NewSuperBlock<'a, T: FileSystem> {
    sb: &'a AnySuperBlock<T>,
    silent: bool,
}

impl<'a, T: FileSystem> NewSuperBlock<'a, T> {
    /// Creates a new super block from what `get_tree_bdev` gives to `fill_super`.
    ///
    /// # Safety
    ///
    /// For `'a`, `sb` is valid, has a block device, is of a [`Registration<T>`], and only this
    /// task uses it.
    pub(super) unsafe fn from_raw(sb: *mut bindings::super_block, silent: bool) -> Self {
        Self {
            // SAFETY: By our requirements; `AnySuperBlock` is a transparent wrapper.
            sb: unsafe { &*sb.cast() },
            silent,
        }
    }

    /// Says whether the caller only probes, and wants no message when this is not our format.
    pub(crate) fn is_silent(&self) -> bool {
        self.silent
    }

    /// Sets the block size to `size` bytes, or to the device's logical block size if that is more.
    ///
    /// Returns the size that was set.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the device can do neither.
    pub(crate) fn set_min_block_size(&mut self, size: u32) -> Result<u32> {
        let size = c_int::try_from(size).map_err(|_| EINVAL)?;
        // SAFETY: Only we use the super block, and no buffer of it is held by the file system.
        match unsafe { bindings::sb_min_blocksize(self.as_raw(), size) } {
            0 => Err(EINVAL),
            set => Ok(set.unsigned_abs()),
        }
    }

    /// Sets the block size to `size` bytes.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if the device cannot do it.
    pub(crate) fn set_block_size(&mut self, size: u32) -> Result {
        let size = c_int::try_from(size).map_err(|_| EINVAL)?;
        // SAFETY: As in `set_min_block_size`.
        match unsafe { bindings::sb_set_blocksize(self.as_raw(), size) } {
            0 => Err(EINVAL),
            _ => Ok(()),
        }
    }

    /// Sets what is the same for all files.
    pub(crate) fn set_limits(&mut self, limits: &Limits) {
        // SAFETY: Only we use the super block.
        let sb = unsafe { &mut *self.as_raw() };
        sb.s_magic = u32_as_usize(limits.magic);
        sb.s_maxbytes = i64::try_from(limits.max_bytes).unwrap_or(i64::MAX);
        sb.s_max_links = limits.max_links;
        (sb.s_time_min, sb.s_time_max) = limits.times;
        sb.s_uuid.b = limits.uuid;
        // CAST: 16.
        sb.s_uuid_len = limits.uuid.len() as u8;
        // Whose dirty folios are written counts: `iomap_add_to_ioend` tells the cgroups.
        sb.s_iflags |= u32_as_usize(bindings::SB_I_CGROUPWB);
    }
}

impl<T: FileSystem> Deref for NewSuperBlock<'_, T> {
    type Target = AnySuperBlock<T>;

    fn deref(&self) -> &Self::Target {
        self.sb
    }
}
