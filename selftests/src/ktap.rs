// SPDX-License-Identifier: GPL-2.0

//! KTAP, version 1, as kselftest's tools read it.

use std::io;
use std::io::Write;

use serde::Serialize;

use crate::registry::Claim;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// Writes KTAP line by line, flushing each, so that a reader sees how far a run came.
#[derive(Debug)]
pub struct Ktap<W: Write> {
    out: W,
    number: usize,
    heard: Vec<String>,
}

/// The diagnostic line before each result.
#[derive(Debug, Serialize)]
struct Diagnostic<'a> {
    claim: &'a str,
    verdict: Verdict,
    detail: &'a str,
    ms: u64,
    /// What the kernel said meanwhile.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    log: &'a [String],
}

impl<W: Write> Ktap<W> {
    /// Writes the version and the plan.
    pub fn start(mut out: W, planned: usize) -> io::Result<Self> {
        writeln!(out, "KTAP version 1")?;
        writeln!(out, "1..{planned}")?;
        out.flush()?;
        Ok(Self {
            out,
            number: 0,
            heard: Vec::new(),
        })
    }

    /// Keeps what the kernel said for the next result.
    pub fn heard(&mut self, messages: Vec<String>) {
        self.heard = messages;
    }

    /// Writes a line that is for people.
    pub fn comment(&mut self, text: &str) -> io::Result<()> {
        for line in text.lines() {
            writeln!(self.out, "# {}", clean(line))?;
        }
        self.out.flush()
    }

    /// Writes the outcome of a claim: one diagnostic line in JSON, then the result.
    pub fn result(&mut self, claim: &Claim, outcome: &Outcome, ms: u64) -> io::Result<()> {
        self.named_result(claim.id, &claim.full_name(), outcome, ms)
    }

    /// Writes the outcome of what is no claim, by its short and its full name.
    pub fn named_result(
        &mut self,
        id: &str,
        name: &str,
        outcome: &Outcome,
        ms: u64,
    ) -> io::Result<()> {
        let Outcome { verdict, detail } = outcome;
        let log = std::mem::take(&mut self.heard);
        let diagnostic = Diagnostic {
            claim: id,
            verdict: *verdict,
            detail,
            ms,
            log: &log,
        };
        self.number += 1;
        let number = self.number;
        writeln!(self.out, "# {}", serde_json::to_string(&diagnostic)?)?;
        match verdict {
            Verdict::Kept => writeln!(self.out, "ok {number} {name}")?,
            // A second '#' would end the reason for some readers.
            Verdict::Skip => {
                let reason = clean(detail).replace('#', "");
                writeln!(self.out, "ok {number} {name} # SKIP {reason}")?;
            }
            _ => writeln!(self.out, "not ok {number} {name}")?,
        }
        self.out.flush()
    }
}

/// One line, no control characters.
fn clean(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    #[test]
    fn the_output_is_ktap() {
        let claim = registry::find("T01").unwrap();
        let mut out = Vec::new();
        let mut ktap = Ktap::start(&mut out, 3).unwrap();
        ktap.result(claim, &Outcome::new(Verdict::Kept, "fine"), 5)
            .unwrap();
        ktap.heard(vec!["collision".to_owned()]);
        ktap.result(claim, &Outcome::new(Verdict::Lost, "a \"b\"\nc"), 6)
            .unwrap();
        ktap.result(claim, &Outcome::new(Verdict::Skip, "no # disk\nhere"), 7)
            .unwrap();
        let name = claim.full_name();
        let text = String::from_utf8(out).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["KTAP version 1", "1..3"]);
        assert_eq!(
            lines[2],
            r#"# {"claim":"T01","verdict":"kept","detail":"fine","ms":5}"#
        );
        assert_eq!(lines[3], format!("ok 1 {name}"));
        assert_eq!(
            lines[4],
            r#"# {"claim":"T01","verdict":"lost","detail":"a \"b\"\nc","ms":6,"log":["collision"]}"#
        );
        assert_eq!(lines[5], format!("not ok 2 {name}"));
        assert_eq!(lines[7], format!("ok 3 {name} # SKIP no  disk here"));
    }
}
