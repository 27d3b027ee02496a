// SPDX-License-Identifier: GPL-2.0

//! Mounting and remounting.
//!
//! C counterparts: `ext2_fill_super` and `ext2_reconfigure` in
//! [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use super::{
    inode,
    options::{
        Options,
        Request, //
    },
    space::{
        Group,
        Space, //
    },
    state::State,
    super_block::Super,
    xattr,
    Cohfs,
    Inode,
    SuperBlock, //
};
use crate::{
    coherency::Counters,
    ext2::{
        self,
        DiskBlock,
        GroupDesc,
        Refusal, //
    },
    vfs::{
        mount,
        BufferHead,
        Complaints,
        Limits,
        NewSuperBlock, //
    },
};
use core::fmt;
use kernel::{
    new_mutex,
    num::casts::{
        arch::u64_as_usize,
        u32_as_usize, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::Atomic, //
    },
};
use pin_init::pin_init_scope;

/// `EXT2_SUPER_MAGIC`, what `statfs` tells programs about the format.
const MAGIC: u32 = 0xef53;

/// `EXT2_LINK_MAX`.
const LINK_MAX: u32 = 32000;

/// Size in bytes of a group descriptor.
const DESC_SIZE: usize = 32;

/// Size in bytes of the smallest block: what the super block is read with.
const MIN_BLOCK_SIZE: u32 = 1024;

/// Why a volume that is mounted by a copy of its super block is not written.
const BACKUP: &str =
    "can only be mounted read-only with sb=: the copies of the descriptors are old; \
                      e2fsck -b writes the first super block anew";

impl mount::Operations for Cohfs {
    type Context = Request;

    fn parse_param(context: &mut Request, key: &CStr, value: Option<&CStr>) -> Result {
        context.parse(key, value)
    }

    fn fill_super(sb: &mut NewSuperBlock<'_, Self>, context: &Request) -> Result<Pin<KBox<Super>>> {
        let (disk, buffer, offset) = read_super(sb, context.super_offset())?;
        let options = context.applied_to(Options::of(&disk));
        if options.uses_backup() && !sb.is_rdonly() {
            return Err(refuse(sb, EINVAL, format_args!("{BACKUP}")));
        }
        if let Some(names) = disk.read_only_features() {
            if !sb.is_rdonly() {
                return Err(refuse(
                    sb,
                    EINVAL,
                    format_args!("can only be mounted read-only, because of the feature {names}"),
                ));
            }
        }
        let groups = read_groups(sb, &disk)?;
        if options.debug {
            sb.info(format_args!(
                "blocks of {} bytes, {} groups of {} blocks and {} inodes of {} bytes",
                disk.block_size(),
                disk.groups_count(),
                disk.blocks_per_group(),
                disk.inodes_per_group(),
                disk.inode_size(),
            ));
        }
        sb.set_limits(&Limits {
            magic: MAGIC,
            max_bytes: ext2::max_file_size(&disk),
            max_links: LINK_MAX,
            times: (i64::from(i32::MIN), i64::from(i32::MAX)),
            uuid: disk.uuid(),
        });
        sb.set_acls(options.acl);
        let device_bytes = sb.device_bytes();
        let is_strict = options.is_strict();
        let xattrs = xattr::Shared::new()?;
        KBox::try_pin_init(
            try_pin_init!(Super {
                overhead: disk.overhead(),
                disk,
                space <- Space::new(groups, options.reservation),
                is_down: Atomic::new(false),
                state <- State::new(buffer, offset, device_bytes),
                options <- new_mutex!(options),
                is_strict: Atomic::new(is_strict),
                xattrs <- xattrs,
                counters: Counters::default(),
                complaints <- Complaints::new(),
            }),
            GFP_KERNEL,
        )
    }

    fn root(sb: &SuperBlock) -> Result<ARef<Inode>> {
        let root = inode::iget(sb, ext2::ROOT_INO).map_err(|error| {
            if error != ESTALE {
                return error;
            }
            sb.err(format_args!(
                "inode 2: deleted, and it is the root; run e2fsck"
            ));
            EUCLEAN
        })?;
        if !root.is_dir() {
            sb.err(format_args!("the root inode is no directory; run e2fsck"));
            return Err(EUCLEAN);
        }
        Ok(root)
    }

    fn mounted(sb: &SuperBlock) -> Result {
        if sb.is_rdonly() {
            return Ok(());
        }
        sb.data().state().begin_writing(sb)
    }

    fn reconfigure(sb: &SuperBlock, context: &Request, rdonly: bool) -> Result {
        sb.check_up()?;
        let data = sb.data();
        let options = context.applied_to(data.options());
        if options.sb != data.options().sb {
            sb.err(format_args!("sb= cannot be changed by a remount"));
            return Err(EINVAL);
        }
        if options.uses_backup() && !rdonly {
            sb.err(format_args!("{BACKUP}"));
            return Err(EROFS);
        }
        match (sb.is_rdonly(), rdonly) {
            (false, true) => data.state().end_writing(sb)?,
            (true, false) => data.state().begin_writing(sb)?,
            _ => {}
        }
        data.space.set_reservation(options.reservation);
        data.set_options(options);
        sb.set_acls(options.acl);
        Ok(())
    }
}

