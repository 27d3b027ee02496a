// SPDX-License-Identifier: GPL-2.0

//! From the blocks of a file to those of the image, as `rust/fs/map.rs`.

use zerocopy::IntoBytes as _;

use super::{to_usize, Fault, Image};
use crate::ext2::{run_length, DiskBlock, FileBlock, Ino, Inode, Kind, Path};

/// Consecutive blocks of a file that lie one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extent {
    /// The first, counted from the start of the file.
    pub file_block: u32,
    /// Where it is.
    pub disk_block: u32,
    /// How many there are.
    pub len: u32,
}

impl Image<'_> {
    /// Returns where the blocks of inode `ino` are. What is in between is holes.
    ///
    /// # Errors
    ///
    /// [`Fault::Corrupt`] if anything on the way is damaged; [`Fault::TooMuch`].
    pub fn extents(&self, ino: u32) -> Result<Vec<Extent>, Fault> {
        let inode = self.inode(Ino(ino))?;
        if !has_blocks(&inode) {
            return Ok(Vec::new());
        }
        // OVERFLOW: A size is at most what can be mapped.
        let size = u64::from(self.block_size());
        let end = u32::try_from(inode.size.div_ceil(size)).expect("in reach of the pointers");
        let mut extents: Vec<Extent> = Vec::new();
        let mut at = 0;
        while at < end {
            let (first, len) = self.run(&inode, FileBlock(at), end - at)?;
            if let Some(first) = first {
                extents.push(Extent {
                    file_block: at,
                    disk_block: first.get(),
                    len,
                });
            }
            at += len;
        }
        Ok(extents)
    }

    /// Returns where a block of a file is, and how many after it follow, up to `max` in all; as
    /// `fs::map::run`.
    pub(super) fn run(
        &self,
        inode: &Inode,
        block: FileBlock,
        max: u32,
    ) -> Result<(Option<DiskBlock>, u32), Fault> {
        self.step()?;
        let path = Path::to(block, &self.sb)?;
        let max = max.clamp(1, path.boundary + 1);
        let (&last, above) = path.offsets().split_last().expect("a path has a pointer");
        // A block of pointers and those of an inode look the same.
        let (mut pointers, _) = inode.block.as_bytes().as_chunks();
        for &offset in above {
            let below = DiskBlock(u32::from_le_bytes(pointers[to_usize(u64::from(offset))]));
            if below.get() == 0 {
                return Ok((None, max));
            }
            self.check_run(below, 1)?;
            (pointers, _) = self.block(below.get())?.as_chunks();
        }
        let rest = &pointers[to_usize(u64::from(last))..];
        let mut rest = rest.iter().map(|pointer| u32::from_le_bytes(*pointer));
        let first = DiskBlock(rest.next().expect("the pointer itself"));
        if first.get() == 0 {
            let rest = rest.take(to_usize(u64::from(max - 1)));
            let holes = rest.take_while(|pointer| *pointer == 0).count();
            return Ok((None, 1 + u32::try_from(holes).expect("less than `max`")));
        }
        let len = run_length(rest, first, max);
        self.check_run(first, len)?;
        Ok((Some(first), len))
    }

    /// As `fs::Super::check_run`.
    fn check_run(&self, first: DiskBlock, len: u32) -> Result<(), Fault> {
        self.sb.check_data_run(first, len)?;
        let last = DiskBlock(first.get() + (len - 1));
        for group in self.sb.group_of(first)?..=self.sb.group_of(last)? {
            let desc = &self.groups[to_usize(u64::from(group))];
            self.sb.check_against(first, len, desc)?;
        }
        Ok(())
    }
}

/// Whether the pointers of an inode are pointers.
fn has_blocks(inode: &Inode) -> bool {
    match inode.kind {
        Kind::Regular | Kind::Directory => true,
        Kind::Symlink => inode.fast_symlink().is_none(),
        Kind::CharDevice | Kind::BlockDevice | Kind::Fifo | Kind::Socket => false,
    }
}
