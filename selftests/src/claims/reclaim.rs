// SPDX-License-Identifier: GPL-2.0

//! Little memory, and a kernel that moves and takes pages while everybody works.

use anyhow::Result;

use super::volume::is_strict;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::storm;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// What is not tried: where nobody promises it, what a storm comes upon is chance, and so not to be
/// compared.
const NOT_TRIED: &[Verdict] = &[Verdict::Skip];

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[Claim {
    id: "T62",
    name: "nothing_is_lost_in_a_storm_with_little_memory",
    rule: "B4 T60, T61, T62, C2",
    summary: "Ten threads write, read, map, splice, sync and cut three files by every kind of I/O, \
              some in children; two drop caches, reclaim, compact and advise; memory is short. \
              Each sector has one owner at a time and is compared on every visit: no old, torn or \
              lost sector, no error, and no call that does not end. `claims storm` does it longer.",
    needs: Needs::NOTHING,
    expect: Expect {
        none: NOT_TRIED,
        seed: NOT_TRIED,
        mainline: NOT_TRIED,
        ..Expect::KEPT
    },
    files: &[
        FileSpec {
            name: "t62-0.dat",
            size: storm::SIZE,
        },
        FileSpec {
            name: "t62-1.dat",
            size: storm::SIZE,
        },
        FileSpec {
            name: "t62-2.dat",
            size: storm::SIZE,
        },
    ],
    run: nothing_is_lost_in_a_storm_with_little_memory,
}];

const SECONDS: u64 = 8;

fn nothing_is_lost_in_a_storm_with_little_memory(stage: &Stage<'_>) -> Result<Outcome> {
    if !is_strict(stage) {
        return Err(skip(
            "nobody promises it here, and what a storm comes upon is chance: try `claims storm DIR`",
        ));
    }
    storm::run(stage.place, stage.claim.files, SECONDS, 1)
}
