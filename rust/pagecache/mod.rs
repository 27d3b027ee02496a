// SPDX-License-Identifier: GPL-2.0

//! The page cache of one file: its mapping, its folios, and the locks over both.
//!
//! Safe types over `struct address_space` and `struct folio`. What must be held is a guard that
//! is passed, and the order of the steps that take a folio out of the cache is a chain of types,
//! `LockedFolio` → `UnmappedFolio` → `QuiescentFolio` in `folio.rs`, of which only the last has `remove`.
//!
//! # Lock order
//!
//! Outer to inner, as in the comment at the top of `mm/filemap.c`:
//!
//! `i_rwsem` → `invalidate_lock` → folio lock → `i_mmap_rwsem` → page-table lock →
//! [`RedirtyGate`]'s spinlock → `i_lock` → `i_pages`.
//!
//! `mmap_lock` stands between `i_rwsem` and `invalidate_lock`: a fault takes the latter under it,
//! so nothing here touches user memory while it holds an `InvalidateGuard`.
//!
//! C headers: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h),
//! [`mm/filemap.c`](srctree/mm/filemap.c), [`mm/truncate.c`](srctree/mm/truncate.c)

mod folio;
mod held;
mod host;
mod in_flight;
mod mapping;
mod range;
mod redirty;
mod walk;

pub(crate) use self::folio::{
    Busy,
    FolioRef,
    Removal, //
};
pub(crate) use self::held::GateHeld;
pub(crate) use self::host::{
    Host,
    InodeLockGuard,
    InodeLocked,
    InodeSharedGuard,
    InvalidateGuard, //
};
pub(crate) use self::in_flight::{
    Claim,
    Entry,
    InFlight,
    Purpose, //
};
pub(crate) use self::mapping::AddressSpace;
pub(crate) use self::range::{
    ByteRange,
    PageRange, //
};
pub(crate) use self::redirty::{
    dirty_folio,
    RedirtyGate, //
};
pub(crate) use self::walk::{
    Sweep,
    Walk, //
};
