// SPDX-License-Identifier: GPL-2.0

//! Invalidation by ioctl, one step at a time: what is dirty or on its way to the disk stays right.

use anyhow::Result;

use super::PAGE;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Disk;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::sys::Invalidate;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::window;

const NEEDS: Needs = Needs {
    ioctl: true,
    ..Needs::NOTHING
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "K3",
        name: "invalidation_never_discards_dirty_bytes",
        rule: "A8, A25",
        summary: "A page is dirtied by a store, another by write(2), and the file invalidated by \
                  ioctl at once, without a sync: whether the pages go or stay, the bytes are there \
                  afterwards and reach the disk. Repeated 40 times, every fourth time with a sync \
                  and a second invalidation.",
        needs: NEEDS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k3.dat",
            size: 4 * PAGE,
        }],
        run: invalidation_never_discards_dirty_bytes,
    },
    Claim {
        id: "K8",
        name: "invalidation_waits_for_writeback",
        rule: "A6",
        summary: "A dirty page is on its way to a slow disk; it is invalidated by ioctl and loaded \
                  again: the load sees the bytes that were on their way, not the old ones of the \
                  disk.",
        needs: Needs {
            disk: Disk::SlowWrites,
            ..NEEDS
        },
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k8.dat",
            size: 4 * PAGE,
        }],
        run: invalidation_waits_for_writeback,
    },
    Claim {
        id: "K9",
        name: "invalidation_needs_a_file_open_for_writing",
        rule: "A15",
        summary: "The ioctl on a descriptor that is open for reading only is refused with EBADF and \
                  drops nothing: taking mapped pages from others is for those who may write.",
        needs: NEEDS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "k9.dat",
            size: 4 * PAGE,
        }],
        run: invalidation_needs_a_file_open_for_writing,
    },
];

const PAGE_LEN: usize = PAGE as usize;

fn invalidation_never_discards_dirty_bytes(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    let mut sum = Invalidate::default();
    for version in 2..42 {
        mapping.store(0, &file.bytes(0, PAGE_LEN, version));
        file.write(PAGE, PAGE_LEN, version)?;
        let done = file.invalidate(0, 0)?;
        sum.removed += done.removed;
        sum.busy += done.busy;
        let bytes = mapping.load(0, 2 * PAGE_LEN);
        file.judge_bytes(&mut judge, "load", 0, &bytes, Verdict::Lost, |_| {
            vec![version]
        });
        let bytes = file.read(0, 2 * PAGE_LEN)?;
        file.judge_bytes(&mut judge, "read", 0, &bytes, Verdict::Lost, |_| {
            vec![version]
        });
        if !judge.is_clean() {
            break;
        }
        if version % 4 == 0 {
            // Now they are clean and may go.
            judge.synced("fsync", file.file().sync_all());
            sum.removed += file.invalidate(0, 0)?.removed;
            let bytes = mapping.load(0, 2 * PAGE_LEN);
            file.judge_bytes(
                &mut judge,
                "load after fsync",
                0,
                &bytes,
                Verdict::Lost,
                |_| vec![version],
            );
            file.judge_disk(&mut judge, 0, 2 * PAGE_LEN, |_| vec![version])?;
        }
    }
    judge.fact(format!("{} folios removed, {} busy", sum.removed, sum.busy));
    Ok(judge.outcome())
}

fn invalidation_waits_for_writeback(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.invalidate(0, 0)?;
    for _ in 0..window::ATTEMPTS {
        file.fill(1)?;
        let mapping = file.map(Share::SharedReadOnly)?;
        sys::sync_fs(file.file())?;
        // Takes the first, free, place in the queue of a slow disk.
        let primed = file.write_direct(&direct, 3 * PAGE, PAGE_LEN, 1);
        judge.wrote("the direct write", &primed, PAGE_LEN);
        file.write(0, PAGE_LEN, 2)?;
        mapping.load_word(0);
        sys::start_writeback(file.file(), 0, PAGE)?;
        let on_its_way = sys::cachestat(file.file(), 0, PAGE)?.writeback;
        let done = file.invalidate(0, PAGE)?;
        let bytes = mapping.load(0, PAGE_LEN);
        file.judge_bytes(&mut judge, "load", 0, &bytes, Verdict::Lost, |_| vec![2]);
        if on_its_way > 0 || !judge.is_clean() {
            judge.fact(format!(
                "{} folios removed, {} busy",
                done.removed, done.busy
            ));
            file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, |_| vec![2])?;
            return Ok(judge.outcome());
        }
    }
    Err(window::never_open(
        "the writeback was over before the invalidation began",
    ))
}

fn invalidation_needs_a_file_open_for_writing(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.invalidate(0, 0)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    mapping.touch();
    let reader = file.open_read_only()?;
    match sys::invalidate(&reader, 0, 0) {
        Err(error) if error.raw_os_error() == Some(libc::EBADF) => {}
        Err(error) => judge.find(Verdict::Error, format!("refused, but with {error}")),
        Ok(done) => judge.find(
            Verdict::FalseError,
            format!(
                "a reader could remove {} folios, {} busy",
                done.removed, done.busy
            ),
        ),
    }
    let left = mapping
        .resident()?
        .into_iter()
        .filter(|cached| *cached)
        .count();
    judge.require(left == 4, Verdict::FalseError, || {
        format!("only {left} of 4 pages left cached")
    });
    Ok(judge.outcome())
}
