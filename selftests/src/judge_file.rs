// SPDX-License-Identifier: GPL-2.0

//! Judges a claim's file by every way there is to its bytes.

use anyhow::Result;

use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::verdict::Verdict;

impl ClaimFile {
    /// Judges what `read(2)` sees in a range: each sector is one of the versions `allowed`.
    pub fn judge_read(
        &self,
        judge: &mut Judge,
        start: u64,
        len: usize,
        allowed: impl Fn(u64) -> Vec<u16>,
    ) -> Result<()> {
        let bytes = self.read(start, len)?;
        self.judge_bytes(judge, "read", start, &bytes, Verdict::Stale, allowed);
        Ok(())
    }

    /// Judges what a mapping shows of a range.
    pub fn judge_load(
        &self,
        judge: &mut Judge,
        mapping: &Mapping,
        start: u64,
        len: usize,
        allowed: impl Fn(u64) -> Vec<u16>,
    ) {
        let bytes = mapping.load(start as usize, len);
        self.judge_bytes(judge, "load", start, &bytes, Verdict::Stale, allowed);
    }

    /// Judges what is on the disk; the caller has synced the file.
    pub fn judge_disk(
        &self,
        judge: &mut Judge,
        start: u64,
        len: usize,
        allowed: impl Fn(u64) -> Vec<u16>,
    ) -> Result<()> {
        let (bytes, source) = self.on_disk(start, len)?;
        self.judge_bytes(judge, source, start, &bytes, Verdict::Lost, allowed);
        Ok(())
    }

    /// Judges bytes that came from `source`.
    pub fn judge_bytes(
        &self,
        judge: &mut Judge,
        source: &str,
        start: u64,
        bytes: &[u8],
        old: Verdict,
        allowed: impl Fn(u64) -> Vec<u16>,
    ) {
        judge.compare(source, self.id(), start, bytes, old, |sector| {
            allowed(sector)
                .into_iter()
                .map(|number| self.version(number))
                .collect()
        });
    }

    /// Syncs, then judges a range by every way there is: `read(2)`, a mapping, and the disk.
    pub fn judge_everywhere(
        &self,
        judge: &mut Judge,
        mapping: Option<&Mapping>,
        start: u64,
        len: usize,
        allowed: impl Fn(u64) -> Vec<u16>,
    ) -> Result<()> {
        self.judge_read(judge, start, len, &allowed)?;
        if let Some(mapping) = mapping {
            self.judge_load(judge, mapping, start, len, &allowed);
        }
        judge.synced("fsync", self.file().sync_all());
        self.judge_disk(judge, start, len, &allowed)
    }
}
