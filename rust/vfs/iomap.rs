// SPDX-License-Identifier: GPL-2.0

//! Where the bytes of a file lie on the device: the file system's side of `fs/iomap`.
//!
//! C header: [`include/linux/iomap.h`](srctree/include/linux/iomap.h)

use super::{
    zero::is_zero,
    FileSystem,
    Inode, //
};
use crate::{
    bindings,
    pagecache::{
        ByteRange,
        PageRange, //
    },
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
    /// To read into the page cache, to zero what is there, or to tell somebody.
    Read,
    /// To read around the page cache.
    DirectRead,
    /// To write into the page cache; [`Mapper::end`] follows.
    Write,
    /// To write around the page cache.
    DirectWrite,
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
    /// Nothing was written there yet: what the write leaves of a block is zeroed.
    pub(crate) is_new: bool,
}

/// Maps files to the device.
pub(crate) trait Mapper: Sized + 'static {
    /// The file system.
    type Fs: FileSystem;

    /// Returns the extent that holds the first byte of `range`; it need not hold the last.
    ///
    /// # Context
    ///
    /// May sleep. To read into the page cache and to write it out, the folio is locked or the
    /// mapping's `invalidate_lock` held, shared; else the inode lock.
    ///
    /// # Errors
    ///
    /// Stands for the whole operation: a write gets it if it may not write there.
    fn map(inode: &Inode<Self::Fs>, range: ByteRange, intent: Intent) -> Result<Extent>;

    /// Notes that the bytes of `range` are in a folio, dirty, and that nothing else of a new extent
    /// is.
    ///
    /// # Context
    ///
    /// May sleep. The folio is locked, the inode lock held exclusively.
    ///
    /// # Errors
    ///
    /// The next `fsync` gets it.
    fn written(inode: &Inode<Self::Fs>, range: ByteRange) -> Result;

    /// Ends what `map` began for [`Intent::Write`]; `grown` if the file is larger than it was.
    fn end(inode: &Inode<Self::Fs>, grown: bool);

    /// What a filler holds while he fills or dirties a folio.
    type Turn<'a>;

    /// Says whether the folios over `pages` must not be filled from the device now.
    ///
    /// # Context
    ///
    /// Does not sleep. The folios are locked and in the page cache.
    fn is_closed(inode: &Inode<Self::Fs>, pages: PageRange) -> bool;

    /// Waits until `range` may be filled or made dirty, and sees to it that it may until the result
    /// is dropped.
    ///
    /// # Context
    ///
    /// May sleep. No folio is locked; `mmap_lock` and `invalidate_lock` may be held.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    fn turn(inode: &Inode<Self::Fs>, range: ByteRange) -> Result<Self::Turn<'_>>;

    /// Returns a number that moves when an extent that was told may no longer be right.
    fn changes(inode: &Inode<Self::Fs>) -> u64;
}

/// The C side of [`Mapper`].
pub(super) struct VTable<M>(PhantomData<M>);

impl<M: Mapper> VTable<M> {
    /// For everything but writeback.
    pub(super) const OPS: bindings::iomap_ops = bindings::iomap_ops {
        iomap_begin: Some(Self::iomap_begin),
        iomap_end: Some(Self::iomap_end),
        ..pin_init::zeroed()
    };

    /// To zero what is there and fill holes with zeros, as a write into the page cache would.
    pub(super) const FILL_OPS: bindings::iomap_ops = bindings::iomap_ops {
        iomap_begin: Some(Self::fill_begin),
        iomap_end: Some(Self::fill_end),
        ..pin_init::zeroed()
    };

    /// For writes into the page cache.
    pub(super) const WRITE_OPS: bindings::iomap_write_ops = bindings::iomap_write_ops {
        put_folio: Some(Self::put_folio),
        iomap_valid: Some(Self::iomap_valid),
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
        // Before the extent is looked up, so that no change is missed.
        let changes = M::changes(inode);
        let extent = M::map(inode, range, intent)?;
        tell(inode, &extent, intent, changes, iomap)
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
        unsafe { Self::begin(inode, pos, length, intent(flags), iomap) }
    }

    /// # Safety
    ///
    /// As [`Self::iomap_begin`].
    unsafe fn begin(
        inode: *mut bindings::inode,
        pos: bindings::loff_t,
        length: bindings::loff_t,
        intent: Intent,
        iomap: *mut bindings::iomap,
    ) -> c_int {
        // SAFETY: By our requirements.
        let (inode, iomap) = unsafe { (Inode::from_raw(inode), &mut *iomap) };
        from_result(|| {
            // C gives neither negative.
            let range = range(pos.unsigned_abs(), length.unsigned_abs())?;
            Self::fill(inode, range, intent, iomap).map(|()| 0)
        })
    }

    /// # Safety
    ///
    /// As [`Self::iomap_begin`].
    unsafe extern "C" fn fill_begin(
        inode: *mut bindings::inode,
        pos: bindings::loff_t,
        length: bindings::loff_t,
        _flags: c_uint,
        iomap: *mut bindings::iomap,
        _srcmap: *mut bindings::iomap,
    ) -> c_int {
        // SAFETY: By our requirements.
        unsafe { Self::begin(inode, pos, length, Intent::Write, iomap) }
    }

    /// # Safety
    ///
    /// As [`Self::iomap_end`].
    unsafe extern "C" fn fill_end(
        inode: *mut bindings::inode,
        _pos: bindings::loff_t,
        _length: bindings::loff_t,
        _written: isize,
        _flags: c_uint,
        _iomap: *mut bindings::iomap,
    ) -> c_int {
        // SAFETY: By our requirements.
        M::end(unsafe { Inode::from_raw(inode) }, false);
        0
    }

