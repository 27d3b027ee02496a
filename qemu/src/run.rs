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
use lab_proto::{Event, Job};
use rustix::process::{Signal, set_parent_process_death_signal};

use crate::events::EventFile;
use crate::machine::{Files, Machine};
use crate::report::{End, Report, StepReport, excerpt};
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

/// How often a machine is booted that does not come up.
pub const ATTEMPTS: u32 = 3;

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

/// As [`run`]; a guest that does not come up is booted again, [`ATTEMPTS`] times in all.
///
/// Before a guest begins with its job no module is loaded and nothing is mounted: what goes wrong
/// says something of the host, the emulator or the kernel's boot, and the disks are as they were.
/// `on_retry` hears of each attempt that failed, and where its console is kept.
///
/// # Errors
///
/// As [`run`].
pub fn run_persistently(
    machine: &Machine,
    job: &Job,
    deadlines: &Deadlines,
    dir: &Path,
    on_event: &mut dyn FnMut(&Event),
    on_retry: &mut dyn FnMut(&Report, &Path),
) -> Result<Report> {
    let mut attempts = 1..ATTEMPTS;
    loop {
        let report = run(machine, job, deadlines, dir, on_event)?;
        if report.began() {
            return Ok(report);
        }
        let Some(attempt) = attempts.next() else {
            return Ok(report);
        };
        let kept = dir.join(format!("console.boot-{attempt}.log"));
        fs::rename(&report.console, &kept)
            .with_context(|| format!("keeping the console as {}", kept.display()))?;
        on_retry(&report, &kept);
    }
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
            events: EventFile::new(&files.events),
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
            excerpt: excerpt(&self.console),
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
