// SPDX-License-Identifier: GPL-2.0

//! The checker: compares bytes with what they must be, and collects what it finds.

use crate::pattern;
use crate::pattern::SECTOR;
use crate::pattern::Seen;
use crate::pattern::Version;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// How many findings of one kind are spelt out before the rest is only counted.
const SPELT_OUT: usize = 4;

/// Collects findings; the worst one is the verdict.
#[derive(Debug, Default)]
pub struct Judge {
    findings: Vec<(Verdict, String)>,
    facts: Vec<String>,
}

impl Judge {
    /// Makes a judge that has found nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes a finding.
    pub fn find(&mut self, verdict: Verdict, what: impl Into<String>) {
        self.findings.push((verdict, what.into()));
    }

    /// Notes a measured fact that goes into the detail whatever the verdict is.
    pub fn fact(&mut self, what: impl Into<String>) {
        self.facts.push(what.into());
    }

    /// Takes over what another judge found and noted.
    pub fn absorb(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.facts.extend(other.facts);
    }

    /// Whether nothing was found.
    pub fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Notes a finding unless `good`.
    pub fn require(&mut self, good: bool, verdict: Verdict, what: impl FnOnce() -> String) {
        if !good {
            self.find(verdict, what());
        }
    }

    /// Judges a direct write: it must report all of `len` bytes.
    ///
    /// Returns whether it did. An error is [`Verdict::Error`], the caller was told; a wrong count
    /// is [`Verdict::Lost`], since the caller cannot know which bytes are where.
    pub fn wrote(&mut self, what: &str, result: &std::io::Result<usize>, len: usize) -> bool {
        match result {
            Ok(count) if *count == len => return true,
            Ok(count) => self.find(Verdict::Lost, format!("{what} returned {count} of {len}")),
            Err(error) => self.find(Verdict::Error, format!("{what} returned {error}")),
        }
        false
    }

    /// Judges an `fsync` that has no reason to fail.
    pub fn synced(&mut self, what: &str, result: std::io::Result<()>) {
        if let Err(error) = result {
            self.find(Verdict::FalseError, format!("{what} returned {error}"));
        }
    }

    /// Compares `bytes`, read at byte `start` of the file `id` by way of `source`, with the
    /// versions that `allowed` names for each sector. `old` is the verdict for a sector that is
    /// intact but another version: [`Verdict::Stale`] in a cache, [`Verdict::Lost`] on the disk.
    pub fn compare(
        &mut self,
        source: &str,
        id: u64,
        start: u64,
        bytes: &[u8],
        old: Verdict,
        allowed: impl Fn(u64) -> Vec<Version>,
    ) {
        let mut found: Vec<Finding> = Vec::new();
        let first = start / SECTOR as u64;
        for (sector, piece) in (first..).zip(bytes.chunks(SECTOR)) {
            let allowed = allowed(sector);
            let good = allowed
                .iter()
                .any(|version| pattern::sector(id, sector, *version)[..piece.len()] == *piece);
            if good {
                continue;
            }
            let next = Finding::new(id, sector, piece, old, &allowed);
            match found.last_mut() {
                Some(last) if last.continues_with(&next) => last.end = next.end,
                _ => found.push(next),
            }
        }
        let more = found.len().saturating_sub(SPELT_OUT);
        let worst = found
            .iter()
            .map(|finding| finding.verdict)
            .max_by_key(|v| v.severity());
        for Finding {
            verdict,
            start,
            end,
            what,
        } in found.into_iter().take(SPELT_OUT)
        {
            self.find(
                verdict,
                format!("{source}: bytes {start} to {end} hold {what}"),
            );
        }
        if let (Some(worst), true) = (worst, more > 0) {
            self.find(worst, format!("{source}: and {more} more places"));
        }
    }

    /// The verdict: the worst finding, with all findings and facts in the detail.
    pub fn outcome(self) -> Outcome {
        let verdict = self
            .findings
            .iter()
            .map(|(verdict, _)| *verdict)
            .max_by_key(|verdict| verdict.severity())
            .unwrap_or(Verdict::Kept);
        let mut detail: Vec<String> = Vec::new();
        let mut findings = self.findings;
        findings.sort_by_key(|(verdict, _)| std::cmp::Reverse(verdict.severity()));
        detail.extend(findings.into_iter().map(|(_, what)| what));
        detail.extend(self.facts);
        Outcome::new(verdict, detail.join("; "))
    }
}

/// Adjacent bytes that are wrong in the same way.
struct Finding {
    verdict: Verdict,
    start: u64,
    /// The byte after the last.
    end: u64,
    what: String,
}

