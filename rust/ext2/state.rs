// SPDX-License-Identifier: GPL-2.0

//! What a super block keeps of past mounts, and what it is told of this one.
//!
//! C counterparts: `ext2_setup_super`, `ext2_put_super`, `ext2_update_dynamic_rev` and
//! `ext2_error` in [`fs/ext2/super.c`](srctree/fs/ext2/super.c)

use super::{
    raw::{
        RawSuper,
        GOOD_OLD_INODE_SIZE, //
    },
    super_block::{
        DYNAMIC_REV,
        GOOD_OLD_FIRST_INO,
        GOOD_OLD_REV, //
    },
    Compat,
    Corrupt,
    RoCompat,
    SuperBlock,
    SUPER_SIZE, //
};
use zerocopy::{
    little_endian::U32,
    FromBytes, //
};

/// After how many mounts a check is advised where the super block does not say, as in `fs/ext2`.
const DEFAULT_MAX_MNT_COUNT: u16 = 20;

/// The longest name of a volume, in bytes.
pub(crate) const LABEL_MAX: usize = 16;

/// What to do on the first damage found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OnError {
    /// Carry on.
    Continue,
    /// Allow no more writing.
    ReadOnly,
    /// Stop the machine.
    Panic,
}

impl SuperBlock {
    /// Set in the state on disk while nobody has it mounted for writing.
    pub(crate) const VALID_FS: u16 = 1;
    /// Set in the state on disk once damage was found.
    pub(crate) const ERROR_FS: u16 = 2;

    /// What to do on damage. As in `fs/ext2`, anything unknown means read-only.
    pub(crate) fn on_error(&self) -> OnError {
        match self.errors {
            1 => OnError::Continue,
            3 => OnError::Panic,
            _ => OnError::ReadOnly,
        }
    }

    /// Says whether it was unmounted, and no damage was found.
    pub(crate) fn is_clean(&self) -> bool {
        self.state & (Self::VALID_FS | Self::ERROR_FS) == Self::VALID_FS
    }

