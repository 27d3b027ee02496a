// SPDX-License-Identifier: GPL-2.0

//! Where the bytes of a file lie on the device: the file system's side of `fs/iomap`.
//!
//! C header: [`include/linux/iomap.h`](srctree/include/linux/iomap.h)

use super::{
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    pagecache::ByteRange, //
};
use core::marker::PhantomData;
use kernel::{
    error::from_result,
    prelude::*, //
};

/// The address of a hole, C's `IOMAP_NULL_ADDR`, a cast that `bindgen` does not see through.
const NULL_ADDR: u64 = u64::MAX;

/// What a mapping is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// To read, or to tell somebody.
    Read,
    /// To write by a system call.
    Write,
    /// To make a folio writable that is mapped, [`super::Fault::page_mkwrite`].
    Fault,
    /// To write out what is dirty.
    Writeback,
}

/// A part of a file that lies in one piece, or is a hole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Offset in the file, in bytes; at most that which was asked for.
    pub(crate) offset: u64,
    /// Length in bytes, beyond the offset that was asked for.
    pub(crate) len: u64,
    /// Offset on the device, in bytes; nothing for a hole.
    pub(crate) address: Option<u64>,
}

/// Maps files to the device.
pub(crate) trait Mapper: Sized + 'static {
    /// The file system.
    type Fs: FileSystem;

    /// Returns the extent that holds the first byte of `range`; it need not hold the last.
    ///
    /// # Context
    ///
    /// May sleep. A folio of the file may be locked.
    ///
    /// # Errors
    ///
    /// Stands for the whole operation: a write gets it if it may not write there.
    fn map(inode: &Inode<Self::Fs>, range: ByteRange, intent: Intent) -> Result<Extent>;
}

/// The C side of [`Mapper`].
pub(super) struct VTable<M>(PhantomData<M>);

impl<M: Mapper> VTable<M> {
    /// For everything but writeback.
    pub(super) const OPS: bindings::iomap_ops = bindings::iomap_ops {
        iomap_begin: Some(Self::iomap_begin),
        ..pin_init::zeroed()
    };

    const WRITEBACK: bindings::iomap_writeback_ops = bindings::iomap_writeback_ops {
        writeback_range: Some(Self::writeback_range),
        writeback_submit: Some(bindings::iomap_ioend_writeback_submit),
    };

    /// Fills `iomap` with the extent at the start of `range`.
    fn fill(
        inode: &Inode<M::Fs>,
        range: ByteRange,
        intent: Intent,
        iomap: &mut bindings::iomap,
    ) -> Result {
        let extent = M::map(inode, range, intent)?;
        let (kind, address) = match extent.address {
            Some(address) => (bindings::IOMAP_MAPPED, address),
            None => (bindings::IOMAP_HOLE, NULL_ADDR),
        };
        *iomap = bindings::iomap {
            addr: address,
            offset: i64::try_from(extent.offset).map_err(|_| EUCLEAN)?,
            length: extent.len,
            // CAST: Small constants.
            type_: kind as u16,
            flags: bindings::IOMAP_F_MERGED as u16,
            // SAFETY: `s_bdev` is constant.
            bdev: unsafe { (*inode.sb().as_raw()).s_bdev },
            ..pin_init::zeroed()
        };
        Ok(())
    }

    /// # Safety
    ///
    /// Called by `iomap_iter` with an inode of a mount in use and room for a mapping.
    unsafe extern "C" fn iomap_begin(
        inode: *mut bindings::inode,
        pos: bindings::loff_t,
        length: bindings::loff_t,
        flags: c_uint,
        iomap: *mut bindings::iomap,
        _srcmap: *mut bindings::iomap,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (inode, iomap) = unsafe { (Inode::from_raw(inode), &mut *iomap) };
        let intent = if flags & bindings::IOMAP_FAULT != 0 {
            Intent::Fault
        } else if flags & bindings::IOMAP_WRITE != 0 {
            Intent::Write
        } else {
            Intent::Read
        };
        from_result(|| {
            // C gives neither negative.
            let range = range(pos.unsigned_abs(), length.unsigned_abs())?;
            Self::fill(inode, range, intent, iomap).map(|()| 0)
        })
    }

    /// Writes `pos..pos + len` of a folio out, or the first part of it.
    ///
    /// # Safety
    ///
    /// Called by `iomap_writeback_folio` with its context and a locked folio of its inode.
    unsafe extern "C" fn writeback_range(
        wpc: *mut bindings::iomap_writepage_ctx,
        folio: *mut bindings::folio,
        pos: u64,
        len: c_uint,
        end_pos: u64,
    ) -> isize {
        // SAFETY: By our requirements.
        let inode = unsafe { Inode::from_raw((*wpc).inode) };
        from_result(|| {
            let range = range(pos, u64::from(len))?;
            // SAFETY: The context is ours for this call.
            let iomap = unsafe { &mut (*wpc).iomap };
            // Made of an unsigned offset by `fill`.
            let cached = iomap.offset.unsigned_abs();
            // A mapping of length 0, as at the start, holds nothing.
            if pos
                .checked_sub(cached)
                .is_none_or(|into| into >= iomap.length)
            {
                Self::fill(inode, range, Intent::Writeback, iomap)?;
            }
            let (pos, end) = (i64::try_from(pos)?, i64::try_from(end_pos)?);
            // SAFETY: By our requirements, and the mapping holds `pos`.
            Ok(unsafe { bindings::iomap_add_to_ioend(wpc, folio, pos, end, len) })
        })
    }

    /// Writes out what is dirty: `address_space_operations.writepages`.
    ///
    /// # Safety
    ///
    /// Called by the VFS with the mapping of an inode of a mount in use.
    pub(super) unsafe extern "C" fn writepages(
        mapping: *mut bindings::address_space,
        wbc: *mut bindings::writeback_control,
    ) -> c_int {
        let mut wpc = bindings::iomap_writepage_ctx {
            // SAFETY: By our requirements.
            inode: unsafe { (*mapping).host },
            wbc,
            ops: &Self::WRITEBACK,
            ..pin_init::zeroed()
        };
        // SAFETY: The context is complete and lives until C returns.
        unsafe { bindings::iomap_writepages(&mut wpc) }
    }
}

/// Makes a range of what C gives.
fn range(pos: u64, len: u64) -> Result<ByteRange> {
    ByteRange::new(pos, len).ok_or(EINVAL)
}
