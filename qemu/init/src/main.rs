// SPDX-License-Identifier: GPL-2.0

//! PID 1 of the lab's guest: mounts what programs expect, runs the job, says how it went, and ends
//! the machine.
//!
//! Standard output of everything goes to the console; what is for the host goes to the second
//! serial port, one event a line.

mod action;
mod report;
mod shell;

use std::fs;
use std::path::Path;

use lab_proto::{Event, JOB_PATH, Job, Outcome};
use rustix::mount::{MountFlags, mount};

use crate::report::Port;

fn main() {
    prepare();
    let port = Port::open();
    match read_job() {
        Ok(Some(job)) => run(&job, &port),
        Ok(None) => shell::run(),
        Err(error) => println!("lab-init: {error}"),
    }
    rustix::fs::sync();
    port.drain();
    // QEMU is told to end where a machine would start again; unlike power off, this takes no ACPI.
    let _ = rustix::system::reboot(rustix::system::RebootCommand::Restart);
}

/// Mounts the file systems that every program takes for granted.
fn prepare() {
    for (fstype, dir) in [
        ("proc", "/proc"),
        ("sysfs", "/sys"),
        ("devtmpfs", "/dev"),
        ("tmpfs", "/tmp"),
        ("debugfs", "/sys/kernel/debug"),
        ("tracefs", "/sys/kernel/tracing"),
    ] {
        let _ = fs::create_dir_all(dir);
        if let Err(error) = mount(fstype, dir, fstype, MountFlags::empty(), None) {
            println!("lab-init: cannot mount {fstype} on {dir}: {error}");
        }
    }
    // From here on the console shows what the kernel says at any level but debug.
    let _ = fs::write("/proc/sys/kernel/printk", "7");
    // SAFETY: No other thread runs yet.
    unsafe { std::env::set_var("PATH", "/bin:/sbin:/usr/bin:/usr/sbin") };
}

/// Reads the job; without one this is a machine for a person.
fn read_job() -> Result<Option<Job>, String> {
    if !Path::new(JOB_PATH).exists() {
        return Ok(None);
    }
    let text = fs::read(JOB_PATH).map_err(|error| format!("cannot read {JOB_PATH}: {error}"))?;
    serde_json::from_slice(&text)
        .map(Some)
        .map_err(|error| format!("{JOB_PATH}: {error}"))
}

/// Runs every step, up to one that is required and fails.
fn run(job: &Job, port: &Port) {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    port.say(&Event::Hello {
        nonce: job.nonce.clone(),
        uptime: report::uptime(),
        release: release.trim().to_owned(),
    });
    port.start_heartbeat();
    let complete = job.steps.iter().all(|step| {
        let outcome = action::run(step, port);
        outcome == Outcome::AsExpected || !step.required
    });
    report::mark("end");
    let unmounted = action::unmount_all();
    rustix::fs::sync();
    port.say(&Event::Bye {
        nonce: job.nonce.clone(),
        taint: report::taint(),
        complete: complete && unmounted,
    });
}
