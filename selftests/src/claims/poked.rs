// SPDX-License-Identifier: GPL-2.0

//! Memory that others reach into, or share by a fork, while it is written to or from a file.

use std::io;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use super::redirty;
use super::redirty::BLOCK;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Disk;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::transfer;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::window;
use crate::window::Flight;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T59",
        name: "poke_during_direct_write",
        rule: "B4 T59, C1 row 1, C2.2",
        summary: "As T21, but block 3 is written into from outside, by process_vm_writev(2) and by \
                  /proc/PID/mem, which is what PTRACE_POKEDATA does: the direct write and what was \
                  poked both survive, and nobody is told of an error.",
        needs: Needs {
            disk: Disk::SlowWrites,
            ..Needs::SMALL_BLOCKS
        },
        expect: Expect {
            seed: &[Verdict::Error],
            mainline: &[Verdict::Lost],
            ..Expect::LOST_WITHOUT
        },
        files: &[FileSpec {
            name: "t59.dat",
            size: 4 * PAGE,
        }],
        run: poke_during_direct_write,
    },
    Claim {
        id: "T60",
        name: "fork_during_direct_read",
        rule: "B4 T60",
        summary: "A direct read goes slowly into half a page of private memory. Meanwhile the process \
                  forks, the child writes over its copy of the page, and the parent stores to the \
                  other half: the parent ends up with what was read and what it stored.",
        needs: Needs {
            disk: Disk::SlowReads,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: FORKED_READ,
        run: fork_during_direct_read,
    },
    Claim {
        id: "T60b",
        name: "fork_during_direct_write",
        rule: "B4 T60",
        summary: "Half a page of private memory is written directly and slowly. Meanwhile the process \
                  forks, the child writes over its copy of the page, and the parent stores to the \
                  other half: the file gets what the parent had, and the parent keeps both.",
        needs: Needs {
            disk: Disk::SlowWrites,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: FORKED_WRITE,
        run: fork_during_direct_write,
    },
];

const FORKED_READ: &[FileSpec] = &[
    FileSpec {
        name: "t60.dat",
        size: 4 * PAGE,
    },
    FileSpec {
        name: "t60-memory.dat",
        size: PAGE,
    },
];

const FORKED_WRITE: &[FileSpec] = &[
    FileSpec {
        name: "t60b.dat",
        size: 4 * PAGE,
    },
    FileSpec {
        name: "t60b-memory.dat",
        size: PAGE,
    },
];

const PAGE_LEN: usize = PAGE as usize;
const HALF: usize = PAGE_LEN / 2;

/// A way to write into the memory of a process from outside.
type Poke = fn(&Mapping, usize, &[u8]) -> io::Result<()>;

fn poke_during_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let ways: [(&str, Poke); 2] = [
        ("process_vm_writev", Mapping::poke),
        ("/proc/self/mem", Mapping::poke_by_proc),
    ];
    let (at, poked) = (3 * BLOCK, file.bytes(3 * BLOCK as u64, BLOCK, 3));
    for (way, poke) in ways {
        judge.fact(way);
        redirty::judge_store(&file, &mut judge, redirty::pwrite(&direct), |mapping| {
            poke(mapping, at, &poked)
        })?;
        if !judge.is_clean() {
            break;
        }
    }
    Ok(judge.outcome())
}

/// Private memory of one page that has bytes of version 3 of `file`, and is no longer the file's.
fn private_page(file: &ClaimFile) -> Result<Mapping> {
    let memory = file.map(Share::Private)?;
    memory.store(0, &file.bytes(0, PAGE_LEN, 3));
    Ok(memory)
}

/// Forks; the child writes over its copy of `memory`, and while it is there the parent stores
/// version 4 of `file` to the second half of its own.
fn fork_and_store(memory: &Mapping, file: &ClaimFile) -> io::Result<()> {
    let child = transfer::scribble_in_child(memory)?;
    memory.store(HALF, &file.bytes(HALF as u64, HALF, 4));
    drop(child);
    Ok(())
}

fn fork_during_direct_read(stage: &Stage<'_>) -> Result<Outcome> {
    let (source, other) = (stage.file()?, stage.file_number(1)?);
    let reader = source.open_direct_read_only()?;
    let mut judge = Judge::new();
    source.fill(1)?;
    other.fill(1)?;
    sys::sync_fs(source.file())?;
    let what = "the direct read was over before the fork";
    let (collision, memory) = window::insist(what, || {
        let memory = private_page(&other)?;
        let collision = window::collide(
            source.device()?,
            Flight::Read,
            || source.read_direct(&reader, redirty::PRIME, HALF).map(drop),
            || memory.read_into(0, HALF, &reader, 0),
            || fork_and_store(&memory, &other),
        )?;
        Ok((collision, memory))
    })?;
    judge.fact(if collision.overtook {
        "forked while the direct read was in flight"
    } else {
        "the fork waited for the direct read"
    });
    collision.meanwhile.context("forking")?;
    judge.wrote("the direct read", &collision.slow, HALF);
    judge_memory(&mut judge, &memory, (&source, 1), &other);
    Ok(judge.outcome())
}

fn fork_during_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let (file, other) = (stage.file()?, stage.file_number(1)?);
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    other.fill(1)?;
    let what = "the direct write was over before the fork";
    let (collision, memory) = window::insist(what, || {
        file.fill(1)?;
        sys::sync_fs(file.file())?;
        let memory = private_page(&other)?;
        memory.store(0, &file.bytes(0, HALF, 2));
        let collision = window::collide(
            file.device()?,
            Flight::Write,
            || {
                file.write_direct(&direct, redirty::PRIME, HALF, 1)
                    .map(drop)
            },
            || memory.write_to(0, HALF, &direct, 0),
            || fork_and_store(&memory, &other),
        )?;
        Ok((collision, memory))
    })?;
    redirty::describe(&mut judge, &collision);
    collision.meanwhile.context("forking")?;
    judge.wrote("the direct write", &collision.slow, HALF);
    judge_memory(&mut judge, &memory, (&file, 2), &other);
    let wanted = |sector| vec![if sector < 4 { 2 } else { 1 }];
    file.judge_everywhere(&mut judge, None, 0, PAGE_LEN, wanted)?;
    Ok(judge.outcome())
}

/// Judges that the first half of `memory` is of `first`, a file and a version, and the second half is
/// what [`fork_and_store`] stored.
fn judge_memory(judge: &mut Judge, memory: &Mapping, first: (&ClaimFile, u16), second: &ClaimFile) {
    let bytes = memory.load(0, PAGE_LEN);
    let way = "the parent's memory";
    let (file, version) = first;
    file.judge_bytes(judge, way, 0, &bytes[..HALF], Verdict::Lost, |_| {
        vec![version]
    });
    let rest = &bytes[HALF..];
    second.judge_bytes(judge, way, HALF as u64, rest, Verdict::Lost, |_| vec![4]);
}
