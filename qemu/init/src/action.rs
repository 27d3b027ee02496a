// SPDX-License-Identifier: GPL-2.0

//! The steps of a job.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use lab_proto::{Action, Event, Expect, Outcome, Step};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use rustix::process::{Pid, Signal, kill_process_group};

use crate::report::{self, Port};

/// What a step came to, before it is held against what it must come to.
enum Result {
    /// It went well.
    Done,
    /// A program ended with this status.
    Exit(i32),
    /// A system call failed.
    Errno(Errno),
    /// Something else, in words.
    Other(String),
}

impl From<Errno> for Result {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

impl<T> From<std::result::Result<T, Errno>> for Result {
    fn from(result: std::result::Result<T, Errno>) -> Self {
        result.map_or_else(Self::Errno, |_| Self::Done)
    }
}

/// Runs a step and tells the host how it went.
pub(crate) fn run(step: &Step, port: &Port) -> Outcome {
    report::mark(&format!("step {}", step.name));
    port.say(&Event::Begin {
        step: step.name.clone(),
    });
    let start = Instant::now();
    let line = |text: String| {
        port.say(&Event::Line {
            step: step.name.clone(),
            text,
        })
    };
    let outcome = judge(&step.expect, act(&step.action, port, &line));
    port.say(&Event::End {
        step: step.name.clone(),
        outcome: outcome.clone(),
        ms: u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX),
        taint: report::taint(),
    });
    outcome
}

/// Holds a result against what it must be.
fn judge(expect: &Expect, result: Result) -> Outcome {
    let (as_expected, what) = match result {
        Result::Done => (*expect == Expect::Success, "it succeeded".to_owned()),
        Result::Exit(status) => (
            match expect {
                Expect::Success => status == 0,
                Expect::Exit(allowed) => allowed.contains(&status),
                Expect::Errno(_) => false,
            },
            format!("exit status {status}"),
        ),
        Result::Errno(errno) => {
            let name = format!("{errno:?}");
            (
                matches!(expect, Expect::Errno(wanted) if name_of(errno) == *wanted),
                format!("{errno} ({name})"),
            )
        }
        Result::Other(what) => (false, what),
    };
    if as_expected {
        Outcome::AsExpected
    } else {
        Outcome::Failed(format!("{what}, expected {expect:?}"))
    }
}

/// The name of the errors that steps expect; the number of any other.
fn name_of(errno: Errno) -> String {
    match errno {
        Errno::INVAL => "EINVAL".to_owned(),
        Errno::UCLEAN => "EUCLEAN".to_owned(),
        Errno::IO => "EIO".to_owned(),
        Errno::BUSY => "EBUSY".to_owned(),
        Errno::ROFS => "EROFS".to_owned(),
        Errno::OPNOTSUPP => "EOPNOTSUPP".to_owned(),
        other => other.raw_os_error().to_string(),
    }
}

fn act(action: &Action, port: &Port, line: &dyn Fn(String)) -> Result {
    match action {
        Action::Insmod { path, params } => insmod(path, params),
        Action::Rmmod { name } => rmmod(name),
        Action::Mount {
            source,
            fstype,
            dir,
            options,
            read_only,
        } => mount_disk(source, fstype, dir, options, *read_only),
        Action::Umount { dir } => unmount_patiently(dir).into(),
        Action::Run { argv, timeout } => program(argv, Duration::from_secs(*timeout), line),
        Action::Read { path } => match fs::read_to_string(path) {
            Ok(text) => {
                text.lines().for_each(|text| line(text.to_owned()));
                Result::Done
            }
            Err(error) => Result::Other(format!("{path}: {error}")),
        },
        Action::Write { path, text } => match fs::write(path, text) {
            Ok(()) => Result::Done,
            Err(error) => Result::Other(format!("{path}: {error}")),
        },
        Action::Kmemleak => kmemleak(line),
        Action::Together { lanes } => together(lanes, port),
        Action::Repeat { times, steps } => repeat(*times, steps, port, line),
    }
}

fn insmod(path: &str, params: &str) -> Result {
    let params = std::ffi::CString::new(params).unwrap_or_default();
    match File::open(path) {
        Ok(file) => rustix::system::finit_module(file, &params, 0).into(),
        Err(error) => Result::Other(format!("{path}: {error}")),
    }
}

fn rmmod(name: &str) -> Result {
    let name = std::ffi::CString::new(name).unwrap_or_default();
    rustix::system::delete_module(&name, 0).into()
}

/// Mounts the disk with that serial; a source that is nobody's serial is taken as it is.
fn mount_disk(source: &str, fstype: &str, dir: &str, options: &str, read_only: bool) -> Result {
    if let Err(error) = fs::create_dir_all(dir) {
        return Result::Other(format!("{dir}: {error}"));
    }
    let device = disk_with_serial(source).unwrap_or_else(|| PathBuf::from(source));
    let flags = if read_only {
        MountFlags::RDONLY
    } else {
        MountFlags::empty()
    };
    let options = std::ffi::CString::new(options).unwrap_or_default();
    mount(&device, dir, fstype, flags, options.as_c_str()).into()
}

