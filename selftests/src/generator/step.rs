// SPDX-License-Identifier: GPL-2.0

//! What the generator can do to a directory tree, one step at a time.

/// Number of an open file that lasts from step to step.
pub type Slot = usize;

/// The file that a step works on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// One with a name, opened for this step.
    Path(String),
    /// One that is open already; its names may all be gone.
    Slot(Slot),
}

/// How a file is opened; it is open for reading in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mode {
    /// Not for writing.
    pub read_only: bool,
    /// `O_APPEND`.
    pub append: bool,
    /// `O_DIRECT`.
    pub direct: bool,
    /// `O_SYNC`.
    pub sync: bool,
    /// `O_DSYNC`.
    pub dsync: bool,
    /// `O_TRUNC`.
    pub truncate: bool,
}

/// The system call that writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Writer {
    /// `write(2)` after `lseek(2)`.
    Write,
    /// `pwrite(2)`.
    Pwrite,
    /// `pwritev(2)` of three pieces.
    Pwritev,
    /// `splice(2)` from a pipe.
    Splice,
    /// Stores through a shared mapping, of whole 8-byte words inside the file.
    Store,
}

/// The system call that reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reader {
    /// `pread(2)`.
    Pread,
    /// `preadv(2)` into three pieces.
    Preadv,
    /// `splice(2)` into a pipe.
    Splice,
    /// Loads through a shared mapping.
    Load,
    /// `pread(2)` with `O_DIRECT`.
    Direct,
}

/// The system call that copies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copier {
    /// `copy_file_range(2)`.
    Range,
    /// `sendfile(2)`.
    Sendfile,
}

/// The system call that makes something durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Syncer {
    /// `fsync(2)`.
    Fsync,
    /// `fdatasync(2)`.
    Fdatasync,
    /// `syncfs(2)`.
    Syncfs,
}

/// What `mknod(2)` makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device of these numbers.
    Character(u32, u32),
    /// A block device of these numbers.
    Block(u32, u32),
}

/// What `fallocate(2)` does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fallocate {
    /// Asks for space ahead.
    Allocate,
    /// Makes a hole.
    PunchHole,
    /// Makes zeros that have blocks.
    ZeroRange {
        /// Only inside the file.
        keep_size: bool,
    },
}

/// How `renameat2(2)` treats a name that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rename {
    /// It is replaced.
    Replace,
    /// It is an error.
    NoReplace,
    /// The two change places.
    Exchange,
    /// It is replaced, and a whiteout takes the old name's place, which ext2 refuses.
    Whiteout,
}

/// Whether an extended attribute that is set may be there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existence {
    /// It may.
    Any,
    /// It must not.
    Create,
    /// It must.
    Replace,
}

