// SPDX-License-Identifier: GPL-2.0

//! The redirty gate of `rust/pagecache/redirty.rs`, a step for each of its loads and stores.
//!
//! One that sees the gate through weaker eyes, a processor that reorders, is not modelled: the
//! real gate asks for full ordering at both of its stores.

use super::{Breakage, Busy, Removal};
use crate::explore::{Machine, Want};

/// The `->dirty_folio` of every regular file. Says whether the folio was still cached.
pub(super) fn dirty_folio(machine: &Machine, id: usize, cells: u16) -> bool {
    machine.call(|| dirty_in_gate(machine, id, cells))
}

fn dirty_in_gate(machine: &Machine, id: usize, cells: u16) -> bool {
    let gated = machine.at_once(|world, _| !world.broken(Breakage::NoGate));
    if gated {
        machine.step(
            format_args!("dirties folio {id}: enters the gate"),
            Want::Nothing,
            |world, _| world.gate.dirtying += 1,
        );
        let removing = machine.step(
            format_args!("is anybody removing?"),
            Want::Nothing,
            |world, _| world.gate.removing,
        );
        if removing {
            machine.step(
                format_args!("waits until he has removed"),
                Want::GateLock,
                |world, _| world.gate.locked = false,
            );
        }
    }
    machine.step(
        format_args!("sets the dirty flag of folio {id}, if cached"),
        Want::Nothing,
        |world, _| {
            world.gate.dirtying -= u8::from(gated);
            let cached = world.is_cached(id);
            if cached {
                world.dirty(id, cells);
            }
            cached
        },
    )
}

/// `RedirtyGate::remove`: the folio is locked, unmapped, not under writeback, without private state.
pub(super) fn remove(machine: &Machine, id: usize) -> Removal {
    let broken = |breakage| machine.at_once(|world, _| world.broken(breakage));
    if broken(Breakage::NoGate) {
        return machine.step(
            format_args!("removes folio {id}"),
            Want::Nothing,
            |world, _| {
                world.walk.1 += 1;
                world.remove(id);
                Removal::Removed
            },
        );
    }
    let late = broken(Breakage::GateLooksFirst);
    machine.step(
        format_args!("locks the gate, is removing folio {id}"),
        Want::GateLock,
        |world, _| world.gate.removing = !late,
    );
    let mut questions = [Busy::Redirtied, Busy::Dirty];
    if broken(Breakage::GateAsksDirtyFirst) {
        questions.reverse();
    }
    for why in questions {
        if late && why == Busy::Dirty {
            machine.step(format_args!("is removing"), Want::Nothing, |world, _| {
                world.gate.removing = true;
            });
        }
        let busy = machine.step(
            format_args!("is folio {id} {why:?}?"),
            Want::Nothing,
            |world, _| {
                let busy = match why {
                    Busy::Redirtied => world.gate.dirtying != 0,
                    _ => world.folios[id].dirty != 0 && !world.broken(Breakage::RemoveIgnoresDirty),
                };
                if busy {
                    world.gate.removing = false;
                    world.gate.locked = false;
                }
                busy
            },
        );
        if busy {
            return Removal::Busy(why);
        }
    }
    machine.step(
        format_args!("removes folio {id}"),
        Want::Nothing,
        |world, _| {
            world.walk.1 += 1;
            world.remove(id);
            world.gate.removing = false;
            world.gate.locked = false;
            Removal::Removed
        },
    )
}
