// SPDX-License-Identifier: GPL-2.0

//! Every claim on every policy of cohfs, with blocks smaller than a page and as large.

use super::Group;
use crate::lab::boot::{Lab, side_by_side};
use crate::lab::filesystem::{self, FileSystem};
use crate::lab::{catalogue, compare, images};
use anyhow::{Context as _, Result};

/// The block sizes of claims that do not ask for one.
const BLOCK_SIZES: [u32; 2] = [4096, 1024];

/// Tries the claims whose id or name matches `names`, or all.
pub(super) fn tests(lab: &Lab<'_>, names: &[String]) -> Result<Group> {
    let claims = catalogue::load(&lab.artifacts.claims)?;
    let claims = catalogue::select(claims, names)?;
    let benches = images::benches(&claims, &BLOCK_SIZES);
    let masters = tempfile::tempdir().context("making a directory for images")?;
    compare::make_images(lab, &benches, masters.path())?;
    let policies = filesystem::ALL.into_iter().filter(|fs| fs.policy.is_some());
    let policies: Vec<FileSystem> = policies.collect();

    let each: usize = benches.iter().map(|bench| bench.claims.len()).sum();
    let total = u64::try_from(each * policies.len())?;
    let step = lab
        .ctx
        .ui
        .counted("Test", "claims in the debug kernel", total);
    let on_event = |event: &qemu_runner::Event| {
        if compare::is_result(event) {
            step.tick();
        }
    };
    let outcomes = side_by_side(policies.clone(), lab.at_once(), |fs| {
        compare::try_claims(lab, &fs, &benches, masters.path(), &on_event)
    });
    step.done("claims in the debug kernel");
    let mut all = Group::default();
    for (fs, outcome) in policies.iter().zip(outcomes) {
        let outcome = outcome?;
        let tests = compare::judge(lab.ctx, fs, &claims, &outcome);
        let group = Group::of_machine(tests, &outcome);
        all.tests.extend(group.tests);
        all.exits.extend(group.exits);
        all.splats += group.splats;
    }
    Ok(all)
}
