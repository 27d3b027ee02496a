// SPDX-License-Identifier: GPL-2.0

//! What is shown of files, and what options and flags change about that.
//!
//! Some of these claims mount the file system that they are tried on otherwise, as those of
//! [`super::volume`] do.

use std::fs;
use std::fs::File;
use std::fs::FileTimes;
use std::fs::Permissions;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::thread;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::AtFlags;
use rustix::fs::CWD;
use rustix::fs::IFlags;
use rustix::fs::Statx;
use rustix::fs::StatxAttributes;
use rustix::fs::StatxFlags;
use rustix::fs::ioctl_getflags;
use rustix::fs::ioctl_setflags;
use rustix::fs::statx;
use rustix::io::Errno;

use super::PAGE;
use super::attributes::ACCESS;
use super::attributes::get;
use super::attributes::list;
use super::attributes::names;
use super::attributes::require_xattrs;
use super::attributes::set;
use super::scratch::Scratch;
use super::scratch::touch;
use super::super_block::Geometry;
use super::volume::again;
use super::volume::mounted;
use super::volume::mounted_as_ext;
use super::volume::remount;
use crate::aligned::Aligned;
use crate::judge::Judge;
use crate::kernel_log::KernelLog;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "A5",
        name: "attributes_and_lists_go_and_come_with_their_options",
        rule: "ext2(5): nouser_xattr, noacl",
        summary: "A file has an attribute of a user and an access control list. Remounted with \
                  nouser_xattr and noacl, neither can be had or set, while trusted attributes can; \
                  remounted with user_xattr and acl, both are as they were.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: attributes_and_lists_go_and_come_with_their_options,
    },
    Claim {
        id: "A6",
        name: "statx_says_what_direct_writes_need",
        rule: "statx(2): STATX_DIOALIGN",
        summary: "A direct write whose offset, length and memory are aligned as statx says is done, \
                  and one at half of that offset is EINVAL.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "a6.dat",
            size: 4 * PAGE,
        }],
        run: statx_says_what_direct_writes_need,
    },
    Claim {
        id: "A7",
        name: "flags_do_what_they_say_and_statx_shows_them",
        rule: "ioctl_iflags(2), statx(2): stx_attributes",
        summary: "Flags of a file are set as chattr does it: statx shows those that it knows, and no \
                  others; an immutable file cannot be written, removed or linked, one that is for \
                  appending only be appended to. A file made in a directory with the flag to dump \
                  nothing has that as well.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: flags_do_what_they_say_and_statx_shows_them,
    },
    Claim {
        id: "A10",
        name: "birth_is_told_as_it_was_or_not_at_all",
        rule: "statx(2): STATX_BTIME",
        summary: "A file is made, and later written, given other times and another mode. What statx \
                  says of its birth is a time while it was made, and stays so; or statx says that it \
                  does not know.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: birth_is_told_as_it_was_or_not_at_all,
    },
    Claim {
        id: "V14",
        name: "mounted_with_debug_the_log_has_the_geometry",
        rule: "ext2(5): debug",
        summary: "The file system is mounted with debug: a line of the kernel's log has the size of \
                  a block and how many blocks and inodes a group has, and /proc/mounts shows debug. \
                  Mounted without it, there is no such line.",
        needs: Needs {
            device: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[],
        run: mounted_with_debug_the_log_has_the_geometry,
    },
    Claim {
        id: "V15",
        name: "option_is_in_force_or_refused_by_its_name",
        rule: "ext2(5), mount(2): EINVAL",
        summary: "The file system is remounted with each option of ext2 that asks for something else \
                  than is done. What is taken /proc/mounts shows; what is not is refused, the log has \
                  its name, and the file system is mounted as it was.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: option_is_in_force_or_refused_by_its_name,
    },
];

/// Longer than the log, which takes ten complaints in five seconds, may have no room for one.
const PATIENCE: Duration = Duration::from_secs(20);

