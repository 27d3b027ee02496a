// SPDX-License-Identifier: GPL-2.0

//! A file system served to its own machine: by the kernel's NFS server, through the loopback device,
//! to the kernel's NFS client.
//!
//! The guest has no `rpc.mountd`. What the server would ask it, the server is told beforehand, through
//! the files of its caches: who the client is, which file system a handle is of, and what the client may
//! do there.

use super::boot::BUSYBOX;
use super::filesystem::FileSystem;
use super::images::Bench;
use super::plan;
use qemu_runner::{Action, Step};

/// Both ends.
const HOST: &str = "127.0.0.1";

/// Where the server has its files.
const NFSD: &str = "/proc/fs/nfsd";

/// Seconds for which nobody may open a file once the server has started, so that who knew it before can
/// say what he had open. There are always some; this is the least.
const GRACE: &str = "10";

/// Where the disk is mounted for the server. The server gives out names from the root on, so that this
/// is also what the client asks for, and tells the claims which disk it comes to in the end.
pub(crate) fn exported(bench: &Bench) -> String {
    format!("/mnt/exported/{}", bench.name())
}

/// Mounts the disks and serves them.
pub(crate) fn serve(fs: &FileSystem, benches: &[Bench]) -> Vec<Step> {
    let mut steps = Vec::new();
    for bench in benches {
        let name = format!("{} for the server", bench.name());
        let dir = exported(bench);
        steps.push(plan::mount(&name, &bench.name(), fs, &dir, false));
    }
    let up = [BUSYBOX, "ifconfig", "lo", "up"].map(str::to_owned);
    steps.push(run("bring lo up", up.to_vec()));
    let nfsd = Action::Mount {
        source: "nfsd".to_owned(),
        fstype: "nfsd".to_owned(),
        dir: NFSD.to_owned(),
        options: String::new(),
        read_only: false,
    };
    steps.push(Step::new("mount nfsd", nfsd));
    steps.extend(answers(benches));
    // The third version would want a portmapper.
    steps.push(set("versions", "-3"));
    steps.push(set("nfsv4gracetime", GRACE));
    steps.push(set("portlist", "tcp 2049"));
    steps.push(set("threads", "8"));
    let wait = format!("until {BUSYBOX} grep -q Y {NFSD}/v4_end_grace; do {BUSYBOX} sleep 1; done");
    let wait = [BUSYBOX, "sh", "-c", &wait].map(str::to_owned);
    steps.push(run("wait for the end of grace", wait.to_vec()));
    steps
}

/// Fills the caches of the server. The formats are those that `ip_map_parse`, `expkey_parse` and
/// `svc_export_parse` of the kernel read.
fn answers(benches: &[Bench]) -> Vec<Step> {
    /// How the caches call the client.
    const CLIENT: &str = "lab";
    /// As late as can be said, in seconds since 1970: what a cache is told stays true.
    const EXPIRY: u32 = i32::MAX.cast_unsigned();
    /// `NFSEXP_FSID`, `NFSEXP_NOSUBTREECHECK`, `NFSEXP_INSECURE_PORT`: a number instead of a device,
    /// nothing else of exports(5). The client's root is root.
    const FLAGS: u32 = 0x2402;
    /// The user and the group that nobody becomes.
    const NOBODY: u32 = 65534;

    let tell = |cache: &str, what: &str, text: String| {
        let action = Action::Write {
            path: format!("/proc/net/rpc/{cache}/channel"),
            text: text + "\n",
        };
        Step::new(format!("tell {cache} of {what}"), action)
    };
    let client = format!("nfsd {HOST} {EXPIRY} {CLIENT}");
    let mut steps = vec![tell("auth.unix.ip", HOST, client)];
    let dirs = ["/".to_owned()]
        .into_iter()
        .chain(benches.iter().map(exported));
    for (fsid, dir) in (0_u32..).zip(dirs) {
        // A handle is of a file system by its number, `FSID_NUM`; number 0 is where names begin.
        let bytes = fsid
            .to_ne_bytes()
            .map(|byte| format!("{byte:02x}"))
            .concat();
        let key = format!("{CLIENT} 1 \\x{bytes} {EXPIRY} {dir}");
        steps.push(tell("nfsd.fh", &dir, key));
        let export = format!("{CLIENT} {dir} {EXPIRY} {FLAGS} {NOBODY} {NOBODY} {fsid}");
        steps.push(tell("nfsd.export", &dir, export));
    }
    steps
}

/// Mounts as the client what the server has of a disk.
pub(crate) fn mount(bench: &Bench) -> Step {
    let action = Action::Mount {
        source: format!("{HOST}:{}", exported(bench)),
        fstype: "nfs".to_owned(),
        dir: bench.mount_point(),
        options: format!("vers=4.1,proto=tcp,sec=sys,addr={HOST},clientaddr={HOST}"),
        read_only: false,
    };
    Step::new(format!("mount {} over NFS", bench.name()), action)
}

/// Unmounts at the client's side.
pub(crate) fn umount(bench: &Bench) -> Step {
    plan::umount(&format!("{} over NFS", bench.name()), &bench.mount_point())
}

/// Stops the server, which lets go of what it served. Not before the client is done with it: what it
/// closes and removes goes on when it has unmounted, and without a server it tries for minutes.
pub(crate) fn stop() -> [Step; 2] {
    let wait = format!(
        "while {BUSYBOX} ls {NFSD}/clients | {BUSYBOX} grep -q .; do {BUSYBOX} sleep 1; done"
    );
    let wait = [BUSYBOX, "sh", "-c", &wait].map(str::to_owned);
    [
        run("wait for the end of the client", wait.to_vec()),
        set("threads", "0"),
    ]
    .map(|step| Step {
        required: false,
        ..step
    })
}

fn set(file: &str, text: &str) -> Step {
    let action = Action::Write {
        path: format!("{NFSD}/{file}"),
        text: format!("{text}\n"),
    };
    Step::new(format!("set {file} of nfsd to {text}"), action)
}

fn run(name: &str, argv: Vec<String>) -> Step {
    Step::new(name, Action::Run { argv, timeout: 120 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::catalogue::DiskKind;
    use crate::lab::images::Format;

    #[test]
    fn the_server_is_told_of_its_root_and_of_each_disk() {
        let bench = Bench {
            format: Format {
                block_size: 1024,
                inode_size: 256,
            },
            kind: DiskKind::Plain,
            claims: Vec::new(),
        };
        let told = answers(&[bench]).into_iter().map(|step| match step.action {
            Action::Write { path, text } => (path, text),
            other => panic!("{other:?} tells nothing"),
        });
        let of = |cache: &str, text: &str| {
            (
                format!("/proc/net/rpc/{cache}/channel"),
                format!("{text}\n"),
            )
        };
        let expected = [
            of("auth.unix.ip", "nfsd 127.0.0.1 2147483647 lab"),
            of("nfsd.fh", r"lab 1 \x00000000 2147483647 /"),
            of("nfsd.export", "lab / 2147483647 9218 65534 65534 0"),
            of(
                "nfsd.fh",
                r"lab 1 \x01000000 2147483647 /mnt/exported/plain-1k",
            ),
            of(
                "nfsd.export",
                "lab /mnt/exported/plain-1k 2147483647 9218 65534 65534 1",
            ),
        ];
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }
}