    /// # Safety
    ///
    /// As [`Self::iomap_begin`], once after each call of it that succeeded.
    unsafe extern "C" fn iomap_end(
        inode: *mut bindings::inode,
        _pos: bindings::loff_t,
        _length: bindings::loff_t,
        _written: isize,
        flags: c_uint,
        iomap: *mut bindings::iomap,
    ) -> c_int {
        if intent(flags) == Intent::Write {
            // SAFETY: By our requirements.
            let (inode, iomap) = unsafe { (Inode::from_raw(inode), &*iomap) };
            let grown = u32::from(iomap.flags) & bindings::IOMAP_F_SIZE_CHANGED != 0;
            M::end(inode, grown);
        }
        0
    }

    /// # Safety
    ///
    /// Called by `fs/iomap` with a locked folio of an inode of a mount in use, into which `copied`
    /// bytes were written; lock and reference go to us.
    unsafe extern "C" fn put_folio(
        inode: *mut bindings::inode,
        pos: bindings::loff_t,
        copied: c_uint,
        folio: *mut bindings::folio,
    ) {
        // SAFETY: By our requirements.
        let inode = unsafe { Inode::from_raw(inode) };
        if let Some(range) = ByteRange::new(pos.unsigned_abs(), u64::from(copied)) {
            if let Err(error) = M::written(inode, range) {
                inode.mapping().set_error(error);
            }
        }
        // SAFETY: By our requirements.
        unsafe {
            bindings::folio_unlock(folio);
            bindings::cohfs_folio_put(folio);
        }
    }

    /// # Safety
    ///
    /// Called by `fs/iomap` with a mapping that [`Self::iomap_begin`] made, and the folio locked that
    /// it is for.
    unsafe extern "C" fn iomap_valid(
        inode: *mut bindings::inode,
        iomap: *const bindings::iomap,
    ) -> bool {
        // SAFETY: By our requirements.
        let (inode, iomap) = unsafe { (Inode::<M::Fs>::from_raw(inode), &*iomap) };
        // What has blocks keeps them: the inode lock is held.
        let is_new = u32::from(iomap.flags) & bindings::IOMAP_F_NEW != 0;
        !is_new || iomap.validity_cookie == M::changes(inode)
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
            // A mapping of length 0, as at the start, holds nothing. What was a hole may have
            // blocks now, and what had blocks others.
            let holds = u32::from(iomap.type_) == bindings::IOMAP_MAPPED
                && iomap.validity_cookie == M::changes(inode)
                // Made of an unsigned offset by `fill`.
                && pos
                    .checked_sub(iomap.offset.unsigned_abs())
                    .is_some_and(|into| into < iomap.length);
            if !holds {
                Self::fill(inode, range, Intent::Writeback, iomap)?;
            }
            if u32::from(iomap.type_) == bindings::IOMAP_HOLE {
                // Blocks that nobody wrote to can be dirty with others of their folio, and are zero.
                let hole = iomap.offset.unsigned_abs().saturating_add(iomap.length);
                let end = hole.min(range.end());
                // SAFETY: By our requirements, `range` is in the folio.
                if !unsafe { is_zero(folio, pos, end) } {
                    return Err(EIO);
                }
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

/// Fills `iomap` with `extent`, which was found when the tree had that number of `changes`. All else of a
/// mapping that was made here is zero already, as C makes it.
pub(super) fn tell<T: FileSystem>(
    inode: &Inode<T>,
    extent: &Extent,
    intent: Intent,
    changes: u64,
    iomap: &mut bindings::iomap,
) -> Result {
    let (kind, address) = match extent.address {
        Some(address) => (bindings::IOMAP_MAPPED, address),
        None => (bindings::IOMAP_HOLE, NULL_ADDR),
    };
    let new = match extent.is_new {
        true => bindings::IOMAP_F_NEW,
        false => 0,
    };
    // A durable write that goes on by itself is to sync these as well, also where the device has no
    // cache to flush, or can write around it. Looked at after the blocks were found, so that what
    // leads there is known.
    let dirty = match intent == Intent::DirectWrite && !inode.is_flushed() {
        true => bindings::IOMAP_F_DIRTY,
        false => 0,
    };
    iomap.addr = address;
    iomap.offset = i64::try_from(extent.offset).map_err(|_| EUCLEAN)?;
    iomap.length = extent.len;
    // CAST: Small constants.
    iomap.type_ = kind as u16;
    iomap.flags = (bindings::IOMAP_F_MERGED | new | dirty) as u16;
    // SAFETY: `s_bdev` is constant.
    iomap.bdev = unsafe { (*inode.sb().as_raw()).s_bdev };
    iomap.validity_cookie = changes;
    Ok(())
}

/// Returns what C wants a mapping for, by the flags of `iomap_begin`.
pub(super) fn intent(flags: c_uint) -> Intent {
    let is = |flag| flags & flag != 0;
    match (is(bindings::IOMAP_DIRECT), is(bindings::IOMAP_WRITE)) {
        (false, false) => Intent::Read,
        (false, true) => Intent::Write,
        (true, false) => Intent::DirectRead,
        (true, true) => Intent::DirectWrite,
    }
}

/// Makes a range of what C gives.
fn range(pos: u64, len: u64) -> Result<ByteRange> {
    ByteRange::new(pos, len).ok_or(EINVAL)
}
