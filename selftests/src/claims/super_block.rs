// SPDX-License-Identifier: GPL-2.0

//! What the super block says of the volume: its name, its copies, and how wide its owners are.
//!
//! These claims unmount the file system that they are tried on, as those of [`super::volume`] do.

use std::fs;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::MetadataExt as _;

use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::IFlags;
use rustix::fs::ioctl_getflags;
use rustix::fs::ioctl_setflags;
use rustix::io::Errno;

use super::scratch::Scratch;
use super::volume::again;
use super::volume::fails;
use super::volume::mounted;
use super::volume::mounted_as_ext;
use super::volume::remount;
use crate::judge::Judge;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys::check;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "V8",
        name: "name_of_the_volume_is_told_set_and_kept",
        rule: "FS_IOC_SETFSLABEL, FS_IOC_GETFSUUID",
        summary: "The volume is given a name, which is told at once, is in the super block, and is \
                  told after it was unmounted and mounted. One that does not fit is EINVAL. The \
                  number that it is known by is the super block's.",
        needs: Needs {
            device: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[],
        run: name_of_the_volume_is_told_set_and_kept,
    },
    Claim {
        id: "V9",
        name: "copy_of_the_super_block_is_as_good_to_read_from",
        rule: "ext2(5): sb=",
        summary: "The super block is damaged. The volume can be mounted no more; from its first copy \
                  it can be, read-only, and the files are there.",
        needs: Needs {
            device: true,
            ..Needs::SMALL_BLOCKS
        },
        expect: Expect::KEPT,
        // With it the volume has more than one group, and so a copy.
        files: &[FileSpec {
            name: "v9.dat",
            size: 6 << 20,
        }],
        run: copy_of_the_super_block_is_as_good_to_read_from,
    },
    Claim {
        id: "V10",
        name: "owners_are_as_wide_as_asked_for",
        rule: "ext2(5): nouid32",
        summary: "A file is given to user and group 70,000, and stays theirs. Remounted with nouid32 \
                  another is, and what is kept of that is 65,534, which is nobody.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: owners_are_as_wide_as_asked_for,
    },
    Claim {
        id: "A8",
        name: "flags_are_the_same_by_either_command",
        rule: "ioctl_xfs_fsgetxattr(2)",
        summary: "What chattr sets FS_IOC_FSGETXATTR shows, and what FS_IOC_FSSETXATTR sets lsattr \
                  shows. A project is refused where there are none.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: flags_are_the_same_by_either_command,
    },
];

/// Where the super block is on the device, in bytes.
const SUPER: u64 = 1024;

/// Where it has its magic number, its unique number and its name.
const MAGIC: u64 = SUPER + 56;
const UUID: u64 = SUPER + 104;
const NAME: u64 = SUPER + 120;

/// The block of the first copy of a super block where blocks are as small as can be.
const FIRST_COPY: u64 = 8193;

/// How the volume is divided.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    /// The size of a block, in bytes.
    pub(super) block_size: u32,
    /// How many blocks a group has.
    pub(super) blocks_per_group: u32,
    /// How many inodes it has.
    pub(super) inodes_per_group: u32,
    /// How many groups there are.
    pub(super) groups: u32,
}

impl Geometry {
    /// Reads it from the super block on `device`.
    pub(super) fn of(device: &File) -> io::Result<Self> {
        let number = |at: u64| -> io::Result<u32> {
            let mut bytes = [0; 4];
            device.read_exact_at(&mut bytes, SUPER + at)?;
            Ok(u32::from_le_bytes(bytes))
        };
        let (blocks, first, per_group) = (number(4)?, number(20)?, number(32)?);
        Ok(Self {
            block_size: 1024 << number(24)?,
            blocks_per_group: per_group,
            inodes_per_group: number(40)?,
            groups: (blocks - first).div_ceil(per_group),
        })
    }
}

/// The room for a name.
const NAME_MAX: usize = 256;

/// The name of the volume, without the zeros behind it.
fn name(file: &File) -> io::Result<Vec<u8>> {
    const FS_IOC_GETFSLABEL: u32 = 0x8100_9431;
    let mut name = [0_u8; NAME_MAX];
    // SAFETY: The command writes as many bytes as `name` has.
    check(unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            FS_IOC_GETFSLABEL as libc::Ioctl,
            name.as_mut_ptr(),
        )
    })?;
    let len = name.iter().position(|&byte| byte == 0);
    Ok(name[..len.unwrap_or(NAME_MAX)].to_vec())
}

