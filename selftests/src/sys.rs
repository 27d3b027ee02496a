// SPDX-License-Identifier: GPL-2.0

//! System calls that the standard library does not wrap, each in a small safe function.

use std::ffi::c_int;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;

use serde::Serialize;

/// `cachestat(2)`, the same number on every architecture.
const SYS_CACHESTAT: libc::c_long = 451;

pub(crate) fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// The page size in bytes.
pub fn page_size() -> usize {
    // SAFETY: `sysconf` has no preconditions.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

/// The block that holds logical block `block` of `file`; 0 is a hole. Needs `CAP_SYS_RAWIO`.
pub fn fibmap(file: &File, block: u32) -> io::Result<u32> {
    const FIBMAP: libc::Ioctl = 1;
    let mut number = c_int::from_ne_bytes(block.to_ne_bytes());
    // SAFETY: `FIBMAP` reads and writes one `int`, which `number` is.
    check(unsafe { libc::ioctl(file.as_raw_fd(), FIBMAP, &raw mut number) })?;
    Ok(u32::from_ne_bytes(number.to_ne_bytes()))
}

/// The unit of [`fibmap`] in bytes.
pub fn fibmap_unit(file: &File) -> io::Result<u32> {
    const FIGETBSZ: libc::Ioctl = 2;
    let mut size: c_int = 0;
    // SAFETY: `FIGETBSZ` writes one `int`, which `size` is.
    check(unsafe { libc::ioctl(file.as_raw_fd(), FIGETBSZ, &raw mut size) })?;
    u32::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// The size of a logical block of the device in bytes: the smallest unit of direct I/O.
pub fn logical_block_size(device: &File) -> io::Result<u32> {
    const BLKSSZGET: libc::Ioctl = 0x1268;
    let mut size: c_int = 0;
    // SAFETY: `BLKSSZGET` writes one `int`, which `size` is.
    check(unsafe { libc::ioctl(device.as_raw_fd(), BLKSSZGET, &raw mut size) })?;
    u32::try_from(size).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// The size of a file, or of a block device, whose metadata does not tell.
pub fn size(file: &File) -> io::Result<u64> {
    const BLKGETSIZE64: libc::Ioctl = 0x8008_1272;
    let meta = file.metadata()?;
    if !meta.file_type().is_block_device() {
        return Ok(meta.len());
    }
    let mut size = 0_u64;
    // SAFETY: `BLKGETSIZE64` writes one `u64`, which `size` is.
    check(unsafe { libc::ioctl(file.as_raw_fd(), BLKGETSIZE64, &raw mut size) })?;
    Ok(size)
}

/// Writes out and forgets what the buffers of a block device hold. Needs `CAP_SYS_ADMIN`.
pub fn flush_buffers(device: &File) -> io::Result<()> {
    const BLKFLSBUF: libc::Ioctl = 0x1261;
    // SAFETY: `BLKFLSBUF` has no argument.
    check(unsafe { libc::ioctl(device.as_raw_fd(), BLKFLSBUF, 0) })?;
    Ok(())
}

/// What `COHFS_IOC_INVALIDATE` takes and gives back.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Invalidate {
    /// First byte of the range.
    pub start: u64,
    /// Bytes in the range; 0 is to the end of the file.
    pub len: u64,
    /// Out: folios removed.
    pub removed: u64,
    /// Out: folios that stayed behind.
    pub busy: u64,
    /// Out: page index of the first folio that stayed behind.
    pub first_busy: u64,
}

/// `_IOWR(0xE2, 1, struct invalidate)`.
pub const COHFS_IOC_INVALIDATE: u32 =
    (3 << 30) | ((size_of::<Invalidate>() as u32) << 16) | (0xE2 << 8) | 1;

/// Asks the file system to drop the cache of `len` bytes from `start`; 0 is to the end.
pub fn invalidate(file: &File, start: u64, len: u64) -> io::Result<Invalidate> {
    let mut arg = Invalidate {
        start,
        len,
        ..Invalidate::default()
    };
    // SAFETY: The request's size field says 40 bytes, which is the size of `arg`; a file system
    // that does not know the request returns ENOTTY and touches nothing.
    let result = unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            COHFS_IOC_INVALIDATE as libc::Ioctl,
            &raw mut arg,
        )
    };
    check(result)?;
    Ok(arg)
}

/// What the page cache holds of a range, in pages.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CacheStat {
    /// Pages in the cache.
    pub cached: u64,
    /// Dirty pages.
    pub dirty: u64,
    /// Pages under writeback.
    pub writeback: u64,
    /// Pages evicted.
    pub evicted: u64,
    /// Pages evicted recently.
    pub recently_evicted: u64,
}

