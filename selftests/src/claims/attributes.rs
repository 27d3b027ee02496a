// SPDX-License-Identifier: GPL-2.0

//! Extended attributes and access control lists.

use std::fs;
use std::fs::File;
use std::fs::Permissions;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::XattrFlags;
use rustix::fs::getxattr;
use rustix::fs::lgetxattr;
use rustix::fs::listxattr;
use rustix::fs::lsetxattr;
use rustix::fs::removexattr;
use rustix::fs::setxattr;
use rustix::io::Errno;

use super::PAGE;
use super::scratch::Scratch;
use super::scratch::touch;
use crate::aligned::Aligned;
use crate::judge::Judge;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "A1",
        name: "extended_attributes_answer_as_they_should",
        rule: "xattr(7), setxattr(2), getxattr(2), listxattr(2)",
        summary: "Attributes of all namespaces are set, replaced, listed and removed; what must \
                  fail does: one that is or is not there, too little room, more than a block, an \
                  unknown prefix, user attributes of a link, and trusted ones without privilege.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "a1.dat",
            size: PAGE,
        }],
        run: extended_attributes_answer_as_they_should,
    },
    Claim {
        id: "A2",
        name: "files_with_the_same_attributes_share_a_block",
        rule: "fs/ext2/xattr.c: identical blocks are shared and counted",
        summary: "Two hundred files are given the same attributes: that takes a few blocks, and \
                  none that are missing when they are gone. One of them is changed, and the others \
                  keep what they have.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "a2.dat",
            size: PAGE,
        }],
        run: files_with_the_same_attributes_share_a_block,
    },
    Claim {
        id: "A3",
        name: "access_control_lists_decide_and_are_inherited",
        rule: "acl(5)",
        summary: "A list lets one user read, and no other; chmod changes its mask; a directory's \
                  default list is what a new file and a new directory begin with, and a list that \
                  says no more than the mode is none.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "a3.dat",
            size: PAGE,
        }],
        run: access_control_lists_decide_and_are_inherited,
    },
    Claim {
        id: "A4",
        name: "writes_take_privileges_away",
        rule: "file_remove_privs, capabilities(7)",
        summary: "A file with capabilities and the set-user-ID bit loses the former when it is \
                  written, directly or not, cut, or given to somebody else, and the latter when \
                  somebody without privilege writes.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "a4.dat",
            size: PAGE,
        }],
        run: writes_take_privileges_away,
    },
];

pub(super) const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";
const CAPABILITY: &str = "security.capability";

