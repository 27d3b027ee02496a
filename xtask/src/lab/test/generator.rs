// SPDX-License-Identifier: GPL-2.0

//! The same random steps on cohfs and on stock ext2: both must answer alike, and either must read
//! what the other has written.

use super::{Extent, Group, Job};
use crate::lab::boot::{self, BUSYBOX, Boot, CLAIMS, Lab};
use crate::lab::filesystem::{COHFS, EXT2, FileSystem};
use crate::lab::images::{self, Format};
use crate::lab::outcome::VmOutcome;
use crate::lab::{compare, plan};
use anyhow::{Context as _, Result};
use qemu_runner::{Action, Disk, Step};
use std::path::{Path, PathBuf};

const NAME: &str = "generator";

const BLOCK_SIZES: [u32; 3] = [1024, 2048, 4096];

/// What the steps depend on. Any number will do; a new one finds what this one does not.
const SEED: u64 = 3;

/// Size of a disk on which the steps never find too little space, in MiB.
const ROOMY: u32 = 96;

/// Size of a disk that they fill, in MiB.
const SMALL: u32 = 1;

/// The drivers that are compared.
const DRIVERS: [FileSystem; 2] = [COHFS, EXT2];

/// Which steps are done.
#[derive(Clone, Copy)]
struct Random {
    seed: u64,
    count: u32,
}

/// The disks of a machine.
struct Disks {
    dir: PathBuf,
    disks: Vec<Disk>,
}

impl Disks {
    /// Adds a disk with an empty file system; those of one kind are copies of one image.
    fn add(&mut self, serial: &str, block_size: u32, mebibytes: u32) -> Result<()> {
        let master = self.dir.join(format!("{block_size}-{mebibytes}.img"));
        if !master.exists() {
            let format = Format {
                block_size,
                inode_size: 256,
            };
            images::make_empty(format, mebibytes, &master)?;
        }
        let image = self.image(serial);
        images::copy(&master, &image)?;
        self.disks.push(Disk {
            serial: serial.to_owned(),
            image,
            ..Disk::default()
        });
        Ok(())
    }

    fn image(&self, serial: &str) -> PathBuf {
        self.dir.join(format!("{serial}.img"))
    }
}

/// What one machine does.
struct Part {
    name: &'static str,
    /// The block sizes with which the two are compared, and cohfs alone does what ext2 refuses.
    block_sizes: &'static [u32],
    /// Whether it fills small disks, and kills a run in its middle.
    small: bool,
}

