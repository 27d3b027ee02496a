// SPDX-License-Identifier: GPL-2.0

//! I/O errors on demand, through the kernel's `fail_make_request`.
//!
//! Errors hit only tasks that ask for them (`task-filter`) and only the device they are switched
//! on for; everything is put back when the guard is dropped. The kernel has one set of switches
//! for all devices, so whoever uses it keeps others out by a lock.

use std::fs;
use std::fs::File;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;

use crate::device::Device;
use crate::sys;
use crate::verdict::skip;

const CONTROL: &str = "/sys/kernel/debug/fail_make_request";

/// While it lives, I/O of tasks that called [`fail_my_io`] on the device fails.
#[derive(Debug)]
pub struct FailingDevice {
    device: PathBuf,
    /// Locked as long as the switches are ours; the kernel unlocks it if we die.
    _lock: File,
}

impl FailingDevice {
    /// Switches the errors on, or skips the claim if this kernel cannot.
    pub fn new(device: &Device) -> Result<Self> {
        if device.is_served() {
            return Err(skip(
                "errors hit who does the I/O, which here is an NFS server",
            ));
        }
        let switch = device.sysfs().join("make-it-fail");
        for path in [
            switch.as_path(),
            Path::new(CONTROL),
            Path::new("/proc/self/make-it-fail"),
        ] {
            if !path.exists() {
                return Err(skip(format!(
                    "no errors on demand: {} is missing (CONFIG_FAIL_MAKE_REQUEST, \
                     CONFIG_FAULT_INJECTION_DEBUG_FS, and debugfs mounted)",
                    path.display()
                )));
            }
        }
        let lock = File::open(Path::new(CONTROL).join("probability"))
            .context("opening the switch of fail_make_request")?;
        sys::lock(&lock, true).context("locking fail_make_request")?;
        let guard = Self {
            device: switch,
            _lock: lock,
        };
        for (name, value) in [
            ("interval", "1"),
            ("times", "-1"),
            ("space", "0"),
            ("verbose", "0"),
            ("task-filter", "Y"),
            ("probability", "100"),
        ] {
            put(&Path::new(CONTROL).join(name), value)?;
        }
        put(&guard.device, "1")?;
        Ok(guard)
    }

    /// Lets requests of `bytes` in all pass before the first one fails.
    pub fn pass(&self, bytes: usize) -> Result<()> {
        // The kernel passes a request as long as more than its size is left.
        put(&Path::new(CONTROL).join("space"), &(bytes + 1).to_string())
    }

    /// Makes one request fail, and no more.
    pub fn once(&self) -> Result<()> {
        put(&Path::new(CONTROL).join("times"), "1")
    }
}

impl Drop for FailingDevice {
    fn drop(&mut self) {
        // Best effort: a failure here shows in the next claim on this device.
        let _ = put(&self.device, "0");
        let _ = put(&Path::new(CONTROL).join("probability"), "0");
        let _ = put(&Path::new(CONTROL).join("task-filter"), "N");
    }
}

/// Makes the I/O of the calling task fail, or stop failing, on a [`FailingDevice`].
pub fn fail_my_io(fail: bool) -> Result<()> {
    put(
        Path::new("/proc/thread-self/make-it-fail"),
        if fail { "1" } else { "0" },
    )
}

/// Switches errors off for the device of a file or directory, for after a claim that died.
pub fn clear(path: &Path) {
    let Ok(device) = File::open(path)
        .map_err(Into::into)
        .and_then(|file| Device::of(&file))
    else {
        return;
    };
    let switch = device.sysfs().join("make-it-fail");
    let control = File::open(Path::new(CONTROL).join("probability"));
    if !switch.exists() {
        return;
    }
    // Best effort, as when the guard is dropped.
    let _ = put(&switch, "0");
    // Whoever holds the lock has set the rest as it wants it.
    if let Ok(control) = control
        && sys::lock(&control, false).is_ok()
    {
        drop(FailingDevice {
            device: switch,
            _lock: control,
        });
    }
}

fn put(path: &Path, value: &str) -> Result<()> {
    fs::write(path, value).with_context(|| format!("writing {value} to {}", path.display()))
}
