// SPDX-License-Identifier: GPL-2.0

//! Mount options.
//!
//! | option | values | default |
//! |---|---|---|
//! | `coherency=` | `none`, `seed`, `mainline`, `strict` | `strict` |
//! | `walker=` | `own`, `kernel` | what suits the policy |
//! | `resuid=`, `resgid=` | a number | what the super block says |
//! | `errors=` | `continue`, `remount-ro`, `panic` | what the super block says |
//! | `bsddf`, `minixdf` | | `bsddf` |
//! | `grpid` or `bsdgroups`, `nogrpid` or `sysvgroups` | | what the super block says |
//! | `reservation`, `noreservation` | | `reservation` |
//! | `nouid32`, `debug` | | what the super block says |
//! | `sb=` | a number | 1 |
//! | `orlov`, `noquota` | | always |
//! | `user_xattr`, `nouser_xattr`, `acl`, `noacl` | | what the super block says |
//!
//! `coherency` is the promise about direct writes, `walker` what removes a folio; see
//! [`crate::coherency`]. The others are those of fs/ext2, and `Documentation/on-disk.rst` has what
//! they do. What fs/ext2 takes besides is refused, with the reason ([`REFUSED`]).
//!
//! C counterpart: `ext2_param_spec` in [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use crate::{
    coherency::{
        Policy,
        Walker, //
    },
    ext2::{
        OnError,
        SuperBlock, //
    },
    vfs::may_complain, //
};
use core::fmt;
use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

/// Options of fs/ext2 that are not taken, and why.
const REFUSED: &[(&[u8], &str)] = &[
    (
        b"dax",
        "there is no DAX: all data goes through the page cache",
    ),
    (b"grpquota", NO_QUOTA),
    (
        b"nobh",
        "data has never buffer heads, so that there is nothing to choose",
    ),
    (b"oldalloc", "directories are placed by Orlov's rule only"),
    (b"quota", NO_QUOTA),
    (b"usrquota", NO_QUOTA),
    (
        b"xip",
        "there is no DAX: all data goes through the page cache",
    ),
];

const NO_QUOTA: &str = "quota is not kept";

/// Where the first super block is, in units of 1024 bytes.
const FIRST_SUPER: u32 = 1;

/// Who owns a file whose owner does not fit 16 bits, `fs_overflowuid`.
const OVERFLOW_ID: u32 = 65534;

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
    /// What is done when damage is found.
    pub(super) errors: OnError,
    /// `statfs` counts what the format takes for itself as blocks of the volume.
    pub(super) minix_df: bool,
    /// New files have the group of their directory.
    pub(super) bsd_groups: bool,
    /// Files that are written have windows of blocks to themselves.
    pub(super) reservation: bool,
    /// Owners are kept in 16 bits.
    pub(super) uid16: bool,
    /// The mount tells of the geometry.
    pub(super) debug: bool,
    /// The copy of the super block in use, in units of 1024 bytes.
    pub(super) sb: u32,
    /// Files have attributes of users.
    pub(super) user_xattr: bool,
    /// Files have access control lists.
    pub(super) acl: bool,
}

impl Options {
    /// Returns what a volume gets that is mounted without options.
    ///
    /// An image must not be able to stop the machine: one that asks for a panic becomes read-only.
    pub(super) fn of(disk: &SuperBlock) -> Self {
        Self {
            policy: Policy::DEFAULT,
            walker: None,
            resuid: None,
            resgid: None,
            errors: match disk.on_error() {
                OnError::Panic => OnError::ReadOnly,
                other => other,
            },
            minix_df: false,
            bsd_groups: disk.asks_for(SuperBlock::DEFAULT_BSD_GROUPS),
            reservation: true,
            uid16: disk.asks_for(SuperBlock::DEFAULT_UID16),
            debug: disk.asks_for(SuperBlock::DEFAULT_DEBUG),
            sb: FIRST_SUPER,
            user_xattr: disk.asks_for(SuperBlock::DEFAULT_USER_XATTR),
            acl: disk.asks_for(SuperBlock::DEFAULT_ACL),
        }
    }

    /// Says whether the policy is `strict`.
    pub(super) fn is_strict(&self) -> bool {
        self.policy == Policy::Strict
    }

    /// What removes a folio.
    pub(super) fn walker(&self) -> Walker {
        self.walker.unwrap_or(self.policy.default_walker())
    }

    /// Returns the owner of a file whose inode on disk has `id`.
    pub(super) fn read_id(&self, id: u32) -> u32 {
        match self.uid16 {
            true => id & u32::from(u16::MAX),
            false => id,
        }
    }

    /// Returns what an inode on disk is to have as the owner `id`.
    pub(super) fn stored_id(&self, id: u32) -> u32 {
        match self.uid16 {
            true if id > u32::from(u16::MAX) => OVERFLOW_ID,
            _ => id,
        }
    }

    /// Says whether the super block in use is a copy, whose descriptors are copies as well.
    pub(super) fn uses_backup(&self) -> bool {
        self.sb != FIRST_SUPER
    }

