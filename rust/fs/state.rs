// SPDX-License-Identifier: GPL-2.0

//! The super block on the device: what is written to it while the volume is in use.
//!
//! A volume that is mounted for writing is marked as not clean, and again as clean at the end, but
//! only if it was clean before. Nothing is written while it is mounted read-only.
//!
//! C counterparts: `ext2_setup_super`, `ext2_sync_fs`, `ext2_sync_super` and `ext2_put_super` in
//! [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use super::SuperBlock;
use crate::{
    ext2::{
        self,
        Corrupt, //
    },
    vfs::{
        real_seconds,
        BufferHead, //
    },
};
use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex, //
};
use pin_init::pin_data;

/// The super block's place on the device, and what it said when it was last mounted for writing.
#[pin_data]
pub(super) struct State {
    buffer: BufferHead,
    /// Where it starts in its block, in bytes.
    offset: usize,
    /// Size of the device in bytes.
    device_bytes: u64,
    /// Held over each change of the buffer. Inside of it only the buffer's own lock is taken.
    #[pin]
    writable: Mutex<Option<Writable>>,
}

/// A mount for writing.
struct Writable {
    /// What the super block said before.
    before: ext2::SuperBlock,
    /// Damage was found and is written down.
    error_noted: bool,
}

impl State {
    /// Makes the state of a mount that has not written anything yet.
    pub(super) fn new(
        buffer: BufferHead,
        offset: usize,
        device_bytes: u64,
    ) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            buffer,
            offset,
            device_bytes,
            writable <- new_mutex!(None),
        })
    }

    /// Changes the super block in the device's page cache.
    fn change(&self, change: impl FnOnce(&mut [u8]) -> Result<(), Corrupt>) -> Result {
        let mut raw = [0; ext2::SUPER_SIZE];
        self.buffer.copy_to(self.offset, &mut raw)?;
        // It can only be too short, which it is not.
        change(&mut raw).map_err(|_| EINVAL)?;
        self.buffer.copy_from(self.offset, &raw)
    }

    /// Marks the volume as in use, on the device.
    ///
    /// What it said before is read anew: `e2fsck` may have been there since it was mounted.
    ///
    /// # Errors
    ///
    /// [`EROFS`] if it may only be read, [`EUCLEAN`] if it is damaged, or that of the device.
    pub(super) fn begin_writing(&self, sb: &SuperBlock) -> Result {
        let mut raw = [0; ext2::SUPER_SIZE];
        self.buffer.copy_to(self.offset, &mut raw)?;
        let before = ext2::SuperBlock::parse(&raw, self.device_bytes).map_err(|why| {
            sb.err(format_args!("{why}"));
            EUCLEAN
        })?;
        if let Some(names) = before.read_only_features() {
            sb.err(format_args!(
                "cannot be written because of the feature {names}"
            ));
            return Err(EROFS);
        }
        let now = now();
        if let Some(advice) = before.advice(now) {
            sb.warn(format_args!("{advice}"));
        }
        let mut writable = self.writable.lock();
        sb.data().space.recount();
        self.change(|raw| before.store_mounted(raw, now))?;
        self.buffer.sync()?;
        *writable = Some(Writable {
            before,
            error_noted: false,
        });
        Ok(())
    }

    /// Says whether it is mounted for writing, and was clean before; and no damage was found since.
    pub(super) fn was_clean(&self) -> bool {
        let writable = self.writable.lock();
        writable
            .as_ref()
            .is_some_and(|writable| writable.before.is_clean() && !writable.error_noted)
    }

    /// Marks the volume as no longer in use, on the device. Nothing happens if it is not, or if damage
    /// made it read-only: then it stays as it is, for `e2fsck` to look; nor if it is given up.
    ///
    /// # Errors
    ///
    /// That of the device.
    pub(super) fn end_writing(&self, sb: &SuperBlock) -> Result {
        let mut writable = self.writable.lock();
        if let Some(ending) = writable.as_ref().filter(|_| writes(sb)) {
            self.store_unmounted(sb, &ending.before)?;
        }
        *writable = None;
        Ok(())
    }

    /// Marks the volume as not in use while it is frozen, unless files are open that have no name: an
    /// image of it has these to be freed.
    ///
    /// # Errors
    ///
    /// That of the device.
    pub(super) fn freeze(&self, sb: &SuperBlock) -> Result {
        match &*self.writable.lock() {
            Some(_) if sb.has_unlinked() => {
                self.store_free(sb)?;
                self.buffer.sync()
            }
            Some(writable) => self.store_unmounted(sb, &writable.before),
            None => Ok(()),
        }
    }

    /// Marks the volume as in use again.
    ///
    /// # Errors
    ///
    /// That of the device.
    pub(super) fn thaw(&self, sb: &SuperBlock) -> Result {
        match &*self.writable.lock() {
            Some(writable) if writes(sb) => {
                let now = now();
                self.change(|raw| writable.before.store_mounted(raw, now))?;
                self.buffer.sync()
            }
            _ => Ok(()),
        }
    }

    fn store_unmounted(&self, sb: &SuperBlock, before: &ext2::SuperBlock) -> Result {
        self.store_free(sb)?;
        let now = now();
        self.change(|raw| before.store_unmounted(raw, now))?;
        self.buffer.sync().inspect_err(|_| {
            // The VFS goes on as if nothing had been asked: so does the super block. It can only
            // be too short, which it is not.
            let _ = self.change(|raw| before.store_mounted(raw, now));
        })
    }

    /// Writes down how much is free, as of now.
    fn store_free(&self, sb: &SuperBlock) -> Result {
        let space = &sb.data().space;
        // What is free is less than what there is, or the descriptors are wrong.
        let blocks = u32::try_from(space.free_blocks()).unwrap_or(u32::MAX);
        let inodes = u32::try_from(space.free_inodes()).unwrap_or(u32::MAX);
        self.change(|raw| ext2::SuperBlock::store_free(raw, blocks, inodes, now()))
    }

    /// Writes down how much is free; waits until the super block is on the device, if `wait`.
    ///
    /// # Errors
    ///
    /// That of the device.
    pub(super) fn sync(&self, sb: &SuperBlock, wait: bool) -> Result {
        // LOCKING: Until the counts are stored, lest a note of damage be lost beside them.
        match &*self.writable.lock() {
            Some(_) => self.store_free(sb)?,
            None => return Ok(()),
        }
        if wait {
            self.buffer.sync()?;
        }
        Ok(())
    }

    /// Writes down, on the device, that there is a regular file of 2 GiB or more. It is there by the
    /// time that the inode is.
    ///
    /// # Context
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// That of the device.
    pub(super) fn note_large_file(&self) -> Result {
        let guard = self.writable.lock();
        let mut changed = false;
        if guard.is_some() {
            self.change(|raw| {
                changed = ext2::SuperBlock::store_large_file(raw)?;
                Ok(())
            })?;
        }
        drop(guard);
        match changed {
            true => self.buffer.sync(),
            false => Ok(()),
        }
    }

    /// Writes down that there are blocks of extended attributes. The device gets it with the next
    /// sync.
    ///
    /// # Context
    ///
    /// May sleep.
    ///
    /// # Errors
    ///
    /// None that a whole super block has.
    pub(super) fn note_ext_attr(&self) -> Result {
        let _guard = self.writable.lock();
        let mut raw = [0; ext2::SUPER_SIZE];
        self.buffer.copy_to(self.offset, &mut raw)?;
        match ext2::SuperBlock::store_ext_attr(&mut raw) {
            Ok(true) => self.buffer.copy_from(self.offset, &raw),
            _ => Ok(()),
        }
    }

    /// Returns the name that somebody gave the volume.
    ///
    /// # Errors
    ///
    /// None that a whole super block has.
    pub(super) fn label(&self) -> Result<[u8; ext2::LABEL_MAX]> {
        let _guard = self.writable.lock();
        let mut raw = [0; ext2::SUPER_SIZE];
        self.buffer.copy_to(self.offset, &mut raw)?;
        ext2::SuperBlock::label(&mut raw).map_err(|_| EINVAL)
    }

    /// Gives the volume a name, on the device. The copies of the super block keep the old one, as they
    /// keep all else that changes.
    ///
    /// # Context
    ///
    /// May sleep. The mount is held for writing.
    ///
    /// # Errors
    ///
    /// That of the device.
    pub(super) fn set_label(&self, label: [u8; ext2::LABEL_MAX]) -> Result {
        let guard = self.writable.lock();
        self.change(|raw| ext2::SuperBlock::store_label(raw, label))?;
        drop(guard);
        self.buffer.sync()
    }

    /// Writes down, on the device, that damage was found, once.
    pub(super) fn note_error(&self, sb: &SuperBlock) {
        let mut guard = self.writable.lock();
        match &mut *guard {
            Some(writable) if !writable.error_noted && sb.check_up().is_ok() => {
                writable.error_noted = true;
            }
            _ => return,
        }
        let noted = self.change(ext2::SuperBlock::store_error);
        if let Err(error) = noted.and_then(|()| self.buffer.sync()) {
            sb.err(format_args!("cannot mark it as damaged: {error:?}"));
        }
    }
}

/// Says whether the super block is still to be written.
fn writes(sb: &SuperBlock) -> bool {
    !sb.is_rdonly() && sb.check_up().is_ok()
}

/// Returns the time of day as the super block has it, which is until 2106.
fn now() -> u32 {
    u32::try_from(real_seconds()).unwrap_or(u32::MAX)
}
