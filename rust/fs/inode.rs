// SPDX-License-Identifier: GPL-2.0

//! Inodes: from the disk to memory and back.
//!
//! C counterparts: `ext2_iget`, `ext2_write_inode` and `ext2_sync_inode_metadata` in
//! [`fs/ext2/inode.c`](srctree/fs/ext2/inode.c)

use super::{
    attr::{
        self,
        Attr, //
    },
    dir,
    error,
    file::File,
    namei::Dir,
    space::{
        self,
        Reservation, //
    },
    symlink::Symlink,
    tree::{
        self,
        Tree, //
    },
    xattr,
    Cohfs,
    Inode,
    SuperBlock, //
};
use crate::{
    ext2::{
        self,
        Corrupt,
        DiskBlock,
        Ino,
        Kind,
        RoCompat, //
    },
    vfs::{
        real_seconds,
        Attributes,
        BufferHead,
        Device,
        Get,
        NewInode, //
    },
};
use kernel::{
    num::casts::u32_as_usize,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
    },
};
use pin_init::pin_data;

/// Size in bytes of what every inode on disk has; larger inodes have more behind it.
pub(super) const RAW_SIZE: usize = 128;

/// What is kept for each inode besides what the VFS keeps: owner, permissions, times, links, size and the
/// count of blocks are there.
#[pin_data]
pub(crate) struct Private {
    kind: Kind,
    /// The pointers lead to blocks.
    has_tree: bool,
    /// Blocks that it grows into next.
    #[pin]
    pub(super) reservation: Reservation,
    /// Flags, as on disk.
    pub(super) flags: Atomic<u32>,
    /// Pointers to blocks.
    #[pin]
    pub(super) tree: Tree,
    /// Of a directory.
    pub(super) dir: dir::Hints,
    /// Extended attributes.
    #[pin]
    pub(super) xattr: xattr::Own,
}

impl Private {
    /// Makes the private part of an inode as it is on disk.
    pub(super) fn new(disk: &ext2::Inode) -> impl PinInit<Self, Error> {
        let (kind, flags, file_acl) = (disk.kind, disk.flags, disk.file_acl);
        let (has_tree, pointers) = (has_tree(disk), disk.pointers());
        try_pin_init!(Self {
            kind,
            has_tree,
            reservation <- Reservation::new(),
            flags: Atomic::new(flags),
            dir: dir::Hints::default(),
            xattr <- xattr::Own::new(file_acl),
            tree <- Tree::new(pointers),
        })
    }
}

/// Says whether the pointers lead to blocks.
fn has_tree(disk: &ext2::Inode) -> bool {
    match disk.kind {
        Kind::Regular | Kind::Directory => true,
        Kind::Symlink => disk.fast_symlink().is_none(),
        Kind::CharDevice | Kind::BlockDevice | Kind::Fifo | Kind::Socket => false,
    }
}

/// Returns inode `ino`, read from the disk if nobody did before.
///
/// # Errors
///
/// [`EUCLEAN`] if it is damaged, [`ESTALE`] if it is deleted, [`EIO`] or [`ENOMEM`].
pub(super) fn iget(sb: &SuperBlock, ino: Ino) -> Result<ARef<Inode>> {
    let (buffer, offset) = locate(sb, ino)?;
    let new = match sb.iget(u64::from(ino.get()))? {
        Get::Cached(inode) => return Ok(inode),
        Get::New(new) => new,
    };
    let mut raw = [0; RAW_SIZE];
    buffer.copy_to(offset, &mut raw)?;
    let disk = ext2::Inode::parse(&raw, ino, &sb.data().disk)
        .map_err(|found| error::corrupt(sb, &found))?;
    let options = sb.data().options();
    let attributes = Attributes {
        mode: disk.mode(),
        uid: options.read_id(disk.uid),
        gid: options.read_id(disk.gid),
        nlink: u32::from(disk.links),
        size: disk.size,
        sectors: u64::from(disk.sectors),
        atime: disk.atime,
        mtime: disk.mtime,
        ctime: disk.ctime,
        generation: disk.generation,
    };
    new.publish(&attributes, Private::new(&disk), |new| set_kind(new, &disk))
}

/// Reads the block that inode `ino` is in; returns also where it starts in that.
fn locate(sb: &SuperBlock, ino: Ino) -> Result<(BufferHead, usize)> {
    let data = sb.data();
    let corrupt = |found: Corrupt| error::corrupt(sb, &found);
    let group = data.disk.inode_group(ino).map_err(corrupt)?;
    let desc = data.space.desc(group)?;
    let (block, offset) = data.disk.inode_location(ino, desc).map_err(corrupt)?;
    Ok((sb.bread(u64::from(block.get()))?, offset))
}

