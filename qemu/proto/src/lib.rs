// SPDX-License-Identifier: GPL-2.0

//! What the lab's host and guest say to each other.
//!
//! The host puts a [`Job`] into the initramfs as `/job.json`. The guest's init runs its steps in order
//! and writes one [`Event`] a line to the second serial port. The last line of a run that came to
//! its end is [`Event::Bye`] with the nonce of the job; a run without it has not ended well,
//! whatever else was said.

use serde::{Deserialize, Serialize};

/// Path of the job in the guest.
pub const JOB_PATH: &str = "/job.json";

/// What the guest is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// Comes back in [`Event::Hello`] and [`Event::Bye`], so that no old output is taken for new.
    pub nonce: String,
    /// The steps, in order.
    pub steps: Vec<Step>,
}

/// One step of a job.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Name in reports; unique in its job.
    pub name: String,
    /// What is done.
    pub action: Action,
    /// What the step must come to.
    pub expect: Expect,
    /// Whether the job goes on if the step comes to something else.
    pub required: bool,
}

impl Job {
    /// How many steps report if all goes well: also those in lanes, but not those of a repetition.
    pub fn reports(&self) -> usize {
        count(&self.steps)
    }
}

fn count(steps: &[Step]) -> usize {
    let inner = |step: &Step| match &step.action {
        Action::Together { lanes } => lanes.iter().map(|lane| count(lane)).sum(),
        _ => 0,
    };
    steps.iter().map(|step| 1 + inner(step)).sum()
}

impl Step {
    /// A step that must succeed, or the job ends.
    pub fn new(name: impl Into<String>, action: Action) -> Self {
        Self {
            name: name.into(),
            action,
            expect: Expect::Success,
            required: true,
        }
    }

    /// A step whose failure is told, and the job goes on.
    pub fn optional(name: impl Into<String>, action: Action) -> Self {
        Self {
            required: false,
            ..Self::new(name, action)
        }
    }

    /// Changes what the step must come to.
    pub fn expecting(self, expect: Expect) -> Self {
        Self { expect, ..self }
    }
}

/// What a step must come to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Expect {
    /// No error; for [`Action::Run`], exit status 0.
    Success,
    /// One of these exit statuses of a program.
    Exit(Vec<i32>),
    /// This error number, by name (`EINVAL`).
    Errno(String),
}

/// What is done in a step.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Loads a module from a file of the initramfs.
    Insmod {
        /// Path in the guest.
        path: String,
        /// Module parameters.
        params: String,
    },
    /// Unloads a module.
    Rmmod {
        /// Its name.
        name: String,
    },
    /// Mounts a disk.
    Mount {
        /// Serial of the virtio disk, or the name of something that is no disk.
        source: String,
        /// File system type.
        fstype: String,
        /// Where; made if it is not there.
        dir: String,
        /// Options of the file system.
        options: String,
        /// Whether read-only.
        read_only: bool,
    },
    /// Unmounts a directory.
    Umount {
        /// Which.
        dir: String,
    },
    /// Runs a program; its standard output comes back line by line.
    Run {
        /// Program and arguments.
        argv: Vec<String>,
        /// When it is killed, in seconds.
        timeout: u64,
    },
    /// Reads a file; its lines come back.
    Read {
        /// Path in the guest.
        path: String,
    },
    /// Writes a file, such as one of `/proc/sys`.
    Write {
        /// Path in the guest.
        path: String,
        /// What to write.
        text: String,
    },
    /// Scans for leaked memory; one leak is a failure, and so is a kernel that cannot look.
    Kmemleak,
    /// Runs lanes of steps side by side: the steps of a lane in order, up to one that is required
    /// and fails, which is a failure of the whole. Their events mix; each has the step's name.
    Together {
        /// The lanes.
        lanes: Vec<Vec<Step>>,
    },
    /// Runs steps many times. Only the first failure is told.
    Repeat {
        /// How often.
        times: u32,
        /// The steps.
        steps: Vec<Step>,
    },
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As it must.
    AsExpected,
    /// Otherwise; this is what happened.
    Failed(String),
}

/// One line from the guest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "ev", rename_all = "kebab-case")]
pub enum Event {
    /// Init runs.
    Hello {
        /// Of the job.
        nonce: String,
        /// Seconds since the kernel started.
        uptime: f64,
        /// `/proc/sys/kernel/osrelease`.
        release: String,
    },
    /// A step begins.
    Begin {
        /// Its name.
        step: String,
    },
    /// A line that the step printed.
    Line {
        /// The step's name.
        step: String,
        /// The line, without its end.
        text: String,
    },
    /// The step is over.
    End {
        /// The step's name.
        step: String,
        /// How.
        outcome: Outcome,
        /// How long it took, in milliseconds of the guest.
        ms: u64,
        /// `/proc/sys/kernel/tainted` after it.
        taint: u64,
    },
    /// Nothing new; the guest is alive.
    Beat {
        /// Seconds since the kernel started.
        uptime: f64,
    },
    /// The job is over and everything is on disk; the machine ends. Nothing comes after it.
    Bye {
        /// Of the job.
        nonce: String,
        /// `/proc/sys/kernel/tainted` at the end.
        taint: u64,
        /// Whether every step was run, and everything was unmounted.
        complete: bool,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_and_reads_back() {
        let event = Event::Line {
            step: "a".into(),
            text: "x\ny\"".into(),
        };
        let line = serde_json::to_string(&event).expect("events serialize");
        assert!(!line.contains('\n'));
        assert!(
            matches!(serde_json::from_str(&line), Ok(Event::Line { text, .. }) if text == "x\ny\"")
        );
    }
}