/// `cap_net_raw=p`, version 2 (include/uapi/linux/capability.h).
const NET_RAW: [u8; 20] = [
    0, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

pub(super) fn set(path: &Path, name: &str, value: &[u8]) -> Result<(), Errno> {
    setxattr(path, name, value, XattrFlags::empty())
}

pub(super) fn get(path: &Path, name: &str) -> Result<Vec<u8>, Errno> {
    let mut room = vec![0; 65_536];
    let len = getxattr(path, name, &mut room[..])?;
    room.truncate(len);
    Ok(room)
}

pub(super) fn names(path: &Path) -> Result<Vec<String>, Errno> {
    let mut room = vec![0; 65_536];
    let len = listxattr(path, &mut room[..])?;
    let list = String::from_utf8_lossy(&room[..len]).into_owned();
    let mut names: Vec<_> = list.split_terminator('\0').map(str::to_owned).collect();
    names.sort();
    Ok(names)
}

/// Skips the claim where there are no attributes of users.
pub(super) fn require_xattrs(path: &Path) -> Result<()> {
    match set(path, "user.try", b"") {
        Ok(()) => removexattr(path, "user.try").context("removing an attribute"),
        Err(Errno::OPNOTSUPP) => Err(skip("this file system has no extended attributes")),
        Err(error) => Err(error).context("setting an attribute"),
    }
}

/// Runs `work` as nobody; what it returns must be 0.
fn as_nobody(judge: &mut Judge, what: &str, work: impl FnOnce() -> i32) -> Result<()> {
    let ended = sys::in_child(|| match sys::become_user(65_534) {
        Ok(()) => work(),
        Err(_) => 99,
    })?;
    judge.require(ended == sys::Ended::Status(0), Verdict::Error, || {
        format!("{what}, without privilege: {ended:?}")
    });
    Ok(())
}

fn extended_attributes_answer_as_they_should(stage: &Stage<'_>) -> Result<Outcome> {
    let scratch = Scratch::new(stage)?;
    let mut judge = Judge::new();
    let file = scratch.join("file");
    touch(&file)?;
    require_xattrs(&file)?;
    let all = ["security.s", "trusted.t", "user.a", "user.empty"];
    for (name, value) in all.into_iter().zip([&b"sec"[..], b"tru", b"one", b""]) {
        set(&file, name, value).with_context(|| format!("setting {name}"))?;
        let found = get(&file, name);
        judge.require(found.as_deref() == Ok(value), Verdict::Lost, || {
            format!("{name} is {found:?}, not {value:?}")
        });
    }
    let found = names(&file)?;
    judge.require(found == all, Verdict::Lost, || format!("listed: {found:?}"));

    let mut refused = |what: &str, found: Result<(), Errno>, wanted: Errno| {
        judge.require(found == Err(wanted), Verdict::Error, || {
            format!("{what} returned {found:?}, not {wanted:?}")
        });
    };
    let flagged = |name: &str, flags| setxattr(&file, name, b"two", flags);
    refused(
        "CREATE of one that is there",
        flagged("user.a", XattrFlags::CREATE),
        Errno::EXIST,
    );
    refused(
        "REPLACE of one that is not",
        flagged("user.b", XattrFlags::REPLACE),
        Errno::NODATA,
    );
    let both = XattrFlags::CREATE | XattrFlags::REPLACE;
    refused(
        "CREATE and REPLACE of one that is there",
        flagged("user.a", both),
        Errno::EXIST,
    );
    refused(
        "CREATE and REPLACE of one that is not",
        flagged("user.b", both),
        Errno::NODATA,
    );
    refused(
        "getting what is not there",
        get(&file, "user.b").map(drop),
        Errno::NODATA,
    );
    refused(
        "removing what is not there",
        removexattr(&file, "user.b"),
        Errno::NODATA,
    );
    let small = getxattr(&file, "user.a", &mut [0; 2][..]).map(drop);
    refused("getting with too little room", small, Errno::RANGE);
    let small = listxattr(&file, &mut [0; 10][..]).map(drop);
    refused("listing with too little room", small, Errno::RANGE);
    refused(
        "an unknown prefix",
        set(&file, "nobody.a", b""),
        Errno::OPNOTSUPP,
    );
    refused(
        "no name behind the prefix",
        set(&file, "user.", b""),
        Errno::INVAL,
    );
    let long = set(&file, "user.a", &[1; 65_537]);
    refused("a value of more than 64 KiB", long, Errno::TOOBIG);
    let link = scratch.join("link");
    symlink("file", &link)?;
    let of_link = lsetxattr(&link, "user.a", b"", XattrFlags::empty());
    refused("a user attribute of a link", of_link, Errno::PERM);
    lsetxattr(&link, "trusted.a", b"l", XattrFlags::empty()).context("setting one of a link")?;
    let found = lgetxattr(&link, "trusted.a", &mut [0; 4][..]);
    judge.require(found == Ok(1), Verdict::Lost, || {
        format!("that of a link is {found:?} bytes long")
    });

    // One block holds all of a file; a failure changes nothing.
    let block = usize::try_from(rustix::fs::statvfs(&file)?.f_bsize)?;
    let before: Vec<_> = names(&file)?;
    let found = set(&file, "user.large", &vec![7; block - 60]);
    judge.require(
        matches!(found, Err(Errno::NOSPC) | Ok(())),
        Verdict::Error,
        || format!("as large as a block: {found:?}"),
    );
    if found.is_err() {
        let now = names(&file)?;
        judge.require(now == before, Verdict::Lost, || {
            format!("after ENOSPC there are {now:?}, not {before:?}")
        });
    }
    fs::set_permissions(&file, Permissions::from_mode(0o644))?;
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755))?;
    as_nobody(&mut judge, "attributes of another user's file", || {
        let hidden = names(&file).is_ok_and(|names| !names.contains(&all[1].to_owned()));
        let none = get(&file, all[1]) == Err(Errno::NODATA);
        let refused = set(&file, all[1], b"x") == Err(Errno::PERM);
        let other = set(&file, all[2], b"x") == Err(Errno::ACCESS);
        let readable = get(&file, all[2]).as_deref() == Ok(b"one");
        i32::from(!hidden)
            | i32::from(!none) << 1
            | i32::from(!refused) << 2
            | i32::from(!other) << 3
            | i32::from(!readable) << 4
    })?;
    for name in names(&file)? {
        removexattr(&file, name.as_str()).with_context(|| format!("removing {name}"))?;
    }
    let left = names(&file)?;
    judge.require(left.is_empty(), Verdict::Stale, || {
        format!("left: {left:?}")
    });
    Ok(judge.outcome())
}

