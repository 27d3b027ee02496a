// SPDX-License-Identifier: GPL-2.0

//! Where tasks sleep in the kernel, as far as we may know: the evidence of a hang.

use std::fs;
use std::path::Path;

/// How many functions are named of a stack.
const FRAMES: usize = 6;

/// Names the kernel functions in which each thread of a process sleeps, as far as we may know.
pub(crate) fn of_process(pid: u32) -> Vec<String> {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return Vec::new();
    };
    let places = tasks.flatten().filter_map(|task| {
        let place = where_it_sleeps(&task.path())?;
        Some(format!(
            "thread {} in {place}",
            task.file_name().to_string_lossy()
        ))
    });
    places.collect()
}

/// Names all tasks of the machine that cannot be interrupted, and in which kernel functions they sleep: a
/// server or a work item of the kernel may be what the claim waits for.
pub(crate) fn of_all_uninterruptible() -> Vec<String> {
    let Ok(tasks) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let waiting = tasks.flatten().filter_map(|task| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        let name = uninterruptible(&status)?;
        let place = where_it_sleeps(&task.path())?;
        Some(format!("{name} waits in {place}"))
    });
    waiting.collect()
}

/// Returns the name of a task that sleeps and cannot be interrupted, of what `/proc/PID/status` says.
fn uninterruptible(status: &str) -> Option<&str> {
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let sleeps = field("State:")?.trim().starts_with('D');
    field("Name:").map(str::trim).filter(|_| sleeps)
}

/// Names the innermost kernel functions of the task with that directory in `/proc`; nothing if it runs.
fn where_it_sleeps(task: &Path) -> Option<String> {
    let stack = fs::read_to_string(task.join("stack")).unwrap_or_default();
    let frames: Vec<&str> = stack
        .lines()
        .filter_map(|line| line.split_whitespace().nth(1))
        .filter_map(|frame| frame.split('+').next())
        .take(FRAMES)
        .collect();
    let place = match frames.is_empty() {
        true => fs::read_to_string(task.join("wchan")).unwrap_or_default(),
        false => frames.join(" < "),
    };
    // What runs waits for nothing, `0`.
    (!place.is_empty() && place != "0").then_some(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_interrupted_is_told_from_who_sleeps() {
        let status =
            |state: &str| format!("Name:\tnfsd\nUmask:\t0022\nState:\t{state}\nTgid:\t7\n");
        assert_eq!(uninterruptible(&status("D (disk sleep)")), Some("nfsd"));
        assert_eq!(uninterruptible(&status("S (sleeping)")), None);
        assert_eq!(uninterruptible(&status("I (idle)")), None);
    }
}