fn attributes_and_lists_go_and_come_with_their_options(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted_as_ext(stage, "it has not the options of ext2")?;
    let room = Scratch::new(stage)?;
    let file = room.join("file");
    touch(&file)?;
    require_xattrs(&file)?;
    let acl = list(6, 4, 4, 0);
    set(&file, "user.a", b"one").context("setting user.a")?;
    set(&file, ACCESS, &acl).context("setting an access control list")?;
    remount(&mount, "nouser_xattr,noacl")?;
    let mut judge = Judge::new();
    let without = (|| -> Result<()> {
        for (name, value) in [("user.a", &b"two"[..]), (ACCESS, &acl)] {
            for (what, found) in [
                ("getting", get(&file, name).map(drop)),
                ("setting", set(&file, name, value)),
            ] {
                judge.require(found == Err(Errno::OPNOTSUPP), Verdict::Error, || {
                    format!("{what} {name} without its option: {found:?}")
                });
            }
        }
        let listed = names(&file)?;
        judge.require(listed.is_empty(), Verdict::Error, || {
            format!("listed without their options: {listed:?}")
        });
        set(&file, "trusted.t", b"tru").context("setting trusted.t")
    })();
    remount(&mount, "user_xattr,acl")?;
    without?;
    for (name, value) in [
        ("user.a", &b"one"[..]),
        (ACCESS, &acl),
        ("trusted.t", b"tru"),
    ] {
        let found = get(&file, name);
        judge.require(found.as_deref() == Ok(value), Verdict::Lost, || {
            format!("{name} is {found:?} afterwards")
        });
    }
    Ok(judge.outcome())
}

fn status(path: &Path) -> Result<Statx> {
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    statx(CWD, path, flags, StatxFlags::BASIC_STATS).context("statx")
}

fn statx_says_what_direct_writes_need(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let wanted = StatxFlags::DIOALIGN;
    let found = statx(&direct, "", AtFlags::EMPTY_PATH, wanted).context("statx")?;
    let unit = u64::from(found.stx_dio_offset_align);
    if found.stx_mask & wanted.bits() == 0 || unit == 0 {
        return Err(skip("statx does not say"));
    }
    let mut judge = Judge::new();
    file.fill(1)?;
    let memory = found.stx_dio_mem_align as usize;
    judge.fact(format!(
        "aligned to {unit} in the file and to {memory} in memory"
    ));
    let bytes = file.bytes(unit, unit as usize, 2);
    // Memory that is aligned as it says, and no better.
    let mut buffer = Aligned::zeroed(bytes.len() + memory);
    buffer[memory..].copy_from_slice(&bytes);
    let written = direct.write_at(&buffer[memory..], unit);
    judge.wrote("the direct write", &written, bytes.len());
    file.judge_disk(&mut judge, unit, bytes.len(), |_| vec![2])?;
    let half = direct.write_at(&buffer[memory..], unit / 2);
    let refused = half.as_ref().err().map(|error| error.raw_os_error());
    judge.require(refused == Some(Some(libc::EINVAL)), Verdict::Error, || {
        format!("the direct write at {}: {half:?}", unit / 2)
    });
    file.fill(1)?;
    Ok(judge.outcome())
}

