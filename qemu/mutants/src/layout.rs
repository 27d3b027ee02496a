// SPDX-License-Identifier: GPL-2.0

//! Where everything lies in an image that is as `mke2fs` made it: not damaged, and small.

use std::fmt;
use std::ops::Range;

use anyhow::{Context, Result, ensure};

/// What a part of an image is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The super block.
    Super,
    /// A group's descriptor.
    Descriptor,
    /// A bitmap of blocks.
    BlockBitmap,
    /// A bitmap of inodes.
    InodeBitmap,
    /// An inode that is in use.
    Inode,
    /// A block of block numbers.
    Indirect,
    /// A block of a directory.
    Directory,
}

impl Kind {
    /// All kinds.
    pub(crate) const ALL: [Self; 7] = [
        Self::Super,
        Self::Descriptor,
        Self::BlockBitmap,
        Self::InodeBitmap,
        Self::Inode,
        Self::Indirect,
        Self::Directory,
    ];
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Super => "super block",
            Self::Descriptor => "group descriptor",
            Self::BlockBitmap => "block bitmap",
            Self::InodeBitmap => "inode bitmap",
            Self::Inode => "inode",
            Self::Indirect => "indirect block",
            Self::Directory => "directory",
        })
    }
}

/// The parts of an image that say where everything is.
#[derive(Debug)]
pub(crate) struct Layout {
    /// In bytes.
    pub(crate) block_size: usize,
    /// How many blocks.
    pub(crate) blocks: u32,
    /// How many inodes.
    pub(crate) inodes: u32,
    /// The parts, as ranges of bytes.
    parts: Vec<(Kind, Range<usize>)>,
}

impl Layout {
    /// Reads it from an image.
    pub(crate) fn read(image: &[u8]) -> Result<Self> {
        const SUPER: usize = 1024;
        let field = |at: usize| number(image, SUPER + at);
        ensure!(half(image, SUPER + 56)? == 0xef53, "no ext2 super block");
        let mut layout = Self {
            block_size: 1024 << field(24)?,
            blocks: field(4)?,
            inodes: field(0)?,
            parts: vec![(Kind::Super, SUPER..SUPER + 256)],
        };
        let (first, per_group) = (field(20)?, field(32)?);
        let (inodes_per_group, inode_size) = (field(40)?, usize::from(half(image, SUPER + 88)?));
        let groups = (layout.blocks - first).div_ceil(per_group);
        for group in 0..groups {
            let at = layout.block(first + 1)?.start + 32 * usize::try_from(group)?;
            layout.parts.push((Kind::Descriptor, at..at + 32));
            let block_bitmap = layout.block(number(image, at)?)?;
            let inode_bitmap = layout.block(number(image, at + 4)?)?;
            // Of the bitmaps, what means something.
            for (kind, block, bits) in [
                (Kind::BlockBitmap, block_bitmap, per_group),
                (Kind::InodeBitmap, inode_bitmap, inodes_per_group),
            ] {
                let end = block.end.min(block.start + usize::try_from(bits)? / 8);
                layout.parts.push((kind, block.start..end));
            }
            let table = layout.block(number(image, at + 8)?)?.start;
            for index in 0..usize::try_from(inodes_per_group)? {
                layout.inode(image, table + index * inode_size)?;
            }
        }
        Ok(layout)
    }

    /// The parts of a kind.
    pub(crate) fn of(&self, kind: Kind) -> impl Iterator<Item = &Range<usize>> {
        let those = self.parts.iter().filter(move |(this, _)| *this == kind);
        those.map(|(_, range)| range)
    }

    /// A block as a range of bytes.
    fn block(&self, number: u32) -> Result<Range<usize>> {
        let start = usize::try_from(number)? * self.block_size;
        Ok(start..start + self.block_size)
    }

    /// Notes an inode and the blocks it has for itself, if it is in use.
    fn inode(&mut self, image: &[u8], at: usize) -> Result<()> {
        let (mode, links) = (half(image, at)?, half(image, at + 26)?);
        if links == 0 {
            return Ok(());
        }
        self.parts.push((Kind::Inode, at..at + 128));
        let directory = match mode & 0xf000 {
            0x4000 => true,
            0x8000 => false,
            // Links keep their target where others keep block numbers.
            _ => return Ok(()),
        };
        for slot in 0..15 {
            let depth = slot.max(11) - 11;
            self.tree(image, at + 40 + 4 * slot, depth, directory)?;
        }
        Ok(())
    }

    /// Notes the blocks below the block number at `at`, which is so far above the data.
    fn tree(&mut self, image: &[u8], at: usize, depth: usize, directory: bool) -> Result<()> {
        let number = number(image, at)?;
        if number == 0 {
            return Ok(());
        }
        let block = self.block(number)?;
        if depth == 0 {
            if directory {
                self.parts.push((Kind::Directory, block));
            }
            return Ok(());
        }
        for slot in block.clone().step_by(4) {
            self.tree(image, slot, depth - 1, directory)?;
        }
        self.parts.push((Kind::Indirect, block));
        Ok(())
    }
}

fn number(image: &[u8], at: usize) -> Result<u32> {
    let bytes = image.get(at..).and_then(|rest| rest.first_chunk());
    bytes
        .map(|bytes| u32::from_le_bytes(*bytes))
        .with_context(|| format!("the image ends before {at}"))
}

fn half(image: &[u8], at: usize) -> Result<u16> {
    let bytes = image.get(at..).and_then(|rest| rest.first_chunk());
    bytes
        .map(|bytes| u16::from_le_bytes(*bytes))
        .with_context(|| format!("the image ends before {at}"))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use std::os::unix::fs::FileExt;

    /// A small image with a file of each depth, as `mke2fs` makes it.
    pub(crate) fn image() -> Vec<u8> {
        let dir = tempfile::tempdir().expect("a directory");
        let files = dir.path().join("files");
        std::fs::create_dir_all(files.join("sub")).expect("a directory");
        let sparse = std::fs::File::create(files.join("sparse")).expect("a file");
        for at in [0, 100 << 10, 1 << 20, 70 << 20] {
            sparse.write_all_at(b"x", at).expect("a byte");
        }
        let image = dir.path().join("image");
        let status = std::process::Command::new("mke2fs")
            .env("PATH", "/usr/sbin:/sbin:/usr/bin:/bin")
            .args(["-q", "-F", "-t", "ext2", "-b", "1024", "-g", "1024", "-d"])
            .args([&files, &image])
            .arg("3m")
            .status();
        assert!(status.expect("mke2fs").success());
        std::fs::read(image).expect("the image")
    }

    #[test]
    fn every_part_is_found() {
        let layout = Layout::read(&image()).expect("a layout");
        let count = |kind| layout.of(kind).count();
        assert_eq!(count(Kind::Super), 1);
        assert_eq!(count(Kind::Descriptor), 3);
        assert_eq!(count(Kind::BlockBitmap), count(Kind::InodeBitmap));
        // The root, the new directory, and twelve blocks of lost+found.
        assert_eq!(count(Kind::Directory), 14);
        // One, two and three levels, of which mke2fs makes more than it would have to.
        assert!(count(Kind::Indirect) >= 6);
        assert!(layout.of(Kind::Inode).count() >= 4);
        assert!(Layout::read(&[0; 2048]).is_err());
    }
}