/// Says in one line why the volume is not mounted; returns the error.
fn refuse(sb: &NewSuperBlock<'_, Cohfs>, error: Error, why: fmt::Arguments<'_>) -> Error {
    sb.err(why);
    error
}

/// Reads the super block at byte `at` of the device, and sets the block size to what it says.
///
/// Returns it, its block, and where it starts in that.
fn read_super(
    sb: &mut NewSuperBlock<'_, Cohfs>,
    at: u64,
) -> Result<(ext2::SuperBlock, BufferHead, usize)> {
    // A device whose logical blocks are larger is read in these, and the super block is then
    // somewhere in the first.
    let Ok(size) = sb.set_min_block_size(MIN_BLOCK_SIZE) else {
        return Err(refuse(
            sb,
            EINVAL,
            format_args!("no block size suits the device"),
        ));
    };
    let (disk, buffer, offset) = read_super_in(sb, at, size)?;
    if disk.block_size() == size {
        return Ok((disk, buffer, offset));
    }
    drop(buffer);
    if sb.set_block_size(disk.block_size()).is_err() {
        return Err(refuse(
            sb,
            EINVAL,
            format_args!(
                "the device cannot do blocks of {} bytes; its own have {}",
                disk.block_size(),
                sb.logical_block_size()
            ),
        ));
    }
    let (again, buffer, offset) = read_super_in(sb, at, disk.block_size())?;
    if again.block_size() != disk.block_size() {
        return Err(refuse(
            sb,
            EUCLEAN,
            format_args!("the super block changes while it is read"),
        ));
    }
    Ok((again, buffer, offset))
}

/// Reads and checks the super block at byte `at`, with blocks of `size` bytes.
fn read_super_in(
    sb: &NewSuperBlock<'_, Cohfs>,
    at: u64,
    size: u32,
) -> Result<(ext2::SuperBlock, BufferHead, usize)> {
    let block = at >> size.trailing_zeros();
    let offset = u64_as_usize(at & u64::from(size - 1));
    let buffer = sb
        .bread(block)
        .map_err(|error| refuse(sb, error, format_args!("cannot read the super block")))?;
    let mut raw = [0; ext2::SUPER_SIZE];
    buffer.copy_to(offset, &mut raw)?;
    let disk = ext2::SuperBlock::parse(&raw, sb.device_bytes()).map_err(|why| {
        let error = if why.is_corrupt() { EUCLEAN } else { EINVAL };
        if sb.is_silent() && matches!(why, Refusal::BadMagic(_)) {
            return error;
        }
        refuse(sb, error, format_args!("{why}"))
    })?;
    // A device has at most 2^32 blocks that a super block can be in.
    let disk = disk.read_from(DiskBlock(u32::try_from(block).map_err(|_| EINVAL)?));
    Ok((disk, buffer, offset))
}

/// Reads and checks the descriptors of all groups.
fn read_groups(
    sb: &NewSuperBlock<'_, Cohfs>,
    disk: &ext2::SuperBlock,
) -> Result<Pin<KVBox<[Group]>>> {
    let mut last = None;
    let read = |index| {
        let read = read_group(sb, disk, index, &mut last);
        pin_init_scope(move || {
            let (desc, buffer, offset) = read?;
            Ok(Group::new(desc, buffer, offset))
        })
    };
    KVBox::pin_slice(read, u32_as_usize(disk.groups_count()), GFP_KERNEL)
}

/// Reads and checks the descriptor of a group.
///
/// Returns also its block, and where it starts in that. `last` is the block that was read last.
fn read_group(
    sb: &NewSuperBlock<'_, Cohfs>,
    disk: &ext2::SuperBlock,
    index: usize,
    last: &mut Option<BufferHead>,
) -> Result<(GroupDesc, BufferHead, usize)> {
    let group = u32::try_from(index)?;
    let (block, offset) = disk.desc_location(group);
    let block = u64::from(block.get());
    let buffer = match last.take() {
        Some(buffer) if buffer.block() == block => buffer,
        _ => sb.bread(block).map_err(|error| {
            refuse(
                sb,
                error,
                format_args!("cannot read the descriptor of group {group}"),
            )
        })?,
    };
    *last = Some(buffer.clone());
    let mut raw = [0; DESC_SIZE];
    buffer.copy_to(offset, &mut raw)?;
    let desc = GroupDesc::parse(&raw, disk, group)
        .map_err(|found| refuse(sb, EUCLEAN, format_args!("{found}; run e2fsck")))?;
    Ok((desc, buffer, offset))
}