/// Finds a virtio disk by its serial.
fn disk_with_serial(serial: &str) -> Option<PathBuf> {
    let blocks = fs::read_dir("/sys/block").ok()?;
    blocks.flatten().find_map(|block| {
        let found = fs::read_to_string(block.path().join("serial")).ok()?;
        (found.trim() == serial).then(|| PathBuf::from("/dev").join(block.file_name()))
    })
}

/// Runs a program in a process group of its own, and kills all of it when its time is over.
fn program(argv: &[String], timeout: Duration, line: &dyn Fn(String)) -> Result {
    let Some((program, arguments)) = argv.split_first() else {
        return Result::Other("no program".to_owned());
    };
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Result::Other(format!("{program}: {error}")),
    };
    let (send, receive) = mpsc::channel();
    if let Some(output) = child.stdout.take() {
        thread::spawn(move || {
            let lines = BufReader::new(output)
                .split(b'\n')
                .map_while(std::result::Result::ok);
            lines
                .map(|line| String::from_utf8_lossy(&line).into_owned())
                .try_for_each(|line| send.send(line))
        });
    }
    let deadline = Instant::now() + timeout;
    loop {
        match receive.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(text) => line(text),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                    let _ = kill_process_group(group, Signal::KILL);
                }
                // A task that sleeps in the kernel may not die; that is for the host to see.
                return Result::Other(format!("{program}: killed after {} s", timeout.as_secs()));
            }
        }
    }
    match child.wait() {
        Ok(status) => status.code().map_or_else(
            || Result::Other(format!("{program}: {status}")),
            Result::Exit,
        ),
        Err(error) => Result::Other(format!("{program}: {error}")),
    }
}

/// Looks for leaks twice: a block whose only pointer was in a register the first time is not one.
fn kmemleak(line: &dyn Fn(String)) -> Result {
    const PATH: &str = "/sys/kernel/debug/kmemleak";
    let scan = || fs::write(PATH, "scan");
    let scanned = scan().and_then(|()| {
        thread::sleep(Duration::from_secs(6)); // A block counts as lost when it is 5 s old.
        scan()?;
        fs::read_to_string(PATH)
    });
    match scanned {
        Ok(text) => {
            text.lines().for_each(|text| line(text.to_owned()));
            match text.matches("unreferenced object").count() {
                0 => Result::Done,
                count => Result::Other(format!("{count} leaked")),
            }
        }
        Err(error) => Result::Other(format!("cannot look for leaks: {PATH}: {error}")),
    }
}

/// Runs each lane in a thread of its own and waits for all of them.
fn together(lanes: &[Vec<Step>], port: &Port) -> Result {
    let lane = |steps: &[Step]| {
        let ended = |step: &&Step| run(step, port) != Outcome::AsExpected && step.required;
        steps.iter().find(ended).map(|step| step.name.clone())
    };
    let stopped: Vec<String> = thread::scope(|scope| {
        let lanes: Vec<_> = lanes
            .iter()
            .map(|steps| scope.spawn(|| lane(steps)))
            .collect();
        let joined = lanes.into_iter().map(|lane| lane.join());
        joined
            .filter_map(|lane| lane.unwrap_or_else(|_| Some("a thread panicked".to_owned())))
            .collect()
    });
    match stopped.is_empty() {
        true => Result::Done,
        false => Result::Other(format!("ended early at: {}", stopped.join(", "))),
    }
}

fn repeat(times: u32, steps: &[Step], port: &Port, line: &dyn Fn(String)) -> Result {
    for round in 1..=times {
        for step in steps {
            if let Outcome::Failed(why) = judge(&step.expect, act(&step.action, port, line)) {
                return Result::Other(format!("round {round}, {}: {why}", step.name));
            }
        }
    }
    Result::Done
}

/// For how long somebody may still be busy with a file system that nobody has open: `khugepaged`
/// holds the file that it looks at, also when the last program that mapped it is gone.
const BUSY: Duration = Duration::from_secs(20);

/// Unmounts, once the kernel itself is done with the files.
fn unmount_patiently(dir: &str) -> rustix::io::Result<()> {
    let end = Instant::now() + BUSY;
    loop {
        match unmount(dir, UnmountFlags::empty()) {
            Err(Errno::BUSY) if Instant::now() < end => thread::sleep(Duration::from_millis(50)),
            result => return result,
        }
    }
}

/// Unmounts everything below `/mnt`, the last mounted first, so that images are clean. False if
/// something stayed.
pub(crate) fn unmount_all() -> bool {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let below = mounts
        .lines()
        .rev()
        .filter_map(|line| line.split(' ').nth(1));
    below
        .filter(|dir| dir.starts_with("/mnt"))
        .fold(true, |all, dir| {
            let result = unmount_patiently(dir);
            if let Err(error) = result {
                println!("lab-init: cannot unmount {dir}: {error}");
            }
            all && result.is_ok()
        })
}
