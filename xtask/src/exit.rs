// SPDX-License-Identifier: GPL-2.0

//! Exit statuses, and errors that know theirs.
//!
//! An error that says nothing about its status ends the program with [`Exit::CouldNotRun`]:
//! whatever went wrong, no claim was judged.

use std::fmt;

/// What the exit status of `cargo xtask` says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(dead_code, reason = "the verbs that boot a machine use the rest")]
pub(crate) enum Exit {
    /// All as expected.
    Passed = 0,
    /// A claim or a check failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// The kernel reported a fault.
    KernelFault = 3,
    /// Nothing ran, or everything was skipped.
    NothingRan = 4,
    /// Something hung.
    Hang = 5,
    /// The virtual machine ended without a verdict.
    VmLost = 6,
    /// A prerequisite is missing.
    CouldNotRun = 69,
    /// The kernel, the module or a guest program does not build.
    BuildFailed = 101,
}

/// An error with an exit status of its own.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// An error that ends the program with `exit`.
pub(crate) fn failure(exit: Exit, message: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Failure {
        exit,
        message: message.into(),
    })
}

/// A prerequisite is missing: status 69. The message names it and the remedy.
pub(crate) fn missing(message: impl Into<String>) -> anyhow::Error {
    failure(Exit::CouldNotRun, message)
}

/// Something does not build: status 101.
pub(crate) fn build_failed(message: impl Into<String>) -> anyhow::Error {
    failure(Exit::BuildFailed, message)
}

/// The status an error asks for.
pub(crate) fn status_of(error: &anyhow::Error) -> Exit {
    error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>())
        .map_or(Exit::CouldNotRun, |failure| failure.exit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context as _;

    #[test]
    fn the_status_survives_added_context() {
        let error = Err::<(), _>(build_failed("no"))
            .context("building the kernel")
            .unwrap_err();
        assert_eq!(status_of(&error), Exit::BuildFailed);
    }

    #[test]
    fn an_error_without_a_status_could_not_run() {
        assert_eq!(status_of(&anyhow::anyhow!("disk full")), Exit::CouldNotRun);
    }
}