fn flags_do_what_they_say_and_statx_shows_them(stage: &Stage<'_>) -> Result<Outcome> {
    let room = Scratch::new(stage)?;
    let path = room.join("file");
    let file = File::create(&path)?;
    let no_flags = |error| skip(format!("it has no flags: {error}"));
    let plain = ioctl_getflags(&file).map_err(no_flags)?;
    let mut judge = Judge::new();
    let mut refused = |what: &str, done: std::io::Result<()>| {
        let found = done.err().and_then(|error| error.raw_os_error());
        judge.require(found == Some(libc::EPERM), Verdict::Error, || {
            format!("{what}: {found:?}, not {}", libc::EPERM)
        });
    };
    let open_to_write = || File::options().write(true).open(&path).map(drop);

    ioctl_setflags(&file, plain | IFlags::IMMUTABLE).map_err(no_flags)?;
    let immutable = status(&path);
    refused("writing what is immutable", open_to_write());
    refused("removing it", fs::remove_file(&path));
    refused("linking it", fs::hard_link(&path, room.join("link")));
    ioctl_setflags(&file, plain | IFlags::APPEND)?;
    let append = status(&path);
    refused("writing what is for appending", open_to_write());
    refused(
        "cutting it",
        fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .and_then(|file| file.set_len(0)),
    );
    let appended = File::options().append(true).open(&path);
    let appended = appended.and_then(|file| file.write_at(b"more", 0));
    ioctl_setflags(&file, plain | IFlags::NODUMP)?;
    let nodump = status(&path);
    ioctl_setflags(&file, plain)?;
    let nothing = status(&path);
    judge.require(appended.is_ok(), Verdict::Error, || {
        format!("appending to it: {appended:?}")
    });

    let known = [
        ("immutable", StatxAttributes::IMMUTABLE, immutable?),
        ("append", StatxAttributes::APPEND, append?),
        ("nodump", StatxAttributes::NODUMP, nodump?),
    ];
    let all = known.iter().map(|(_, attribute, _)| *attribute);
    let all = all.fold(StatxAttributes::empty(), StatxAttributes::union);
    for (name, attribute, status) in known {
        let shown = status.stx_attributes & all;
        let says = status.stx_attributes_mask.contains(attribute);
        judge.require(says && shown == attribute, Verdict::Error, || {
            format!("{name}: statx shows {shown:?} and knows {says}")
        });
    }
    let left = nothing?.stx_attributes & all;
    judge.require(left.is_empty(), Verdict::Error, || {
        format!("without flags statx shows {left:?}")
    });

    let dir = room.join("dir");
    fs::create_dir(&dir)?;
    let opened = File::open(&dir)?;
    ioctl_setflags(&opened, ioctl_getflags(&opened)? | IFlags::NODUMP)?;
    let child = File::create(dir.join("child"))?;
    let inherited = ioctl_getflags(&child)?;
    if mounted(stage).is_ok_and(|mount| mount.is_ext()) {
        judge.require(inherited.contains(IFlags::NODUMP), Verdict::Error, || {
            format!("a new file in a directory that is not dumped has {inherited:?}")
        });
    }
    Ok(judge.outcome())
}

/// The time of birth that statx tells of, if it does.
fn birth(path: &Path) -> Result<Option<SystemTime>> {
    let wanted = StatxFlags::BTIME;
    let found = statx(CWD, path, AtFlags::empty(), wanted).context("statx")?;
    let time = &found.stx_btime;
    let since = Duration::new(time.tv_sec.try_into()?, time.tv_nsec);
    let told = found.stx_mask & wanted.bits() != 0;
    Ok(told.then(|| SystemTime::UNIX_EPOCH + since))
}

fn birth_is_told_as_it_was_or_not_at_all(stage: &Stage<'_>) -> Result<Outcome> {
    // Clocks of file systems are as coarse as the kernel's ticks, or a second.
    const COARSE: Duration = Duration::from_secs(2);
    let room = Scratch::new(stage)?;
    let path = room.join("file");
    let before = SystemTime::now() - COARSE;
    touch(&path)?;
    let after = SystemTime::now() + COARSE;
    let mut judge = Judge::new();
    let mut look = |when: &str| -> Result<Option<SystemTime>> {
        let born = birth(&path)?;
        judge.require(
            born.is_none_or(|born| (before..after).contains(&born)),
            Verdict::Error,
            || format!("{when} it was born at {born:?}, and made between {before:?} and {after:?}"),
        );
        Ok(born)
    };
    let first = look("at first")?;
    fs::write(&path, b"written")?;
    let file = File::options().write(true).open(&path)?;
    // Long before there was such a file, and long after.
    for (when, seconds) in [("backdated", 1_000_000), ("postdated", 2_000_000_000)] {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        file.set_times(FileTimes::new().set_accessed(time).set_modified(time))?;
        look(when)?;
    }
    fs::set_permissions(&path, Permissions::from_mode(0o600))?;
    let last = look("at last")?;
    judge.require(first == last, Verdict::Error, || {
        format!("it was born at {first:?}, and later at {last:?}")
    });
    judge.fact(match first {
        Some(_) => "it is told",
        None => "it is not told",
    });
    Ok(judge.outcome())
}