fn set_name(file: &File, name: &[u8]) -> io::Result<()> {
    const FS_IOC_SETFSLABEL: u32 = 0x4100_9432;
    let mut argument = [0_u8; NAME_MAX];
    argument[..name.len()].copy_from_slice(name);
    // SAFETY: The command reads as many bytes as `argument` has.
    let done = unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            FS_IOC_SETFSLABEL as libc::Ioctl,
            argument.as_ptr(),
        )
    };
    check(done).map(drop)
}

/// The unique number, with its length before it, as `FS_IOC_GETFSUUID` has it.
fn uuid(file: &File) -> io::Result<[u8; 17]> {
    const FS_IOC_GETFSUUID: u32 = 0x8011_1500;
    let mut uuid = [0; 17];
    // SAFETY: The command writes as many bytes as `uuid` has.
    check(unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            FS_IOC_GETFSUUID as libc::Ioctl,
            uuid.as_mut_ptr(),
        )
    })?;
    Ok(uuid)
}

fn name_of_the_volume_is_told_set_and_kept(stage: &Stage<'_>) -> Result<Outcome> {
    // As long as any of them can have it.
    const NEW: &[u8] = b"eleven long";
    let mount = mounted(stage)?;
    let dir = stage.dir()?;
    let open = || File::open(dir);
    let before = match name(&open()?) {
        Err(error) if error.raw_os_error() == Some(libc::ENOTTY) => {
            return Err(skip("the name of a volume cannot be asked for"));
        }
        before => before.context("FS_IOC_GETFSLABEL")?,
    };
    let mut judge = Judge::new();
    set_name(&open()?, NEW).context("FS_IOC_SETFSLABEL")?;
    let tried = (|| -> Result<()> {
        let mut is = |when: &str, name: &[u8]| {
            judge.require(name == NEW, Verdict::Lost, || {
                format!("{when} it is {:?}", String::from_utf8_lossy(name))
            });
        };
        is("at once", &name(&open()?)?);
        again(&mount)?;
        is("after a mount", &name(&open()?)?);
        if !mount.is_ext() {
            return Ok(());
        }
        let (mut kept, mut number) = ([0; 16], [0; 16]);
        mount.with_device(|device| {
            device.read_exact_at(&mut kept, NAME)?;
            device.read_exact_at(&mut number, UUID)
        })?;
        is("on the device", &kept[..NEW.len()]);
        let told = uuid(&open()?).context("FS_IOC_GETFSUUID")?;
        judge.require(told[0] == 16 && told[1..] == number, Verdict::Error, || {
            format!("the number on the device is {number:x?}, and what is told {told:x?}")
        });
        let long = set_name(&open()?, b"of seventeen byte");
        fails(&mut judge, "a name too long", long, libc::EINVAL);
        Ok(())
    })();
    set_name(&open()?, &before).context("setting its old name")?;
    tried?;
    Ok(judge.outcome())
}

fn copy_of_the_super_block_is_as_good_to_read_from(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted_as_ext(stage, "it has no sb=")?;
    let mut judge = Judge::new();
    let room = Scratch::new(stage)?;
    let path = room.join("file");
    fs::write(&path, b"what it holds")?;
    let mut from_copy = Err(Errno::NOENT);
    mount.with_device(|device| {
        let (mut magic, mut copy) = ([0; 2], [0; 2]);
        device.read_exact_at(&mut magic, MAGIC)?;
        let found = device.read_exact_at(&mut copy, FIRST_COPY * 1024 + MAGIC - SUPER);
        if found.is_err() || copy != magic {
            return Ok(());
        }
        device.write_all_at(&[0; 2], MAGIC)?;
        device.sync_all()?;
        let plain = mount.mount("");
        from_copy = mount.mount(&format!("ro,sb={FIRST_COPY}"));
        judge.require(plain.is_err(), Verdict::Error, || {
            "it was mounted without a super block".to_owned()
        });
        if from_copy.is_ok() {
            let held = fs::read(&path);
            let right = held.as_ref().is_ok_and(|held| held == b"what it holds");
            judge.require(right, Verdict::Lost, || format!("the file holds {held:?}"));
            fails(&mut judge, "write", fs::write(&path, b"x"), libc::EROFS);
        }
        let unmounted = mount.unmount();
        device.write_all_at(&magic, MAGIC)?;
        Ok(unmounted?)
    })?;
    match from_copy {
        Err(Errno::NOENT) => Err(skip("the volume is too small for a copy")),
        from_copy => {
            judge.require(from_copy.is_ok(), Verdict::Error, || {
                format!("mounting from the copy: {from_copy:?}")
            });
            Ok(judge.outcome())
        }
    }
}

