// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/cohfs/<device>/`: what happened on a mount, and what is happening.

use super::{
    Cohfs,
    Registered,
    SuperBlock, //
};
use crate::{
    pagecache::Purpose,
    vfs::debugfs::{
        Dir,
        File,
        Operations, //
    },
};
use core::convert::Infallible;
use kernel::{
    seq_file::SeqFile,
    seq_print, //
};

impl Operations for Cohfs {
    const FILES: &'static [File<Self>] = &[
        File {
            name: c"counters",
            show: counters,
        },
        File {
            name: c"gates",
            show: gates,
        },
    ];

    fn directory(registered: &Registered) -> &Dir {
        &registered.debugfs
    }
}

/// One line for each counter, `name value`.
fn counters(sb: &SuperBlock, seq: &SeqFile) {
    let Ok(()) = sb.data().counters.each(|name, value| {
        seq_print!(seq, "{name} {value}\n");
        Ok::<(), Infallible>(())
    });
}

/// One line for each claim of a range of a file that has entered and not left, gates among them.
fn gates(sb: &SuperBlock, seq: &SeqFile) {
    sb.each_mapping(|ino, mapping| {
        mapping.in_flight().each(|claim, begun| {
            let purpose = match claim.purpose {
                Purpose::Write => "write",
                Purpose::Fill => "fill",
            };
            let state = if begun { "in-flight" } else { "waiting" };
            let (pos, len) = (claim.range.pos(), claim.range.len());
            seq_print!(seq, "ino={ino} {purpose} pos={pos} len={len} {state}\n");
        });
    });
}