/// All of it in one machine; or in four, as it takes hours.
pub(super) fn machines(extent: Extent, seed: Option<u64>) -> Vec<Job> {
    let part = |name, block_sizes, small| Part {
        name,
        block_sizes,
        small,
    };
    let (count, parts) = match extent {
        Extent::Bounded => (500, vec![part(NAME, &BLOCK_SIZES[..], true)]),
        Extent::Full => (
            20_000,
            vec![
                part("generator-1k", &BLOCK_SIZES[..1], false),
                part("generator-2k", &BLOCK_SIZES[1..2], false),
                part("generator-4k", &BLOCK_SIZES[2..], false),
                part("generator-small", &[], true),
            ],
        ),
    };
    let seed = seed.unwrap_or(SEED);
    let job =
        |part| -> Job { Box::new(move |lab: &Lab<'_>| tests(lab, &part, Random { seed, count })) };
    parts.into_iter().map(job).collect()
}

fn tests(lab: &Lab<'_>, part: &Part, random: Random) -> Result<Group> {
    let Random { seed, count } = random;
    // It takes some hundreds until the disk is full for the first time.
    let filling = count.max(1_000);
    let random = |count| Random { seed, count };
    let dir = lab.dir.path().join(part.name);
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    let mut disks = Disks {
        dir: dir.clone(),
        disks: Vec::new(),
    };
    let mut steps = vec![plan::insmod()];
    for &block_size in part.block_sizes {
        for driver in &DRIVERS {
            disks.add(&format!("{}-{block_size}", driver.name), block_size, ROOMY)?;
        }
        steps.extend(compare_drivers(lab, block_size, random(count)));
        disks.add(&alone_disk(block_size), block_size, ROOMY)?;
        steps.extend(alone(lab, block_size, random(count)));
    }
    if part.small {
        for driver in &DRIVERS {
            disks.add(&format!("{}-small", driver.name), 1024, SMALL)?;
            steps.extend(fill(lab, driver, random(filling)));
        }
        disks.add("killed", 1024, ROOMY)?;
        steps.extend(kill(seed));
    }
    steps.push(plan::rmmod());

    let step = lab.ctx.ui.step("Test", part.name);
    let boot = Boot {
        name: part.name.to_owned(),
        cpus: boot::ONE,
        disks: disks.disks.clone(),
        steps,
        append: Vec::new(),
        files: Vec::new(),
        seconds: 60 + count / 10,
    };
    let report = lab.boot(boot, &mut |_| ())?;
    step.done(part.name);
    let mut outcome = VmOutcome::new(part.name, &report);
    let mut tests = Vec::new();
    let mut test = |name: &str, step: &str| {
        tests.push(super::from_step(NAME, name, &report, step));
    };
    for &block_size in part.block_sizes {
        let steps = random_steps(block_size);
        test(&format!("{count} steps, blocks of {block_size}"), &steps);
        let steps = alone_steps(block_size);
        test(&format!("{count} {steps}"), &steps);
        let digests: Vec<_> = digests(block_size)
            .into_iter()
            .filter_map(|(_, _, name)| report.step(&name))
            .collect();
        for pair in digests.windows(2) {
            outcome.compare_digests(&pair[1].name, pair[0], pair[1]);
        }
    }
    if part.small {
        for driver in &DRIVERS {
            let steps = fill_steps(driver);
            test(&format!("{filling} steps fill {}", driver.name), &steps);
            let name = format!("blocks, inodes and names of {} are used up", driver.name);
            test(&name, &exhaust_step(driver));
        }
        test("a run that is killed", "kill");
    }
    let [ours, theirs] = DRIVERS.map(|driver| report.step(&exhaust_step(&driver)));
    if let (Some(ours), Some(theirs)) = (ours, theirs) {
        outcome.compare_digests("a disk that is used up", ours, theirs);
    }
    for disk in &disks.disks {
        outcome.check_image(&disk.image)?;
    }
    tests.push(compare::machine_test(&outcome));
    if outcome.troubles.is_empty() {
        remove(&dir)?;
    }
    Ok(Group::of_machine(tests, &outcome))
}

fn random_steps(block_size: u32) -> String {
    format!("random steps, blocks of {block_size}")
}

fn alone_steps(block_size: u32) -> String {
    format!("steps on cohfs alone, blocks of {block_size}")
}

fn alone_disk(block_size: u32) -> String {
    format!("alone-{block_size}")
}

fn fill_steps(driver: &FileSystem) -> String {
    format!("fill {}", driver.name)
}

fn exhaust_step(driver: &FileSystem) -> String {
    format!("exhaust {}", driver.name)
}

/// Where a disk is mounted.
fn mount_point(serial: &str) -> String {
    format!("/mnt/{serial}")
}

/// For each disk and each driver, how the step is called that describes the one by the other.
fn digests(block_size: u32) -> Vec<(String, FileSystem, String)> {
    let disks = DRIVERS.map(|driver| format!("{}-{block_size}", driver.name));
    let each = |disk: String| {
        DRIVERS.map(|driver| (disk.clone(), driver, format!("{disk} by {}", driver.name)))
    };
    disks.into_iter().flat_map(each).collect()
}

/// The steps that hold the drivers against each other with one block size.
fn compare_drivers(lab: &Lab<'_>, block_size: u32, random: Random) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut arguments = Vec::new();
    let mut unmounts = Vec::new();
    for driver in &DRIVERS {
        let serial = format!("{}-{block_size}", driver.name);
        let dir = mount_point(&serial);
        steps.push(plan::mount(&serial, &serial, driver, &dir, false));
        unmounts.push(plan::umount(&serial, &dir));
        arguments.extend(["--dir".to_owned(), dir]);
    }
    steps.push(generate(lab, &random_steps(block_size), random, &arguments));
    steps.extend(unmounts);
    for (serial, driver, name) in digests(block_size) {
        let dir = mount_point(&serial);
        steps.push(plan::mount(&name, &serial, &driver, &dir, true));
        let argv = [CLAIMS, "digest", "--everything", "--dir", &dir].map(str::to_owned);
        let digest = Action::Run {
            argv: argv.to_vec(),
            timeout: u64::from(20 * lab.slowdown()),
        };
        steps.push(Step::optional(name.clone(), digest));
        steps.push(plan::umount(&name, &dir));
    }
    steps
}

/// The steps on cohfs alone, for what stock ext2 refuses.
fn alone(lab: &Lab<'_>, block_size: u32, random: Random) -> Vec<Step> {
    let serial = alone_disk(block_size);
    let dir = mount_point(&serial);
    let arguments = ["--dir", &dir].map(str::to_owned);
    vec![
        plan::mount(&serial, &serial, &COHFS, &dir, false),
        generate(lab, &alone_steps(block_size), random, &arguments),
        plan::umount(&serial, &dir),
    ]
}

/// The steps that fill a small disk, and use up what it has. With a full disk stock ext2 loses
/// what is stored, and shows what failed direct writes leave.
fn fill(lab: &Lab<'_>, driver: &FileSystem, random: Random) -> Vec<Step> {
    let serial = format!("{}-small", driver.name);
    let dir = mount_point(&serial);
    let mut arguments = ["--fill", "--dir", &dir].map(str::to_owned).to_vec();
    if *driver == EXT2 {
        arguments.push("--buffered".to_owned());
    }
    let exhaust = Action::Run {
        argv: [CLAIMS, "exhaust", "--dir", &dir]
            .map(str::to_owned)
            .to_vec(),
        timeout: u64::from(20 * lab.slowdown()),
    };
    vec![
        plan::mount(&serial, &serial, driver, &dir, false),
        generate(lab, &fill_steps(driver), random, &arguments),
        Step::optional(exhaust_step(driver), exhaust),
        plan::umount(&serial, &dir),
    ]
}

/// The steps that kill a run on cohfs while it goes on.
fn kill(seed: u64) -> Vec<Step> {
    let dir = mount_point("killed");
    let script = format!(
        "{CLAIMS} generate --dir {dir} --seed {seed} --steps 1000000 & \
         {BUSYBOX} sleep 4; kill -KILL $!; wait $!; [ $? = 137 ]"
    );
    let argv = [BUSYBOX, "sh", "-c", &script].map(str::to_owned);
    let run = Action::Run {
        argv: argv.to_vec(),
        timeout: 120,
    };
    vec![
        plan::mount("killed", "killed", &COHFS, &dir, false),
        Step::optional("kill", run),
        plan::umount("killed", &dir),
    ]
}

/// A step that generates steps on file systems of its own.
fn generate(lab: &Lab<'_>, name: &str, random: Random, arguments: &[String]) -> Step {
    let Random { seed, count } = random;
    let head = [CLAIMS, "generate", "--remount"].map(str::to_owned);
    let tail = ["--seed", &seed.to_string(), "--steps", &count.to_string()].map(str::to_owned);
    let argv = [&head[..], arguments, &tail[..]].concat();
    let timeout = u64::from((10 + count / 100) * lab.slowdown());
    Step::optional(name, Action::Run { argv, timeout })
}

fn remove(dir: &Path) -> Result<()> {
    for entry in std::fs::read_dir(dir).with_context(|| format!("listing {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "img") {
            std::fs::remove_file(&path).with_context(|| format!("removing {}", path.display()))?;
        }
    }
    Ok(())
}
