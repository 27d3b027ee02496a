// SPDX-License-Identifier: GPL-2.0

//! What a direct write in flight must not do to others: make them wait, lose what a mapping leaves
//! behind, or let advice bring old bytes back. And where it can be seen.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::thread;

use anyhow::Result;

use super::PAGE;
use super::redirty;
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
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;
use crate::window;

const SLOW: Needs = Needs {
    disk: Disk::SlowWrites,
    ..Needs::NOTHING
};

/// A page dirtied during the write is neither dropped nor right.
const LOST_OR_TOLD: Expect = Expect {
    seed: &[Verdict::Error],
    mainline: &[Verdict::Lost],
    ..Expect::LOST_WITHOUT
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "W1",
        name: "access_outside_of_direct_write_never_waits",
        rule: "C2.5, C4",
        summary: "While a direct write of page 0 is in flight on a slow disk, page 1 is loaded and \
                  stored to through mappings with and without readahead, and page 2 read by \
                  read(2), none of them cached: all of it is over before the write is.",
        needs: SLOW,
        expect: Expect {
            // Somebody touched another page of the file.
            seed: &[Verdict::Kept, Verdict::Error],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "w1.dat",
            size: 8 * PAGE,
        }],
        run: access_outside_of_direct_write_never_waits,
    },
    Claim {
        id: "W2",
        name: "direct_write_in_flight_is_listed",
        rule: "C4",
        summary: "While a direct write is in flight and a reader waits for it, the file system's list \
                  of gates has the inode and both ranges, the one in flight and the other waiting; \
                  when both are through, the list is empty.",
        needs: SLOW,
        expect: Expect {
            none: &[Verdict::Skip],
            seed: &[Verdict::Skip],
            mainline: &[Verdict::Skip],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "w2.dat",
            size: 8 * PAGE,
        }],
        run: direct_write_in_flight_is_listed,
    },
    Claim {
        id: "T61",
        name: "advice_during_direct_write_brings_nothing_back",
        rule: "B4 T61, C1 row 1",
        summary: "While a direct write of a page is in flight, the page is asked for by readahead, \
                  MADV_WILLNEED, POPULATE_READ and POPULATE_WRITE, which marks it dirty without a \
                  store, and by MADV_COLD, PAGEOUT and DONTNEED asked to go: afterwards it is the \
                  new one everywhere, and fsync has nothing to complain about.",
        needs: SLOW,
        expect: LOST_OR_TOLD,
        files: &[FileSpec {
            name: "t61.dat",
            size: 4 * PAGE,
        }],
        run: advice_during_direct_write_brings_nothing_back,
    },
    Claim {
        id: "T69",
        name: "store_of_who_unmaps_during_direct_write",
        rule: "B4 T69, A18, C1 row 1",
        summary: "While a direct write of block 0 is in flight, the page is mapped, a store made to \
                  block 3 of it, and the mapping removed, so that the dirty bit goes from the page \
                  table to the page: the write and the store both survive.",
        needs: Needs {
            disk: Disk::SlowWrites,
            ..Needs::SMALL_BLOCKS
        },
        expect: LOST_OR_TOLD,
        files: &[FileSpec {
            name: "t69.dat",
            size: 4 * PAGE,
        }],
        run: store_of_who_unmaps_during_direct_write,
    },
];

const PAGE_LEN: usize = PAGE as usize;

fn access_outside_of_direct_write_never_waits(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let elsewhere = |_: &Mapping| {
        let exact = file.map(Share::Shared)?;
        exact.load(PAGE_LEN, PAGE_LEN);
        exact.store(PAGE_LEN, &file.bytes(PAGE, PAGE_LEN, 3));
        let around = Mapping::with_readahead(file.file(), exact.len(), Share::SharedReadOnly)?;
        around.load(PAGE_LEN, PAGE_LEN);
        file.read(2 * PAGE, PAGE_LEN).map(drop)
    };
    let write = || redirty::during(&file, PAGE_LEN, redirty::pwrite(&direct), elsewhere);
    let (mut collision, mut mapping) = write()?;
    if !collision.overtook {
        // Maybe it was only slow: a busy machine is.
        drop(mapping);
        (collision, mapping) = write()?;
    }
    collision.meanwhile?;
    judge.require(collision.overtook, Verdict::FalseError, || {
        "who wanted other pages waited for the direct write".to_owned()
    });
    judge.wrote("the direct write", &collision.slow, PAGE_LEN);
    let wanted = |sector| match sector {
        0..8 => vec![2],
        8..16 => vec![3],
        _ => vec![1],
    };
    file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), wanted)?;
    Ok(judge.outcome())
}

