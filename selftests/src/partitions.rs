// SPDX-License-Identifier: GPL-2.0

//! The raw device in the place of a file system: a partition of a disk for each of the claims' files.
//!
//! Each has a page cache of its own, with nothing between that and the disk, and the disk itself leads
//! around it. Only the kernel is told of them (`BLKPG`): they are gone when the machine is.

use std::fs;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::ensure;

use crate::registry::Claim;
use crate::registry::RAW_DEVICE;
use crate::sys;
use crate::sys::check;

/// Where partitions may begin: as programs for that do it.
const ALIGNMENT: u64 = 1 << 20;

/// `struct blkpg_partition` of `linux/blkpg.h`.
#[repr(C)]
struct Partition {
    start: i64,
    length: i64,
    number: i32,
    names: [u8; 128],
}

/// `struct blkpg_ioctl_arg` of `linux/blkpg.h`.
#[repr(C)]
struct Request {
    op: i32,
    flags: i32,
    len: i32,
    partition: *const Partition,
}

/// Makes partitions of `disk`, which is a node or the serial of one and has none yet, for the files of
/// `claims`, and links to them in `dir` under the files' names. What is on the disk is not looked at.
pub fn make(disk: &str, dir: &Path, claims: &[&Claim]) -> Result<()> {
    let node = find(disk).with_context(|| format!("there is no disk {disk}"))?;
    let mut open = File::options();
    // Refused if something of it is mounted.
    let open = open.read(true).write(true).custom_flags(libc::O_EXCL);
    let disk = open
        .open(&node)
        .with_context(|| format!("opening {}", node.display()))?;
    let files = claims.iter().flat_map(|claim| claim.files);
    let files: Vec<_> = files.filter(|file| file.can_be_device()).collect();
    let ranges = lay_out(files.iter().map(|file| file.size));
    let (end, size) = (ranges.last().map_or(0, |last| last.end), sys::size(&disk)?);
    ensure!(end <= size, "{end} bytes are needed, the disk has {size}");
    fs::create_dir_all(dir).with_context(|| format!("making {}", dir.display()))?;
    symlink(&node, dir.join(RAW_DEVICE)).context("linking to the disk")?;
    for ((number, file), range) in (1..).zip(files).zip(ranges) {
        let make = || -> Result<()> {
            add(&disk, number, &range)?;
            let partition = node_of(&node, number);
            // As the files have them that are prepared.
            fs::set_permissions(&partition, fs::Permissions::from_mode(0o644))?;
            Ok(symlink(partition, dir.join(file.name))?)
        };
        make().with_context(|| format!("making partition {number} for {}", file.name))?;
    }
    Ok(())
}

/// The node of a disk that is given by its node or by its serial.
fn find(disk: &str) -> Option<PathBuf> {
    if disk.contains('/') {
        return Some(disk.into());
    }
    fs::read_dir("/sys/block")
        .ok()?
        .flatten()
        .find_map(|block| {
            let serial = fs::read_to_string(block.path().join("serial")).ok()?;
            (serial.trim() == disk).then(|| Path::new("/dev").join(block.file_name()))
        })
}

/// Where partitions of these sizes are, one after the other.
fn lay_out(sizes: impl Iterator<Item = u64>) -> Vec<Range<u64>> {
    let place = |end: &mut u64, size| {
        let start = end.next_multiple_of(ALIGNMENT).max(ALIGNMENT);
        *end = start + size;
        Some(start..*end)
    };
    sizes.scan(0, place).collect()
}

/// The node of a partition: a name that ends in a digit gets a letter in between.
fn node_of(disk: &Path, number: i32) -> PathBuf {
    let disk = disk.display().to_string();
    let between = if disk.ends_with(|last: char| last.is_ascii_digit()) {
        "p"
    } else {
        ""
    };
    PathBuf::from(format!("{disk}{between}{number}"))
}

fn add(disk: &File, number: i32, range: &Range<u64>) -> io::Result<()> {
    const BLKPG: libc::Ioctl = 0x1269;
    const BLKPG_ADD_PARTITION: i32 = 1;
    let partition = Partition {
        start: range.start.cast_signed(),
        length: (range.end - range.start).cast_signed(),
        number,
        names: [0; 128],
    };
    let request = Request {
        op: BLKPG_ADD_PARTITION,
        flags: 0,
        len: size_of::<Partition>() as i32,
        partition: &raw const partition,
    };
    // SAFETY: `BLKPG` reads a `struct blkpg_ioctl_arg`, which `request` is, and through its pointer a
    // `struct blkpg_partition`, which `partition` is.
    check(unsafe { libc::ioctl(disk.as_raw_fd(), BLKPG, &raw const request) })?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry;

    /// More the kernel does not take: `DISK_MAX_PARTS`, of which one is the disk.
    const MOST: usize = 255;

    #[test]
    fn partitions_hold_the_files_and_do_not_overlap() {
        let sizes = [4096, (1 << 20) + 512, 8192];
        let ranges = lay_out(sizes.into_iter());
        for (range, size) in ranges.iter().zip(sizes) {
            assert_eq!(range.end - range.start, size);
            assert_eq!(range.start % ALIGNMENT, 0);
        }
        for pair in ranges.windows(2) {
            assert!(pair[0].end <= pair[1].start);
        }
        assert!(ranges[0].start > 0, "the disk begins with its own table");
    }

    #[test]
    fn a_disk_takes_as_many_partitions_as_there_are_files() {
        let files = registry::all().flat_map(|claim| claim.files);
        let count = files.filter(|file| file.can_be_device()).count();
        assert!(count <= MOST, "{count} files");
    }

    #[test]
    fn nodes_are_named_as_the_kernel_does() {
        let node = |disk| node_of(Path::new(disk), 12);
        assert_eq!(node("/dev/vdb"), Path::new("/dev/vdb12"));
        assert_eq!(node("/dev/nvme0n1"), Path::new("/dev/nvme0n1p12"));
    }
}
