// SPDX-License-Identifier: GPL-2.0

//! The raw device as a column of its own: no file system, and each of the claims' files a partition.

use super::boot::CLAIMS;
use super::images::Bench;
use anyhow::{Context as _, Result};
use qemu_runner::{Action, Step};
use std::fs::File;
use std::path::Path;

/// The size of a disk, which is a file with a hole: room for the files of all claims.
const MEBIBYTES: u64 = 512;

/// Makes the image of an empty disk.
pub(crate) fn make_image(image: &Path) -> Result<()> {
    let make = || File::create(image)?.set_len(MEBIBYTES << 20);
    make().with_context(|| format!("making the image {}", image.display()))
}

/// Makes partitions of a bench's disk, and what looks like its mount point with links to them.
pub(crate) fn partition(bench: &Bench) -> Step {
    let (disk, dir) = (bench.name(), bench.mount_point());
    let mut argv = [CLAIMS, "partition", "--disk", &disk, "--dir", &dir]
        .map(str::to_owned)
        .to_vec();
    for id in &bench.claims {
        argv.extend(["--claim".to_owned(), id.clone()]);
    }
    let timeout = 120;
    let run = Action::Run { argv, timeout };
    Step::new(format!("partition {}", bench.name()), run)
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::DiskKind;
    use super::super::images::Format;
    use super::super::{filesystem, plan};
    use super::*;

    #[test]
    fn a_raw_disk_is_partitioned_and_nothing_is_mounted() {
        let bench = |kind| Bench {
            format: Format {
                block_size: 1024,
                inode_size: 256,
            },
            kind,
            claims: vec!["T21".to_owned()],
        };
        let benches = [bench(DiskKind::Plain), bench(DiskKind::SlowWrites)];
        let raw = filesystem::select(&["raw".to_owned()]).unwrap()[0];
        assert!(raw.is_raw() && !raw.is_ext2() && !raw.is_ours());
        let steps = plan::claims(&raw, &benches, 1);
        let [Step { action, .. }] = &steps[..] else {
            panic!("{steps:?}");
        };
        let Action::Together { lanes } = action else {
            panic!("{action:?}");
        };
        let names = |lane: &Vec<Step>| lane.iter().map(|step| step.name.clone()).collect();
        let names: Vec<Vec<String>> = lanes.iter().map(names).collect();
        assert_eq!(
            names,
            [
                ["partition slow-1k", "claims on slow-1k"],
                ["partition plain-1k", "claims on plain-1k"],
            ]
        );
    }
}
