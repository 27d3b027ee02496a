// SPDX-License-Identifier: GPL-2.0

//! Memory of the kernel: what a file takes that is cached, what a direct write takes while it is on its
//! way, and the module itself.

use std::fs;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use anyhow::Result;

use super::Mode;
use super::Place;
use super::Scenario;
use super::Unit;
use crate::aligned::Aligned;
use crate::queue::Kind;
use crate::queue::Op;
use crate::verdict::skip;

/// A scenario that counts bytes.
const fn bytes(
    rows: &'static [(&'static str, &'static str)],
    measure: fn(&Place) -> Result<Vec<f64>>,
) -> Scenario {
    Scenario {
        mode: Mode::Counted,
        unit: Some(Unit::Bytes),
        rows,
        measure,
    }
}

pub(super) const SCENARIOS: &[Scenario] = &[
    bytes(
        &[(
            "inode_memory",
            "a cached file: its inode, its name and what belongs to them",
        )],
        inodes,
    ),
    bytes(
        &[
            ("dio_memory", "what a direct write of 4 KiB allocates"),
            ("aio_memory", "what an asynchronous one allocates"),
        ],
        requests,
    ),
    bytes(&[("module_memory", "the module: code and data")], module),
];

/// What the slab caches grow by when files are looked up, in parts of one file.
fn inodes(place: &Place) -> Result<Vec<f64>> {
    const DIRECTORIES: usize = 20;
    const FILES: usize = 200;
    let top = place.path("inodes");
    let _ = fs::remove_dir_all(&top);
    let mut paths: Vec<PathBuf> = Vec::new();
    for dir in (0..DIRECTORIES).map(|number| top.join(number.to_string())) {
        fs::create_dir_all(&dir)?;
        for number in 0..FILES {
            paths.push(dir.join(number.to_string()));
        }
    }
    for path in &paths {
        File::create(path)?;
    }
    let mount = place.mount()?;
    // Caches that are dropped keep what was used a moment ago.
    mount
        .again()
        .map_err(|error| skip(format!("cannot be mounted again: {error}")))?;
    // The directories are not what is measured.
    for path in paths.iter().step_by(FILES) {
        fs::metadata(path)?;
    }
    let before = settled_slab()?;
    for path in &paths {
        fs::metadata(path)?;
    }
    let grown = slab()? - before;
    fs::remove_dir_all(&top)?;
    Ok(vec![grown / (paths.len() - DIRECTORIES) as f64])
}

/// As [`slab`], when what was freed is back: that is after others have looked away.
fn settled_slab() -> Result<f64> {
    let mut last = slab()?;
    for _ in 0..100 {
        thread::sleep(Duration::from_millis(50));
        let now = slab()?;
        if now == last {
            return Ok(now);
        }
        last = now;
    }
    Err(skip("the slab caches do not come to rest"))
}

/// The memory in slab caches, in bytes.
fn slab() -> Result<f64> {
    // What processors counted for themselves.
    fs::write("/proc/sys/vm/stat_refresh", "1")
        .map_err(|error| skip(format!("counters cannot be brought up to date: {error}")))?;
    let info = fs::read_to_string("/proc/meminfo")?;
    let line = info.lines().find_map(|line| line.strip_prefix("Slab:"));
    let kib = line.and_then(|line| line.split_whitespace().next());
    let kib: f64 = kib.context("/proc/meminfo has no Slab")?.parse()?;
    Ok(kib * 1024.0)
}

fn requests(place: &Place) -> Result<Vec<f64>> {
    const TIMES: usize = 16;
    let filled = place.filled(1 << 20)?;
    filled.chill()?;
    let piece = Aligned::zeroed(4096);
    let waited = allocated(TIMES, || Ok(filled.direct.write_all_at(&piece, 0)?))?;
    let mut queue = Kind::Libaio.open(1)?;
    let mut free = Some(piece);
    let queued = allocated(TIMES, || {
        let buffer = free.take().context("the buffer is on its way")?;
        queue.submit(0, Op::Write, &filled.direct, 0, buffer)?;
        let done = queue.reap(true)?.context("no completion")?;
        done.result?;
        free = Some(done.buffer);
        Ok(())
    })?;
    Ok(vec![waited, queued])
}

/// The bytes that the kernel allocates for this process each time that `work` is done, as its
/// tracepoints tell.
fn allocated(times: usize, mut work: impl FnMut() -> Result<()>) -> Result<f64> {
    const EVENTS: [&str; 2] = [
        "events/kmem/kmalloc/enable",
        "events/kmem/kmem_cache_alloc/enable",
    ];
    let tracing = Path::new("/sys/kernel/tracing");
    let set = |name: &str, value: &str| {
        fs::write(tracing.join(name), value)
            .map_err(|error| skip(format!("no tracepoints: {name}: {error}")))
    };
    // What the first one brings in stays.
    work()?;
    set("set_event_pid", &std::process::id().to_string())?;
    set("trace", "")?;
    let done = EVENTS
        .iter()
        .try_for_each(|event| set(event, "1"))
        .and_then(|()| (0..times).try_for_each(|_| work()));
    for event in EVENTS {
        set(event, "0")?;
    }
    set("set_event_pid", "")?;
    done?;
    let trace = fs::read_to_string(tracing.join("trace"))?;
    let sizes = trace
        .split_whitespace()
        .filter_map(|word| word.strip_prefix("bytes_alloc="))
        .map(str::parse::<u32>);
    let sizes = sizes.collect::<Result<Vec<_>, _>>()?;
    let sum: u32 = sizes.iter().sum();
    Ok(f64::from(sum) / times as f64)
}

fn module(place: &Place) -> Result<Vec<f64>> {
    let name = place.name().split('-').next().unwrap_or_default();
    let size = fs::read_to_string(format!("/sys/module/{name}/coresize"))
        .map_err(|_| skip(format!("{name} is built into the kernel")))?;
    Ok(vec![size.trim().parse()?])
}
