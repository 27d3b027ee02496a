// SPDX-License-Identifier: GPL-2.0

//! Direct writes against `read(2)`: the seed's least promise, "stop the database, then tar".

use anyhow::Result;

use super::PAGE;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Share;
use crate::pattern::SECTOR;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T01",
        name: "direct_write_is_seen_by_read",
        rule: "B1 T01, A13, A22",
        summary: "A file is read so that it is cached, a part is written directly, and the file is \
                  read again: the second read sees the new bytes, and so does the disk.",
        needs: Needs::NOTHING,
        expect: Expect::STALE_WITHOUT,
        files: &[FileSpec {
            name: "t01.dat",
            size: 16 * PAGE,
        }],
        run: direct_write_is_seen_by_read,
    },
    Claim {
        id: "T13",
        name: "backup_after_direct_writes_is_exact_to_the_last_byte",
        rule: "B1 T13, A22, A23",
        summary: "Stop the database, then copy: files whose sizes end in 1, 511, 512, 513, 1023 and \
                  4095 bytes are cached, their last bytes written by write(2), everything before \
                  them by direct writes in scattered order; then all is read back and compared.",
        needs: Needs::SMALL_BLOCKS,
        // The last bytes, dirty in the cache, share a block with what was written directly next
        // to them: without invalidation their writeback puts the rest of the block back.
        expect: Expect::LOST_WITHOUT,
        files: &[
            FileSpec {
                name: "t13-0001.dat",
                size: BODY + 1,
            },
            FileSpec {
                name: "t13-0511.dat",
                size: BODY + 511,
            },
            FileSpec {
                name: "t13-0512.dat",
                size: BODY + 512,
            },
            FileSpec {
                name: "t13-0513.dat",
                size: BODY + 513,
            },
            FileSpec {
                name: "t13-1023.dat",
                size: BODY + 1023,
            },
            FileSpec {
                name: "t13-4095.dat",
                size: BODY + 4095,
            },
        ],
        run: backup_after_direct_writes_is_exact_to_the_last_byte,
    },
];

/// Bytes before the tail of each of T13's files.
const BODY: u64 = 8 * PAGE;

fn direct_write_is_seen_by_read(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    file.judge_read(&mut judge, 0, file.size() as usize, |_| vec![1])?;
    let (start, len) = (5 * PAGE, 3 * PAGE as usize);
    let written = file.write_direct(&direct, start, len, 2);
    judge.wrote("the direct write", &written, len);
    if let Ok(stat) = sys::cachestat(file.file(), start, len as u64) {
        judge.fact(format!("{} of 3 pages cached after the write", stat.cached));
    }
    let new = |sector: u64| vec![if (40..64).contains(&sector) { 2 } else { 1 }];
    file.judge_everywhere(&mut judge, None, 0, file.size() as usize, new)?;
    Ok(judge.outcome())
}

fn backup_after_direct_writes_is_exact_to_the_last_byte(stage: &Stage<'_>) -> Result<Outcome> {
    let mut judge = Judge::new();
    for index in 0..stage.claim.files.len() {
        let file = stage.file_number(index)?;
        stop_the_database(&file, &mut judge)?;
        // Then copy.
        let mapping = file.map(Share::SharedReadOnly)?;
        let size = file.size() as usize;
        file.judge_everywhere(&mut judge, Some(&mapping), 0, size, |_| vec![2])?;
    }
    Ok(judge.outcome())
}

/// Caches the file, then replaces version 1 by 2: directly wherever whole sectors can be written
/// without growing the file, and the rest by `write(2)` before that.
fn stop_the_database(file: &ClaimFile, judge: &mut Judge) -> Result<()> {
    let direct = file.open_direct()?;
    file.fill(1)?;
    file.require_direct(&direct, 0, SECTOR, 1)?;
    let size = file.size();
    file.judge_read(judge, 0, size as usize, |_| vec![1])?;
    let whole = size / SECTOR as u64 * SECTOR as u64;
    if whole < size {
        file.write(whole, (size - whole) as usize, 2)?;
    }
    for place in (BODY..whole).step_by(SECTOR) {
        let written = file.write_direct(&direct, place, SECTOR, 2);
        judge.wrote(
            &format!("the direct write at {place} of {size}"),
            &written,
            SECTOR,
        );
    }
    // 5 and 8 have no common divisor, so this visits every page once, and not in order.
    for step in 0..8 {
        let place = step * 5 % 8 * PAGE;
        let written = file.write_direct(&direct, place, PAGE as usize, 2);
        judge.wrote(
            &format!("the direct write at {place} of {size}"),
            &written,
            PAGE as usize,
        );
    }
    Ok(())
}