/// Free blocks, once all is written.
fn free(dir: &Path) -> Result<u64> {
    let dir = File::open(dir)?;
    sys::sync_fs(&dir)?;
    Ok(rustix::fs::fstatvfs(&dir)?.f_bfree)
}

fn files_with_the_same_attributes_share_a_block(stage: &Stage<'_>) -> Result<Outcome> {
    const COUNT: u64 = 200;
    let scratch = Scratch::new(stage)?;
    let mut judge = Judge::new();
    let file = |number: u64| scratch.join(format!("{number}"));
    for number in 0..COUNT {
        touch(&file(number))?;
    }
    require_xattrs(&file(0))?;
    let before = free(scratch.path())?;
    for number in 0..COUNT {
        set(&file(number), "user.first", b"the same").context("setting the first")?;
        set(&file(number), "user.second", &[9; 300]).context("setting the second")?;
    }
    let used = before.saturating_sub(free(scratch.path())?);
    judge.fact(format!("{COUNT} files use {used} blocks"));
    judge.require(used <= 4, Verdict::Lost, || {
        format!("{COUNT} files with the same attributes use {used} blocks")
    });
    set(&file(7), "user.first", b"another").context("changing one")?;
    removexattr(file(8), "user.second").context("removing one")?;
    for number in 0..COUNT {
        let wanted: &[u8] = if number == 7 { b"another" } else { b"the same" };
        let found = get(&file(number), "user.first");
        judge.require(found.as_deref() == Ok(wanted), Verdict::Lost, || {
            format!("file {number} has {found:?}")
        });
        let found = get(&file(number), "user.second").map(|value| value.len());
        let wanted = if number == 8 {
            Err(Errno::NODATA)
        } else {
            Ok(300)
        };
        judge.require(found == wanted, Verdict::Lost, || {
            format!("file {number} has {found:?} bytes")
        });
    }
    for number in 0..COUNT / 2 {
        fs::remove_file(file(number))?;
    }
    for number in COUNT / 2..COUNT {
        removexattr(file(number), "user.first")?;
        removexattr(file(number), "user.second")?;
    }
    let after = free(scratch.path())?;
    judge.require(after == before, Verdict::Lost, || {
        format!("{before} blocks were free, and {after} are")
    });
    Ok(judge.outcome())
}

/// A list as system calls have it: owner rwx, user 65534 `user`, group and mask, others.
pub(super) fn list(user: u16, group: u16, mask: u16, other: u16) -> Vec<u8> {
    let none = u32::MAX;
    let entries = [
        (0x01, 7, none),
        (0x02, user, 65_534),
        (0x04, group, none),
        (0x10, mask, none),
        (0x20, other, none),
    ];
    let mut bytes = 2u32.to_le_bytes().to_vec();
    for (tag, perm, id) in entries {
        bytes.extend(u16::to_le_bytes(tag));
        bytes.extend(perm.to_le_bytes());
        bytes.extend(id.to_le_bytes());
    }
    bytes
}

