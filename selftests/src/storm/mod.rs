// SPDX-License-Identifier: GPL-2.0

//! The storm: everybody writes, reads, maps, cuts and reclaims a few files at once.
//!
//! Every sector says who wrote it and which version it is; [`ledger`] says which it must be. Each
//! thread compares on every visit, not only at the end, and what is wrong is told with the history
//! of the sector and of its page.
//!
//! | module | role |
//! |---|---|
//! | [`sector`], [`ledger`] | what a sector holds, and what it must hold |
//! | [`field`] | one file, and the ways to it |
//! | [`worker`], [`disturb`] | the threads |

mod disturb;
mod field;
mod ledger;
mod random;
mod sector;
mod worker;

use std::collections::BTreeMap;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;

use crate::cgroup::Group;
use crate::pattern::SECTOR;
use crate::registry::FileSpec;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use field::Field;
use field::Read;
use ledger::Before;
use worker::Worker;

/// Threads that write, read and cut.
const WORKERS: u32 = 10;

/// Threads that disturb.
const DISTURBERS: u32 = 2;

/// Findings that are told with their history; the rest is counted.
const TOLD: usize = 3;

/// Memory that a storm gets beside what it had when it began, page cache included, in bytes. Half of
/// it is left to the page cache however much else there is.
const ROOM: u64 = 4 << 20;

/// How long one call may take, in seconds, before the storm counts as hung. To reclaim from a group with
/// next to nothing left has taken a minute in the debug kernel, on a machine with other work.
const HANG: u64 = 300;

/// The files of a storm that is not a claim's.
pub const FILES: [FileSpec; 3] = [
    FileSpec {
        name: "storm-0.dat",
        size: SIZE,
    },
    FileSpec {
        name: "storm-1.dat",
        size: SIZE,
    },
    FileSpec {
        name: "storm-2.dat",
        size: SIZE,
    },
];

/// The size of each file in bytes: small, so that everybody meets everybody.
pub const SIZE: u64 = 1 << 20;

/// How a storm is made.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// For how long.
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// Chooses what the threads do; the order in which they do it is the kernel's.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The directory; the storm keeps its files in it.
    pub dir: PathBuf,
}

/// What the threads share.
#[derive(Debug)]
struct Storm {
    fields: Vec<Field>,
    seed: u64,
    began: Instant,
    over: AtomicBool,
    /// Whether files can be cut here.
    can_cut: bool,
    device_is_readable: bool,
    findings: Mutex<Findings>,
    threads: Vec<Activity>,
}

/// What one thread is at.
#[derive(Debug, Default)]
struct Activity {
    /// What, and since when in microseconds.
    now: Mutex<(&'static str, u64)>,
    steps: AtomicU64,
}

#[derive(Debug, Default)]
struct Findings {
    count: BTreeMap<&'static str, u64>,
    told: Vec<String>,
    worst: Option<Verdict>,
}

/// Makes a storm on `files` of `dir`, and says what was found.
///
/// # Errors
///
/// Skips if the files cannot be opened for direct I/O.
pub fn run(dir: &Path, files: &[FileSpec], seconds: u64, seed: u64) -> Result<Outcome> {
    let group = Group::enter();
    let began = Instant::now();
    let key = u64::from(std::process::id()) << 32 | u64::from(began.elapsed().subsec_nanos());
    let fields: Vec<Field> = files
        .iter()
        .map(|file| Field::open(dir, file.name, file.size, began, key))
        .collect::<Result<_>>()?;
    let first = &fields[0].file;
    let storm = Storm {
        can_cut: first.file().set_len(first.size()).is_ok(),
        device_is_readable: first.on_disk(0, SECTOR).is_ok_and(|(_, way)| way == "disk"),
        fields,
        seed,
        began,
        over: AtomicBool::new(false),
        findings: Mutex::default(),
        threads: (0..=WORKERS + DISTURBERS)
            .map(|_| Activity::default())
            .collect(),
    };
    storm.first_version()?;
    let mut facts = vec![match group.as_ref().map(|group| group.limit(ROOM)) {
        Ok(Ok(bytes)) => format!("{} KiB of memory", bytes >> 10),
        Ok(Err(why)) => why,
        Err(why) => why.clone(),
    }];
    if !storm.can_cut {
        facts.push("files cannot be cut here".to_owned());
    }
    thread::scope(|scope| {
        for number in 1..=WORKERS {
            let worker = Worker::new(&storm, number);
            scope.spawn(move || worker.run());
        }
        for number in WORKERS + 1..=WORKERS + DISTURBERS {
            let (storm, group) = (&storm, group.as_ref().ok());
            scope.spawn(move || disturb::run(storm, number, group));
        }
        storm.watch(Duration::from_secs(seconds), group.as_ref().ok());
    });
    storm.last_look()?;
    Ok(storm.outcome(facts))
}

impl Storm {
    fn goes_on(&self) -> bool {
        !self.over.load(Relaxed)
    }

