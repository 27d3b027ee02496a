// SPDX-License-Identifier: GPL-2.0

//! A prompt on the console, for a person.

use std::os::unix::process::CommandExt;
use std::process::Command;

/// Runs `/etc/rc` if there is one, then shells until the person leaves one with `exit`.
pub(crate) fn run() {
    let script = "[ -e /etc/rc ] && . /etc/rc; exec /bin/busybox setsid -c /bin/busybox sh -i";
    let install = Command::new("/bin/busybox")
        .args(["--install", "-s", "/bin"])
        .status();
    if let Err(error) = install {
        println!("lab-init: no busybox: {error}");
        return;
    }
    let status = Command::new("/bin/busybox")
        .arg0("sh")
        .args(["-c", script])
        .status();
    if let Err(error) = status {
        println!("lab-init: no shell: {error}");
    }
    crate::action::unmount_all();
}
