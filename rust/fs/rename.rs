// SPDX-License-Identifier: GPL-2.0

//! Moving names.
//!
//! The new name is made before the old one is removed, so that no crash and no error takes the last
//! name of a file away. All that can fail for want of something - blocks, memory, a read - comes
//! before the first change but one: making the new name, which undoes itself.
//!
//! C counterpart: `ext2_rename` in [`fs/ext2/namei.c`](srctree/fs/ext2/namei.c)

use super::{
    dir::{
        self,
        Editor,
        Entry, //
    },
    namei::drop_subdir,
    Dentry,
    Inode, //
};
use crate::vfs::inode_ops::rename_flag;
use kernel::prelude::*;

/// Moves a name, as `renameat2` says.
///
/// # Errors
///
/// [`EINVAL`] if `flags` has some that are not done here, [`ENOENT`] if a name is gone,
/// [`ENOTEMPTY`], [`ENOSPC`], [`EUCLEAN`], [`EIO`] or [`ENOMEM`].
pub(super) fn rename(
    from_dir: &Inode,
    from: &Dentry,
    to_dir: &Inode,
    to: &Dentry,
    flags: u32,
) -> Result {
    if flags & !(rename_flag::NOREPLACE | rename_flag::EXCHANGE) != 0 {
        return Err(EINVAL);
    }
    let source = Name::new(from_dir, from)?;
    match to.inode() {
        Some(_) if flags & rename_flag::EXCHANGE != 0 => {
            exchange(&source, &Name::new(to_dir, to)?)?;
        }
        Some(_) => replace(&source, &Name::new(to_dir, to)?)?,
        None => move_to(&source, to_dir, to)?,
    }
    sync(from_dir, from, to_dir, to)
}

/// A name, and what is needed to change it.
struct Name<'a> {
    dir: &'a Inode,
    inode: &'a Inode,
    entry: Entry,
}

impl<'a> Name<'a> {
    fn new(dir: &'a Inode, dentry: &'a Dentry) -> Result<Self> {
        let inode = dentry.inode().ok_or(ENOENT)?;
        Ok(Self {
            dir,
            inode,
            entry: dir::find_of(dir, dentry, inode)?,
        })
    }

    /// Returns the entry that is to change if what is named goes to the directory `to`: its `..`.
    fn dotdot(&self, editor: &mut Editor, to: &Inode) -> Result<Option<Entry>> {
        if !self.inode.is_dir() || self.dir.ino() == to.ino() {
            return Ok(None);
        }
        editor.dotdot(self.inode).map(Some)
    }
}

/// Moves to a name that does not exist.
fn move_to(source: &Name<'_>, to_dir: &Inode, to: &Dentry) -> Result {
    let mut editor = Editor::new(to_dir)?;
    let dotdot = source.dotdot(&mut editor, to_dir)?;
    editor.add_link(to_dir, to.name(), source.inode)?;
    if source.inode.is_dir() {
        to_dir.inc_link_count();
    }
    leave(editor, source, to_dir, dotdot)
}

/// Moves to the name `target`, and takes that away from what it names.
fn replace(source: &Name<'_>, target: &Name<'_>) -> Result {
    let mut editor = Editor::new(target.dir)?;
    let dotdot = source.dotdot(&mut editor, target.dir)?;
    if source.inode.is_dir() && !dir::is_empty(target.inode)? {
        return Err(ENOTEMPTY);
    }
    editor.set_link(target.dir, &target.entry, source.inode)?;
    target.dir.touch_mtime();
    target.inode.touch_ctime();
    if source.inode.is_dir() {
        target.inode.clear_link_count();
    } else {
        target.inode.dec_link_count();
    }
    leave(editor, source, target.dir, dotdot)
}

/// Removes the old name of what has a new one in `to_dir`.
fn leave(mut editor: Editor, source: &Name<'_>, to_dir: &Inode, dotdot: Option<Entry>) -> Result {
    source.inode.touch_ctime();
    editor.delete_entry(source.dir, &source.entry)?;
    if let Some(dotdot) = dotdot {
        editor.set_link(source.inode, &dotdot, to_dir)?;
    }
    if source.inode.is_dir() {
        drop_subdir(source.dir);
    }
    Ok(())
}

/// Lets two names change places.
fn exchange(one: &Name<'_>, other: &Name<'_>) -> Result {
    let mut editor = Editor::new(one.dir)?;
    let one_dotdot = one.dotdot(&mut editor, other.dir)?;
    let other_dotdot = other.dotdot(&mut editor, one.dir)?;

    editor.set_link(other.dir, &other.entry, one.inode)?;
    if let Err(error) = editor.set_link(one.dir, &one.entry, other.inode) {
        editor.set_link(other.dir, &other.entry, other.inode)?;
        return Err(error);
    }
    for name in [one, other] {
        name.dir.touch_mtime();
        name.inode.touch_ctime();
    }

    for (name, dotdot, to) in [(one, one_dotdot, other), (other, other_dotdot, one)] {
        let Some(dotdot) = dotdot else { continue };
        editor.set_link(name.inode, &dotdot, to.dir)?;
        if !to.inode.is_dir() {
            to.dir.inc_link_count();
            drop_subdir(name.dir);
        }
    }
    Ok(())
}

/// Waits until the device has what the directories have, those that are to.
///
/// If that fails, the names are moved nevertheless: who looks for them is to look there, not in
/// memory.
fn sync(from_dir: &Inode, from: &Dentry, to_dir: &Inode, to: &Dentry) -> Result {
    // The new name first.
    for dir in [to_dir, from_dir] {
        if dir.is_dirsync() {
            dir.sync_now().inspect_err(|_| {
                from.unhash();
                to.unhash();
            })?;
        }
    }
    Ok(())
}
