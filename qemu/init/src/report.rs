// SPDX-License-Identifier: GPL-2.0

//! The line to the host.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};
use std::thread;
use std::time::Duration;

use lab_proto::Event;

/// Set before the last event, so that no heartbeat follows it.
static QUIET: AtomicBool = AtomicBool::new(false);

/// The second serial port.
#[derive(Clone)]
pub(crate) struct Port(Option<Arc<Mutex<File>>>);

impl Port {
    /// Opens the port and makes it pass bytes as they are.
    pub(crate) fn open() -> Self {
        let file = OpenOptions::new().write(true).open("/dev/ttyS1");
        let file = file.inspect_err(|error| println!("lab-init: no second serial port: {error}"));
        if let Ok(port) = &file
            && let Ok(mut modes) = rustix::termios::tcgetattr(port)
        {
            modes.make_raw();
            let _ = rustix::termios::tcsetattr(port, rustix::termios::OptionalActions::Now, &modes);
        }
        Self(file.ok().map(|file| Arc::new(Mutex::new(file))))
    }

    /// Sends an event.
    pub(crate) fn say(&self, event: &Event) {
        let Some(port) = &self.0 else { return };
        let Ok(mut line) = serde_json::to_vec(event) else {
            return;
        };
        line.push(b'\n');
        let mut port = port.lock().unwrap_or_else(PoisonError::into_inner);
        if QUIET.load(Ordering::Relaxed) {
            return;
        }
        QUIET.store(matches!(event, Event::Bye { .. }), Ordering::Relaxed);
        if let Err(error) = port.write_all(&line) {
            println!("lab-init: second serial port: {error}");
        }
    }

    /// Says once a second that the guest is alive, until it is not.
    pub(crate) fn start_heartbeat(&self) {
        let port = self.clone();
        thread::spawn(move || {
            loop {
                thread::sleep(Duration::from_secs(1));
                port.say(&Event::Beat { uptime: uptime() });
            }
        });
    }

    /// Waits until the host has every byte.
    pub(crate) fn drain(&self) {
        if let Some(port) = &self.0 {
            let _ = rustix::termios::tcdrain(&*port.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

/// Seconds since the kernel started.
pub(crate) fn uptime() -> f64 {
    let text = fs::read_to_string("/proc/uptime").unwrap_or_default();
    text.split(' ')
        .next()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or_default()
}

/// The kernel's taint flags.
pub(crate) fn taint() -> u64 {
    let text = fs::read_to_string("/proc/sys/kernel/tainted").unwrap_or_default();
    text.trim().parse().unwrap_or(u64::MAX)
}

/// Leaves a mark in the kernel's log, so that what comes next there can be told to belong to `what`.
pub(crate) fn mark(what: &str) {
    let _ = fs::write("/dev/kmsg", format!("<6>lab: {what}\n"));
}