fn direct_write_in_flight_is_listed(stage: &Stage<'_>) -> Result<Outcome> {
    let (dir, file) = (stage.dir()?, stage.file()?);
    let mut judge = Judge::new();
    let mount = Path::new("/sys/kernel/debug/cohfs").join(file.device()?.name());
    let path = mount.join("gates");
    let list = || {
        let list = fs::read_to_string(&path);
        list.map_err(|_| skip("this file system does not list direct writes in debugfs"))
    };
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let mut lines = mounts.lines().map(|line| line.split(' ').skip(1));
    let is_strict = lines.any(|mut words| {
        let at = words.next().is_some_and(|at| dir.starts_with(at));
        at && words.any(|options| options.contains("coherency=strict"))
    });
    if !is_strict {
        return Err(skip(
            "with this policy nobody keeps account of direct writes",
        ));
    }
    judge.require(list()?.is_empty(), Verdict::FalseError, || {
        "listed before there was anything".to_owned()
    });
    let ino = file.file().metadata()?.ino();
    let writing = format!("ino={ino} write pos={PAGE} len={} in-flight\n", 2 * PAGE);
    let is_waiting = |list: &str| {
        let mut lines = list.lines();
        lines
            .any(|line| line.starts_with(&format!("ino={ino} fill ")) && line.ends_with(" waiting"))
    };
    let (prime, bytes) = (
        file.bytes(redirty::PRIME, PAGE_LEN, 1),
        file.bytes(PAGE, 2 * PAGE_LEN, 2),
    );
    let direct = file.open_direct()?;
    let what = "the direct write was over before a reader had to wait for it";
    let (collision, ()) = window::insist(what, || {
        file.fill(1)?;
        file.chill()?;
        let reader = || file.read(2 * PAGE, PAGE_LEN);
        let collision = thread::scope(|scope| {
            let prime = (redirty::PRIME, &*prime);
            window::during_direct_write(&file, &direct, prime, (PAGE, &bytes), || {
                let alone = list()?;
                scope.spawn(reader);
                let mut both = list()?;
                while both.contains(&writing) && !is_waiting(&both) {
                    both = list()?;
                }
                anyhow::Ok((alone, both))
            })
        });
        Ok((collision?, ()))
    })?;
    let (alone, both) = collision.meanwhile?;
    judge.wrote("the direct write", &collision.slow, 2 * PAGE_LEN);
    judge.require(alone == writing, Verdict::FalseError, || {
        format!("alone it is listed as {alone:?}")
    });
    judge.require(is_waiting(&both), Verdict::FalseError, || {
        format!("no reader waits in {both:?}")
    });
    let after = list()?;
    judge.require(after.is_empty(), Verdict::FalseError, || {
        format!("still listed: {after:?}")
    });
    Ok(judge.outcome())
}

fn advice_during_direct_write_brings_nothing_back(stage: &Stage<'_>) -> Result<Outcome> {
    const ADVICE: [i32; 6] = [
        libc::MADV_WILLNEED,
        libc::MADV_POPULATE_READ,
        libc::MADV_COLD,
        libc::MADV_POPULATE_WRITE,
        libc::MADV_PAGEOUT,
        libc::MADV_DONTNEED,
    ];
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let write = redirty::pwrite(&direct);
    let (collision, mapping) = redirty::during(&file, PAGE_LEN, write, |_| -> Result<()> {
        sys::read_ahead(file.file(), 0, PAGE)?;
        let mapping = Mapping::with_readahead(file.file(), PAGE_LEN, Share::Shared)?;
        for advice in ADVICE {
            mapping.advise(advice)?;
        }
        Ok(())
    })?;
    let told = !judge.wrote("the direct write", &collision.slow, PAGE_LEN);
    redirty::describe(&mut judge, &collision);
    redirty::require_collision(stage, collision.overtook)?;
    collision.meanwhile?;
    let wanted = |sector| match sector {
        0..8 if told => vec![1, 2],
        0..8 => vec![2],
        _ => vec![1],
    };
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, wanted)?;
    Ok(judge.outcome())
}

fn store_of_who_unmaps_during_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    const BLOCK: usize = redirty::BLOCK;
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    let write = redirty::pwrite(&direct);
    let (collision, mapping) = redirty::during(&file, BLOCK, write, |_| -> Result<()> {
        let mapping = file.map(Share::Shared)?;
        mapping.load(0, PAGE_LEN);
        let last = 3 * BLOCK;
        mapping.store(last, &file.bytes(last as u64, BLOCK, 3));
        Ok(())
    })?;
    let told = !judge.wrote("the direct write", &collision.slow, BLOCK);
    redirty::describe(&mut judge, &collision);
    collision.meanwhile?;
    let wanted = |sector| match sector {
        0..2 if told => vec![1, 2],
        0..2 => vec![2],
        6..8 => vec![3],
        _ => vec![1],
    };
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, wanted)?;
    Ok(judge.outcome())
}
