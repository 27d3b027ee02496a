// SPDX-License-Identifier: GPL-2.0

//! The block device under a volume.
//!
//! C header: [`include/linux/blkdev.h`](srctree/include/linux/blkdev.h)

use super::{
    super_block::AnySuperBlock,
    FileSystem,
    SuperBlock, //
};
use crate::bindings;
use kernel::{
    error::to_result,
    prelude::*, //
};

impl<T: FileSystem> AnySuperBlock<T> {
    /// Returns the size of the device in bytes.
    pub(crate) fn device_bytes(&self) -> u64 {
        // SAFETY: There is a block device, by the type invariants.
        unsafe { bindings::cohfs_bdev_nr_bytes((*self.as_raw()).s_bdev) }
    }

    /// Returns the bytes of one logical block of the device: the unit of direct I/O.
    pub(crate) fn logical_block_size(&self) -> u32 {
        // SAFETY: There is a block device, by the type invariants.
        unsafe { bindings::cohfs_bdev_logical_block_size((*self.as_raw()).s_bdev) }
    }

    /// Returns the mask that addresses of memory for direct I/O must not meet.
    pub(crate) fn dma_alignment_mask(&self) -> u32 {
        // SAFETY: There is a block device, by the type invariants.
        unsafe { bindings::cohfs_bdev_dma_alignment((*self.as_raw()).s_bdev) }
    }

    /// Returns the least number of bytes that the device can discard; nothing if it cannot.
    pub(crate) fn discard_granularity(&self) -> Option<u32> {
        // SAFETY: There is a block device, by the type invariants.
        unsafe {
            let bdev = (*self.as_raw()).s_bdev;
            (bindings::cohfs_bdev_max_discard_sectors(bdev) != 0)
                .then(|| bindings::cohfs_bdev_discard_granularity(bdev))
        }
    }

    /// Tells the device that it need not keep the bytes of `len` blocks from `first` on.
    ///
    /// # Context
    ///
    /// May sleep until the device is done.
    ///
    /// # Errors
    ///
    /// That of the device.
    pub(crate) fn discard(&self, first: u64, len: u64) -> Result {
        let bits = self.block_bits() - 9;
        // SAFETY: There is a block device, by the type invariants.
        to_result(unsafe {
            bindings::blkdev_issue_discard(
                (*self.as_raw()).s_bdev,
                first << bits,
                len << bits,
                bindings::COHFS_CONST_GFP_NOFS,
            )
        })
    }
}

impl<T: FileSystem> SuperBlock<T> {
    /// Freezes the volume, as the device's own command does, lets `change` take place, and thaws it.
    ///
    /// # Context
    ///
    /// May sleep: everything is written out.
    ///
    /// # Errors
    ///
    /// Those of freezing; nothing took place then.
    pub(crate) fn while_frozen(&self, change: impl FnOnce()) -> Result {
        // SAFETY: There is a block device, by the type invariants.
        unsafe {
            let bdev = (*self.as_raw()).s_bdev;
            to_result(bindings::bdev_freeze(bdev))?;
            change();
            to_result(bindings::bdev_thaw(bdev))
        }
    }

    /// Writes out what is dirty in the device's page cache, and waits for it.
    ///
    /// # Errors
    ///
    /// That of the device.
    pub(crate) fn sync_blockdev(&self) -> Result {
        // SAFETY: There is a block device, by the type invariants.
        to_result(unsafe { bindings::sync_blockdev((*self.as_raw()).s_bdev) })
    }
}
