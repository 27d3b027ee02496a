// SPDX-License-Identifier: GPL-2.0

//! The memory of inodes: a slab cache of our own, as every file system has.
//!
//! C headers: [`include/linux/fs.h`](srctree/include/linux/fs.h),
//! [`include/linux/slab.h`](srctree/include/linux/slab.h)

use super::{
    changes::Changes,
    symlink::Target,
    FileSystem,
    Registration, //
};
use crate::{
    bindings,
    pagecache::Host, //
};
use core::{
    cell::Cell,
    marker::PhantomData,
    ptr::{
        self,
        NonNull, //
    },
};
use kernel::{
    prelude::*,
    types::Opaque, //
};

/// An inode as it lies in memory: what the page cache needs, then the file system's own part.
///
/// C's `struct inode` is the first member of the first member, so that a pointer to either is a
/// pointer to both.
///
/// # Invariants
///
/// `data` is initialised, and pinned, if `has_data`. That is set before the inode is seen by anybody
/// but its maker, and does not change until the memory is freed.
#[repr(C)]
pub(super) struct InodeInfo<T: FileSystem> {
    pub(super) host: Host,
    /// The buffers that belong to the inode, see `metadata.rs`.
    pub(super) metadata: Opaque<bindings::mapping_metadata_bhs>,
    pub(super) data: Opaque<T::Inode>,
    pub(super) has_data: Cell<bool>,
    /// The target of a symbolic link.
    pub(super) target: Target,
    pub(super) changes: Changes,
}

/// The slab cache.
///
/// # Invariants
///
/// The cache is valid, and its objects were constructed by [`construct`].
pub(super) struct InodeCache<T: FileSystem> {
    cache: NonNull<bindings::kmem_cache>,
    _objects: PhantomData<InodeInfo<T>>,
}

// SAFETY: A slab cache may be used from everywhere.
unsafe impl<T: FileSystem> Send for InodeCache<T> {}
// SAFETY: As above.
unsafe impl<T: FileSystem> Sync for InodeCache<T> {}

impl<T: FileSystem> InodeCache<T> {
    /// Creates the cache.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`] if there is no memory for it.
    pub(super) fn new(name: &'static CStr) -> Result<Self> {
        // What `kmem_cache_create` gives without an alignment asked for.
        const { assert!(align_of::<InodeInfo<T>>() <= align_of::<u64>()) };
        let size = u32::try_from(size_of::<InodeInfo<T>>()).map_err(|_| EINVAL)?;
        // SAFETY: The name is static, and `construct` fits the size.
        let cache = unsafe {
            bindings::cohfs_kmem_cache_create(
                name.as_char_ptr(),
                size,
                bindings::COHFS_CONST_INODE_CACHE_FLAGS,
                Some(construct::<T>),
            )
        };
        // INVARIANT: C returns a cache or NULL.
        Ok(Self {
            cache: NonNull::new(cache).ok_or(ENOMEM)?,
            _objects: PhantomData,
        })
    }
}

impl<T: FileSystem> Drop for InodeCache<T> {
    fn drop(&mut self) {
        // The memory of an inode is freed a grace period after its last use.
        // SAFETY: No requirements.
        unsafe { bindings::rcu_barrier() };
        // SAFETY: No mount is left that could allocate, by the order in which `Registration` is
        // dropped, and what was allocated is freed, as just waited for.
        unsafe { bindings::kmem_cache_destroy(self.cache.as_ptr()) };
    }
}

/// Constructs what stays constructed while an object of the slab is free.
///
/// # Safety
///
/// Called by the slab allocator with memory for an `InodeInfo`.
unsafe extern "C" fn construct<T: FileSystem>(object: *mut c_void) {
    let info = object.cast::<InodeInfo<T>>();
    // SAFETY: By our requirements. The list's mapping is that of the same object, and both stay.
    unsafe {
        Host::init_once(&raw mut (*info).host);
        let mapping = &raw mut (*info.cast::<bindings::inode>()).i_data;
        bindings::mmb_init(Opaque::cast_into(&raw const (*info).metadata), mapping);
    }
}

/// Says whether an inode has the file system's own part: one that could not be read has not.
///
/// # Safety
///
/// `inode` is from [`alloc_inode`], and its maker is done with it.
pub(super) unsafe fn has_data<T: FileSystem>(inode: *mut bindings::inode) -> bool {
    // SAFETY: Embedded in an `InodeInfo<T>`, by our requirements.
    unsafe { (*inode.cast::<InodeInfo<T>>()).has_data.get() }
}

/// Allocates an inode: `super_operations.alloc_inode`.
///
/// # Safety
///
/// Called by the VFS with a super block of a [`Registration<T>`].
pub(super) unsafe extern "C" fn alloc_inode<T: FileSystem>(
    sb: *mut bindings::super_block,
) -> *mut bindings::inode {
    // SAFETY: By our requirements; the registration outlives its mounts.
    let cache = unsafe { Registration::<T>::from_fs_type((*sb).s_type) }.inode_cache();
    // SAFETY: Both are valid.
    let inode = unsafe {
        bindings::cohfs_alloc_inode_sb(sb, cache.cache.as_ptr(), bindings::COHFS_CONST_GFP_KERNEL)
    };
    if !inode.is_null() {
        let info = inode.cast::<InodeInfo<T>>();
        // SAFETY: Points to an object of our cache, in which these hold nothing that is alive.
        unsafe {
            (&raw mut (*info).has_data).write(Cell::new(false));
            (&raw mut (*info).target).write(Target::new());
            (&raw mut (*info).changes).write(Changes::new());
        }
    }
    inode
}

/// Frees an inode: `super_operations.free_inode`.
///
/// # Safety
///
/// Called by the VFS as the last use of an inode from [`alloc_inode`], after a grace period and
/// perhaps in soft interrupt context. The super block may be gone.
pub(super) unsafe extern "C" fn free_inode<T: FileSystem>(inode: *mut bindings::inode) {
    let info = inode.cast::<InodeInfo<T>>();
    // SAFETY: `has_data` and `link` were written by `alloc_inode`, `data` is as the former says, and
    // this is the last use. `host` and `metadata` keep what their constructor made.
    unsafe {
        if (*info).has_data.get() {
            ptr::drop_in_place(Opaque::cast_into(&raw const (*info).data));
        }
        ptr::drop_in_place(&raw mut (*info).target);
    }
    // `kfree` finds the cache by itself; we could not, without the super block.
    // SAFETY: From `kmem_cache_alloc`, and this is the last use.
    unsafe { bindings::kfree(info.cast()) };
}
