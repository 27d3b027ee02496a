// SPDX-License-Identifier: GPL-2.0

//! Asynchronous direct writes to a file of which something else could not be written out.

use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::IFlags;
use rustix::fs::ioctl_getflags;
use rustix::fs::ioctl_setflags;

use super::PAGE;
use super::asynchronous::by_each_kind;
use super::errors::FAULTS;
use super::errors::fail_to_write_out;
use super::errors::require_told;
use super::errors::settle;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Stage;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T29b",
        name: "asynchronous_write_is_not_told_of_another_range_s_error",
        rule: "B2 T29, C2.4",
        summary: "Page 0 could not be written out and the error is pending; an asynchronous direct \
                  write of page 2, by libaio and by io_uring, is done. The error is for fsync, which \
                  still returns it.",
        needs: FAULTS,
        // It writes out first, and the patch of 2004 does so in a way that tells of every error.
        expect: Expect {
            seed: &[Verdict::FalseError],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t29b.dat",
            size: 4 * PAGE,
        }],
        run: asynchronous_write_is_not_told_of_another_range_s_error,
    },
    Claim {
        id: "T29c",
        name: "asynchronous_write_that_syncs_tells_of_its_sync",
        rule: "C2.4, open(2): O_SYNC, chattr(1): +S",
        summary: "Page 0 of a file with the attribute +S could not be written out, and one \
                  descriptor was told. An asynchronous direct write of page 2 by another syncs the \
                  file, and so learns of the error: it returns that, or leaves it to the next fsync. \
                  Success twice has swallowed it.",
        needs: FAULTS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t29c.dat",
            size: 4 * PAGE,
        }],
        run: asynchronous_write_that_syncs_tells_of_its_sync,
    },
];

const PAGE_LEN: usize = PAGE as usize;

fn asynchronous_write_is_not_told_of_another_range_s_error(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    by_each_kind(|kind, judge| {
        fail_to_write_out(&file, judge)?;
        let bytes = file.bytes(2 * PAGE, PAGE_LEN, 3);
        match kind.write(&direct, &bytes, 2 * PAGE) {
            Ok(_) => file.judge_disk(judge, 2 * PAGE, PAGE_LEN, |_| vec![3])?,
            Err(error) => judge.find(
                Verdict::FalseError,
                format!("the write of a page that is in order returned {error}"),
            ),
        }
        require_told(&file, judge)?;
        settle(&file)
    })
}

fn asynchronous_write_that_syncs_tells_of_its_sync(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let no_attribute = |error| skip(format!("no attribute +S: {error}"));
    let flags = ioctl_getflags(file.file()).map_err(no_attribute)?;
    by_each_kind(|kind, judge| {
        let (direct, bystander) = (file.open_direct()?, file.open_read_only()?);
        fail_to_write_out(&file, judge)?;
        ioctl_setflags(file.file(), flags | IFlags::SYNC).map_err(no_attribute)?;
        // It is told, and what the kernel keeps besides for who knows no descriptors is gone.
        if bystander.sync_all().is_ok() {
            return Err(skip("the write-out did not fail"));
        }
        let written = kind.write(&direct, &file.bytes(2 * PAGE, PAGE_LEN, 3), 2 * PAGE);
        let synced = direct.sync_all();
        ioctl_setflags(file.file(), flags).context("taking the attribute +S away")?;
        judge.fact(format!(
            "the write returned {written:?}, and fsync then {synced:?}"
        ));
        judge.require(written.is_err() || synced.is_err(), Verdict::Lost, || {
            "the descriptor was never told of the failed write-out".to_owned()
        });
        settle(&file)
    })
}