/// Asks what the page cache holds of `len` bytes from `start`; 0 is to the end.
pub fn cachestat(file: &File, start: u64, len: u64) -> io::Result<CacheStat> {
    let range = [start, len];
    let mut stat = CacheStat::default();
    // SAFETY: The range is two `u64` and the result five, as the system call wants them.
    let result = unsafe {
        libc::syscall(
            SYS_CACHESTAT,
            file.as_raw_fd(),
            range.as_ptr(),
            &raw mut stat,
            0_u32,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(stat)
    }
}

/// Asks the kernel to drop the clean, unmapped cache of the whole file: best effort.
pub fn drop_cache(file: &File) -> io::Result<()> {
    // SAFETY: `posix_fadvise` only takes integers.
    match unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Starts the writeback of the range and does not wait for it.
pub fn start_writeback(file: &File, start: u64, len: u64) -> io::Result<()> {
    let (start, len) = (start.cast_signed(), len.cast_signed());
    // SAFETY: `sync_file_range` only takes integers.
    check(unsafe {
        libc::sync_file_range(file.as_raw_fd(), start, len, libc::SYNC_FILE_RANGE_WRITE)
    })?;
    Ok(())
}

/// Starts to read ahead and does not wait for it: `POSIX_FADV_WILLNEED`.
pub fn read_ahead(file: &File, start: u64, len: u64) -> io::Result<()> {
    let (start, len) = (start.cast_signed(), len.cast_signed());
    // SAFETY: `posix_fadvise` only takes integers.
    match unsafe { libc::posix_fadvise(file.as_raw_fd(), start, len, libc::POSIX_FADV_WILLNEED) } {
        0 => Ok(()),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

/// Sends up to `len` bytes of `from`, from byte `at` on, to `to`: `sendfile(2)`.
pub fn send_file(to: &File, from: &File, at: u64, len: usize) -> io::Result<usize> {
    let mut at = at.cast_signed();
    // SAFETY: `at` is an offset to read and write.
    let count = unsafe { libc::sendfile(to.as_raw_fd(), from.as_raw_fd(), &raw mut at, len) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Writes out everything the file system of `file` has to write, metadata too.
pub fn sync_fs(file: &File) -> io::Result<()> {
    // SAFETY: `syncfs` only takes a descriptor.
    check(unsafe { libc::syncfs(file.as_raw_fd()) })?;
    Ok(())
}

/// The type word of the file system that holds `file`.
pub fn fs_type(file: &File) -> io::Result<i64> {
    // SAFETY: All zeros is a valid `statfs`.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is a `statfs` to write into.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut stat) })?;
    Ok(stat.f_type)
}

/// The free space of the file system of `file` in bytes, that kept for root included.
pub fn free_space(file: &File) -> io::Result<u64> {
    // SAFETY: All zeros is a valid `statfs`.
    let mut stat: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `stat` is a `statfs` to write into.
    check(unsafe { libc::fstatfs(file.as_raw_fd(), &raw mut stat) })?;
    Ok(stat.f_bfree * stat.f_bsize.cast_unsigned())
}

/// Writes `bytes` at `at` with the flags of `pwritev2(2)`, such as `RWF_NOWAIT`.
pub fn write_flags(file: &File, bytes: &[u8], at: u64, flags: c_int) -> io::Result<usize> {
    let vector = libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    // SAFETY: One vector, of bytes that the kernel only reads.
    let count = unsafe {
        libc::pwritev2(
            file.as_raw_fd(),
            &raw const vector,
            1,
            at.cast_signed(),
            flags,
        )
    };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Limits the size of the files that this process may write, in bytes. Who writes beyond it gets
/// `EFBIG`, and no signal any more.
pub fn limit_file_size(bytes: u64) -> io::Result<()> {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: To ignore a signal runs no code of ours; the limit is a whole `rlimit`.
    unsafe {
        libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
        check(libc::setrlimit(libc::RLIMIT_FSIZE, &raw const limit))?;
    }
    Ok(())
}

/// Freezes the file system of `file`. Needs `CAP_SYS_ADMIN`.
pub fn freeze(file: &File) -> io::Result<()> {
    const FIFREEZE: libc::Ioctl = 0xC004_5877;
    // SAFETY: `FIFREEZE` has no argument.
    check(unsafe { libc::ioctl(file.as_raw_fd(), FIFREEZE, 0) })?;
    Ok(())
}

/// Undoes [`freeze`].
pub fn thaw(file: &File) -> io::Result<()> {
    const FITHAW: libc::Ioctl = 0xC004_5878;
    // SAFETY: `FITHAW` has no argument.
    check(unsafe { libc::ioctl(file.as_raw_fd(), FITHAW, 0) })?;
    Ok(())
}

/// The number of the calling thread.
pub fn thread_id() -> i32 {
    // SAFETY: `gettid` has no preconditions.
    unsafe { libc::gettid() }
}

/// Whether a thread of this process waits in the kernel where no signal wakes it.
pub fn is_stuck(thread: i32) -> io::Result<bool> {
    let stat = std::fs::read_to_string(format!("/proc/self/task/{thread}/stat"))?;
    // The state is the word after the name, which is in parentheses and may hold anything.
    let state = stat
        .rsplit(") ")
        .next()
        .and_then(|rest| rest.chars().next());
    Ok(state == Some('D'))
}

/// Locks `file` against other processes, until it is closed; with `wait` as soon as it can be.
pub fn lock(file: &File, wait: bool) -> io::Result<()> {
    let operation = libc::LOCK_EX | if wait { 0 } else { libc::LOCK_NB };
    // SAFETY: `flock` only takes integers.
    check(unsafe { libc::flock(file.as_raw_fd(), operation) })?;
    Ok(())
}

/// Counts of page faults of this process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Faults that needed I/O.
    pub major: i64,
    /// Faults that did not.
    pub minor: i64,
}

/// Page faults of the calling thread so far.
pub fn thread_faults() -> Usage {
    // SAFETY: All zeros is a valid `rusage`.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a `rusage` to write into.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    Usage {
        major: usage.ru_majflt,
        minor: usage.ru_minflt,
    }
}

/// Gives up root for good: becomes the user and group `id`.
pub fn become_user(id: u32) -> io::Result<()> {
    // SAFETY: These calls only take integers and, here, a null list of length zero.
    unsafe {
        check(libc::setgroups(0, std::ptr::null()))?;
        check(libc::setgid(id))?;
        check(libc::setuid(id))?;
    }
    Ok(())
}

/// Whether this process runs as root.
pub fn is_root() -> bool {
    // SAFETY: `geteuid` has no preconditions.
    unsafe { libc::geteuid() == 0 }
}

/// How a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It returned this status.
    Status(i32),
    /// This signal killed it.
    Signal(i32),
}

/// Runs `work` in a forked child, which ends with the value as its status, and waits for it.
///
/// Call it while the process has no other thread: the child may then do all that the parent may.
pub fn in_child(work: impl FnOnce() -> i32) -> io::Result<Ended> {
    Child::start(work)?.wait()
}

/// A forked child; killed when dropped.
#[derive(Debug)]
pub struct Child {
    pub(crate) pid: libc::pid_t,
}

impl Child {
    /// Forks; the child runs `work` and ends with the value as its status. See [`in_child`].
    pub fn start(work: impl FnOnce() -> i32) -> io::Result<Self> {
        // SAFETY: The claims fork before they start threads, so the child has a whole copy of
        // the process with no lock held by a thread that is gone.
        let pid = check(unsafe { libc::fork() })?;
        if pid == 0 {
            let status = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // SAFETY: `_exit` does not return and runs nothing of the parent's.
            unsafe { libc::_exit(status.unwrap_or(125)) }
        }
        Ok(Self { pid })
    }

    /// Waits for the child's end.
    pub fn wait(self) -> io::Result<Ended> {
        let pid = self.pid;
        std::mem::forget(self);
        let mut status = 0;
        // SAFETY: `pid` is our child, not yet waited for; `status` is an `int` to write into.
        check(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
        if libc::WIFSIGNALED(status) {
            Ok(Ended::Signal(libc::WTERMSIG(status)))
        } else {
            Ok(Ended::Status(libc::WEXITSTATUS(status)))
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: `pid` is our child and not yet waited for, so it names no other process.
        unsafe {
            libc::kill(self.pid, libc::SIGKILL);
            libc::waitpid(self.pid, std::ptr::null_mut(), 0);
        }
    }
}

/// Kills the process group `group`, which the caller made for a child of its own.
pub fn kill_group(group: u32) {
    if let Ok(group) = libc::pid_t::try_from(group) {
        // SAFETY: `kill` only takes integers.
        unsafe { libc::kill(-group, libc::SIGKILL) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ioctl_number_is_that_of_the_module() {
        // _IOWR(0xE2, 1, 40 bytes)
        assert_eq!(COHFS_IOC_INVALIDATE, 0xC028_E201);
    }
}
