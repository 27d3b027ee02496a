// SPDX-License-Identifier: GPL-2.0

//! One boot, from the first instruction to the last line, and what to make of it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use lab_proto::{Event, Job, Outcome};
use rustix::process::{Signal, set_parent_process_death_signal};
use serde::Serialize;

use crate::machine::{Files, Machine};
use crate::splat::{self, Splat};

/// Taint flags that a run may have: out-of-tree module (O) and unsigned module (E).
const ORDINARY_TAINT: u64 = 1 << 12 | 1 << 13;

/// How long a machine that said good-bye may take to power off.
const POWER_OFF: Duration = Duration::from_secs(30);

/// When a run is given up.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    /// For the whole of it.
    pub overall: Duration,
    /// Without a word: no console line, no event, not even the heartbeat.
    pub silence: Duration,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// The guest came to the end of its job and said so.
    Finished,
    /// The kernel gave up, or oopsed.
    Panicked,
    /// It went silent, or took too long; this is which.
    Hung(String),
    /// The machine ended without a word; this is what is known.
    Lost(String),
}

/// A step as it went.
#[derive(Clone, Debug, Serialize)]
pub struct StepReport {
    /// Its name.
    pub name: String,
    /// How it ended; `None` if it never did.
    pub outcome: Option<Outcome>,
    /// Milliseconds of the guest.
    pub ms: u64,
    /// What it printed.
    pub lines: Vec<String>,
    /// The taint flags after it.
    pub taint: u64,
}

/// What came of a run.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// What the kernel complained about.
    pub splats: Vec<Splat>,
    /// The steps that were begun.
    pub steps: Vec<StepReport>,
    /// Whether every step of the job was begun.
    pub complete: bool,
    /// Taint flags that are not those of an unsigned out-of-tree module.
    pub taint: u64,
    /// The release of the kernel.
    pub release: String,
    /// Seconds on the host.
    pub seconds: f64,
    /// The console, as a file.
    pub console: PathBuf,
}

impl Report {
    /// Says what is wrong with the run as a whole, apart from what its steps say.
    pub fn fault(&self) -> Option<String> {
        let end = match &self.end {
            End::Finished => None,
            End::Panicked => Some("the kernel panicked".to_owned()),
            End::Hung(why) => Some(format!("the guest hung: {why}")),
            End::Lost(why) => Some(format!("the machine was lost: {why}")),
        };
        let splat = || {
            self.splats.first().map(|splat| match &splat.step {
                Some(step) => format!("{} in {step}: {}", splat.kind, splat.line),
                None => format!("{}: {}", splat.kind, splat.line),
            })
        };
        let taint =
            || (self.taint != 0).then(|| format!("the kernel was tainted: {:#x}", self.taint));
        end.or_else(splat).or_else(taint)
    }

    /// The steps that did not come to what they must, those that never ended among them.
    pub fn failed(&self) -> impl Iterator<Item = &StepReport> {
        let well = Some(Outcome::AsExpected);
        self.steps.iter().filter(move |step| step.outcome != well)
    }

    /// The exit status of a run like this: 0 if nothing at all is wrong with it.
    pub fn exit_status(&self) -> u8 {
        match &self.end {
            End::Panicked => 3,
            _ if !self.splats.is_empty() || self.taint != 0 => 3,
            End::Hung(_) => 5,
            End::Lost(_) => 6,
            End::Finished if !self.complete || self.failed().next().is_some() => 1,
            End::Finished => 0,
        }
    }

    /// Returns a step by its name.
    pub fn step(&self, name: &str) -> Option<&StepReport> {
        self.steps.iter().find(|step| step.name == name)
    }
}

/// Boots `machine` for `job`. Console, events and the command go to files in `dir`.
///
/// # Errors
///
/// The files cannot be written, or QEMU cannot be started. What the guest does is in the report.
pub fn run(
    machine: &Machine,
    job: &Job,
    deadlines: &Deadlines,
    dir: &Path,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Report> {
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    let sockets = tempfile::tempdir().context("making a directory for the monitor's socket")?;
    let files = Files {
        initramfs: dir.join("initramfs.cpio"),
        events: dir.join("events.jsonl"),
        monitor: Some(sockets.path().join("qmp")),
    };
    machine.write_initramfs(Some(job), &files.initramfs)?;
    let _ = fs::remove_file(&files.events);
    let mut command = machine.command(&files);
    let shown = machine.command(&Files {
        monitor: None,
        ..files.clone()
    });
    fs::write(dir.join("qemu.cmd"), format!("{shown:?}\n")).context("writing qemu.cmd")?;
    command
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: `prctl` is async-signal-safe; the closure allocates nothing.
    unsafe { command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?)) };
    let child = command
        .spawn()
        .with_context(|| format!("starting {:?}", command.get_program()))?;
    let mut guest = Guest::new(child, &files, dir)?;
    let end = guest.watch(job, deadlines, on_event)?;
    Ok(guest.report(job, end))
}

