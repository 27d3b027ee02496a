// SPDX-License-Identifier: GPL-2.0

//! Runs claims, each in a process of its own, so that a hang or a crash is a verdict as well.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Child;
use std::process::Command;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::mpsc;
use std::sync::mpsc::Receiver;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use crate::faults;
use crate::freeze;
use crate::hazard;
use crate::kernel_log::KernelLog;
use crate::ktap::Ktap;
use crate::mount::Mount;
use crate::registry::Claim;
use crate::registry::Stage;
use crate::stacks;
use crate::storm;
use crate::sys;
use crate::verdict;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// The command by which a claim's process is started: `claims exec --dir DIR --claim ID`.
pub const EXEC: &str = "exec";

/// The command by which a storm's process is started.
pub const EXEC_STORM: &str = "exec-storm";

/// How long a storm may take beyond its time, to get ready and to look at everything at the end.
const STORM_GRACE: Duration = Duration::from_secs(180);

/// How many times as long as others a claim may take that says it takes long.
const PATIENCE: u32 = 4;

/// How long a killed process may take to go before it counts as unkillable.
const GRACE: Duration = Duration::from_secs(10);

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Claims kept.
    pub kept: usize,
    /// Claims that could not be tried.
    pub skipped: usize,
    /// Claims that were not kept.
    pub broken: usize,
}

impl Tally {
    fn count(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Kept => self.kept += 1,
            Verdict::Skip => self.skipped += 1,
            _ => self.broken += 1,
        }
    }

    /// The exit status: 0 all well, 1 a claim was not kept, 4 nothing was tried.
    pub fn exit_status(self) -> u8 {
        match self {
            Self { broken: 1.., .. } => 1,
            Self { kept: 0, .. } => 4,
            _ => 0,
        }
    }
}

/// How many messages of the kernel are kept for one claim.
const MESSAGES: usize = 20;