    /// Writes them as `/proc/mounts` has them, each after a comma.
    pub(super) fn show(&self, seq: &SeqFile) {
        let errors = ERRORS.iter().find(|(_, errors)| *errors == self.errors);
        seq_print!(
            seq,
            ",coherency={},walker={},errors={}",
            self.policy.name(),
            self.walker().name(),
            errors.map_or("?", |(name, _)| name),
        );
        if let Some(resuid) = self.resuid {
            seq_print!(seq, ",resuid={resuid}");
        }
        if let Some(resgid) = self.resgid {
            seq_print!(seq, ",resgid={resgid}");
        }
        let flags = [
            (self.minix_df, ",minixdf"),
            (self.bsd_groups, ",grpid"),
            (!self.reservation, ",noreservation"),
            (self.uid16, ",nouid32"),
            (self.debug, ",debug"),
            (self.user_xattr, ",user_xattr"),
            (!self.user_xattr, ",nouser_xattr"),
            (self.acl, ",acl"),
            (!self.acl, ",noacl"),
        ];
        for (_, name) in flags.iter().filter(|(set, _)| *set) {
            seq_print!(seq, "{name}");
        }
        if self.uses_backup() {
            seq_print!(seq, ",sb={}", self.sb);
        }
    }
}

/// The values of `errors=`.
const ERRORS: [(&str, OnError); 3] = [
    ("continue", OnError::Continue),
    ("remount-ro", OnError::ReadOnly),
    ("panic", OnError::Panic),
];

/// The options that a mount or remount was given; the others stay as they are.
#[derive(Default)]
pub(crate) struct Request {
    policy: Option<Policy>,
    walker: Option<Walker>,
    resuid: Option<u32>,
    resgid: Option<u32>,
    errors: Option<OnError>,
    minix_df: Option<bool>,
    bsd_groups: Option<bool>,
    reservation: Option<bool>,
    uid16: Option<bool>,
    debug: Option<bool>,
    sb: Option<u32>,
    user_xattr: Option<bool>,
    acl: Option<bool>,
}

impl Request {
    /// Takes one option.
    ///
    /// # Errors
    ///
    /// [`ENOPARAM`] if there is no such option, for the VFS to name it; [`EINVAL`] if it has no
    /// such value, or is none of ours, which a line in the log says.
    pub(super) fn parse(&mut self, key: &CStr, value: Option<&CStr>) -> Result {
        let name = key.to_bytes();
        if let Some((_, why)) = REFUSED.iter().find(|(refused, _)| *refused == name) {
            return Err(refuse(key, format_args!("{why}")));
        }
        if self.parse_flag(name).is_some() {
            return match value {
                None => Ok(()),
                Some(_) => Err(refuse(key, format_args!("takes no value"))),
            };
        }
        let value = value.unwrap_or_default().to_bytes();
        match name {
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
            b"errors" => {
                let known = ERRORS.iter().find(|(name, _)| name.as_bytes() == value);
                let Some((_, errors)) = known else {
                    return Err(refuse(
                        key,
                        format_args!("unknown; use continue, remount-ro or panic"),
                    ));
                };
                self.errors = Some(*errors);
            }
            b"resuid" => self.resuid = Some(parse_id(key, value)?),
            b"resgid" => self.resgid = Some(parse_id(key, value)?),
            b"sb" => {
                let sb = parse_number(value).filter(|&sb| sb != 0);
                self.sb = Some(sb.ok_or_else(|| {
                    refuse(key, format_args!("not the place of a super block, in KiB"))
                })?);
            }
            b"user_xattr" => self.user_xattr = Some(true),
            b"nouser_xattr" => self.user_xattr = Some(false),
            b"acl" => self.acl = Some(true),
            b"noacl" => self.acl = Some(false),
            _ => return Err(ENOPARAM),
        }
        Ok(())
    }

    /// Takes an option that has no value; nothing if there is none of that name.
    fn parse_flag(&mut self, name: &[u8]) -> Option<()> {
        let (option, value) = match name {
            b"bsddf" => (&mut self.minix_df, false),
            b"minixdf" => (&mut self.minix_df, true),
            b"grpid" | b"bsdgroups" => (&mut self.bsd_groups, true),
            b"nogrpid" | b"sysvgroups" => (&mut self.bsd_groups, false),
            b"reservation" => (&mut self.reservation, true),
            b"noreservation" => (&mut self.reservation, false),
            b"nouid32" => (&mut self.uid16, true),
            b"debug" => (&mut self.debug, true),
            // It is always so.
            b"orlov" | b"noquota" => return Some(()),
            _ => return None,
        };
        *option = Some(value);
        Some(())
    }

    /// Where the super block to be used is, in bytes.
    pub(super) fn super_offset(&self) -> u64 {
        u64::from(self.sb.unwrap_or(FIRST_SUPER)) << 10
    }

    /// Returns `options` with what was asked for.
    pub(super) fn applied_to(&self, options: Options) -> Options {
        Options {
            policy: self.policy.unwrap_or(options.policy),
            walker: self.walker.or(options.walker),
            resuid: self.resuid.or(options.resuid),
            resgid: self.resgid.or(options.resgid),
            errors: self.errors.unwrap_or(options.errors),
            minix_df: self.minix_df.unwrap_or(options.minix_df),
            bsd_groups: self.bsd_groups.unwrap_or(options.bsd_groups),
            reservation: self.reservation.unwrap_or(options.reservation),
            uid16: self.uid16.unwrap_or(options.uid16),
            debug: self.debug.unwrap_or(options.debug),
            sb: self.sb.unwrap_or(options.sb),
            user_xattr: self.user_xattr.unwrap_or(options.user_xattr),
            acl: self.acl.unwrap_or(options.acl),
        }
    }
}

/// Returns a decimal number.
fn parse_number(value: &[u8]) -> Option<u32> {
    str::from_utf8(value).ok()?.parse().ok()
}

/// Returns the number of a user or a group, by the first user namespace.
fn parse_id(key: &CStr, value: &[u8]) -> Result<u32> {
    // The last number is nobody's.
    let id = parse_number(value).filter(|&id| id != u32::MAX);
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
