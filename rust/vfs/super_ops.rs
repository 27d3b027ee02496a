// SPDX-License-Identifier: GPL-2.0

//! What the VFS asks of a mounted volume: `struct super_operations`.
//!
//! C header: [`include/linux/fs/super_types.h`](srctree/include/linux/fs/super_types.h)

use super::{
    debugfs,
    inode_cache,
    metadata,
    Inode,
    SuperBlock, //
};
use crate::bindings;
use core::{
    marker::PhantomData,
    ptr, //
};
use kernel::{
    error::from_result,
    num::casts::u32_as_usize,
    prelude::*,
    seq_file::SeqFile,
    types::ForeignOwnable, //
};

/// Numbers of `statfs`, in blocks and inodes.
pub(crate) struct StatFs {
    /// Blocks for data, used or not.
    pub(crate) blocks: u64,
    /// Unused blocks.
    pub(crate) blocks_free: u64,
    /// Unused blocks that anybody may use.
    pub(crate) blocks_available: u64,
    /// Inodes, used or not.
    pub(crate) files: u64,
    /// Unused inodes.
    pub(crate) files_free: u64,
    /// Greatest length of a name in bytes.
    pub(crate) name_len: u32,
    /// The volume's identity.
    pub(crate) fsid: u64,
}

/// What the file system does with a mounted volume.
pub(crate) trait Operations: debugfs::Operations {
    /// Copies the inode into its block on the device's page cache; does not wait for the device.
    fn write_inode(inode: &Inode<Self>) -> Result;

    /// Takes leave of an inode; takes the file off the disk if it is `deleted`, for it has no name.
    /// Returns whether its number may be given to another file.
    ///
    /// # Context
    ///
    /// Nobody else uses the inode, and its page cache is empty.
    fn evict_inode(inode: &Inode<Self>, deleted: bool) -> bool;

    /// Gives the number of a deleted inode back; the last that is done with it.
    fn free_ino(inode: &Inode<Self>);

    /// Writes what `write_inode` made dirty to the device and waits for it.
    fn sync_inode_metadata(inode: &Inode<Self>) -> Result;

    /// Writes the super block; waits for it if `wait`.
    fn sync_fs(sb: &SuperBlock<Self>, wait: bool) -> Result;

    /// Makes the volume on the device look cleanly unmounted, until `unfreeze_fs`.
    fn freeze_fs(sb: &SuperBlock<Self>) -> Result;

    /// Takes up work after `freeze_fs`.
    fn unfreeze_fs(sb: &SuperBlock<Self>) -> Result;

    /// Gives the volume up: its device is gone.
    fn shutdown(sb: &SuperBlock<Self>);

    /// Last call of a mount; its inodes are gone.
    fn put_super(sb: &SuperBlock<Self>);

    /// Returns how full the volume is.
    fn statfs(sb: &SuperBlock<Self>) -> Result<StatFs>;

    /// Writes the mount's options as `/proc/mounts` shows them, each after a comma.
    fn show_options(sb: &SuperBlock<Self>, seq: &SeqFile);
}

/// The C side of [`Operations`].
pub(super) struct VTable<T>(PhantomData<T>);

impl<T: Operations> VTable<T> {
    pub(super) const TABLE: bindings::super_operations = bindings::super_operations {
        alloc_inode: Some(inode_cache::alloc_inode::<T>),
        free_inode: Some(inode_cache::free_inode::<T>),
        evict_inode: Some(Self::evict_inode),
        write_inode: Some(Self::write_inode),
        sync_inode_metadata: Some(Self::sync_inode_metadata),
        sync_fs: Some(Self::sync_fs),
        freeze_fs: Some(Self::freeze_fs),
        unfreeze_fs: Some(Self::unfreeze_fs),
        shutdown: Some(Self::shutdown),
        put_super: Some(Self::put_super),
        statfs: Some(Self::statfs),
        show_options: Some(Self::show_options),
        ..pin_init::zeroed()
    };

    /// Takes the private part back from C, which then has none.
    ///
    /// # Safety
    ///
    /// `s_fs_info` was set by `fill_super`, and nobody uses it any more.
    pub(super) unsafe fn take_data(sb: *mut bindings::super_block) -> Pin<KBox<T::Super>> {
        // SAFETY: By our requirements.
        unsafe {
            let data = (*sb).s_fs_info;
            (*sb).s_fs_info = ptr::null_mut();
            ForeignOwnable::from_foreign(data)
        }
    }

    /// # Safety
    ///
    /// Called by the VFS with an inode that nobody uses any more, of a mount in use. It may be a bad
    /// one, without data.
    unsafe extern "C" fn evict_inode(inode: *mut bindings::inode) {
        // SAFETY: By our requirements. The reference ends here.
        let (sb, good) = unsafe {
            bindings::truncate_inode_pages_final(&raw mut (*inode).i_data);
            let good = inode_cache::has_data::<T>(inode) && !bindings::is_bad_inode(inode);
            ((*inode).i_sb, good.then(|| Inode::<T>::from_raw(inode)))
        };
        // SAFETY: The inode is valid, and nobody changes it any more.
        let deleted = good.is_some() && unsafe { (*inode).__bindgen_anon_1.i_nlink } == 0;
        if deleted {
            // SAFETY: The mount is in use.
            unsafe { bindings::cohfs_sb_start_intwrite(sb) };
        }
        let freed = good.filter(|inode| T::evict_inode(inode, deleted));
        // SAFETY: By our requirements.
        unsafe {
            metadata::evict::<T>(inode.cast(), !deleted);
            bindings::clear_inode(inode);
        }
        if let Some(inode) = freed {
            T::free_ino(inode);
        }
        if deleted {
            // SAFETY: Begun above.
            unsafe { bindings::cohfs_sb_end_intwrite(sb) };
        }
    }