/// Runs `claims` on `dir` and writes KTAP to standard output; those that chance has a part in, `tries`
/// times. A `careful` run leaves out, as a skip
/// with the reason, what others on the machine would notice.
pub fn run(
    dir: &Path,
    claims: &[&'static Claim],
    timeout: Duration,
    tries: u32,
    careful: bool,
) -> Result<Tally> {
    let mut ktap = Ktap::start(std::io::stdout().lock(), claims.len())?;
    let mut tally = Tally::default();
    // Not everybody may read it.
    let log = KernelLog::open().ok();
    for claim in claims {
        let started = Instant::now();
        if let Some(log) = &log {
            log.skip_to_end()?;
        }
        let (outcome, noise) = match hazard::of(claim).filter(|_| careful) {
            Some(hazard) => (
                Outcome::new(
                    Verdict::Skip,
                    format!("left out of a careful run: {hazard}"),
                ),
                String::new(),
            ),
            None if claim.needs.chance => try_often(tries, || run_one(dir, claim, timeout))?,
            None => run_one(dir, claim, timeout)?,
        };
        ktap.comment(&noise)?;
        if let Some(log) = &log {
            ktap.heard(log.messages(MESSAGES)?);
        }
        ktap.result(claim, &outcome, started.elapsed().as_millis() as u64)?;
        tally.count(outcome.verdict);
    }
    let Tally {
        kept,
        skipped,
        broken,
    } = tally;
    ktap.comment(&format!(
        "{kept} kept, {broken} not kept, {skipped} skipped"
    ))?;
    Ok(tally)
}

/// Runs one claim in this process: what the child does.
pub fn exec(dir: &Path, claim: &'static Claim) -> Outcome {
    verdict::settle((claim.run)(&Stage { place: dir, claim }))
}

/// Tries so often, unless one try hangs. Returns an outcome of the kind that [`telling`] finds, which says
/// how the others ended.
fn try_often(
    tries: u32,
    mut attempt: impl FnMut() -> Result<(Outcome, String)>,
) -> Result<(Outcome, String)> {
    let (mut outcomes, mut noise) = (Vec::new(), String::new());
    for _ in 0..tries {
        let (outcome, more) = attempt()?;
        noise += &more;
        let hangs = outcome.verdict == Verdict::Hang;
        outcomes.push(outcome);
        if hangs {
            break;
        }
    }
    let verdicts: Vec<Verdict> = outcomes.iter().map(|outcome| outcome.verdict).collect();
    let told = telling(&verdicts).context("there is no try")?;
    let mut told = outcomes.swap_remove(told);
    if tries > 1 {
        let names: Vec<&str> = verdicts.iter().map(|verdict| verdict.name()).collect();
        told.detail += &format!("; tries: {}", names.join(", "));
    }
    Ok((told, noise))
}

/// Finds the first of the verdicts that most of those that are not kept came to, and of equally many the
/// worst: so that what hardly ever happens does not decide. One that hangs is what is told.
fn telling(verdicts: &[Verdict]) -> Option<usize> {
    let rank = |verdict: Verdict| {
        let count = verdicts.iter().filter(|other| **other == verdict).count();
        let weight = match verdict {
            Verdict::Hang => usize::MAX,
            Verdict::Kept | Verdict::Skip => 0,
            _ => count,
        };
        (weight, verdict.severity())
    };
    // The first of equals.
    (0..verdicts.len())
        .rev()
        .max_by_key(|&at| rank(verdicts[at]))
}

fn run_one(dir: &Path, claim: &Claim, timeout: Duration) -> Result<(Outcome, String)> {
    let arguments: [&OsStr; 5] = [
        EXEC.as_ref(),
        "--dir".as_ref(),
        dir.as_ref(),
        "--claim".as_ref(),
        claim.id.as_ref(),
    ];
    let patience = if claim.needs.patience { PATIENCE } else { 1 };
    let outcome = supervise(dir, &arguments, timeout * patience)?;
    if claim.needs.faults {
        faults::clear(dir);
        // Which may be devices themselves.
        for file in claim.files {
            faults::clear(&dir.join(file.name));
        }
    }
    if hazard::of(claim).is_some() && outcome.0.verdict != Verdict::Hang {
        forget_errors(dir);
        if let Ok(mount) = Mount::of(dir) {
            // What cannot be mended shows in what is tried next.
            let _ = mount.mend();
        }
    }
    Ok(outcome)
}

/// Has the kernel tell now what writeback met: syncfs(2) tells it once, and not to the next claim then.
fn forget_errors(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = sys::sync_fs(&dir);
    }
}

/// Makes a storm in a process of its own and writes KTAP to standard output, with the history of
/// what was found in comments.
pub fn run_storm(settings: &storm::Settings) -> Result<Tally> {
    let (seconds, seed) = (settings.seconds.to_string(), settings.seed.to_string());
    let arguments: [&OsStr; 6] = [
        EXEC_STORM.as_ref(),
        "--seconds".as_ref(),
        seconds.as_ref(),
        "--seed".as_ref(),
        seed.as_ref(),
        settings.dir.as_ref(),
    ];
    let mut ktap = Ktap::start(std::io::stdout().lock(), 1)?;
    let mut tally = Tally::default();
    let started = Instant::now();
    let timeout = Duration::from_secs(settings.seconds) + STORM_GRACE;
    let (outcome, noise) = supervise(&settings.dir, &arguments, timeout)?;
    ktap.comment(&noise)?;
    ktap.named_result(
        "storm",
        &format!("storm.seed_{seed}"),
        &outcome,
        started.elapsed().as_millis() as u64,
    )?;
    tally.count(outcome.verdict);
    Ok(tally)
}

/// Runs this program with `arguments`, which work on `dir`, in a process of its own, for so long at
/// most; gives the outcome that it writes, and what it says on standard error.
fn supervise(dir: &Path, arguments: &[&OsStr], timeout: Duration) -> Result<(Outcome, String)> {
    let program = std::env::current_exe().context("finding the claims program itself")?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("starting a process")?;
    let out = collect(child.stdout.take());
    let err = collect(child.stderr.take());
    let outcome = match wait_until(&mut child, Instant::now() + timeout)? {
        Some(status) => finished(status, &out),
        None => hung(&mut child, dir, timeout)?,
    };
    // Whatever it left behind: helpers.
    sys::kill_group(child.id());
    let noise = err.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    Ok((outcome, noise))
}

