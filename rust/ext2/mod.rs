// SPDX-License-Identifier: GPL-2.0

//! The ext2 disk format.
//!
//! This room turns bytes from a disk, which nobody vouches for, into values that the rest of the
//! module may trust, and back. It reads nothing itself, allocates nothing, keeps no state, and
//! knows nothing of the kernel: the `model` crate compiles these very files on the host and
//! tries them on real images, on mutated ones and on arbitrary bytes.
//!
//! The way in, from a block device to the bytes of a file:
//!
//! ```text
//! SuperBlock::parse          the 1024 bytes at SUPER_OFFSET
//!   SuperBlock::desc_location -> GroupDesc::parse
//!     SuperBlock::inode_location -> Inode::parse
//!       Path::to              which pointers lead to a block of the file
//!         run_length, SuperBlock::check_data_run, SuperBlock::check_against
//!       dir::entries, dir::find
//!     xattr::Attributes::parse    what is said of a file besides; acl::from_disk
//! ```
//!
//! And the way back, for who changes something:
//!
//! ```text
//! group_of_directory, group_of_file   where a new inode goes
//!   Inode::new -> Inode::store          what it is
//!   dir::add, dir::remove, dir::set     its names
//!   Cut::to                             which pointers go when a file is cut short
//!   xattr::edit, share, release         its attributes, and whose they are as well
//! SuperBlock::group_metadata          what a bitmap must have as taken
//! GroupCount::offset                  where a group counts what is free
//! SuperBlock::store_free, ...         what the super block is told
//! ```
//!
//! Two errors come out: [`Refusal`], why an image is not mounted, and [`Corrupt`], what was wrong
//! with a block of a mounted one. Nothing here panics, whatever the bytes are.
//!
//! C headers: [`fs/ext2/ext2.h`](srctree/fs/ext2/ext2.h)

pub(crate) mod acl;
mod cut;
mod defaults;
pub(crate) mod dir;
mod error;
mod feature;
pub(crate) mod flag;
mod geometry;
mod group;
mod inode;
mod number;
mod orlov;
mod path;
mod raw;
mod refusal;
mod state;
mod super_block;
#[cfg(test)]
mod tests;
pub(crate) mod xattr;

pub(crate) use self::{
    cut::{
        Cut,
        Step, //
    },
    error::{
        BlockFault,
        Corrupt,
        DirFault,
        InodeFault, //
    },
    feature::{
        Compat,
        FeatureNames,
        Incompat,
        RoCompat, //
    },
    group::{
        GroupCount,
        GroupDesc, //
    },
    inode::{
        Inode,
        Kind, //
    },
    number::{
        DiskBlock,
        FileBlock,
        Ino, //
    },
    orlov::{
        group_of_directory,
        group_of_file,
        Usage, //
    },
    path::{
        max_file_size,
        run_length,
        Path,
        N_DIRECT, //
    },
    raw::N_BLOCKS,
    refusal::Refusal,
    state::{
        OnError,
        LABEL_MAX, //
    },
    super_block::SuperBlock, //
};

/// Where the super block starts, in bytes from the start of the device.
pub(crate) const SUPER_OFFSET: u64 = 1024;

/// Size of the super block, in bytes.
pub(crate) const SUPER_SIZE: usize = 1024;

/// The root directory.
pub(crate) const ROOT_INO: Ino = Ino(2);
