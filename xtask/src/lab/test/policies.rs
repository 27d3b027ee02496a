// SPDX-License-Identifier: GPL-2.0

//! Every claim on every policy of cohfs, with blocks smaller than a page and as large.
//!
//! Bounded tests leave out claims that take minutes; and the policies that are there to compare with
//! make do with one size, and with the claims that they are not to keep: that the tests can fail is
//! what they are for.

use super::{Extent, Group};
use crate::lab::boot::Lab;
use crate::lab::catalogue::{self, Claim, Verdict};
use crate::lab::compare;
use crate::lab::filesystem::{self, FileSystem};
use crate::lab::images::{self, Bench};
use anyhow::{Context as _, Result};
use tempfile::TempDir;

/// The block sizes of claims that do not ask for one.
const BLOCK_SIZES: [u32; 2] = [4096, 1024];

/// The policies, in the order of their columns.
pub(super) fn policies() -> impl Iterator<Item = FileSystem> {
    filesystem::ALL.into_iter().filter(|fs| fs.policy.is_some())
}

/// The claims, and the images that they run on.
pub(super) struct Claims {
    claims: Vec<Claim>,
    /// For the policy that people use.
    benches: Vec<Bench>,
    /// Whether the others try only what they are not to keep.
    bounded: bool,
    masters: TempDir,
}

impl Claims {
    /// Makes images for the claims whose id or name matches `names`, or for all.
    pub(super) fn prepare(lab: &Lab<'_>, names: &[String], extent: Extent) -> Result<Self> {
        let claims = catalogue::load(&lab.artifacts.claims)?;
        let mut claims = catalogue::select(claims, names)?;
        // Who names a claim wants it, and on all policies.
        let bounded = extent == Extent::Bounded && names.is_empty();
        claims.retain(|claim| !(bounded && claim.needs.patience));
        let benches = images::benches(&claims, &BLOCK_SIZES);
        let masters = tempfile::tempdir().context("making a directory for images")?;
        compare::make_images(lab, &benches, masters.path())?;
        Ok(Self {
            claims,
            benches,
            bounded,
            masters,
        })
    }

    /// The disks of a policy, and the claims on them.
    fn benches(&self, policy: &FileSystem) -> Vec<Bench> {
        if policy.name == filesystem::COHFS.name || !self.bounded {
            return self.benches.clone();
        }
        let is_broken = |claim: &&Claim| {
            policy
                .policy
                .is_some_and(|policy| !claim.accepts(policy, Verdict::Kept))
        };
        let broken: Vec<Claim> = self.claims.iter().filter(is_broken).cloned().collect();
        images::benches(&broken, &BLOCK_SIZES[..1])
    }

    /// Tries them under one policy.
    pub(super) fn tests(&self, lab: &Lab<'_>, policy: &FileSystem) -> Result<Group> {
        let benches = self.benches(policy);
        let total = benches
            .iter()
            .map(|bench| bench.claims.len())
            .sum::<usize>();
        let step = lab.ctx.ui.counted(
            "Test",
            format!("claims on {}", policy.name),
            u64::try_from(total)?,
        );
        let on_event = |event: &qemu_runner::Event| {
            if compare::is_result(event) {
                step.tick();
            }
        };
        let outcome = compare::try_claims(lab, policy, &benches, self.masters.path(), &on_event)?;
        step.done(format_args!("claims on {}", policy.name));
        let tests = compare::judge(lab.ctx, policy, &self.claims, &outcome);
        Ok(Group::of_machine(tests, &outcome))
    }
}