    fn micros(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// Notes what a thread is at; nothing if `what` is empty.
    fn doing(&self, thread: u32, what: &'static str) {
        let mut now = self.threads[thread as usize]
            .now
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *now = (what, self.micros());
    }

    fn step(&self, thread: u32) {
        self.threads[thread as usize].steps.fetch_add(1, Relaxed);
    }

    /// Every sector gets its first version.
    fn first_version(&self) -> Result<()> {
        for field in &self.fields {
            for range in field.all_data() {
                if let Some(owned) = field.ledger.claim(range.clone(), WORKERS + 1) {
                    let bytes = owned.begin("the first write", false);
                    field.write(field::Write::Buffered, range.start, &bytes, None)?;
                    owned.end(range.end - range.start);
                }
            }
            field.file.file().sync_all()?;
        }
        Ok(())
    }

    /// Waits for the end, and sees to it that every thread gets on. A thread that does not is the
    /// end of the process: nobody could wait for it.
    fn watch(&self, time: Duration, group: Option<&Group>) {
        let mut next_line = 60;
        while self.began.elapsed() < time {
            thread::sleep(Duration::from_millis(100));
            // This process grows for a while: stacks, and what its children copy.
            let _ = group.map(|group| group.leave_room(ROOM / 2));
            let hung: Vec<String> = self.hung().collect();
            if !hung.is_empty() {
                let (verdict, detail) = (Verdict::Hang, hung.join("; "));
                let outcome = Outcome::new(verdict, detail);
                println!("{}", serde_json::to_string(&outcome).unwrap_or_default());
                std::process::exit(1);
            }
            if self.began.elapsed().as_secs() >= next_line {
                eprintln!("{next_line} s: {}", self.summary());
                next_line += 60;
            }
        }
        self.over.store(true, Relaxed);
    }

    fn hung(&self) -> impl Iterator<Item = String> {
        self.threads
            .iter()
            .enumerate()
            .filter_map(|(number, thread)| {
                let (what, since) = *thread.now.lock().unwrap_or_else(PoisonError::into_inner);
                let seconds = self.micros().saturating_sub(since) / 1_000_000;
                (!what.is_empty() && seconds > HANG)
                    .then(|| format!("thread {number} is in {what} for {seconds} s"))
            })
    }

    /// When all is quiet, every sector is what was written last, by every way.
    fn last_look(&self) -> Result<()> {
        for field in &self.fields {
            if let Err(error) = field.file.file().sync_all() {
                let what = format!("the last fsync returned {error}");
                self.trouble(Verdict::FalseError, &what);
            }
            for range in field.all_data() {
                let at = range.start * SECTOR as u64;
                let len = (range.end - range.start) as usize * SECTOR;
                let before = field.ledger.before(range.clone());
                let cached = field.read(Read::Buffered, range.clone(), None)?;
                self.judge(field, &before, &cached, "the last read", Verdict::Stale);
                let loaded = field.read(Read::Load, range, None)?;
                self.judge(field, &before, &loaded, "the last load", Verdict::Stale);
                let (disk, _) = field.file.on_disk(at, len)?;
                self.judge(field, &before, &disk, "the disk at the end", Verdict::Lost);
            }
        }
        Ok(())
    }

    fn judge(&self, field: &Field, before: &Before, bytes: &[u8], way: &str, old: Verdict) {
        for finding in field.ledger.judge(before, bytes, old) {
            let what = format!("{way}: {}", finding.what);
            self.find(field, finding.verdict, finding.sector, &what);
        }
    }

    /// Notes what is wrong with a sector, with its history.
    fn find(&self, field: &Field, verdict: Verdict, sector: u64, what: &str) {
        let name = field.file.path().file_name().unwrap_or_default();
        let what = format!("{} sector {sector}: {what}", name.display());
        self.note(verdict, &what, || field.ledger.history(sector));
    }

    /// Notes what is wrong with no sector in particular.
    fn trouble(&self, verdict: Verdict, what: &str) {
        self.note(verdict, what, Vec::new);
    }

    fn note(&self, verdict: Verdict, what: &str, history: impl FnOnce() -> Vec<String>) {
        let mut findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let count = findings.count.entry(verdict.name()).or_default();
        *count += 1;
        let first = *count == 1;
        findings.worst = findings
            .worst
            .into_iter()
            .chain([verdict])
            .max_by_key(|verdict| verdict.severity());
        // The first of each kind is told even if there is a lot of another kind.
        if first || findings.told.len() < TOLD {
            let what = format!("{verdict} after {} ms: {what}", self.micros() / 1000);
            eprintln!("{what}");
            for line in history() {
                eprintln!("    {line}");
            }
            findings.told.push(what);
        }
    }

    fn summary(&self) -> String {
        let steps: u64 = self
            .threads
            .iter()
            .map(|thread| thread.steps.load(Relaxed))
            .sum();
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let counts: Vec<String> = findings
            .count
            .iter()
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        let counts = if counts.is_empty() {
            "nothing wrong".to_owned()
        } else {
            counts.join(", ")
        };
        format!("{steps} steps, {counts}")
    }

    fn outcome(self, facts: Vec<String>) -> Outcome {
        let mut detail = vec![self.summary()];
        let findings = self
            .findings
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner);
        detail.extend(findings.told);
        detail.extend(facts);
        Outcome::new(findings.worst.unwrap_or(Verdict::Kept), detail.join("; "))
    }
}