/// A machine that runs. Killed when dropped.
struct Guest {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    log: File,
    console: PathBuf,
    events: EventFile,
    monitor: Option<PathBuf>,
    started: Instant,
    heard: Instant,
    splats: Vec<Splat>,
    marked: Option<String>,
    lost_interrupts: bool,
    steps: Vec<StepReport>,
    release: String,
    bye: Option<(u64, bool)>,
}

impl Guest {
    fn new(mut child: Child, files: &Files, dir: &Path) -> Result<Self> {
        let console = dir.join("console.log");
        let log =
            File::create(&console).with_context(|| format!("creating {}", console.display()))?;
        let (send, lines) = mpsc::channel();
        for stream in [
            child
                .stdout
                .take()
                .map(|out| Box::new(out) as Box<dyn Read + Send>),
            child
                .stderr
                .take()
                .map(|err| Box::new(err) as Box<dyn Read + Send>),
        ] {
            let send = send.clone();
            let lines = BufReader::new(stream.context("QEMU's output is piped")?).split(b'\n');
            thread::spawn(move || {
                lines.map_while(Result::ok).try_for_each(|line| {
                    send.send(
                        String::from_utf8_lossy(&line)
                            .trim_end_matches('\r')
                            .to_owned(),
                    )
                })
            });
        }
        let stdin = child.stdin.take();
        let now = Instant::now();
        Ok(Self {
            child,
            stdin,
            lines,
            log,
            console,
            events: EventFile {
                path: files.events.clone(),
                read: 0,
                partial: Vec::new(),
            },
            monitor: files.monitor.clone(),
            started: now,
            heard: now,
            splats: Vec::new(),
            marked: None,
            lost_interrupts: false,
            steps: Vec::new(),
            release: String::new(),
            bye: None,
        })
    }