fn mounted_with_debug_the_log_has_the_geometry(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted_as_ext(stage, "it has not the options of ext2")?;
    let log = KernelLog::open()?;
    let mut judge = Judge::new();
    let mut lines = Vec::new();
    let mut shown = Vec::new();
    let mut numbers = [0; 3];
    mount.with_device(|device| {
        let geometry = Geometry::of(device)?;
        numbers = [
            geometry.block_size,
            geometry.blocks_per_group,
            geometry.inodes_per_group,
        ];
        for options in ["debug", ""] {
            log.skip_to_end().map_err(io::Error::other)?;
            mount.mount(options)?;
            shown.push(mount.shows("debug"));
            let messages = log.messages(usize::MAX).map_err(io::Error::other)?;
            lines.push(messages.into_iter().find(|line| has_all(line, numbers)));
            mount.unmount()?;
        }
        Ok(())
    })?;
    judge.require(shown == [true, false], Verdict::Error, || {
        format!("with debug and without, /proc/mounts shows it: {shown:?}")
    });
    judge.require(
        lines[0].is_some() && lines[1].is_none(),
        Verdict::Error,
        || format!("with debug and without, the log has {numbers:?} in {lines:?}"),
    );
    Ok(judge.outcome())
}

/// Whether `line` has each of the numbers.
fn has_all(line: &str, numbers: [u32; 3]) -> bool {
    let words: Vec<&str> = line.split(|c: char| !c.is_ascii_digit()).collect();
    let has = |number: u32| words.contains(&&*number.to_string());
    numbers.into_iter().all(has)
}

fn option_is_in_force_or_refused_by_its_name(stage: &Stage<'_>) -> Result<Outcome> {
    let mount = mounted_as_ext(stage, "it has not the options of ext2")?;
    let log = KernelLog::open()?;
    let mut judge = Judge::new();
    let mut tried = || -> Result<()> {
        for option in [
            "oldalloc", "nobh", "dax", "xip", "quota", "usrquota", "grpquota",
        ] {
            let before = mount.shown()?;
            let deadline = Instant::now() + PATIENCE;
            let (done, named) = loop {
                log.skip_to_end()?;
                let done = mount.change(option);
                let named = log.count(option)?;
                if done.is_ok() || named > 0 || Instant::now() > deadline {
                    break (done, named);
                }
                thread::sleep(Duration::from_millis(100));
            };
            let shown = mount.shown()?;
            if done.is_ok() {
                let is_shown = shown.split(',').any(|word| {
                    word.strip_prefix(option)
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
                });
                judge.require(is_shown, Verdict::Error, || {
                    format!("{option} is taken, and not in force")
                });
                continue;
            }
            judge.require(named > 0 && shown == before, Verdict::Error, || {
                format!("{option} is {done:?}, named {named} times; {before} became {shown}")
            });
        }
        Ok(())
    };
    let done = tried();
    // As it was mounted before.
    again(&mount)?;
    done?;
    Ok(judge.outcome())
}

#[cfg(test)]
mod tests {
    use super::has_all;

    #[test]
    fn numbers_are_whole_words() {
        let line = "blocks of 1024 bytes, 3 groups of 8192 blocks and 2040 inodes";
        assert!(has_all(line, [1024, 8192, 2040]));
        assert!(!has_all(line, [1024, 8192, 204]));
    }
}
