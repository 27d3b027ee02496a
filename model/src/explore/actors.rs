// SPDX-License-Identifier: GPL-2.0

//! What a task of a scenario does.

use super::{Machine, Want};
use crate::{
    coherency::{direct_write, strict, Counters, OnBusy, Policy, Target, Walker},
    pagecache::{cells, Breakage, ByteRange, Host, PageRange, Verdict, World, CELLS},
    prelude::*,
};
use std::ops::Range;

/// One task.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A direct write of `len` cells from cell `from`.
    DirectWrite {
        policy: Policy,
        walker: Walker,
        from: usize,
        len: usize,
    },
    /// A strict direct write of `len` cells from cell `from`, under the shared inode lock. `goes_on`
    /// says whether the lock is given up while the I/O is in flight, as an asynchronous write does.
    Strict {
        from: usize,
        len: usize,
        goes_on: bool,
    },
    /// A strict direct write of one cell whose source is a mapping of this file.
    StrictFromMapping {
        to: usize,
        mapper: usize,
        from: usize,
    },
    /// A walk over the whole file, as `COHFS_IOC_INVALIDATE` does.
    Invalidate { walker: Walker },
    /// A load through a mapping.
    Load { mapper: usize, cell: usize },
    /// A store through a mapping.
    Store { mapper: usize, cell: usize },
    /// A buffered read.
    Read { cell: usize },
    /// A buffered write of one cell.
    Write { cell: usize },
    /// Background writeback of the whole file.
    Writeback,
    /// Reclaim of what is unused in a page.
    Evict { page: usize },
    /// `munmap` or exit of a mapper.
    Munmap { mapper: usize },
    /// An unlocked dirtier.
    Scribble { cell: usize },
    /// I/O into a mapping.
    Dma { mapper: usize, cell: usize },
    /// A direct write of one cell whose source is a mapping of this file.
    DirectWriteFromMapping {
        policy: Policy,
        walker: Walker,
        to: usize,
        mapper: usize,
        from: usize,
    },
}

/// Bytes in a cell.
const CELL: u64 = (1 << PAGE_SHIFT) / CELLS as u64;

impl Act {
    /// What a trace calls it.
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::DirectWrite { .. } | Self::DirectWriteFromMapping { .. } => "direct write",
            Self::Strict { .. } | Self::StrictFromMapping { .. } => "strict write",
            Self::Invalidate { .. } => "invalidate",
            Self::Load { .. } => "load",
            Self::Store { .. } => "store",
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Writeback => "writeback",
            Self::Evict { .. } => "reclaim",
            Self::Munmap { .. } => "munmap",
            Self::Scribble { .. } => "scribbler",
            Self::Dma { .. } => "dma",
        }
    }

    /// Does it, as task number `me` of the host's machine.
    pub(super) fn perform(&self, host: &Host, me: usize) {
        let mapping = host.mapping();
        let write = me as u8 + 1;
        match *self {
            Self::DirectWrite {
                policy,
                walker,
                from,
                len,
            } => direct(host, write, policy, walker, from..from + len, || ()),
            Self::DirectWriteFromMapping {
                policy,
                walker,
                to,
                mapper,
                from,
            } => direct(host, write, policy, walker, to..to + 1, || {
                mapping.load(mapper, from);
            }),
            Self::Strict { from, len, goes_on } => {
                strict_write(host, write, from..from + len, goes_on, || ());
            }
            Self::StrictFromMapping { to, mapper, from } => {
                strict_write(host, write, to..to + 1, false, || {
                    mapping.load(mapper, from);
                });
            }
            Self::Invalidate { walker } => invalidate(host, walker),
            Self::Load { mapper, cell } => mapping.load(mapper, cell),
            Self::Store { mapper, cell } => mapping.store(mapper, cell, write),
            Self::Read { cell } => mapping.read_buffered(cell),
            Self::Write { cell } => {
                begin(mapping.machine(), "write", write);
                let guard = host.lock();
                if mapping.has_gates() && !mapping.is_broken(Breakage::WriteIgnoresGates) {
                    strict::wait_for_writes(&guard, bytes(cell..cell + 1), &Counters::default());
                }
                mapping.write_buffered(cell..cell + 1, write);
                mapping
                    .machine()
                    .at_once(|world, _| world.end(write, [cell]));
                drop(guard);
            }
            Self::Writeback => mapping.write_back(PageRange::ALL),
            Self::Evict { page } => mapping.evict(page),
            Self::Munmap { mapper } => mapping.munmap(mapper),
            Self::Scribble { cell } => mapping.scribble(cell, write),
            Self::Dma { mapper, cell } => mapping.dma(mapper, cell, write),
        }
    }
}

fn begin(machine: &Machine, what: &str, write: u8) {
    machine.step(
        format_args!("calls {what}"),
        Want::Nothing,
        |world: &mut World, _| world.begin(write),
    );
}

