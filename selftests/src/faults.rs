// SPDX-License-Identifier: GPL-2.0

//! I/O errors on demand, through the kernel's `fail_make_request`.
//!
//! Errors hit only tasks that ask for them (`task-filter`) and only the device they are switched
//! on for; everything is put back when the guard is dropped.

use std::fs;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;

use crate::device::Device;
use crate::verdict::skip;

const CONTROL: &str = "/sys/kernel/debug/fail_make_request";

/// While it lives, I/O of tasks that called [`fail_my_io`] on the device fails.
#[derive(Debug)]
pub struct FailingDevice {
    device: PathBuf,
}

impl FailingDevice {
    /// Switches the errors on, or skips the claim if this kernel cannot.
    pub fn new(device: &Device) -> Result<Self> {
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
        let guard = Self { device: switch };
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

/// Switches errors off for the device of `dir`, for after a claim that died.
pub fn clear(dir: &Path) {
    if let Ok(device) = fs::File::open(dir)
        .map_err(Into::into)
        .and_then(|dir| Device::of(&dir))
    {
        let switch = device.sysfs().join("make-it-fail");
        if switch.exists() {
            drop(FailingDevice { device: switch });
        }
    }
}

fn put(path: &Path, value: &str) -> Result<()> {
    fs::write(path, value).with_context(|| format!("writing {value} to {}", path.display()))
}