    /// Returns why a check is advisable before it is written, as `ext2_setup_super` has it.
    ///
    /// `now` is in seconds since 1970.
    pub(crate) fn advice(&self, now: u32) -> Option<&'static str> {
        // The count is signed on disk, and negative or zero for "never".
        let max_mnt_count = i16::from_ne_bytes(self.max_mnt_count.to_ne_bytes());
        if self.state & Self::VALID_FS == 0 {
            Some("it was not unmounted cleanly; run e2fsck")
        } else if self.state & Self::ERROR_FS != 0 {
            Some("damage was found earlier; run e2fsck")
        } else if max_mnt_count > 0 && self.mnt_count >= self.max_mnt_count {
            Some("the maximal mount count is reached; run e2fsck")
        } else if self.checkinterval != 0
            && self
                .lastcheck
                .checked_add(self.checkinterval)
                .is_some_and(|due| due <= now)
        {
            Some("the check interval has passed; run e2fsck")
        } else {
            None
        }
    }

    /// Writes down in `raw` that it is mounted for writing from `now`, in seconds since 1970.
    ///
    /// Flags of damage that are in `raw` stay: it may be the second time, after a thaw.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Short`] if `raw` is not a whole super block.
    pub(crate) fn store_mounted(&self, raw: &mut [u8], now: u32) -> Result<(), Corrupt> {
        let es = raw_mut(raw)?;
        let state = es.state.get() & !Self::VALID_FS;
        es.state.set(state);
        es.mnt_count.set(self.mnt_count.saturating_add(1));
        if es.max_mnt_count.get() == 0 {
            es.max_mnt_count.set(DEFAULT_MAX_MNT_COUNT);
        }
        es.mtime.set(now);
        es.wtime.set(now);
        Ok(())
    }

    /// Writes down in `raw` that it is no longer mounted for writing, from `now`.
    ///
    /// The state is what it was at mount; an image that was not clean then is not clean now.
    /// Flags of damage found meanwhile are in `raw` already, and stay.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Short`] if `raw` is not a whole super block.
    pub(crate) fn store_unmounted(&self, raw: &mut [u8], now: u32) -> Result<(), Corrupt> {
        let es = raw_mut(raw)?;
        let state = es.state.get() | (self.state & Self::VALID_FS);
        es.state.set(state);
        es.wtime.set(now);
        Ok(())
    }

    /// Writes down in `raw` how many blocks and inodes are free, at `now` in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Short`] if `raw` is not a whole super block.
    pub(crate) fn store_free(
        raw: &mut [u8],
        blocks: u32,
        inodes: u32,
        now: u32,
    ) -> Result<(), Corrupt> {
        let es = raw_mut(raw)?;
        es.free_blocks_count.set(blocks);
        es.free_inodes_count.set(inodes);
        es.wtime.set(now);
        Ok(())
    }

    /// Writes down in `raw` that there is a regular file of 2 GiB or more.
    ///
    /// Revision 0 has no features, so it becomes revision 1, with the sizes that it had. Returns
    /// whether anything was changed.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Short`] if `raw` is not a whole super block.
    pub(crate) fn store_large_file(raw: &mut [u8]) -> Result<bool, Corrupt> {
        let es = raw_mut(raw)?;
        Ok(store_feature(es, RoCompat::LARGE_FILE, |es| {
            &mut es.feature_ro_compat
        }))
    }

    /// Writes down in `raw` that there are blocks of extended attributes, as
    /// [`Self::store_large_file`] does with large files.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Short`] if `raw` is not a whole super block.
    pub(crate) fn store_ext_attr(raw: &mut [u8]) -> Result<bool, Corrupt> {
        let es = raw_mut(raw)?;
        Ok(store_feature(es, Compat::EXT_ATTR, |es| {
            &mut es.feature_compat
        }))
    }

    /// Returns the name that somebody gave the volume; what it does not fill is zero.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Short`] if `raw` is not a whole super block.
    pub(crate) fn label(raw: &mut [u8]) -> Result<[u8; LABEL_MAX], Corrupt> {
        Ok(raw_mut(raw)?.volume_name)
    }

    /// Writes down in `raw` the name that somebody gives the volume.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Short`] if `raw` is not a whole super block.
    pub(crate) fn store_label(raw: &mut [u8], label: [u8; LABEL_MAX]) -> Result<(), Corrupt> {
        raw_mut(raw)?.volume_name = label;
        Ok(())
    }

    /// Writes down in `raw` that damage was found.
    ///
    /// # Errors
    ///
    /// [`Corrupt::Short`] if `raw` is not a whole super block.
    pub(crate) fn store_error(raw: &mut [u8]) -> Result<(), Corrupt> {
        let es = raw_mut(raw)?;
        let state = es.state.get() | Self::ERROR_FS;
        es.state.set(state);
        Ok(())
    }
}

/// Sets a feature, in the field `of` its kind.
fn store_feature(es: &mut RawSuper, feature: u32, of: fn(&mut RawSuper) -> &mut U32) -> bool {
    let is_old = es.rev_level.get() == GOOD_OLD_REV;
    let features = of(es).get();
    if !is_old && features & feature != 0 {
        return false;
    }
    if is_old {
        es.first_ino.set(GOOD_OLD_FIRST_INO);
        es.inode_size.set(GOOD_OLD_INODE_SIZE);
        es.rev_level.set(DYNAMIC_REV);
    }
    of(es).set(features | feature);
    true
}

fn raw_mut(raw: &mut [u8]) -> Result<&mut RawSuper, Corrupt> {
    let have = raw.len();
    match RawSuper::mut_from_prefix(raw) {
        Ok((es, _)) => Ok(es),
        Err(_) => Err(Corrupt::Short {
            what: "super block",
            need: SUPER_SIZE,
            have,
        }),
    }
}