    /// Listens until the machine ends or its time is over.
    fn watch(
        &mut self,
        job: &Job,
        deadlines: &Deadlines,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<End> {
        let mut open = true;
        loop {
            if open {
                open = self.listen()?;
            } else {
                thread::sleep(Duration::from_millis(20));
            }
            for event in self.events.read_new() {
                self.heard = Instant::now();
                on_event(&event);
                self.take(event, job);
            }
            if let Some(status) = self.child.try_wait().context("waiting for QEMU")? {
                while self.listen()? {}
                for event in self.events.read_new() {
                    on_event(&event);
                    self.take(event, job);
                }
                return Ok(self.ended(&status.to_string()));
            }
            if self.bye.is_some() && self.heard.elapsed() > POWER_OFF {
                return Ok(End::Hung(format!(
                    "no power-off in {} s after the last step",
                    POWER_OFF.as_secs()
                )));
            }
            let hung = if self.started.elapsed() > deadlines.overall {
                Some(format!("not done after {} s", deadlines.overall.as_secs()))
            } else if self.heard.elapsed() > deadlines.silence {
                Some(format!("silent for {} s", deadlines.silence.as_secs()))
            } else {
                None
            };
            if let Some(why) = hung {
                self.interrogate();
                return Ok(if self.lost_interrupts {
                    End::Lost("its disks have no interrupts".into())
                } else {
                    End::Hung(why)
                });
            }
        }
    }

    /// Takes what the console says within a moment. False when it will say no more.
    fn listen(&mut self) -> Result<bool> {
        let mut wait = Duration::from_millis(20);
        loop {
            match self.lines.recv_timeout(wait) {
                Ok(line) => {
                    writeln!(self.log, "{line}").context("writing console.log")?;
                    self.heard = Instant::now();
                    self.lost_interrupts |= splat::lost_interrupts(&line);
                    if let Some(mark) =
                        splat::of_kernel(&line).and_then(|text| text.strip_prefix("lab: "))
                    {
                        self.marked = Some(mark.to_owned());
                    }
                    let step = self.marked.clone();
                    self.splats
                        .extend(splat::judge(&line).map(|splat| Splat { step, ..splat }));
                    wait = Duration::ZERO;
                }
                Err(RecvTimeoutError::Timeout) => return Ok(true),
                Err(RecvTimeoutError::Disconnected) => return Ok(false),
            }
        }
    }

    fn take(&mut self, event: Event, job: &Job) {
        match event {
            Event::Hello { nonce, release, .. } if nonce == job.nonce => self.release = release,
            Event::Begin { step } => {
                self.steps.push(StepReport {
                    name: step,
                    outcome: None,
                    ms: 0,
                    lines: Vec::new(),
                    taint: 0,
                });
            }
            Event::Line { step, text } => {
                if let Some(step) = self.step(&step) {
                    step.lines.push(text);
                }
            }
            Event::End {
                step,
                outcome,
                ms,
                taint,
            } => {
                if let Some(step) = self.step(&step) {
                    step.outcome = Some(outcome);
                    step.ms = ms;
                    step.taint = taint;
                }
            }
            Event::Bye {
                nonce,
                taint,
                complete,
            } if nonce == job.nonce => self.bye = Some((taint, complete)),
            Event::Hello { .. } | Event::Bye { .. } | Event::Beat { .. } => {}
        }
    }

    /// The step of that name that began last.
    fn step(&mut self, name: &str) -> Option<&mut StepReport> {
        self.steps.iter_mut().rev().find(|step| step.name == name)
    }

    /// Judges a machine that has ended by itself.
    fn ended(&self, status: &str) -> End {
        let panicked = |splat: &Splat| {
            matches!(splat.kind, "panic" | "oops") || splat.line.contains("Kernel panic")
        };
        if self.bye.is_some() {
            End::Finished
        } else if self.splats.iter().any(panicked) {
            End::Panicked
        } else {
            End::Lost(format!(
                "QEMU ended ({status}) before the guest had finished; see {}",
                self.console.display()
            ))
        }
    }

    /// Asks a silent kernel what its tasks are doing, for the console log.
    fn interrogate(&mut self) {
        for key in ['w', 'l'] {
            let _ = self.send_break();
            if let Some(stdin) = &mut self.stdin {
                let _ = write!(stdin, "{key}").and_then(|()| stdin.flush());
            }
            let until = Instant::now() + Duration::from_secs(2);
            while Instant::now() < until && self.listen().unwrap_or(false) {}
        }
    }

    /// A break on the first serial port makes its next character a SysRq command.
    fn send_break(&self) -> std::io::Result<()> {
        let Some(path) = &self.monitor else {
            return Ok(());
        };
        let mut monitor = UnixStream::connect(path)?;
        monitor.set_read_timeout(Some(Duration::from_secs(1)))?;
        let mut answers = BufReader::new(monitor.try_clone()?).lines();
        for command in [
            r#"{"execute":"qmp_capabilities"}"#,
            r#"{"execute":"chardev-send-break","arguments":{"id":"console"}}"#,
        ] {
            answers.next().transpose()?;
            writeln!(monitor, "{command}")?;
        }
        answers.next().transpose().map(drop)
    }

    fn report(self, job: &Job, end: End) -> Report {
        let (taint, complete) = self.bye.unwrap_or_else(|| {
            (
                self.steps.iter().fold(0, |all, step| all | step.taint),
                false,
            )
        });
        Report {
            complete: complete && self.steps.len() == job.reports(),
            end,
            splats: self.splats.clone(),
            steps: self.steps.clone(),
            taint: taint & !ORDINARY_TAINT,
            release: self.release.clone(),
            seconds: self.started.elapsed().as_secs_f64(),
            console: self.console.clone(),
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file that QEMU writes the second serial port to, read as it grows.
struct EventFile {
    path: PathBuf,
    read: usize,
    partial: Vec<u8>,
}

impl EventFile {
    /// Returns the events of the lines that are new and whole.
    fn read_new(&mut self) -> Vec<Event> {
        let Ok(mut file) = File::open(&self.path) else {
            return Vec::new();
        };
        let mut new = Vec::new();
        let offset = u64::try_from(self.read).unwrap_or(u64::MAX);
        if std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(offset)).is_err()
            || file.read_to_end(&mut new).is_err()
        {
            return Vec::new();
        }
        self.read += new.len();
        self.partial.extend(new);
        let mut events = Vec::new();
        while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            // A line that is no event is a guest that died in the middle of one: the missing
            // end says it all.
            events.extend(serde_json::from_slice(&line));
        }
        events
    }
}
