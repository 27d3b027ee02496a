// SPDX-License-Identifier: GPL-2.0

//! Files by handle: what NFS and `open_by_handle_at` have of a file that they met earlier.
//!
//! C counterparts: `ext2_nfs_get_inode` in [`fs/ext2/super.c`](srctree/fs/ext2/super.c),
//! `ext2_get_parent` in [`fs/ext2/namei.c`](srctree/fs/ext2/namei.c)

use super::{
    dir,
    error,
    inode,
    Cohfs,
    Inode,
    SuperBlock, //
};
use crate::{
    ext2::{
        Corrupt,
        DirFault,
        Ino, //
    },
    vfs::export, //
};
use kernel::{
    prelude::*,
    sync::aref::ARef, //
};

impl export::Operations for Cohfs {
    fn by_handle(sb: &SuperBlock, ino: u64, generation: u32) -> Result<ARef<Inode>> {
        let ino = u32::try_from(ino).map(Ino).map_err(|_| ESTALE)?;
        // Whoever has a handle may have made it up: that no directory may name it is no damage.
        sb.data().disk.inode_group(ino).map_err(|_| ESTALE)?;
        let inode = inode::iget(sb, ino)?;
        if generation != 0 && inode.attributes().generation != generation {
            return Err(ESTALE);
        }
        Ok(inode)
    }

    fn parent(dir: &Inode) -> Result<ARef<Inode>> {
        let found = {
            // `reconnect_one` holds no lock of the directory, which may be changed or go meanwhile.
            let _lock = dir.lock_shared();
            if dir.nlink() == 0 {
                return Err(ESTALE);
            }
            dir::find(dir, b"..")?
        };
        let Some(entry) = found else {
            let found = Corrupt::Dir {
                dir: dir::disk_ino(dir)?,
                offset: 0,
                fault: DirFault::NoDotDot,
            };
            return Err(error::corrupt(dir.sb(), &found));
        };
        inode::iget(dir.sb(), entry.ino)
    }
}
