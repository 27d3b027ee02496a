// SPDX-License-Identifier: GPL-2.0

//! The lab: boots kernels, tries claims on file systems, judges.

mod accel;
mod bench;
mod boot;
mod catalogue;
mod compare;
mod diff;
mod explain;
mod filesystem;
pub(crate) mod images;
mod matrix;
mod mkfs;
mod nfs;
mod on_host;
mod outcome;
mod plan;
mod raw;
mod report;
mod results;
mod rundir;
mod shell;
mod test;
mod timeline;

use crate::context::Context;
use crate::exit::Exit;
use anyhow::Result;
use clap::Subcommand;

/// The verbs of the lab.
#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Try the claims on stock ext2 and on cohfs, and compare
    Run {
        #[command(flatten)]
        machine: Machine,
    },
    /// Compare the file systems and the claims of your choice
    Compare {
        #[command(flatten)]
        machine: Machine,
        #[command(flatten)]
        what: compare::Arguments,
    },
    /// Measure how long things take, on cohfs and on others
    Bench {
        #[command(flatten)]
        machine: Machine,
        #[command(flatten)]
        what: bench::Arguments,
    },
    /// Test everything: on the host, and in the debug kernel
    Test {
        #[command(flatten)]
        machine: Machine,
        #[command(flatten)]
        what: test::Arguments,
    },
    /// Boot to a prompt, with the module loaded and an image mounted
    Shell {
        #[command(flatten)]
        machine: Machine,
        #[command(flatten)]
        what: shell::Arguments,
    },
    /// List the claims
    List {
        /// As JSON
        #[arg(long)]
        json: bool,
    },
    /// Say what a claim promises, what it needs, and what each policy makes of it
    Explain {
        /// Its id, such as T21
        id: String,
    },
    /// Print the matrix of an earlier run again, and make its report.html anew
    Report {
        /// The run's name, a directory of target/lab/runs [default: the latest]
        run: Option<String>,
    },
    /// Say what differs between two runs: verdicts, or tests, that changed, came or went
    Diff {
        /// The earlier run, a directory of target/lab/runs
        before: String,
        /// The later one [default: the latest]
        after: Option<String>,
    },
}

/// What every verb that boots takes.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Machine {
    /// What runs the guest's instructions
    #[arg(long, env = "COHFS_ACCEL", default_value = "auto")]
    accel: accel::Choice,
}

/// Does what a verb asks for.
pub(crate) fn run(ctx: &Context, verb: Verb) -> Result<Exit> {
    match verb {
        Verb::Run { machine } => compare::run(ctx, machine.accel, &compare::tour()),
        Verb::Compare { machine, what } => compare::run(ctx, machine.accel, &what),
        Verb::Bench { machine, what } => bench::run(ctx, machine.accel, &what),
        Verb::Test { machine, what } => test::run(ctx, machine.accel, &what),
        Verb::Shell { machine, what } => shell::run(ctx, machine.accel, &what),
        Verb::List { json } => explain::list(ctx, json),
        Verb::Explain { id } => explain::explain(ctx, &id),
        Verb::Report { run } => report::run(ctx, run.as_deref()),
        Verb::Diff { before, after } => diff::run(ctx, &before, after.as_deref()),
    }
}