/// Runs the real `direct_write`; `source` touches the memory that is written from.
fn direct(
    host: &Host,
    write: u8,
    policy: Policy,
    walker: Walker,
    target_cells: Range<usize>,
    source: impl Fn(),
) {
    let machine = host.mapping().machine();
    let range = bytes(target_cells.clone());
    let all = usize::try_from(range.len()).expect("a few pages");

    begin(machine, "pwrite", write);
    let lock = host.lock();
    let counters = Counters::default();
    let target = Target {
        lock: &lock,
        policy,
        walker,
        counters: &counters,
    };
    let transfer = || {
        let broken = host
            .mapping()
            .is_broken(Breakage::TransferUnderInvalidateLock);
        let _guard = broken.then(|| lock.invalidate_lock());
        source();
        put_on_disk(machine, target_cells.clone(), write);
        Ok(all)
    };
    let through_cache = || {
        source();
        machine.at_once(|world, _| world.note(Verdict::ThroughCache));
        host.mapping().write_buffered(target_cells.clone(), write);
        Ok(all)
    };
    let result = direct_write(&target, range, transfer, through_cache);
    machine.at_once(|world, _| match result {
        Ok(written) => {
            let promised = range.first(written).map(cells).unwrap_or_default();
            world.end(write, promised);
        }
        Err(_) => {
            world.end(write, []);
            world.note(Verdict::Told);
        }
    });
}

/// Has the device write some cells, one after the other.
fn put_on_disk(machine: &Machine, cells: Range<usize>, write: u8) {
    for cell in cells {
        machine.step(
            format_args!("cell {cell} is on disk"),
            Want::Nothing,
            |world: &mut World, _| world.put_on_disk(cell, write),
        );
    }
}

/// The bytes of some cells.
fn bytes(cells: Range<usize>) -> ByteRange {
    ByteRange::new(cells.start as u64 * CELL, cells.len() as u64 * CELL)
        .expect("a scenario writes at least a cell")
}

/// Runs the real `strict` as `rust/fs/file.rs` does; `source` touches the memory that is written
/// from, to pin it.
fn strict_write(host: &Host, write: u8, cells: Range<usize>, goes_on: bool, source: impl Fn()) {
    let mapping = host.mapping();
    let machine = mapping.machine();
    let range = bytes(cells.clone());
    let counters = Counters::default();

    begin(machine, "pwrite", write);
    let inside = mapping.is_broken(Breakage::SourceInsideGate);
    if !inside {
        source();
    }
    let lock = host.lock_shared();
    let mut way = None;
    machine.call(|| {
        way = strict::make_way(mapping, range, &counters).expect("the device is sound");
        way.is_some()
    });
    if let Some(gate) = way {
        if inside {
            source();
        }
        let lock = (!goes_on).then_some(lock);
        put_on_disk(machine, cells.clone(), write);
        drop(gate);
        machine.at_once(|world, _| world.end(write, cells));
        drop(lock);
    } else {
        drop(lock);
        let lock = host.lock();
        strict::wait_for_writes(&lock, range, &counters);
        let target = Target {
            lock: &lock,
            policy: Policy::Strict,
            walker: Walker::Own,
            counters: &counters,
        };
        let all = usize::try_from(range.len()).expect("a few pages");
        let transfer = || {
            put_on_disk(machine, cells.clone(), write);
            Ok(all)
        };
        let through_cache = || {
            machine.at_once(|world, _| world.note(Verdict::ThroughCache));
            mapping.write_buffered(cells.clone(), write);
            Ok(all)
        };
        let written = direct_write(&target, range, transfer, through_cache);
        written.expect("the device is sound");
        machine.at_once(|world, _| world.end(write, cells));
    }
}

/// Runs the real `invalidate` over the whole file and holds its report against what happened.
fn invalidate(host: &Host, walker: Walker) {
    let machine = host.mapping().machine();
    let lock = host.lock();
    let counters = Counters::default();
    let target = Target {
        lock: &lock,
        policy: Policy::None,
        walker,
        counters: &counters,
    };
    let report = target.invalidate(PageRange::ALL, OnBusy::GoOn);
    machine.at_once(|world, _| {
        let walk = world.walked();
        let right = walk.removed == report.removed
            && walk.left <= report.busy
            && report.removed + report.busy <= walk.met
            && report.first_busy.is_some() == (report.busy > 0)
            && counters_agree(&counters, report.removed, report.busy);
        if !right {
            world.note(Verdict::WrongReport);
        }
    });
}

/// Says whether the counters of the mount say what the report does.
fn counters_agree(counters: &Counters, removed: u64, busy: u64) -> bool {
    let (mut seen_removed, mut seen_busy) = (0, 0);
    let shown: Result<(), ()> = counters.each(|name, value| {
        if name == "folios_removed" {
            seen_removed = value;
        } else if name.starts_with("folios_busy_") {
            seen_busy += value;
        }
        Ok(())
    });
    shown.is_ok() && (seen_removed, seen_busy) == (removed, busy)
}
