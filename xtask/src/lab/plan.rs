// SPDX-License-Identifier: GPL-2.0

//! What a machine does to try claims on a file system, step by step.

use super::boot::{BUSYBOX, CLAIMS, MODULE};
use super::catalogue::DiskKind;
use super::filesystem::FileSystem;
use super::images::Bench;
use super::nfs;
use super::raw;
use qemu_runner::{Action, Expect, Step};

/// Seconds that a claim may take, on a fast machine: some do as much as there is to do, and machines
/// that have other work are slow.
const CLAIM_SECONDS: u32 = 30;

/// How often claims that chance has a part in are tried where nobody promises them.
const TRIES: u32 = 5;

/// The steps that try every claim of `benches` on `fs`. If the disks hold ext2, the stock driver
/// reads them afterwards, so that what the two saw can be compared.
///
/// Slow disks are worked on side by side: nearly all of their time is waiting. Fast ones take
/// turns, for the claims on them want the processors.
pub(crate) fn claims(fs: &FileSystem, benches: &[Bench], slowdown: u32) -> Vec<Step> {
    let mut steps = Vec::new();
    if fs.is_ours() {
        steps.push(insmod());
    }
    if fs.nfs {
        steps.extend(nfs::serve(fs, benches));
    }
    steps.push(together("claims", benches, |bench| {
        let name = bench.name();
        let mount = match fs {
            _ if fs.nfs => nfs::mount(bench),
            _ if fs.is_raw() => raw::partition(bench),
            _ => mount(&name, &name, fs, &bench.mount_point(), false),
        };
        vec![mount, run_claims(fs, bench, slowdown)]
    }));
    if fs.nfs {
        // From here on the server's side is the file system that is looked at.
        steps.push(together("end of NFS", benches, |bench| {
            vec![nfs::umount(bench)]
        }));
        steps.extend(nfs::stop());
    }
    if fs.is_raw() {
        // Nothing is mounted, and nobody else knows what the disk holds.
        return steps;
    }
    if !fs.is_ext2() {
        // Nothing else reads this format, so there is nothing to compare with.
        steps.push(together("end", benches, |bench| {
            vec![umount(&bench.name(), &bench.mount_point())]
        }));
        return steps;
    }
    if !fs.coherent {
        // What such a cache holds is for the claims to say; here it is the disk that counts.
        steps.push(drop_caches());
    }
    steps.push(together("digests", benches, |bench| {
        let dir = match fs.nfs {
            true => nfs::exported(bench),
            false => bench.mount_point(),
        };
        vec![
            digest(&digest_step(bench), &dir),
            umount(&bench.name(), &dir),
        ]
    }));
    if fs.is_ours() {
        steps.push(rmmod());
    }
    steps.push(together("digests by ext2", benches, |bench| {
        let name = format!("{} with ext2", bench.name());
        let dir = format!("/mnt/ext2-{}", bench.name());
        vec![
            mount(&name, &bench.name(), &super::filesystem::EXT2, &dir, true),
            digest(&digest_again_step(bench), &dir),
            umount(&name, &dir),
        ]
    }));
    steps
}

/// One lane for each slow disk, and one for all that are not.
fn together(name: &str, benches: &[Bench], steps: impl Fn(&Bench) -> Vec<Step>) -> Step {
    let (fast, slow): (Vec<_>, Vec<_>) = benches
        .iter()
        .partition(|bench| bench.kind == DiskKind::Plain);
    let mut lanes: Vec<_> = slow.into_iter().map(&steps).collect();
    lanes.push(fast.into_iter().flat_map(&steps).collect());
    Step::new(name, Action::Together { lanes })
}

/// The name of the step that runs a bench's claims.
pub(crate) fn claims_step(bench: &Bench) -> String {
    format!("claims on {}", bench.name())
}

/// The name of the step in which the file system says what the files hold.
pub(crate) fn digest_step(bench: &Bench) -> String {
    format!("digest of {}", bench.name())
}

/// The name of the step in which stock ext2 does.
pub(crate) fn digest_again_step(bench: &Bench) -> String {
    format!("digest of {} by ext2", bench.name())
}

fn run_claims(fs: &FileSystem, bench: &Bench, slowdown: u32) -> Step {
    let timeout = CLAIM_SECONDS * slowdown;
    let mut argv = [CLAIMS, "run", "--dir", &bench.mount_point(), "--timeout"]
        .map(str::to_owned)
        .to_vec();
    argv.push(timeout.to_string());
    if fs.policy != Some("strict") {
        argv.extend(["--tries".to_owned(), TRIES.to_string()]);
    }
    for id in &bench.claims {
        argv.extend(["--claim".to_owned(), id.clone()]);
    }
    let claims = u64::try_from(bench.claims.len()).unwrap_or(u64::MAX);
    let run = Action::Run {
        argv,
        timeout: u64::from(timeout).saturating_mul(claims.max(2)),
    };
    // A claim that is not kept is a finding, not a failure of the step; neither are skips.
    Step::optional(claims_step(bench), run).expecting(Expect::Exit(vec![0, 1, 4]))
}

/// Loads the module.
pub(crate) fn insmod() -> Step {
    Step::new(
        "insmod",
        Action::Insmod {
            path: MODULE.to_owned(),
            params: String::new(),
        },
    )
}

/// Unloads the module.
pub(crate) fn rmmod() -> Step {
    Step::optional(
        "rmmod",
        Action::Rmmod {
            name: "cohfs".to_owned(),
        },
    )
}

/// Has the kernel write what is dirty and forget what is clean.
fn drop_caches() -> Step {
    let script = "sync && echo 3 > /proc/sys/vm/drop_caches";
    let run = Action::Run {
        argv: [BUSYBOX, "sh", "-c", script].map(str::to_owned).to_vec(),
        timeout: 120,
    };
    Step::optional("drop caches", run)
}

/// Mounts the disk `serial`; without it nothing else makes sense.
pub(crate) fn mount(name: &str, serial: &str, fs: &FileSystem, dir: &str, read_only: bool) -> Step {
    Step::new(
        format!("mount {name}"),
        Action::Mount {
            source: serial.to_owned(),
            fstype: fs.fstype.to_owned(),
            dir: dir.to_owned(),
            options: fs.options.to_owned(),
            read_only,
        },
    )
}

/// Unmounts.
pub(crate) fn umount(name: &str, dir: &str) -> Step {
    Step::optional(
        format!("umount {name}"),
        Action::Umount {
            dir: dir.to_owned(),
        },
    )
}

/// Has the claims' program say what the files below `dir` hold.
pub(crate) fn digest(name: &str, dir: &str) -> Step {
    Step::optional(
        name,
        Action::Run {
            argv: [CLAIMS, "digest", "--dir", dir].map(str::to_owned).to_vec(),
            timeout: 120,
        },
    )
}