/// Reads a pipe to its end in a thread of its own, which a stuck writer cannot make us wait for.
fn collect(pipe: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (send, receive) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            // What was read before an error is what there is.
            let _ = pipe.read_to_end(&mut bytes);
        }
        let _ = send.send(String::from_utf8_lossy(&bytes).into_owned());
    });
    receive
}

fn wait_until(child: &mut Child, deadline: Instant) -> Result<Option<ExitStatus>> {
    loop {
        if let Some(status) = child.try_wait().context("waiting for a claim's process")? {
            return Ok(Some(status));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn finished(status: ExitStatus, out: &Receiver<String>) -> Outcome {
    let text = out.recv_timeout(Duration::from_secs(5)).unwrap_or_default();
    if let Some(outcome) = text
        .lines()
        .rev()
        .find_map(|line| serde_json::from_str(line).ok())
    {
        return outcome;
    }
    let detail = match status.signal() {
        Some(signal) => format!("the claim's process was killed by signal {signal}"),
        None => format!("the claim's process ended with {status} and said nothing"),
    };
    Outcome::new(Verdict::Error, detail)
}

fn hung(child: &mut Child, dir: &Path, timeout: Duration) -> Result<Outcome> {
    let mut detail = format!("no end after {} s", timeout.as_secs());
    let own = stacks::of_process(child.id());
    for place in own.into_iter().chain(stacks::of_all_uninterruptible()) {
        detail.push_str("; ");
        detail.push_str(&place);
    }
    sys::kill_group(child.id());
    // Who waits for a thaw does not die.
    freeze::clear(dir);
    if wait_until(child, Instant::now() + GRACE)?.is_none() {
        detail.push_str("; the process cannot be killed");
    }
    Ok(Outcome::new(Verdict::Hang, detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_statuses() {
        let tally = |kept, skipped, broken| {
            Tally {
                kept,
                skipped,
                broken,
            }
            .exit_status()
        };
        assert_eq!(tally(3, 0, 0), 0);
        assert_eq!(tally(3, 2, 0), 0);
        assert_eq!(tally(3, 2, 1), 1);
        assert_eq!(tally(0, 2, 0), 4);
        assert_eq!(tally(0, 0, 0), 4);
    }

    #[test]
    fn of_several_tries_the_most_frequent_failure_is_told_with_the_others() {
        let ends = |verdicts: &[Verdict]| {
            let mut verdicts = verdicts.iter();
            try_often(4, || {
                let verdict = *verdicts.next().expect("not more tries than are asked for");
                Ok((Outcome::new(verdict, verdict.name()), String::new()))
            })
            .expect("no try fails")
            .0
        };
        let once = ends(&[Verdict::Kept, Verdict::Kept, Verdict::Kept, Verdict::Stale]);
        assert_eq!(once.verdict, Verdict::Stale);
        let equal = ends(&[Verdict::Kept, Verdict::Lost, Verdict::Stale, Verdict::Kept]);
        assert_eq!(equal.verdict, Verdict::Lost);
        assert_eq!(equal.detail, "lost; tries: kept, lost, stale, kept");
        let rare = [
            Verdict::FalseError,
            Verdict::Lost,
            Verdict::FalseError,
            Verdict::Kept,
        ];
        assert_eq!(ends(&rare).verdict, Verdict::FalseError);
        let hung = ends(&[Verdict::Stale, Verdict::Stale, Verdict::Hang]);
        assert_eq!(hung.detail, "hang; tries: stale, stale, hang");
        let skipped = ends(&[Verdict::Kept, Verdict::Skip, Verdict::Kept, Verdict::Kept]);
        assert_eq!(skipped.verdict, Verdict::Skip);
    }
}
