// SPDX-License-Identifier: GPL-2.0

//! Disks of file systems whose format is not that of ext2: made empty by their own `mkfs` on this
//! machine, and given the claims' files by the guest's kernel, which is the only one that is sure
//! to know how.

use super::boot::{self, Boot, CLAIMS, Lab};
use super::catalogue::DiskKind;
use super::filesystem::FileSystem;
use super::images::{Bench, Format};
use super::outcome::{Trouble, VmOutcome};
use super::plan;
use super::raw;
use crate::bundle::{Launcher, Recipe};
use crate::context::Context;
use crate::exit::missing;
use crate::process::{command, find_program, output};
use anyhow::{Context as _, Result};
use qemu_runner::{Action, Disk, Step};
use std::fs::File;
use std::path::{Path, PathBuf};

/// How the disks of a file system are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mkfs {
    /// As the ext2 images that several file systems share, with the claims' files in them.
    Ext2,
    /// Empty, by a program.
    Program(&'static Program),
    /// Not at all: it lives in memory.
    Memory,
    /// Not at all: the disk itself is used.
    Raw,
}

/// What makes an empty file system.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    /// Its name.
    name: &'static str,
    /// Its arguments before the image; `{block}` stands for the block size.
    arguments: &'static [&'static str],
    /// Block sizes it takes, in bytes. The first stands in for all others.
    block_sizes: &'static [u32],
    /// The size of an image, which is a file with a hole.
    mebibytes: u64,
}

/// The same for all of ext4: as small as the shared images are, but for a journal.
const fn mke2fs(arguments: &'static [&'static str]) -> Program {
    Program {
        name: "mke2fs",
        arguments,
        block_sizes: &[4096, 1024],
        mebibytes: 48,
    }
}

/// As mke2fs makes it today: extents, checksums, a journal.
pub(crate) static EXT4: Program = mke2fs(&["-q", "-F", "-t", "ext4", "-b", "{block}"]);

/// The same without a journal.
pub(crate) static EXT4_WITHOUT_JOURNAL: Program = mke2fs(&[
    "-q",
    "-F",
    "-t",
    "ext4",
    "-O",
    "^has_journal",
    "-b",
    "{block}",
]);

/// Indirect blocks and a journal.
pub(crate) static EXT3: Program = mke2fs(&["-q", "-F", "-t", "ext3", "-b", "{block}"]);

/// Smaller than its mkfs would have it, which thinks of those who use it for years.
pub(crate) static XFS: Program = Program {
    name: "mkfs.xfs",
    arguments: &["-q", "-f", "--unsupported", "-b", "size={block}"],
    block_sizes: &[4096, 1024],
    mebibytes: 64,
};

/// One copy of everything: a second one of metadata is no concern of these claims.
pub(crate) static BTRFS: Program = Program {
    name: "mkfs.btrfs",
    arguments: &["-q", "-f", "-m", "single", "-d", "single", "-s", "4096"],
    block_sizes: &[4096],
    mebibytes: 128,
};

/// f2fs has blocks of one size.
pub(crate) static F2FS: Program = Program {
    name: "mkfs.f2fs",
    arguments: &["-q", "-f"],
    block_sizes: &[4096],
    mebibytes: 96,
};

/// The block size is that of its clusters.
pub(crate) static EXFAT: Program = Program {
    name: "mkfs.exfat",
    arguments: &["-c", "{block}"],
    block_sizes: &[4096, 1024],
    mebibytes: 48,
};

/// The programs that not every machine has.
const TOOLS: Recipe = Recipe {
    name: "mkfs",
    packages: &["xfsprogs", "btrfs-progs", "f2fs-tools", "exfatprogs"],
    sources: &[],
    megabytes: 20,
    launchers: &[
        Launcher::plain("sbin/mkfs.xfs"),
        Launcher::plain("sbin/mkfs.btrfs"),
        Launcher::plain("sbin/mkfs.f2fs"),
        Launcher::plain("usr/sbin/mkfs.exfat"),
    ],
};

impl Mkfs {
    /// The disks that stand in for those of ext2, claims and all: a block size that the format does
    /// not have becomes one that it has, and memory is all of one kind.
    pub(crate) fn benches(self, benches: &[Bench]) -> Vec<Bench> {
        let mut own: Vec<Bench> = Vec::new();
        for bench in benches {
            let (kind, block_size) = match self {
                Self::Ext2 | Self::Raw => (bench.kind, bench.format.block_size),
                Self::Program(program) => (bench.kind, program.block_size(bench)),
                Self::Memory => (DiskKind::Plain, 4096),
            };
            let format = Format {
                block_size,
                ..bench.format
            };
            let same = |own: &&mut Bench| own.kind == kind && own.format == format;
            match own.iter_mut().find(same) {
                Some(own) => own.claims.extend_from_slice(&bench.claims),
                None => own.push(Bench {
                    format,
                    kind,
                    claims: bench.claims.clone(),
                }),
            }
        }
        own
    }
}

impl Program {
    fn block_size(&self, bench: &Bench) -> u32 {
        let wanted = bench.format.block_size;
        if self.block_sizes.contains(&wanted) {
            wanted
        } else {
            self.block_sizes[0]
        }
    }