/// One step. Paths are relative to the root of the tree; the last part of one is not followed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "the names say it, and the summaries say the rest"
)]
pub enum Step {
    /// Makes a file unless it is there; `exclusive` if it must not be.
    Create {
        path: String,
        mode: u32,
        exclusive: bool,
    },
    /// Opens a file and keeps it open.
    Open {
        slot: Slot,
        path: String,
        mode: Mode,
    },
    /// Makes a file without a name and keeps it open.
    Tmpfile { slot: Slot, dir: String, mode: u32 },
    /// Closes an open file.
    Close { slot: Slot },
    /// Writes `len` bytes of pattern `seed`. With a path the file is opened as `mode` says.
    Write {
        target: Target,
        mode: Mode,
        writer: Writer,
        at: u64,
        len: usize,
        seed: u64,
    },
    /// Reads and compares.
    Read {
        target: Target,
        reader: Reader,
        at: u64,
        len: usize,
    },
    /// Copies from one file to another.
    Copy {
        from: String,
        from_at: u64,
        to: Target,
        at: u64,
        len: usize,
        copier: Copier,
    },
    /// Cuts or extends a file.
    Truncate { target: Target, size: u64 },
    /// Makes a hole or zeros, or asks for space ahead. Stock ext2 refuses all of it.
    Fallocate {
        target: Target,
        how: Fallocate,
        at: u64,
        len: u64,
    },
    /// Asks which bytes of a range have blocks, once what is dirty is written out.
    Extents {
        target: Target,
        start: u64,
        end: u64,
    },
    /// Makes something durable.
    Sync { target: Target, syncer: Syncer },
    /// Gives a file another name.
    Link { from: String, to: String },
    /// Gives an open file a name.
    LinkSlot { slot: Slot, to: String },
    /// Makes a symbolic link.
    Symlink { text: String, path: String },
    /// Makes a special file.
    Mknod { path: String, node: Node, mode: u32 },
    /// Makes a directory.
    Mkdir { path: String, mode: u32 },
    /// Removes a directory.
    Rmdir { path: String },
    /// Removes a name.
    Unlink { path: String },
    /// Renames.
    Rename {
        from: String,
        to: String,
        how: Rename,
    },
    /// Changes the permissions.
    Chmod { target: Target, mode: u32 },
    /// Sets those of the flags `FS_*_FL` that may be changed.
    SetFlags { target: Target, flags: u32 },
    /// Sets what tells a file apart from those that had its inode before.
    SetGeneration { target: Target, generation: u32 },
    /// Changes owner and group.
    Chown { path: String, uid: u32, gid: u32 },
    /// Sets the times, in seconds since 1970; none leaves a time as it is.
    Utimens {
        path: String,
        accessed: Option<i64>,
        modified: Option<i64>,
    },
    /// Sets an extended attribute, or an access control list.
    SetXattr {
        path: String,
        name: String,
        value: Vec<u8>,
        existence: Existence,
    },
    /// Removes one.
    RemoveXattr { path: String, name: String },
    /// Asks for one with room for so many bytes; without room for its length.
    GetXattr {
        path: String,
        name: String,
        room: usize,
    },
    /// Asks for the names of all, likewise.
    ListXattr { path: String, room: usize },
    /// Follows a symbolic link and looks at what is there.
    Follow { path: String },
    /// Lists a directory through a buffer of `buffer` bytes. Between two reads a name of `scratch`
    /// is made, those after the third are removed again: the others must each be seen once.
    List {
        path: String,
        buffer: usize,
        scratch: Vec<String>,
    },
    /// Asks how much is free.
    Statfs,
    /// Has the kernel forget what is clean.
    DropCaches,
    /// Closes every file, unmounts, and mounts again.
    Remount,
}

impl Step {
    /// The paths that it may change or look at.
    pub fn paths(&self) -> Vec<&str> {
        match self {
            Self::Create { path, .. }
            | Self::Open { path, .. }
            | Self::Symlink { path, .. }
            | Self::Mknod { path, .. }
            | Self::Mkdir { path, .. }
            | Self::Rmdir { path }
            | Self::Unlink { path }
            | Self::Chown { path, .. }
            | Self::Utimens { path, .. }
            | Self::SetXattr { path, .. }
            | Self::RemoveXattr { path, .. }
            | Self::GetXattr { path, .. }
            | Self::ListXattr { path, .. }
            | Self::Follow { path }
            | Self::List { path, .. } => vec![path],
            Self::Tmpfile { dir, .. } => vec![dir],
            Self::Link { from, to } | Self::Rename { from, to, .. } => vec![from, to],
            Self::LinkSlot { to, .. } => vec![to],
            Self::Copy { from, to, .. } => {
                std::iter::once(from.as_str()).chain(to.path()).collect()
            }
            _ => self.target().and_then(Target::path).into_iter().collect(),
        }
    }

    /// The open file that it works on, if it does.
    pub fn slot(&self) -> Option<Slot> {
        match self {
            Self::Open { slot, .. } | Self::Tmpfile { slot, .. } | Self::LinkSlot { slot, .. } => {
                Some(*slot)
            }
            Self::Copy {
                to: Target::Slot(slot),
                ..
            } => Some(*slot),
            _ => match self.target() {
                Some(Target::Slot(slot)) => Some(*slot),
                _ => None,
            },
        }
    }

    fn target(&self) -> Option<&Target> {
        match self {
            Self::Write { target, .. }
            | Self::Read { target, .. }
            | Self::Truncate { target, .. }
            | Self::Fallocate { target, .. }
            | Self::Extents { target, .. }
            | Self::Sync { target, .. }
            | Self::Chmod { target, .. }
            | Self::SetFlags { target, .. }
            | Self::SetGeneration { target, .. } => Some(target),
            _ => None,
        }
    }
}

impl Target {
    /// Its path, if it has one.
    pub fn path(&self) -> Option<&str> {
        match self {
            Self::Path(path) => Some(path),
            Self::Slot(_) => None,
        }
    }
}

/// The directory of a path, and the name in it.
pub fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

/// The path of `name` in `dir`.
pub fn join(dir: &str, name: &str) -> String {
    if dir.is_empty() {
        name.to_owned()
    } else {
        format!("{dir}/{name}")
    }
}
