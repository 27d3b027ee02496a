// SPDX-License-Identifier: GPL-2.0

//! What runs the guest's instructions: KVM if a Linux guest was seen to boot under it, else QEMU.
//!
//! That `/dev/kvm` opens proves little: inside some virtual machines it does, runs a few
//! instructions, and never brings a kernel to its first line.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use lab_proto::Job;
use serde::{Deserialize, Serialize};

use crate::machine::Machine;
use crate::report::End;
use crate::run::{Deadlines, run};

/// CPU models to try under KVM. The second leaves out what some nested hosts cannot set.
const MODELS: [&str; 2] = ["host", "host,-arch-capabilities"];

/// How long a guest under KVM has to say its nonce.
const PATIENCE: Duration = Duration::from_secs(10);

/// What runs the guest, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accel {
    /// The CPU model under KVM; `None` is QEMU's own translator.
    kvm: Option<String>,
    /// Whether the guest's time is the number of instructions that it has executed.
    #[serde(default)]
    counting: bool,
    /// Why it is that and not the other.
    reason: String,
}

impl Accel {
    /// QEMU's own translator.
    pub fn tcg(reason: impl Into<String>) -> Self {
        Self {
            kvm: None,
            counting: false,
            reason: reason.into(),
        }
    }

    /// QEMU's own translator, for a machine of one CPU in which a nanosecond goes by with each
    /// instruction, and with nothing else: while the guest is idle, its time jumps to the next timer.
    pub fn counting() -> Self {
        Self {
            kvm: None,
            counting: true,
            reason: "it counts instructions".to_owned(),
        }
    }

    fn kvm(model: &str) -> Self {
        Self {
            kvm: Some(model.to_owned()),
            counting: false,
            reason: format!("a guest booted under it (cpu {model})"),
        }
    }

    /// `kvm` or `tcg`.
    pub fn name(&self) -> &'static str {
        if self.kvm.is_some() { "kvm" } else { "tcg" }
    }

    /// Why it was chosen.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// By how much deadlines grow.
    pub fn slowdown(&self) -> u32 {
        match (&self.kvm, self.counting) {
            (Some(_), _) => 1,
            (None, false) => 5,
            // The guest's seconds, by which it says that it lives, are as long as 10^9 instructions.
            (None, true) => 30,
        }
    }

    /// Whether the guest's time is a count of instructions; then it may have one CPU only.
    pub fn is_counting(&self) -> bool {
        self.counting
    }

    pub(crate) fn arguments(&self) -> Vec<&str> {
        match &self.kvm {
            Some(model) => vec!["-accel", "kvm", "-cpu", model],
            None if self.counting => vec![
                "-accel",
                "tcg,thread=single",
                "-icount",
                "shift=0,sleep=off",
                "-cpu",
                "max,la57=off",
            ],
            // Five levels of page tables cost time, and KASAN has tripped over them while booting. Without
            // `erms` the kernel copies to and from user memory by eight bytes; `rep movsb` is emulated
            // byte by byte.
            None => vec![
                "-accel",
                "tcg,thread=multi",
                "-cpu",
                "max,la57=off,erms=off",
            ],
        }
    }

    /// Finds out what works here, by booting `machine` under KVM with an empty job.
    ///
    /// The files of the trial go to `dir`.
    ///
    /// # Errors
    ///
    /// Only those of `dir`; a guest that does not boot is an answer.
    pub fn probe(machine: &Machine, dir: &Path) -> Result<Self> {
        if !cfg!(target_arch = "x86_64") {
            return Ok(Self::tcg("this machine is not an x86-64"));
        }
        if let Err(error) = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open("/dev/kvm")
        {
            let group = if error.kind() == std::io::ErrorKind::PermissionDenied {
                "; join the group kvm to use it"
            } else {
                ""
            };
            return Ok(Self::tcg(format!("/dev/kvm: {error}{group}")));
        }
        for model in MODELS {
            let trial = Machine {
                accel: Self::kvm(model),
                disks: Vec::new(),
                ..machine.clone()
            };
            let job = Job {
                nonce: nonce(),
                steps: Vec::new(),
            };
            let deadlines = Deadlines {
                overall: PATIENCE,
                silence: PATIENCE,
            };
            if run(&trial, &job, &deadlines, dir, &mut |_| ())?.end == End::Finished {
                return Ok(trial.accel);
            }
        }
        Ok(Self::tcg(format!(
            "/dev/kvm opens, but no guest came up in {} s",
            PATIENCE.as_secs()
        )))
    }
}

/// A word that no earlier run has said.
pub fn nonce() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid").map_or_else(
        |_| format!("{:?}-{}", std::time::SystemTime::now(), std::process::id()),
        |uuid| uuid.trim().to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counting_machine_is_one_of_tcg() {
        let accel = Accel::counting();
        assert_eq!(accel.name(), "tcg");
        assert!(accel.arguments().contains(&"shift=0,sleep=off"));
        assert!(!Accel::tcg("").arguments().contains(&"-icount"));
    }
}
