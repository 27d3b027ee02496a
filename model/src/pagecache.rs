// SPDX-License-Identifier: GPL-2.0

//! A page cache, page tables and a disk, small enough to explore, under the names that
//! `rust/pagecache` has.
//!
//! What `coherency` sees (`folio`, `host`, `mapping`, `walk`) has the signatures of the real room
//! and takes the same steps in the same order; `range` *is* the real file. Beside it stand
//! Linux' own paths that meet the walker (`fault`, `buffered`, `writeback`, `others`), each
//! written after the C functions that it names.
//!
//! A page has two cells, and a cell holds the number of the write that its bytes come from: 0 for
//! the first contents of the disk. That is all there is to know about bytes here: who wrote them
//! last, and who was told so (`ghost`).

mod buffered;
mod dirty;
mod fault;
mod folio;
mod ghost;
mod host;
mod in_flight;
mod mapping;
mod others;
#[allow(dead_code, reason = "the file system uses more of it than the model")]
#[path = "../../rust/pagecache/range.rs"]
mod range;
mod setup;
mod walk;
mod world;
mod writeback;

pub(crate) use self::folio::{Busy, FolioRef, Removal};
pub(crate) use self::ghost::{Verdict, Verdicts};
pub(crate) use self::host::{Host, InodeLockGuard, InvalidateGuard};
pub(crate) use self::in_flight::{Claim, Entry, GateHeld, InFlight, Purpose};
pub(crate) use self::mapping::{cells, AddressSpace};
pub(crate) use self::range::{ByteRange, PageRange};
pub(crate) use self::setup::{Breakage, Cached, Setup};
pub(crate) use self::walk::{Sweep, Walk};
pub(crate) use self::world::{World, CELLS};
