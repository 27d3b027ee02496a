// SPDX-License-Identifier: GPL-2.0

//! Many at once, on a device that takes its time.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;
use std::thread;

use anyhow::Result;

use super::Place;
use super::Scenario;
use super::place::per;
use super::timed;
use crate::aligned::Aligned;
use crate::mapping::Mapping;
use crate::queue::Kind;
use crate::queue::Op;

/// The size of the file, in bytes.
const FILE: usize = 16 << 20;

/// Its size in pages.
const PAGES: u64 = FILE as u64 / 4096;

/// How many transfers are done.
const MANY: usize = 512;

pub(super) const SCENARIOS: &[Scenario] = &[
    timed(
        &[
            ("dio_read_random", "4 KiB anywhere"),
            ("dio_write_random", "4 KiB anywhere"),
        ],
        |place| Ok(vec![one(place, Op::Read)?, one(place, Op::Write)?]),
    ),
    timed(
        &[
            ("dio_read_depth_32", "4 KiB anywhere, 32 in flight"),
            ("dio_write_depth_32", "4 KiB anywhere, 32 in flight"),
        ],
        |place| Ok(vec![queued(place, Op::Read)?, queued(place, Op::Write)?]),
    ),
    timed(
        &[
            ("dio_write_1_writer", "4 KiB, one writer"),
            ("dio_write_4_writers", "4 KiB, four writers in one file"),
        ],
        |place| Ok(vec![writers(place, 1)?, writers(place, 4)?]),
    ),
    timed(
        &[(
            "dio_write_beside_faults",
            "4 KiB, while others fault elsewhere in the file",
        )],
        beside_faults,
    ),
    timed(
        &[
            ("write_new_1_writer", "4 KiB of a new file"),
            (
                "write_new_4_writers",
                "4 KiB of four new files that grow at once",
            ),
        ],
        |place| Ok(vec![growing(place, 1)?, growing(place, 4)?]),
    ),
];

/// Places in the file, each time the same.
fn anywhere(seed: u64) -> impl Iterator<Item = u64> {
    let mut random = fastrand::Rng::with_seed(seed);
    std::iter::repeat_with(move || random.u64(..PAGES) * 4096)
}

fn one(place: &Place, op: Op) -> Result<f64> {
    let filled = place.filled(FILE)?;
    filled.chill()?;
    let mut piece = Aligned::zeroed(4096);
    per(MANY, || {
        anywhere(1).take(MANY).try_for_each(|at| {
            match op {
                Op::Read => filled.direct.read_exact_at(&mut piece, at)?,
                Op::Write => filled.direct.write_all_at(&piece, at)?,
            }
            Ok(())
        })
    })
}

fn queued(place: &Place, op: Op) -> Result<f64> {
    const DEPTH: usize = 32;
    let filled = place.filled(FILE)?;
    filled.chill()?;
    let mut queue = Kind::Libaio.open(DEPTH as u32)?;
    per(MANY, || {
        let mut in_flight = 0;
        let mut free: Vec<Aligned> = (0..DEPTH).map(|_| Aligned::zeroed(4096)).collect();
        for (tag, at) in (0..).zip(anywhere(2).take(MANY)) {
            let buffer = match free.pop() {
                Some(buffer) => buffer,
                None => {
                    in_flight -= 1;
                    let done = queue
                        .reap(true)?
                        .ok_or_else(|| anyhow::anyhow!("no completion"))?;
                    done.result?;
                    done.buffer
                }
            };
            queue.submit(tag, op, &filled.direct, at, buffer)?;
            in_flight += 1;
        }
        for _ in 0..in_flight {
            if let Some(done) = queue.reap(true)? {
                done.result?;
            }
        }
        Ok(())
    })
}

/// Each of so many threads writes its part of the file; the time is that of a write of any.
fn writers(place: &Place, count: usize) -> Result<f64> {
    let filled = place.filled(FILE)?;
    filled.chill()?;
    let part = FILE / count;
    per(MANY, || {
        together(count, |number| {
            let piece = Aligned::zeroed(4096);
            (0..MANY / count).try_for_each(|at| {
                let at = number * part + at * 4096 % part;
                Ok(filled.direct.write_all_at(&piece, at as u64)?)
            })
        })
    })
}

fn beside_faults(place: &Place) -> Result<Vec<f64>> {
    let filled = place.filled(FILE)?;
    filled.warm()?;
    let mapping = filled.map()?;
    let piece = Aligned::zeroed(4096);
    let done = AtomicBool::new(false);
    let each = thread::scope(|scope| {
        let faulter = scope.spawn(|| -> Result<()> {
            while !done.load(Ordering::Relaxed) {
                fault_upper_half(&mapping)?;
            }
            Ok(())
        });
        let each = per(MANY, || {
            (0..MANY).try_for_each(|number| {
                let at = (number * 4096 % (FILE / 2)) as u64;
                Ok(filled.direct.write_all_at(&piece, at)?)
            })
        });
        done.store(true, Ordering::Relaxed);
        joined(faulter.join())?;
        each
    })?;
    Ok(vec![each])
}

/// Maps the pages of the upper half anew.
fn fault_upper_half(mapping: &Mapping) -> Result<()> {
    mapping.advise(libc::MADV_DONTNEED)?;
    for page in FILE / 8192..FILE / 4096 {
        mapping.load_word(page * 512);
    }
    Ok(())
}

/// Files grow side by side, each by one thread; the time is that of 4 KiB of any.
fn growing(place: &Place, count: usize) -> Result<f64> {
    let files: Vec<File> = (0..count)
        .map(|number| place.empty(&format!("growing-{number}")))
        .collect::<Result<_>>()?;
    let each = per(MANY, || {
        together(count, |number| {
            let (file, piece) = (&files[number], [0; 4096]);
            for at in 0..MANY / count {
                file.write_all_at(&piece, at as u64 * 4096)?;
            }
            Ok(file.sync_all()?)
        })
    })?;
    for file in files {
        file.set_len(0)?;
    }
    Ok(each)
}

/// Does `work` in so many threads.
fn together(count: usize, work: impl Fn(usize) -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = (0..count)
            .map(|number| scope.spawn(move || work(number)))
            .collect();
        threads
            .into_iter()
            .try_for_each(|thread| joined(thread.join()))
    })
}

fn joined(result: thread::Result<Result<()>>) -> Result<()> {
    result.unwrap_or_else(|_| Err(anyhow::anyhow!("a thread panicked")))
}
