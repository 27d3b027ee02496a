// SPDX-License-Identifier: GPL-2.0

//! Mount options.
//!
//! | option | values | default |
//! |---|---|---|
//! | `coherency=` | `none`, `seed`, `mainline`, `strict` | `strict` |
//! | `walker=` | `own`, `kernel` | what suits the policy |
//! | `resuid=`, `resgid=` | a number | what the super block says |
//!
//! `coherency` is the promise about direct writes, `walker` what removes a folio; see
//! [`crate::coherency`]. `resuid` and `resgid` are the user and the group that may use the blocks
//! which are reserved.

use crate::{
    coherency::{
        Policy,
        Walker, //
    },
    vfs::may_complain, //
};
use core::fmt;
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

/// The options of a mount.
#[derive(Clone, Copy)]
pub(super) struct Options {
    pub(super) policy: Policy,
    /// If it was chosen.
    walker: Option<Walker>,
    /// User that may use the reserved blocks, if not that of the super block.
    pub(super) resuid: Option<u32>,
    /// Group that may use them, likewise.
    pub(super) resgid: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::DEFAULT,
            walker: None,
            resuid: None,
            resgid: None,
        }
    }
}

impl Options {
    /// What removes a folio.
    pub(super) fn walker(&self) -> Walker {
        self.walker.unwrap_or(self.policy.default_walker())
    }

    /// Writes them as `/proc/mounts` has them, each after a comma.
    pub(super) fn show(&self, seq: &SeqFile) {
        seq_print!(
            seq,
            ",coherency={},walker={}",
            self.policy.name(),
            self.walker().name()
        );
        if let Some(resuid) = self.resuid {
            seq_print!(seq, ",resuid={resuid}");
        }
        if let Some(resgid) = self.resgid {
            seq_print!(seq, ",resgid={resgid}");
        }
    }
}

/// The options that a mount or remount was given; the others stay as they are.
#[derive(Default)]
pub(crate) struct Request {
    policy: Option<Policy>,
    walker: Option<Walker>,
    resuid: Option<u32>,
    resgid: Option<u32>,
}

impl Request {
    /// Takes one option.
    ///
    /// # Errors
    ///
    /// [`ENOPARAM`] if there is no such option, for the VFS to name it; [`EINVAL`] if it has no
    /// such value, which a line in the log names.
    pub(super) fn parse(&mut self, key: &CStr, value: Option<&CStr>) -> Result {
        let value = value.unwrap_or_default().to_bytes();
        match key.to_bytes() {
            b"coherency" => {
                let policy =
                    Policy::parse(value).map_err(|why| refuse(key, format_args!("{why}")))?;
                self.policy = Some(policy);
            }
            b"walker" => {
                let walker =
                    Walker::parse(value).map_err(|why| refuse(key, format_args!("{why}")))?;
                self.walker = Some(walker);
            }
            b"resuid" => self.resuid = Some(parse_id(key, value)?),
            b"resgid" => self.resgid = Some(parse_id(key, value)?),
            _ => return Err(ENOPARAM),
        }
        Ok(())
    }

    /// Returns `options` with what was asked for.
    pub(super) fn applied_to(&self, options: Options) -> Options {
        Options {
            policy: self.policy.unwrap_or(options.policy),
            walker: self.walker.or(options.walker),
            resuid: self.resuid.or(options.resuid),
            resgid: self.resgid.or(options.resgid),
        }
    }
}

/// Returns the number of a user or a group, by the first user namespace.
fn parse_id(key: &CStr, value: &[u8]) -> Result<u32> {
    let number = str::from_utf8(value)
        .ok()
        .and_then(|value| value.parse().ok());
    // The last number is nobody's.
    let id = number.filter(|&id| id != u32::MAX);
    id.ok_or_else(|| refuse(key, format_args!("not the number of a user or a group")))
}

/// Says in the log why a value was not taken.
///
/// Whoever has a user namespace of his own may get here: nothing of what he gave is printed, and
/// not often.
fn refuse(key: &CStr, why: fmt::Arguments<'_>) -> Error {
    if may_complain() {
        pr_err!("mount option {}: {why}\n", key.to_str().unwrap_or("?"));
    }
    EINVAL
}
