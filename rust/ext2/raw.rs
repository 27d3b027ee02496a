// SPDX-License-Identifier: GPL-2.0

//! What the disk says: the structures of the format, byte for byte, unchecked.
//!
//! Nothing of this leaves the room. All integers are little endian and at any alignment.
//!
//! C header: [`fs/ext2/ext2.h`](srctree/fs/ext2/ext2.h)

use core::mem::size_of;
use zerocopy::little_endian::{
    U16,
    U32, //
};
use zerocopy_derive::{
    FromBytes,
    Immutable,
    IntoBytes,
    KnownLayout,
    Unaligned, //
};

/// Number of block pointers in an inode.
pub(crate) const N_BLOCKS: usize = 15;

/// Size of an inode in revision 0, and of the part that every inode has, in bytes.
pub(crate) const GOOD_OLD_INODE_SIZE: u16 = 128;

/// The super block, at [`SUPER_OFFSET`](super::SUPER_OFFSET).
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawSuper {
    pub(crate) inodes_count: U32,
    pub(crate) blocks_count: U32,
    pub(crate) r_blocks_count: U32,
    pub(crate) free_blocks_count: U32,
    pub(crate) free_inodes_count: U32,
    pub(crate) first_data_block: U32,
    pub(crate) log_block_size: U32,
    pub(crate) log_frag_size: U32,
    pub(crate) blocks_per_group: U32,
    pub(crate) frags_per_group: U32,
    pub(crate) inodes_per_group: U32,
    pub(crate) mtime: U32,
    pub(crate) wtime: U32,
    pub(crate) mnt_count: U16,
    pub(crate) max_mnt_count: U16,
    pub(crate) magic: U16,
    pub(crate) state: U16,
    pub(crate) errors: U16,
    pub(crate) minor_rev_level: U16,
    pub(crate) lastcheck: U32,
    pub(crate) checkinterval: U32,
    pub(crate) creator_os: U32,
    pub(crate) rev_level: U32,
    pub(crate) def_resuid: U16,
    pub(crate) def_resgid: U16,
    // From here on only revision 1 fills the fields in.
    pub(crate) first_ino: U32,
    pub(crate) inode_size: U16,
    pub(crate) block_group_nr: U16,
    pub(crate) feature_compat: U32,
    pub(crate) feature_incompat: U32,
    pub(crate) feature_ro_compat: U32,
    pub(crate) uuid: [u8; 16],
    pub(crate) volume_name: [u8; 16],
    pub(crate) last_mounted: [u8; 64],
    pub(crate) algorithm_usage_bitmap: U32,
    pub(crate) prealloc_blocks: u8,
    pub(crate) prealloc_dir_blocks: u8,
    /// Blocks behind the descriptors that `resize_inode` keeps for more of them.
    pub(crate) reserved_gdt_blocks: U16,
    pub(crate) journal_uuid: [u8; 16],
    pub(crate) journal_inum: U32,
    pub(crate) journal_dev: U32,
    pub(crate) last_orphan: U32,
    pub(crate) hash_seed: [U32; 4],
    pub(crate) def_hash_version: u8,
    pub(crate) jnl_backup_type: u8,
    pub(crate) desc_size: U16,
    pub(crate) default_mount_opts: U32,
    pub(crate) first_meta_bg: U32,
    pub(crate) mkfs_time: U32,
    pub(crate) jnl_blocks: [U32; 17],
    pub(crate) reserved_150: [u8; 0x24c - 0x150],
    /// The two groups that hold backups when `sparse_super2` is set.
    pub(crate) backup_bgs: [U32; 2],
    pub(crate) reserved_254: [u8; 0x400 - 0x254],
}

const _: () = assert!(size_of::<RawSuper>() == 1024);

/// A group descriptor.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawGroupDesc {
    pub(crate) block_bitmap: U32,
    pub(crate) inode_bitmap: U32,
    pub(crate) inode_table: U32,
    pub(crate) free_blocks_count: U16,
    pub(crate) free_inodes_count: U16,
    pub(crate) used_dirs_count: U16,
    pub(crate) pad: U16,
    pub(crate) reserved: [U32; 3],
}

const _: () = assert!(size_of::<RawGroupDesc>() == 1 << DESC_BITS);

/// log2 of the size of a group descriptor.
pub(crate) const DESC_BITS: u32 = 5;

/// The part of an inode that every inode has; what a larger one holds behind it is not ours.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawInode {
    pub(crate) mode: U16,
    pub(crate) uid: U16,
    pub(crate) size: U32,
    pub(crate) atime: U32,
    pub(crate) ctime: U32,
    pub(crate) mtime: U32,
    pub(crate) dtime: U32,
    pub(crate) gid: U16,
    pub(crate) links_count: U16,
    /// Blocks in use, indirect ones and that of the attributes included, in 512-byte sectors.
    pub(crate) blocks: U32,
    pub(crate) flags: U32,
    pub(crate) osd1: U32,
    pub(crate) block: [U32; N_BLOCKS],
    pub(crate) generation: U32,
    pub(crate) file_acl: U32,
    /// The upper half of the size of a regular file.
    pub(crate) size_high: U32,
    pub(crate) faddr: U32,
    pub(crate) frag: u8,
    pub(crate) fsize: u8,
    pub(crate) pad1: U16,
    pub(crate) uid_high: U16,
    pub(crate) gid_high: U16,
    pub(crate) reserved2: U32,
}

const _: () = assert!(size_of::<RawInode>() == 128);

/// What a block of extended attributes begins with.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawXattrHeader {
    pub(crate) magic: U32,
    /// Number of inodes that use the block.
    pub(crate) refcount: U32,
    /// Number of blocks: one.
    pub(crate) blocks: U32,
    pub(crate) hash: U32,
    pub(crate) reserved: [U32; 4],
}

const _: () = assert!(size_of::<RawXattrHeader>() == 32);

/// The entry of an extended attribute; the name follows.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawXattrEntry {
    pub(crate) name_len: u8,
    pub(crate) name_index: u8,
    /// Where in the block the value starts, in bytes.
    pub(crate) value_offs: U16,
    /// Zero: the value is in the same block.
    pub(crate) value_block: U32,
    /// In bytes.
    pub(crate) value_size: U32,
    pub(crate) hash: U32,
}

const _: () = assert!(size_of::<RawXattrEntry>() == 16);

/// The head of a directory entry; the name follows.
#[derive(FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub(crate) struct RawDirEntry {
    pub(crate) inode: U32,
    /// Bytes from this entry to the next.
    pub(crate) rec_len: U16,
    pub(crate) name_len: u8,
    /// With the feature `filetype`; else the upper half of the length, and zero.
    pub(crate) file_type: u8,
}

const _: () = assert!(size_of::<RawDirEntry>() == 8);
