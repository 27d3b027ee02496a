// SPDX-License-Identifier: GPL-2.0

//! Names, as `rust/fs/namei.rs`.

use super::{Failure, Volume};
use crate::ext2::xattr::{self, Release};
use crate::ext2::{dir, flag, DiskBlock, FileBlock, Ino, Inode, Kind};

/// Where an entry of a directory is, and what it names.
struct Entry {
    block: DiskBlock,
    offset: usize,
    ino: Ino,
}

impl Volume {
    /// Makes a file of any kind. Returns the number of its inode.
    ///
    /// # Errors
    ///
    /// [`Failure::NoSpace`], with nothing changed; [`Failure::Exists`]; [`Failure::Damaged`].
    pub fn create(&mut self, dir: u32, name: &[u8], mode: u16) -> Result<u32, Failure> {
        let dir = Ino(dir);
        self.expect_none(dir, name)?;
        let kind = Kind::from_mode(mode).ok_or(Failure::NotFound)?;
        let is_dir = kind == Kind::Directory;
        let ino = self.alloc_inode(dir, is_dir)?;
        let mut inode = Inode::new(kind, self.inode(dir)?.flags);
        inode.perm = mode & 0o7777;
        inode.links = 1 + u16::from(is_dir);
        let now = i64::from(self.now);
        (inode.atime, inode.ctime, inode.mtime) = (now, now, now);
        if kind == Kind::Symlink {
            inode.store_target(b"target");
        }
        // Until it has a block, a directory of no size would not be read.
        inode.kind = if is_dir { Kind::Regular } else { kind };
        self.store_inode(ino, &inode)?;
        let made = match is_dir {
            true => self.make_dots(ino, dir),
            false => Ok(()),
        };
        if let Err(failure) = made.and_then(|()| self.add_name(dir, name, ino, kind)) {
            self.erase(ino, is_dir)?;
            return Err(failure);
        }
        if is_dir {
            self.change_inode(dir, |dir| dir.links += 1)?;
        }
        Ok(ino.get())
    }

    /// Gives a file another name.
    ///
    /// # Errors
    ///
    /// As [`Self::create`].
    pub fn link(&mut self, dir: u32, name: &[u8], ino: u32) -> Result<(), Failure> {
        self.expect_none(Ino(dir), name)?;
        let kind = self.inode(Ino(ino))?.kind;
        self.add_name(Ino(dir), name, Ino(ino), kind)?;
        self.change_inode(Ino(ino), |inode| inode.links += 1)
    }

    /// Removes a name, and what has no other; also a directory that is empty.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], [`Failure::NotEmpty`]; [`Failure::Damaged`].
    pub fn unlink(&mut self, dir: u32, name: &[u8]) -> Result<(), Failure> {
        let dir = Ino(dir);
        let entry = self.entry(dir, name)?.ok_or(Failure::NotFound)?;
        self.drop_target(dir, &entry)?;
        self.remove(dir, &entry)
    }

    /// Moves a name, over another one if that is there.
    ///
    /// The caller does not move a directory into itself, nor over what is none, nor the reverse.
    ///
    /// # Errors
    ///
    /// [`Failure::NotFound`], [`Failure::NotEmpty`], [`Failure::NoSpace`]; [`Failure::Damaged`].
    pub fn rename(&mut self, from: (u32, &[u8]), to: (u32, &[u8])) -> Result<(), Failure> {
        let (old_dir, new_dir) = (Ino(from.0), Ino(to.0));
        let old = self.entry(old_dir, from.1)?.ok_or(Failure::NotFound)?;
        let kind = self.inode(old.ino)?.kind;
        match self.entry(new_dir, to.1)? {
            Some(over) if over.ino == old.ino => return Ok(()),
            Some(over) => {
                self.drop_target(new_dir, &over)?;
                let sb = self.sb;
                let block = self.block_mut(over.block)?;
                dir::set(block, &sb, new_dir, over.offset, old.ino, kind)?;
            }
            None => self.add_name(new_dir, to.1, old.ino, kind)?,
        }
        // The new name may have come from the room behind the old one, which has not moved.
        self.remove(old_dir, &old)?;
        if kind == Kind::Directory && old_dir != new_dir {
            self.change_inode(old_dir, |dir| dir.links -= 1)?;
            self.change_inode(new_dir, |dir| dir.links += 1)?;
            let first = self.make_block(old.ino, FileBlock(0))?;
            let offset = dir::dotdot(self.block(first)?, &self.sb, old.ino)?.offset;
            let sb = self.sb;
            let block = self.block_mut(first)?;
            dir::set(block, &sb, old.ino, offset, new_dir, Kind::Directory)?;
        }
        Ok(())
    }