fn owners_are_as_wide_as_asked_for(stage: &Stage<'_>) -> Result<Outcome> {
    const WIDE: u32 = 70_000;
    const NOBODY: u32 = 65_534;
    let mount = mounted_as_ext(stage, "it has not the options of ext2")?;
    let mut judge = Judge::new();
    let room = Scratch::new(stage)?;
    let give = |name: &str| -> Result<()> {
        let file = File::create(room.join(name))?;
        std::os::unix::fs::fchown(&file, Some(WIDE), Some(WIDE))?;
        Ok(file.sync_all()?)
    };
    give("wide")?;
    remount(&mount, "nouid32")?;
    let narrow = give("narrow");
    // As it was mounted before.
    again(&mount)?;
    narrow?;
    for (name, owner) in [("wide", WIDE), ("narrow", NOBODY)] {
        let found = fs::metadata(room.join(name))?;
        let found = (found.uid(), found.gid());
        judge.require(found == (owner, owner), Verdict::Error, || {
            format!("{name}: user and group are {found:?}, not {owner}")
        });
    }
    Ok(judge.outcome())
}

/// `struct fsxattr` of `linux/fs.h`.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
struct Xflags {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    copy_extent_size: u32,
    pad: [u8; 8],
}

impl Xflags {
    fn of(file: &File) -> io::Result<Self> {
        const FS_IOC_FSGETXATTR: u32 = 0x801C_581F;
        let mut found = Self::default();
        // SAFETY: The command writes a `struct fsxattr`, which `found` is.
        check(unsafe {
            libc::ioctl(
                file.as_raw_fd(),
                FS_IOC_FSGETXATTR as libc::Ioctl,
                &raw mut found,
            )
        })?;
        Ok(found)
    }

    fn set(&self, file: &File) -> io::Result<()> {
        const FS_IOC_FSSETXATTR: u32 = 0x401C_5820;
        // SAFETY: The command reads a `struct fsxattr`, which `self` is.
        let done = unsafe {
            libc::ioctl(
                file.as_raw_fd(),
                FS_IOC_FSSETXATTR as libc::Ioctl,
                &raw const *self,
            )
        };
        check(done).map(drop)
    }
}

/// Flags as the two commands have them.
const BOTH: [(IFlags, u32); 3] = [
    (IFlags::SYNC, 1 << 5),
    (IFlags::NOATIME, 1 << 6),
    (IFlags::NODUMP, 1 << 7),
];

fn flags_are_the_same_by_either_command(stage: &Stage<'_>) -> Result<Outcome> {
    let room = Scratch::new(stage)?;
    let file = File::create(room.join("file"))?;
    let none = |error: io::Error| skip(format!("it has no such flags: {error}"));
    let plain = ioctl_getflags(&file).map_err(|error| none(error.into()))?;
    let before = Xflags::of(&file).map_err(none)?;
    let mut judge = Judge::new();
    for (flag, xflag) in BOTH {
        match ioctl_setflags(&file, plain | flag) {
            Err(Errno::OPNOTSUPP) => judge.fact(format!("there is no {flag:?}")),
            done => {
                done.with_context(|| format!("setting {flag:?}"))?;
                let shown = Xflags::of(&file)?.flags;
                judge.require(shown == before.flags | xflag, Verdict::Error, || {
                    format!("{flag:?} is set, and FS_IOC_FSGETXATTR shows {shown:#x}")
                });
            }
        }
        ioctl_setflags(&file, plain)?;
        let asked = Xflags {
            flags: before.flags | xflag,
            ..before
        };
        match asked.set(&file) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {
                judge.fact(format!("{flag:?} cannot be set by FS_IOC_FSSETXATTR"));
            }
            done => {
                done.with_context(|| format!("setting {xflag:#x}"))?;
                let shown = ioctl_getflags(&file)?;
                judge.require(shown == plain | flag, Verdict::Error, || {
                    format!("{xflag:#x} is set, and FS_IOC_GETFLAGS shows {shown:?}")
                });
            }
        }
        ioctl_setflags(&file, plain)?;
    }
    if mounted(stage).is_ok_and(|mount| mount.is_ext()) {
        let project = Xflags {
            project: before.project + 1,
            ..before
        };
        fails(
            &mut judge,
            "a project",
            project.set(&file),
            libc::EOPNOTSUPP,
        );
    }
    Ok(judge.outcome())
}