    /// Where the program is: in the bundle, unless it is of e2fsprogs, without which nothing works.
    fn find(&self, ctx: &Context) -> Result<PathBuf> {
        if self.name == "mke2fs" {
            return find_program(self.name).ok_or_else(|| missing("no mke2fs: install e2fsprogs"));
        }
        let root = TOOLS.ensure(ctx)?;
        Ok(root.with_file_name("bin").join(self.name))
    }

    /// Makes an empty image.
    fn make(&self, ctx: &Context, block_size: u32, image: &Path) -> Result<()> {
        let make = || -> Result<()> {
            File::create(image)?.set_len(self.mebibytes << 20)?;
            let block = block_size.to_string();
            let arguments = self.arguments.iter();
            output(
                command(&self.find(ctx)?)
                    .args(arguments.map(|argument| argument.replace("{block}", &block)))
                    .arg(image),
            )?;
            Ok(())
        };
        make().with_context(|| format!("making the image {} by {}", image.display(), self.name))
    }
}

/// Disks that one machine can have beside everything else on its bus.
const DISKS: usize = 24;

/// Makes the images of those of `filesystems` that share none, below `masters`, and has the guest
/// write the claims' files. What goes wrong with one of them is for its own machine to show; what
/// goes wrong with the machine is told.
pub(crate) fn make_images(
    lab: &Lab<'_>,
    filesystems: &[FileSystem],
    benches: &[Bench],
    masters: &Path,
) -> Result<Vec<Trouble>> {
    let mut disks = Vec::new();
    for fs in filesystems {
        if matches!(fs.mkfs, Mkfs::Ext2 | Mkfs::Memory) {
            continue;
        }
        let dir = masters.join(fs.name);
        std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
        for bench in fs.mkfs.benches(benches) {
            let image = dir.join(format!("{}.img", bench.name()));
            if let Mkfs::Program(program) = fs.mkfs {
                program.make(lab.ctx, bench.format.block_size, &image)?;
                disks.push((fs, bench, image));
            } else {
                raw::make_image(&image)?;
            }
        }
    }
    let mut troubles = Vec::new();
    for (number, disks) in disks.chunks(DISKS).enumerate() {
        let step = lab.ctx.ui.step("Images", "with the files of the claims");
        troubles.extend(fill(lab, &format!("images-{}", number + 1), disks)?.troubles);
        step.done(format_args!("{} with the files of the claims", disks.len()));
    }
    Ok(troubles)
}

/// Boots a machine that mounts each disk and writes the files into it.
fn fill(lab: &Lab<'_>, name: &str, disks: &[(&FileSystem, Bench, PathBuf)]) -> Result<VmOutcome> {
    let mut steps = Vec::new();
    let mut of_machine = Vec::new();
    for (number, (fs, bench, image)) in disks.iter().enumerate() {
        let serial = format!("disk-{number}");
        let dir = format!("/mnt/{serial}");
        let mount = plan::mount(&serial, &serial, fs, &dir, false);
        let mut argv = [CLAIMS, "prepare", "--dir", &dir]
            .map(str::to_owned)
            .to_vec();
        for id in &bench.claims {
            argv.extend(["--claim".to_owned(), id.clone()]);
        }
        let timeout = u64::from(20 * lab.slowdown());
        let prepare = Action::Run { argv, timeout };
        let name = format!("{} {}", fs.name, bench.name());
        steps.push(Step {
            name: format!("mount {name}"),
            required: false,
            ..mount
        });
        steps.push(Step::optional(format!("prepare {name}"), prepare));
        steps.push(plan::umount(&name, &dir));
        of_machine.push(Disk {
            serial,
            image: image.clone(),
            ..Disk::default()
        });
    }
    let boot = Boot {
        name: name.to_owned(),
        cpus: boot::ONE,
        disks: of_machine,
        steps,
        append: Vec::new(),
        files: Vec::new(),
        seconds: 60,
    };
    let report = lab.boot(boot, &mut |_| ())?;
    Ok(VmOutcome::new(name, &report))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bench(kind: DiskKind, block_size: u32, claims: &[&str]) -> Bench {
        Bench {
            format: Format {
                block_size,
                inode_size: 256,
            },
            kind,
            claims: claims.iter().map(|&id| id.to_owned()).collect(),
        }
    }

    fn summary(benches: &[Bench]) -> Vec<(String, usize)> {
        let of = |bench: &Bench| (bench.name(), bench.claims.len());
        benches.iter().map(of).collect()
    }

    #[test]
    fn a_block_size_that_a_format_lacks_becomes_one_that_it_has() {
        let benches = [
            bench(DiskKind::Plain, 4096, &["A", "B"]),
            bench(DiskKind::Plain, 1024, &["C"]),
            bench(DiskKind::SlowWrites, 1024, &["D"]),
        ];
        let of = |mkfs: Mkfs| summary(&mkfs.benches(&benches));
        let name = |name: &str, count| (name.to_owned(), count);
        assert_eq!(of(Mkfs::Ext2), summary(&benches));
        assert_eq!(of(Mkfs::Raw), summary(&benches));
        assert_eq!(of(Mkfs::Program(&XFS)), summary(&benches));
        assert_eq!(
            of(Mkfs::Program(&F2FS)),
            [name("plain-4k", 3), name("slow-4k", 1)]
        );
        assert_eq!(of(Mkfs::Memory), [name("plain-4k", 4)]);
    }
}