    /// Takes a link from what an entry of `dir` names; what has no other goes.
    fn drop_target(&mut self, dir: Ino, entry: &Entry) -> Result<(), Failure> {
        let inode = self.inode(entry.ino)?;
        if inode.kind == Kind::Directory {
            for block in self.blocks(entry.ino)? {
                if !dir::is_empty(self.block(block)?, &self.sb, entry.ino)? {
                    return Err(Failure::NotEmpty);
                }
            }
            self.change_inode(dir, |dir| dir.links -= 1)?;
            return self.erase(entry.ino, true);
        }
        if inode.links > 1 {
            return self.change_inode(entry.ino, |inode| inode.links -= 1);
        }
        self.erase(entry.ino, false)
    }

    /// Frees an inode and its blocks.
    fn erase(&mut self, ino: Ino, is_dir: bool) -> Result<(), Failure> {
        let mut inode = self.inode(ino)?;
        if inode.file_acl.get() != 0 {
            self.release_attributes(inode.file_acl)?;
            inode.file_acl = DiskBlock(0);
            inode.sectors -= self.sectors_per_block();
            self.store_inode(ino, &inode)?;
        }
        // What has its pointers used for something else has no sectors now.
        inode.kind = Kind::Regular;
        if inode.sectors > 0 {
            self.store_inode(ino, &inode)?;
            self.free_behind(ino, 0)?;
            inode = self.inode(ino)?;
        }
        (inode.size, inode.links, inode.dtime) = (0, 0, self.now);
        self.store_inode(ino, &inode)?;
        self.free_inode(ino, is_dir)
    }

    /// Takes a user from a block of extended attributes.
    fn release_attributes(&mut self, block: DiskBlock) -> Result<(), Failure> {
        match xattr::release(self.block_mut(block)?, block)? {
            Release::Kept => Ok(()),
            Release::Unused { .. } => self.free_block(block),
        }
    }

    /// Makes an inode a directory with a first block.
    fn make_dots(&mut self, ino: Ino, parent: Ino) -> Result<(), Failure> {
        let first = self.make_block(ino, FileBlock(0))?;
        let sb = self.sb;
        dir::init_dots(self.block_mut(first)?, &sb, ino, parent)?;
        self.change_inode(ino, |inode| {
            inode.size = sb.block_size().into();
            inode.kind = Kind::Directory;
        })
    }

    /// Makes an entry, in a new block if none has room.
    fn add_name(&mut self, dir: Ino, name: &[u8], ino: Ino, kind: Kind) -> Result<(), Failure> {
        self.drop_index(dir)?;
        let sb = self.sb;
        let blocks = self.blocks(dir)?;
        for &block in &blocks {
            if dir::add(self.block_mut(block)?, &sb, dir, name, ino, kind)?.is_some() {
                return Ok(());
            }
        }
        let next = u32::try_from(blocks.len()).expect("small");
        let block = match self.make_block(dir, FileBlock(next)) {
            Ok(block) => block,
            Err(failure) => {
                // Blocks of pointers may have been made for it.
                self.free_behind(dir, next)?;
                return Err(failure);
            }
        };
        let bytes = self.block_mut(block)?;
        dir::init_unused(bytes, dir)?;
        dir::add(bytes, &sb, dir, name, ino, kind)?.ok_or(Failure::NoSpace)?;
        self.change_inode(dir, |dir| dir.size += u64::from(sb.block_size()))
    }

    /// Says that a directory has no hash tree: it would be wrong after a change.
    fn drop_index(&mut self, dir: Ino) -> Result<(), Failure> {
        self.change_inode(dir, |dir| dir.flags &= !flag::INDEX)
    }

    fn remove(&mut self, dir: Ino, entry: &Entry) -> Result<(), Failure> {
        self.drop_index(dir)?;
        let sb = self.sb;
        Ok(dir::remove(
            self.block_mut(entry.block)?,
            &sb,
            dir,
            entry.offset,
        )?)
    }

    fn entry(&mut self, dir: Ino, name: &[u8]) -> Result<Option<Entry>, Failure> {
        for block in self.blocks(dir)? {
            if let Some(found) = dir::find(self.block(block)?, &self.sb, dir, name)? {
                return Ok(Some(Entry {
                    block,
                    offset: found.offset,
                    ino: found.ino,
                }));
            }
        }
        Ok(None)
    }

    fn expect_none(&mut self, dir: Ino, name: &[u8]) -> Result<(), Failure> {
        match self.entry(dir, name)? {
            None => Ok(()),
            Some(_) => Err(Failure::Exists),
        }
    }

    /// Returns the blocks of a directory, which has no holes.
    fn blocks(&mut self, dir: Ino) -> Result<Vec<DiskBlock>, Failure> {
        let count = self.inode(dir)?.size >> self.sb.block_bits();
        let count = u32::try_from(count).map_err(|_| Failure::NotFound)?;
        (0..count)
            .map(|block| self.make_block(dir, FileBlock(block)))
            .collect()
    }
}