fn access_control_lists_decide_and_are_inherited(stage: &Stage<'_>) -> Result<Outcome> {
    let scratch = Scratch::new(stage)?;
    let mut judge = Judge::new();
    let mode =
        |path: &Path| -> Result<u32> { Ok(fs::metadata(path)?.permissions().mode() & 0o7777) };
    let file = scratch.join("file");
    touch(&file)?;
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755))?;
    fs::set_permissions(&file, Permissions::from_mode(0o600))?;
    match set(&file, ACCESS, &list(4, 0, 4, 0)) {
        Err(Errno::OPNOTSUPP) => return Err(skip("this file system has no lists")),
        result => result.context("setting a list")?,
    }
    let mut is = |what: &str, found: u32, wanted: u32| {
        judge.require(found == wanted, Verdict::Error, || {
            format!("{what}: mode {found:o}, not {wanted:o}")
        });
    };
    is("a list with the mask r", mode(&file)?, 0o740);
    fs::set_permissions(&file, Permissions::from_mode(0o600))?;
    let found = get(&file, ACCESS);
    judge.require(
        found.as_ref() == Ok(&expected_masked()),
        Verdict::Error,
        || format!("after chmod the list is {found:?}"),
    );
    let reads = |path: &Path| i32::from(File::open(path).is_err());
    as_nobody(&mut judge, "reading what the mask forbids", || {
        1 - reads(&file)
    })?;
    fs::set_permissions(&file, Permissions::from_mode(0o640))?;
    as_nobody(&mut judge, "reading what the list allows", || reads(&file))?;
    removexattr(&file, ACCESS).context("removing the list")?;
    as_nobody(&mut judge, "reading without a list", || 1 - reads(&file))?;

    let dir = scratch.join("dir");
    fs::create_dir(&dir)?;
    let default = list(5, 5, 5, 0);
    set(&dir, DEFAULT, &default).context("setting a default list")?;
    let refused = set(&file, DEFAULT, &default);
    judge.require(refused == Err(Errno::ACCESS), Verdict::Error, || {
        format!("a default list of a file returned {refused:?}")
    });
    let (new, sub) = (dir.join("new"), dir.join("sub"));
    touch(&new)?;
    fs::create_dir(&sub)?;
    let inherited = get(&sub, DEFAULT);
    judge.require(inherited.as_ref() == Ok(&default), Verdict::Lost, || {
        format!("a new directory has the default list {inherited:?}")
    });
    for path in [&new, &sub] {
        let found = get(path, ACCESS).map(|list| list.len());
        judge.require(found == Ok(default.len()), Verdict::Lost, || {
            format!("{} has a list of {found:?} bytes", path.display())
        });
        let other = mode(path)? & 0o7;
        judge.require(other == 0, Verdict::Error, || {
            format!("others may {other} with {}", path.display())
        });
    }
    // Owner, group, others: what the mode says.
    let plain = [&default[..12], &default[20..28], &default[36..]].concat();
    set(&new, ACCESS, &plain).context("setting a short list")?;
    let found = get(&new, ACCESS);
    judge.require(found == Err(Errno::NODATA), Verdict::Stale, || {
        format!("a list that says no more than the mode is {found:?}")
    });
    Ok(judge.outcome())
}

/// What [`list`] is after chmod took the mask's permissions.
fn expected_masked() -> Vec<u8> {
    let mut list = list(4, 0, 0, 0);
    // chmod 600.
    list[6] = 6;
    list
}

fn writes_take_privileges_away(stage: &Stage<'_>) -> Result<Outcome> {
    let scratch = Scratch::new(stage)?;
    let mut judge = Judge::new();
    let path = scratch.join("file");
    fs::write(&path, [1; 8192])?;
    fs::set_permissions(scratch.path(), Permissions::from_mode(0o755))?;
    let page = Aligned::from(&[2; PAGE as usize]);
    let direct = || -> std::io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let mut options = File::options();
        let file = options
            .write(true)
            .custom_flags(libc::O_DIRECT)
            .open(&path)?;
        file.write_at(&page, 0).map(drop)
    };
    let buffered = || {
        File::options()
            .write(true)
            .open(&path)?
            .write_at(b"x", 5)
            .map(drop)
    };
    let cut = || File::options().write(true).open(&path)?.set_len(5000);
    let given = || std::os::unix::fs::chown(&path, Some(1000), None);
    let ways: [(&str, &dyn Fn() -> std::io::Result<()>); 4] = [
        ("a buffered write", &buffered),
        ("a direct write", &direct),
        ("a truncation", &cut),
        ("a change of the owner", &given),
    ];
    for (what, way) in ways {
        // The second time it is known that there is nothing to take away.
        way().with_context(|| what.to_owned())?;
        match set(&path, CAPABILITY, &NET_RAW) {
            Err(Errno::OPNOTSUPP | Errno::PERM) => return Err(skip("files have no capabilities")),
            result => result.context("setting capabilities")?,
        }
        way().with_context(|| what.to_owned())?;
        let found = get(&path, CAPABILITY);
        judge.require(found == Err(Errno::NODATA), Verdict::Stale, || {
            format!("after {what} the capabilities are {found:?}")
        });
    }
    for (what, way) in &ways[..3] {
        fs::set_permissions(&path, Permissions::from_mode(0o4777))?;
        as_nobody(&mut judge, what, || i32::from(way().is_err()))?;
        let mode = fs::metadata(&path)?.permissions().mode() & 0o7777;
        judge.require(mode == 0o777, Verdict::Stale, || {
            format!("after {what} by somebody else the mode is {mode:o}")
        });
    }
    Ok(judge.outcome())
}
