// SPDX-License-Identifier: GPL-2.0

//! Direct writes next to, and over, bytes that are dirty in the page cache.

use anyhow::Result;

use super::PAGE;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// Without invalidation the cached copy of the block stays old, and if the whole page is dirty,
/// its writeback also puts the old block back on the disk.
const STALE_OR_LOST_WITHOUT: Expect = Expect {
    none: &[Verdict::Stale, Verdict::Lost],
    ..Expect::KEPT
};

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T03",
        name: "store_to_another_block_survives_direct_write",
        rule: "B1 T03, A8, A14",
        summary: "A store through a mapping dirties block 3 of a page, then block 0 is written \
                  directly: after fsync both are on the disk, and blocks 1 and 2 as they were.",
        needs: Needs {
            chance: true,
            ..Needs::SMALL_BLOCKS
        },
        expect: Expect::LOST_WITHOUT,
        files: &[FileSpec {
            name: "t03.dat",
            size: 4 * PAGE,
        }],
        run: store_to_another_block_survives_direct_write,
    },
    Claim {
        id: "T04",
        name: "direct_write_wins_over_earlier_store",
        rule: "B1 T04, A14",
        summary: "A store dirties a mapped page, then the page is written directly: the direct \
                  write is the later one, so no writeback of the store may undo it.",
        needs: Needs::NOTHING,
        expect: Expect::LOST_WITHOUT,
        files: &[FileSpec {
            name: "t04.dat",
            size: 4 * PAGE,
        }],
        run: direct_write_wins_over_earlier_store,
    },
    Claim {
        id: "T18",
        name: "buffered_write_to_other_blocks_survives_direct_write",
        rule: "B1 T18, A20",
        summary: "Blocks 1 and 2 of a cached page are written by write(2) and not synced, then \
                  block 0 is written directly: all three survive, in the cache and on the disk.",
        needs: Needs::SMALL_BLOCKS,
        expect: STALE_OR_LOST_WITHOUT,
        files: &[FileSpec {
            name: "t18.dat",
            size: 4 * PAGE,
        }],
        run: buffered_write_to_other_blocks_survives_direct_write,
    },
    Claim {
        id: "Sb",
        name: "private_state_of_partly_written_pages_is_released",
        rule: "seed (b), A20, A21, A23",
        summary: "Pages of which write(2) wrote one block, so that the cache carries the file \
                  system's private state of them: dirty and whole, dirty and partly read, clean. A \
                  direct write next to that block succeeds, and every byte is right everywhere.",
        needs: Needs::SMALL_BLOCKS,
        expect: STALE_OR_LOST_WITHOUT,
        files: &[FileSpec {
            name: "sb.dat",
            size: 4 * PAGE,
        }],
        run: private_state_of_partly_written_pages_is_released,
    },
];

/// A block of the small kind, in bytes.
const BLOCK: usize = 1024;
const PAGE_LEN: usize = PAGE as usize;

fn store_to_another_block_survives_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.require_direct(&direct, 0, BLOCK, 1)?;
    let mapping = file.map(Share::Shared)?;
    mapping.touch();
    mapping.store(3 * BLOCK, &file.bytes(3 * BLOCK as u64, BLOCK, 2));
    let written = file.write_direct(&direct, 0, BLOCK, 3);
    judge.wrote("the direct write", &written, BLOCK);
    let wanted = |sector| match sector {
        0..2 => vec![3],
        6..8 => vec![2],
        _ => vec![1],
    };
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, wanted)?;
    Ok(judge.outcome())
}

fn direct_write_wins_over_earlier_store(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    mapping.touch();
    mapping.store(0, &file.bytes(0, PAGE_LEN, 2));
    let written = file.write_direct(&direct, 0, PAGE_LEN, 3);
    judge.wrote("the direct write", &written, PAGE_LEN);
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, |_| vec![3])?;
    Ok(judge.outcome())
}

fn buffered_write_to_other_blocks_survives_direct_write(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.require_direct(&direct, 0, BLOCK, 1)?;
    file.judge_read(&mut judge, 0, PAGE_LEN, |_| vec![1])?;
    file.write(BLOCK as u64, 2 * BLOCK, 2)?;
    let written = file.write_direct(&direct, 0, BLOCK, 3);
    judge.wrote("the direct write", &written, BLOCK);
    let wanted = |sector| match sector {
        0..2 => vec![3],
        2..6 => vec![2],
        _ => vec![1],
    };
    file.judge_everywhere(&mut judge, None, 0, PAGE_LEN, wanted)?;
    Ok(judge.outcome())
}

fn private_state_of_partly_written_pages_is_released(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.require_direct(&direct, 0, BLOCK, 1)?;
    file.chill()?;
    // Page 0 is read before block 1 of it is written, pages 1 and 2 are not; page 2 is synced.
    let block_one = |page: u64| page * PAGE + BLOCK as u64;
    file.write(block_one(2), BLOCK, 2)?;
    judge.synced("the first fsync", file.file().sync_all());
    file.judge_read(&mut judge, 0, PAGE_LEN, |_| vec![1])?;
    file.write(block_one(0), BLOCK, 2)?;
    file.write(block_one(1), BLOCK, 2)?;
    let mut left = 0;
    for page in 0..3 {
        let written = file.write_direct(&direct, page * PAGE, BLOCK, 3);
        judge.wrote(&format!("the direct write to page {page}"), &written, BLOCK);
        left += sys::cachestat(file.file(), page * PAGE, PAGE).map_or(0, |stat| stat.cached);
    }
    judge.fact(format!("{left} of 3 pages stayed cached"));
    let wanted = |sector| match sector % 8 {
        _ if sector >= 24 => vec![1],
        0..2 => vec![3],
        2..4 => vec![2],
        _ => vec![1],
    };
    let mapping = file.map(Share::SharedReadOnly)?;
    file.judge_everywhere(&mut judge, Some(&mapping), 0, mapping.len(), wanted)?;
    Ok(judge.outcome())
}