impl Finding {
    fn new(id: u64, sector: u64, piece: &[u8], old: Verdict, allowed: &[Version]) -> Self {
        let names: Vec<String> = allowed.iter().map(Version::to_string).collect();
        let run = allowed.first().map(|version| version.run);
        let seen = match run.and_then(|run| cut_version(id, sector, piece, run)) {
            Some(version) => Seen::Version(version),
            None => pattern::look(id, sector, piece),
        };
        let (verdict, what) = match seen {
            Seen::Version(version) if Some(version.run) == run => (old, version.to_string()),
            Seen::Version(version) => (old, format!("{version} of an earlier run")),
            Seen::Foreign { sector, .. } => (Verdict::Torn, format!("sector {sector} of a file")),
            Seen::Zeros => (Verdict::Lost, "zeros".to_owned()),
            Seen::Torn => {
                let head: Vec<String> = piece.iter().take(8).map(|b| format!("{b:02x}")).collect();
                (
                    Verdict::Torn,
                    format!("a torn sector ({} ...)", head.join(" ")),
                )
            }
        };
        let start = sector * SECTOR as u64;
        let what = format!("{what}, not {}", names.join(" or "));
        Self {
            verdict,
            start,
            end: start + piece.len() as u64,
            what,
        }
    }

    fn continues_with(&self, next: &Self) -> bool {
        (self.verdict, self.end, &self.what) == (next.verdict, next.start, &next.what)
    }
}

/// The version of a sector that is cut before its header ends, as at the end of a file.
fn cut_version(id: u64, sector: u64, piece: &[u8], run: u64) -> Option<Version> {
    (0..=64)
        .map(|number| Version { run, number })
        .find(|version| {
            piece.len() < 32 && pattern::sector(id, sector, *version).starts_with(piece)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    const V1: Version = Version { run: 3, number: 1 };
    const V2: Version = Version { run: 3, number: 2 };

    #[test]
    fn the_worst_finding_wins_and_all_are_told() {
        let mut judge = Judge::new();
        assert!(judge.wrote("write", &Ok(512), 512));
        assert!(judge.is_clean());
        judge.find(Verdict::FalseError, "fsync said EIO");
        judge.find(Verdict::Lost, "gone");
        judge.fact("3 faults");
        let outcome = judge.outcome();
        assert_eq!(
            outcome,
            Outcome::new(Verdict::Lost, "gone; fsync said EIO; 3 faults")
        );
    }

    #[test]
    fn old_torn_and_zero_sectors_are_told_apart() {
        let mut bytes = pattern::bytes(7, 1024, 2048, |_| V2);
        bytes[..512].copy_from_slice(&pattern::sector(7, 2, V1));
        bytes[600] ^= 1;
        bytes[1024..1536].fill(0);
        let mut judge = Judge::new();
        judge.compare("read", 7, 1024, &bytes, Verdict::Stale, |_| vec![V2]);
        let verdicts: Vec<Verdict> = judge.findings.iter().map(|(verdict, _)| *verdict).collect();
        assert_eq!(verdicts, [Verdict::Stale, Verdict::Torn, Verdict::Lost]);
        assert!(
            judge.findings[0]
                .1
                .contains("bytes 1024 to 1536 hold v1, not v2"),
            "{judge:?}"
        );
    }

    #[test]
    fn a_single_byte_tells_its_version() {
        let bytes = pattern::bytes(7, 512, 1, |_| V1);
        let mut judge = Judge::new();
        judge.compare("read", 7, 512, &bytes, Verdict::Stale, |_| vec![V2]);
        assert_eq!(
            judge.findings,
            [(
                Verdict::Stale,
                "read: bytes 512 to 513 hold v1, not v2".into()
            )]
        );
    }

    #[test]
    fn adjacent_findings_are_one_and_many_are_counted() {
        let mut judge = Judge::new();
        let old = pattern::bytes(7, 0, 40 * SECTOR, |_| V1);
        judge.compare("disk", 7, 0, &old, Verdict::Lost, |_| vec![V2]);
        let outcome = judge.outcome();
        assert_eq!(outcome.detail, "disk: bytes 0 to 20480 hold v1, not v2");
        let mut judge = Judge::new();
        let mixed = pattern::bytes(
            7,
            0,
            40 * SECTOR,
            |sector| if sector % 2 == 0 { V1 } else { V2 },
        );
        judge.compare("disk", 7, 0, &mixed, Verdict::Lost, |_| vec![V2]);
        let outcome = judge.outcome();
        assert_eq!(outcome.verdict, Verdict::Lost);
        assert!(
            outcome.detail.ends_with("and 16 more places"),
            "{}",
            outcome.detail
        );
    }
}