/// Gives a new inode the operations of its kind.
pub(super) fn set_kind(new: &mut NewInode<'_, Cohfs>, disk: &ext2::Inode) -> Result {
    new.set_flags(attr::vfs_flags(disk.flags));
    match disk.kind {
        Kind::Regular => new.set_regular::<Attr, File, File>(),
        Kind::Directory => new.set_directory::<Dir, dir::Open>(),
        Kind::Symlink => match disk.fast_symlink() {
            Some(target) => {
                new.set_symlink::<Symlink>();
                new.set_target(target)?;
            }
            None => new.set_symlink::<Symlink>(),
        },
        Kind::CharDevice | Kind::BlockDevice | Kind::Fifo | Kind::Socket => {
            let [old, encoded, ..] = disk.block;
            // The old form has 16 bits; `ext2_iget` takes no more either.
            let device = match old.to_bytes() {
                [0, 0, 0, 0] => Device::from_new(encoded.get()),
                [low, high, ..] => Device::from_old(u16::from_le_bytes([low, high])),
            };
            new.set_special::<Attr>(device);
        }
    }
    Ok(())
}

/// Clears the place on disk of inode `ino`, which is new: nothing of who had it before stays.
///
/// # Errors
///
/// [`EIO`] if the block cannot be read, [`ENOMEM`].
pub(super) fn clear(sb: &SuperBlock, ino: Ino) -> Result {
    let (buffer, offset) = locate(sb, ino)?;
    let size = u32_as_usize(sb.data().disk.inode_size());
    buffer.copy_from(offset, &KVec::from_elem(0, size, GFP_KERNEL)?)
}

/// Copies the inode into its block.
///
/// # Errors
///
/// [`EIO`] if the block cannot be read, or the super block not be written.
pub(super) fn write(inode: &Inode) -> Result {
    store(inode, 0)
}

/// Copies the inode into its block, deleted at `dtime` if that is not zero.
fn store(inode: &Inode, dtime: u32) -> Result {
    let (buffer, offset) = locate(inode.sb(), ino(inode)?)?;
    let mut raw = [0; RAW_SIZE];
    buffer.copy_to(offset, &mut raw)?;
    let data = inode.data();
    let now = inode.attributes();
    let mut disk = ext2::Inode::new(data.kind, 0);
    disk.perm = now.mode;
    let options = inode.sb().data().options();
    disk.uid = options.stored_id(now.uid);
    disk.gid = options.stored_id(now.gid);
    disk.size = now.size;
    disk.atime = now.atime;
    disk.mtime = now.mtime;
    disk.ctime = now.ctime;
    disk.dtime = dtime;
    disk.generation = now.generation;
    disk.links = u16::try_from(now.nlink).map_err(|_| EINVAL)?;
    disk.sectors = u32::try_from(now.sectors).map_err(|_| EFBIG)?;
    disk.flags = data.flags.load(Relaxed);
    disk.file_acl = data.xattr.block().unwrap_or(DiskBlock(0));
    disk.set_pointers(data.tree.pointers());
    disk.store(&mut raw).map_err(|_| EINVAL)?;
    let data = inode.sb().data();
    if disk.is_large_file() && !data.disk.has_ro_compat(RoCompat::LARGE_FILE) {
        data.state().note_large_file()?;
    }
    buffer.copy_from(offset, &raw)?;
    inode.set_metadata_writeback();
    Ok(())
}

/// Takes an inode without names off the disk: its blocks, and what is in its place.
///
/// Returns whether the disk says so. If not, its number stays in use, for whoever had it next would be
/// found where a file with blocks is.
pub(super) fn delete(inode: &Inode) -> bool {
    let failed = |error: &Error| {
        inode.sb().err(format_args!(
            "inode {}: cannot mark it as deleted: {error:?}; run e2fsck",
            inode.ino()
        ));
    };
    // In memory before anything is freed: the blocks of who is not marked as deleted must stay his.
    let place = ino(inode).and_then(|ino| locate(inode.sb(), ino));
    let Ok(_place) = place.inspect_err(failed) else {
        return false;
    };
    if inode.data().has_tree {
        inode.set_size(0);
        tree::clear(inode);
    }
    if let Err(error) = xattr::delete_inode(inode) {
        inode.sb().err(format_args!(
            "inode {}: cannot free its extended attributes: {error:?}; run e2fsck",
            inode.ino()
        ));
    }
    let now = u32::try_from(real_seconds()).unwrap_or(u32::MAX);
    store(inode, now).inspect_err(failed).is_ok()
}

/// Gives the number of an inode back that [`delete`] took off the disk.
pub(super) fn free_ino(inode: &Inode) {
    // What was read from the disk has a number that the disk can have.
    if let Ok(ino) = ino(inode) {
        space::free_inode(inode.sb(), ino, inode.is_dir());
    }
}

/// Waits until the inode's block, and the buffers that belong to the inode, are on the device.
///
/// # Errors
///
/// [`EIO`] if it could not be written.
pub(super) fn sync(inode: &Inode) -> Result {
    inode.sync_metadata()?;
    let (buffer, _) = locate(inode.sb(), ino(inode)?)?;
    buffer.sync()
}

/// Returns the number of an inode in memory, as the disk counts.
fn ino(inode: &Inode) -> Result<Ino> {
    u32::try_from(inode.ino()).map(Ino).map_err(|_| EINVAL)
}