    /// # Safety
    ///
    /// Called by the VFS with an inode of a mount in use.
    unsafe extern "C" fn write_inode(
        inode: *mut bindings::inode,
        _wbc: *mut bindings::writeback_control,
    ) -> c_int {
        // SAFETY: By our requirements; only initialised inodes are ever dirty.
        let inode = unsafe { Inode::<T>::from_raw(inode) };
        from_result(|| T::write_inode(inode).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with an inode of a mount in use.
    unsafe extern "C" fn sync_inode_metadata(
        inode: *mut bindings::inode,
        _wbc: *mut bindings::writeback_control,
    ) -> c_int {
        // SAFETY: As in `write_inode`.
        let inode = unsafe { Inode::<T>::from_raw(inode) };
        from_result(|| T::sync_inode_metadata(inode).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with the super block of a mount in use.
    unsafe extern "C" fn sync_fs(sb: *mut bindings::super_block, wait: c_int) -> c_int {
        // SAFETY: By our requirements.
        let sb = unsafe { SuperBlock::<T>::from_raw(sb) };
        from_result(|| T::sync_fs(sb, wait != 0).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with the super block of a mount in use.
    unsafe extern "C" fn freeze_fs(sb: *mut bindings::super_block) -> c_int {
        // SAFETY: By our requirements.
        let sb = unsafe { SuperBlock::<T>::from_raw(sb) };
        from_result(|| T::freeze_fs(sb).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with the super block of a mount in use.
    unsafe extern "C" fn unfreeze_fs(sb: *mut bindings::super_block) -> c_int {
        // SAFETY: By our requirements.
        let sb = unsafe { SuperBlock::<T>::from_raw(sb) };
        from_result(|| T::unfreeze_fs(sb).map(|()| 0))
    }

    /// # Safety
    ///
    /// Called by the VFS with the super block of a mount in use.
    unsafe extern "C" fn shutdown(sb: *mut bindings::super_block) {
        // SAFETY: By our requirements.
        T::shutdown(unsafe { SuperBlock::<T>::from_raw(sb) });
    }

    /// # Safety
    ///
    /// Called by the VFS once, after the last inode of the mount was evicted.
    unsafe extern "C" fn put_super(sb: *mut bindings::super_block) {
        // SAFETY: By our requirements.
        let mount = unsafe { SuperBlock::<T>::from_raw(sb) };
        debugfs::remove(mount);
        T::put_super(mount);
        // SAFETY: The mount is over. Inodes whose memory is still to be freed after a grace period
        // do not reach for their super block (`free_inode`).
        drop(unsafe { Self::take_data(sb) });
    }

    /// # Safety
    ///
    /// Called by the VFS with a dentry of a mount in use, and room for the result.
    unsafe extern "C" fn statfs(
        dentry: *mut bindings::dentry,
        buf: *mut kernel::bindings::kstatfs,
    ) -> c_int {
        // The kernel crate knows the type by name only; ours is the same C type in full.
        let buf = buf.cast::<bindings::kstatfs>();
        // SAFETY: By our requirements.
        let sb = unsafe { SuperBlock::<T>::from_raw((*dentry).d_sb) };
        from_result(|| {
            let stat = T::statfs(sb)?;
            // SAFETY: `buf` is ours to fill; the super block's magic is constant.
            let (buf, magic) = unsafe { (&mut *buf, (*sb.as_raw()).s_magic) };
            buf.f_type = magic.try_into()?;
            buf.f_bsize = 1 << sb.block_bits();
            buf.f_blocks = stat.blocks;
            buf.f_bfree = stat.blocks_free;
            buf.f_bavail = stat.blocks_available;
            buf.f_files = stat.files;
            buf.f_ffree = stat.files_free;
            buf.f_namelen = u32_as_usize(stat.name_len).try_into()?;
            // CAST: Two halves of a pattern of bits.
            buf.f_fsid.val = [stat.fsid as c_int, (stat.fsid >> 32) as c_int];
            Ok(0)
        })
    }

    /// # Safety
    ///
    /// Called by the VFS with a sequence file of this task and a dentry of a mount in use.
    unsafe extern "C" fn show_options(
        seq: *mut bindings::seq_file,
        dentry: *mut bindings::dentry,
    ) -> c_int {
        // SAFETY: By our requirements.
        unsafe {
            T::show_options(
                SuperBlock::<T>::from_raw((*dentry).d_sb),
                SeqFile::from_raw(seq),
            );
        }
        0
    }
}
