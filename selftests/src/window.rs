// SPDX-License-Identifier: GPL-2.0

//! Races made on purpose: a direct write that takes long enough to do something meanwhile, and
//! the proof that it was still in flight.

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Result;

use crate::aligned::Aligned;
use crate::device::Device;
use crate::file::ClaimFile;
use crate::sys;
use crate::verdict::skip;

/// How often a race is tried before the claim gives up and skips.
pub const ATTEMPTS: u16 = 4;

/// How often the other side must have waited before it counts as made to wait.
const WAITED: u16 = 3;

/// How much of the write must be left after the other side began, for the window to count.
const MARGIN: Duration = Duration::from_millis(20);

/// How long to look for a request in flight that is issued right now.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of one attempt.
#[derive(Debug)]
pub struct Collision<T> {
    /// What the slow operation returned.
    pub slow: io::Result<usize>,
    /// What was done meanwhile returned.
    pub meanwhile: T,
    /// Whether the slow operation was provably in flight when the other began, and still after
    /// it ended or for a while.
    pub open: bool,
    /// Whether the other operation was over before the slow one.
    pub overtook: bool,
}

/// Which requests to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flight {
    /// A read on the device.
    Read,
    /// A write on the device.
    Write,
}

/// Does a direct write of `bytes` at `start`, and `meanwhile` while it is in flight.
///
/// A device that limits the rate of writes lets the first of a burst pass, so another write is
/// made just before: `prime` is where, and what is there already is what it writes.
pub fn during_direct_write<T>(
    file: &ClaimFile,
    direct: &File,
    prime: (u64, &[u8]),
    write: (u64, &[u8]),
    meanwhile: impl FnOnce() -> T,
) -> Result<Collision<T>> {
    use std::os::unix::fs::FileExt;
    let (prime_at, prime) = (prime.0, Aligned::from(prime.1));
    let (at, bytes) = (write.0, Aligned::from(write.1));
    collide(
        file.device()?,
        Flight::Write,
        || direct.write_at(&prime, prime_at).map(drop),
        || direct.write_at(&bytes, at),
        meanwhile,
    )
}

/// Runs `prime`, then `slow` in a thread of its own, and `meanwhile` in this one as soon as the
/// device has a request of the kind `flight` to do.
pub fn collide<T>(
    device: &Device,
    flight: Flight,
    prime: impl FnOnce() -> io::Result<()>,
    slow: impl FnOnce() -> io::Result<usize> + Send,
    meanwhile: impl FnOnce() -> T,
) -> Result<Collision<T>> {
    let done = AtomicBool::new(false);
    let busy = || -> Result<bool> {
        let now = device.in_flight()?;
        Ok(match flight {
            Flight::Read => now.reads > 0,
            Flight::Write => now.writes > 0,
        })
    };
    // Nothing else may be in flight, or we would take it for ours.
    quiet(device)?;
    match prime() {
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            return Err(skip(
                "direct I/O in pieces of this size is not possible here",
            ));
        }
        primed => primed?,
    }
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result = slow();
            let ended = Instant::now();
            done.store(true, Ordering::SeqCst);
            (result, ended)
        });
        let deadline = Instant::now() + PATIENCE;
        while !busy()? && !done.load(Ordering::SeqCst) && Instant::now() < deadline {
            thread::yield_now();
        }
        let (began, sent) = (Instant::now(), busy()? && !done.load(Ordering::SeqCst));
        let value = meanwhile();
        // What is over on the device is over, even if who asked for it does not know yet.
        let overtook = busy()? && !done.load(Ordering::SeqCst);
        let (slow, ended) = worker.join().expect("an I/O call does not panic");
        let left = ended.saturating_duration_since(began);
        Ok(Collision {
            slow,
            meanwhile: value,
            open: sent && (overtook || left > MARGIN),
            overtook,
        })
    })
}

/// Tries a race until `meanwhile` was over before the slow operation, and returns that attempt.
///
/// A file system may make everybody wait for the slow operation, and keep its promise by that; a
/// busy machine may do so now and then, and prove nothing. So an attempt in which `meanwhile`
/// waited counts only as the last of [`WAITED`]. `what` is the skip's reason if the
/// window never opened.
pub fn insist<T, S>(
    what: &str,
    mut attempt: impl FnMut() -> Result<(Collision<T>, S)>,
) -> Result<(Collision<T>, S)> {
    let mut waited = 0;
    for _ in 0..ATTEMPTS {
        // What an attempt returns is gone before the next: mapped pages cannot be dropped.
        let (collision, state) = attempt()?;
        match (collision.open, collision.overtook) {
            (true, true) => return Ok((collision, state)),
            (true, false) => waited += 1,
            (false, _) => {}
        }
        if waited == WAITED {
            return Ok((collision, state));
        }
    }
    Err(never_open(what))
}

/// Waits until the device has nothing in flight.
pub fn quiet(device: &Device) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while device.in_flight()? != Default::default() {
        if Instant::now() > deadline {
            return Err(skip("the device is never quiet: something else uses it"));
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

/// Waits until no page of `len` bytes from `start` is under writeback, and leaves an error of it to
/// whoever asks next: what failed ends later than the device's part of it, in a task of its own.
pub fn written_out(file: &ClaimFile, start: u64, len: u64) -> Result<()> {
    quiet(file.device()?)?;
    wait_for("the write-out to end", || {
        // Before 6.5 nobody says.
        let stat = sys::cachestat(file.file(), start, len);
        Ok(stat.map_or(true, |stat| stat.writeback == 0))
    })
}

/// Waits for `event`, or skips the claim if it does not come.
pub fn wait_for(what: &str, mut event: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    while !event()? {
        if Instant::now() > deadline {
            return Err(skip(format!("waited in vain for {what}")));
        }
        thread::yield_now();
    }
    Ok(())
}

/// The skip of a claim whose window never opened.
pub fn never_open(what: &str) -> anyhow::Error {
    skip(format!(
        "{what} in {ATTEMPTS} attempts: needs a disk with delayed requests"
    ))
}
