// SPDX-License-Identifier: GPL-2.0

//! Boots a kernel in QEMU, watches it, and collects what it says.
//!
//! A [`Machine`] and a [`Job`](lab_proto::Job) give a [`Report`]. Nothing passes on silence: a report
//! says [`End::Finished`] only if the guest said so with the nonce of the job, and the console is
//! read for splats all the way.

pub mod accel;
pub mod cpio;
mod events;
pub mod ktap;
pub mod machine;
pub mod report;
pub mod run;
mod shell;
pub mod splat;

pub use accel::Accel;
pub use lab_proto::{Action, Event, Expect, Job, Outcome, Step};
pub use machine::{Disk, ErrorRange, GuestFile, Machine};
pub use report::{End, Report, StepReport};
pub use run::{ATTEMPTS, Deadlines, run, run_persistently};
pub use shell::shell;
pub use splat::Splat;
