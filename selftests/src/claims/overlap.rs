// SPDX-License-Identifier: GPL-2.0

//! Direct writes that overlap, and files that are nearly all hole.

use anyhow::Result;

use super::PAGE;
use super::asynchronous::by_each_kind;
use crate::aligned::Aligned;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::queue::Op;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// Nothing orders two asynchronous writes but the device, which may do as it likes.
const UNORDERED: &[Verdict] = &[Verdict::Kept, Verdict::Torn];

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T63",
        name: "overlapping_direct_writes_are_ordered_whole",
        rule: "B4 T63, C2.3",
        summary: "Two direct writes of 128 pages that overlap by half are submitted one right after \
                  the other, by libaio and by io_uring, first from one and then from two queues: \
                  outside of the overlap each is there, and the overlap is wholly of one of them.",
        needs: Needs {
            chance: true,
            ..Needs::NOTHING
        },
        expect: Expect {
            none: UNORDERED,
            seed: UNORDERED,
            mainline: UNORDERED,
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t63.dat",
            size: 192 * PAGE,
        }],
        run: overlapping_direct_writes_are_ordered_whole,
    },
    Claim {
        id: "T65",
        name: "last_block_of_huge_sparse_file",
        rule: "B4 T65, A4, A5",
        summary: "A file as large as the file system makes them, up to 1 TiB, with its first and \
                  last page written: both are loaded, written directly, loaded again and synced; \
                  the hole between them stays zeros, and a write beyond the limit is refused.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[],
        run: last_block_of_huge_sparse_file,
    },
];

const PAGE_LEN: usize = PAGE as usize;
const ROUNDS: usize = 6;

fn overlapping_direct_writes_are_ordered_whole(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let (first, second, len) = (0, 64 * PAGE, 128 * PAGE_LEN);
    by_each_kind(|kind, judge| {
        file.fill(1)?;
        for round in 0..ROUNDS {
            let mut one = kind.open(2)?;
            let mut two = kind.open(2)?;
            let buffer = |at, version| Aligned::from(&file.bytes(at, len, version));
            let (a, b) = (buffer(first, 2), buffer(second, 3));
            one.submit(0, Op::Write, &direct, first, a)?;
            let queue = if round % 2 == 0 { &mut one } else { &mut two };
            queue.submit(1, Op::Write, &direct, second, b)?;
            let (mut done, mut waited) = (0, 0);
            while done < 2 && waited < 2 {
                let queue = if round % 2 == 1 && done == 1 {
                    &mut two
                } else {
                    &mut one
                };
                waited += 1;
                if let Some(completion) = queue.reap(true)? {
                    judge.wrote("the direct write", &completion.result, len);
                    done += 1;
                }
            }
            // Which came last is told by one sector; then all of the overlap is of that one.
            let middle = file.read(second, 8)?;
            let last = if middle == file.bytes(second, 8, 2) {
                2
            } else {
                3
            };
            let wanted = |sector| match sector / 8 {
                0..64 => vec![2],
                64..128 => vec![last],
                _ => vec![3],
            };
            let all = file.size() as usize;
            let bytes = file.read(0, all)?;
            file.judge_bytes(judge, "read", 0, &bytes, Verdict::Torn, wanted);
            // What is torn is nothing that the disk could agree with.
            if round + 1 == ROUNDS && judge.is_clean() {
                file.judge_disk(judge, 0, all, wanted)?;
            }
        }
        Ok(())
    })
}

fn last_block_of_huge_sparse_file(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.scratch("t65.tmp", PAGE)?;
    let mut judge = Judge::new();
    let mut size = 1_u64 << 40;
    while file.file().set_len(size).is_err() {
        size /= 2;
        if size < 1 << 31 {
            return Err(skip("no file of 2 GiB can be made here"));
        }
    }
    judge.fact(format!("{} GiB", size >> 30));
    judge.require(
        file.file().set_len(i64::MAX.cast_unsigned()).is_err(),
        Verdict::Torn,
        || "a file of 8 EiB could be made".to_owned(),
    );
    let direct = file.open_direct()?;
    let mapping = Mapping::new(file.file(), size as usize, Share::Shared)?;
    for at in [size - PAGE, size / 2, 0] {
        file.write(at, PAGE_LEN, 1)?;
        sys::sync_fs(file.file())?;
        file.judge_load(&mut judge, &mapping, at, PAGE_LEN, |_| vec![1]);
        let written = file.write_direct(&direct, at, PAGE_LEN, 2);
        judge.wrote("the direct write", &written, PAGE_LEN);
    }
    for at in [size - PAGE, size / 2, 0] {
        file.judge_everywhere(&mut judge, Some(&mapping), at, PAGE_LEN, |_| vec![2])?;
    }
    for at in [size - 2 * PAGE, size / 2 + PAGE, PAGE] {
        let zeros = file.read(at, PAGE_LEN)?.iter().all(|byte| *byte == 0);
        let loaded = mapping.load(at as usize, PAGE_LEN);
        let zeros = zeros && loaded.iter().all(|byte| *byte == 0);
        judge.require(zeros, Verdict::Torn, || {
            format!("the hole at {at} is no zeros")
        });
    }
    Ok(judge.outcome())
}
