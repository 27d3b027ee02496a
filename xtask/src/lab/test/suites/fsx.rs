// SPDX-License-Identifier: GPL-2.0

//! fsx: one file, read, written, mapped, cut and copied at random, and what it should hold kept
//! in memory.
//!
//! It opens no file for direct I/O. The second part has it work on a loop device, which reads
//! and writes the file below with direct I/O only.

use super::{Suite, TOOLS, add_tools, tool};
use crate::crates::Crate;
use crate::lab::boot::{self, BUSYBOX, Lab};
use crate::lab::filesystem::COHFS;
use crate::lab::test::machine::{Machine, group, script};
use crate::lab::test::{Extent, Group, from_step};
use anyhow::Result;

const NAME: &str = "fsx";

pub(super) const SUITE: Suite = Suite {
    name: NAME,
    prepare: |ctx| {
        FSX.ensure(ctx)?;
        TOOLS.image(ctx).map(drop)
    },
    tests,
};

const FSX: Crate = Crate {
    name: "fsx",
    version: "0.3.2",
};

/// Relative frequencies of what is done to a file.
const FILE: &str = "\
    [weights]\n\
    close_open = 1\nread = 10\nwrite = 10\nmapread = 10\nmapwrite = 10\ntruncate = 5\n\
    invalidate = 1\nfsync = 0.5\nfdatasync = 0.5\nsendfile = 2\nposix_fadvise = 1\n\
    copy_file_range = 2\n";

/// The same for a device, whose size stays. What was written is dropped from the device's own
/// cache now and then, so that it is read from the file again.
const DEVICE: &str = "\
    blockmode = true\n\
    [opsize]\nalign = 512\n\
    [weights]\n\
    read = 10\nwrite = 10\nmapread = 10\nmapwrite = 10\ntruncate = 0\n\
    fsync = 3\nfdatasync = 3\nposix_fadvise = 10\n";

/// Runs both parts on small and on large blocks.
fn tests(lab: &Lab<'_>, extent: Extent) -> Result<Group> {
    let (operations, seconds) = match extent {
        Extent::Bounded => (2_000, 60),
        Extent::Full => (100_000, 400),
    };
    let mut machine = Machine::new(lab, NAME)?;
    machine.cpus = boot::ONE;
    machine.program(FSX.ensure(lab.ctx)?, "/bin/fsx");
    machine.text("/etc/file.toml", FILE)?;
    machine.text("/etc/device.toml", DEVICE)?;
    add_tools(&mut machine, &TOOLS)?;
    let timeout = u64::from(seconds * lab.slowdown());
    let losetup = tool("losetup");
    let mut names = Vec::new();
    for (block_size, seed) in [(1024, 1), (4096, 2)] {
        let disk = format!("{}k", block_size / 1024);
        machine.scratch(&disk, &COHFS, block_size, 64)?;
        let fsx = format!("fsx -q -N {operations} -S {seed} -P /tmp");
        let mapped = format!("{operations} operations with mmap, blocks of {disk}");
        machine.steps.push(script(
            &mapped,
            &format!("{fsx} -f /etc/file.toml /mnt/{disk}/fsx 2>&1"),
            timeout,
            &[0],
        ));
        let direct = format!("{operations} operations through direct I/O, blocks of {disk}");
        machine.steps.push(script(
            &direct,
            &format!(
                "set -e; {BUSYBOX} dd if=/dev/zero of=/mnt/{disk}/direct bs=64k count=8 2>/dev/null\n\
                 loop=$({losetup} --show --direct-io=on -f /mnt/{disk}/direct)\n\
                 trap \"{losetup} -d $loop\" EXIT\n\
                 {BUSYBOX} grep -q 1 /sys/block/${{loop#/dev/}}/loop/dio\n\
                 {fsx} -f /etc/device.toml $loop 2>&1"
            ),
            timeout,
            &[0],
        ));
        names.extend([mapped, direct]);
    }
    let (report, outcome) = machine.boot(4 * seconds)?;
    let tests = names
        .iter()
        .map(|name| from_step(NAME, name, &report, name))
        .collect();
    Ok(group(tests, &outcome))
}
