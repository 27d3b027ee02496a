// SPDX-License-Identifier: GPL-2.0

//! The seed's best idea: a page that is in page tables is always up to date.

use std::fmt;
use std::os::unix::fs::FileExt as _;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use crate::faults;
use crate::faults::FailingDevice;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pages::PageFlags;
use crate::pages::PageMap;
use crate::pages::flag;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::sys::Ended;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T68",
        name: "failed_read_maps_nothing_and_is_forgotten",
        rule: "B4 T68, A17, A26",
        summary: "The disk fails reads while a page is loaded through a mapping: SIGBUS. When the \
                  disk is well again the same load works and is right, and every mapped page is up \
                  to date.",
        needs: Needs {
            faults: true,
            device: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t68.dat",
            size: 16 * PAGE,
        }],
        run: failed_read_maps_nothing_and_is_forgotten,
    },
    Claim {
        id: "Se",
        name: "mapped_page_is_never_non_uptodate",
        rule: "seed (e), A17, A18, A19",
        summary: "Faults, direct writes, invalidations and, where the kernel can make them, failing \
                  reads run over one file while its page tables are scanned: every page found in \
                  them is up to date by /proc/kpageflags.",
        needs: Needs {
            faults: true,
            device: true,
            ..Needs::NOTHING
        },
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "se.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: mapped_page_is_never_non_uptodate,
    },
];

/// How long a scan waits for all pages to be touched.
const PATIENCE: Duration = Duration::from_millis(200);

const PAGES: usize = 16;
const PAGE_LEN: usize = PAGE as usize;

/// What one look at a mapped page gave.
struct Look {
    frame: u64,
    flags: u64,
}

impl fmt::Display for Look {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "frame {:#x} with flags {:#x}", self.frame, self.flags)
    }
}

/// Looks at page `page`; nothing if it is not mapped, or was unmapped while we looked.
fn look(map: &PageMap, flags: &PageFlags, mapping: &Mapping, page: usize) -> Result<Option<Look>> {
    let Some(frame) = map.frame(mapping, page)? else {
        return Ok(None);
    };
    let word = flags.of(frame)?;
    // The frame may have been unmapped, freed and used for something else between the two reads.
    let ours = map.frame(mapping, page)? == Some(frame)
        && word & flag::MMAP != 0
        && word & flag::ANON == 0;
    Ok(ours.then_some(Look { frame, flags: word }))
}

/// Whether the page is mapped and not up to date, seen twice in a row in the same frame.
fn violation(
    map: &PageMap,
    flags: &PageFlags,
    mapping: &Mapping,
    page: usize,
) -> Result<Option<Look>> {
    let bad = |look: &Look| look.flags & flag::UPTODATE == 0;
    let first = look(map, flags, mapping, page)?.filter(bad);
    let Some(first) = first else { return Ok(None) };
    let second = look(map, flags, mapping, page)?.filter(bad);
    Ok(second.filter(|second| second.frame == first.frame))
}

fn failed_read_maps_nothing_and_is_forgotten(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let (map, flags) = (PageMap::open()?, PageFlags::open()?);
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    let device = file.device()?;
    let failing = FailingDevice::new(device)?;
    let load = || -> Result<Ended> {
        let ended = sys::in_child(|| match faults::fail_my_io(true) {
            // That the disk itself fails is what makes a load that works a finding.
            Ok(()) if device.probe().is_err() => {
                mapping.load_word(PAGE_LEN / 8);
                0
            }
            _ => 3,
        });
        ended.context("loading in a child")
    };
    match load()? {
        Ended::Signal(libc::SIGBUS) => {}
        Ended::Status(0) => judge.find(
            Verdict::Lost,
            "the load of a page that cannot be read worked",
        ),
        other => {
            return Err(skip(format!(
                "no errors on demand: the child ended with {other:?}"
            )));
        }
    }
    judge.require(!map.present(&mapping, 1)?, Verdict::Torn, || {
        "the failed page is mapped".into()
    });
    drop(failing);
    file.judge_load(&mut judge, &mapping, 0, mapping.len(), |_| vec![1]);
    for page in 0..PAGES {
        if let Some(look) = violation(&map, &flags, &mapping, page)? {
            judge.find(Verdict::Torn, format!("page {page} is mapped, {look}"));
        }
    }
    file.judge_read(&mut judge, 0, mapping.len(), |_| vec![1])?;
    judge.synced("fsync", file.file().sync_all());
    Ok(judge.outcome())
}

fn mapped_page_is_never_non_uptodate(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let (map, flags) = (PageMap::open()?, PageFlags::open()?);
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    let failing = file.device().and_then(FailingDevice::new);
    let (stop, failed, touched) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let going = || !stop.load(Ordering::Relaxed);
    let (mut looks, mut writes) = (0_u64, 0_u64);
    thread::scope(|scope| -> Result<()> {
        scope.spawn(|| {
            while going() {
                mapping.touch();
                touched.fetch_add(1, Ordering::Relaxed);
            }
        });
        scope.spawn(|| empty_again_and_again(&file, &mapping, &touched, going));
        if failing.is_ok() {
            scope.spawn(|| read_and_fail(&file, &failed, going));
        }
        let mut scan = || -> Result<()> {
            let end = Instant::now() + Duration::from_millis(1500);
            while writes < 300 && (writes < 30 || Instant::now() < end) {
                // Whether the write succeeds is another claim's business.
                let _ = file.write_direct(&direct, writes % PAGES as u64 * PAGE, PAGE_LEN, 1);
                writes += 1;
                // Scans while the pages come back, not while there are none.
                let (round, asked) = (touched.load(Ordering::Relaxed), Instant::now());
                while touched.load(Ordering::Relaxed) == round && asked.elapsed() < PATIENCE {
                    thread::yield_now();
                }
                for page in (0..PAGES).cycle().take(4 * PAGES) {
                    looks += u64::from(look(&map, &flags, &mapping, page)?.is_some());
                    if let Some(look) = violation(&map, &flags, &mapping, page)? {
                        judge.find(Verdict::Torn, format!("page {page} is mapped, {look}"));
                        return Ok(());
                    }
                }
            }
            Ok(())
        };
        let result = scan();
        stop.store(true, Ordering::Relaxed);
        result
    })?;
    if looks == 0 {
        return Err(skip("the scan never found a page mapped"));
    }
    let failed = failed.into_inner();
    judge.fact(format!(
        "{looks} mapped pages looked at, {writes} direct writes, {failed} failed reads"
    ));
    if let Err(reason) = failing {
        judge.fact(format!("{reason:#}"));
    }
    Ok(judge.outcome())
}

/// Empties the page tables and, by every means there is, the cache, each time after all pages
/// have been touched, so that the scan finds pages in every state.
fn empty_again_and_again(
    file: &ClaimFile,
    mapping: &Mapping,
    touched: &AtomicU64,
    going: impl Fn() -> bool,
) {
    let mut seen = 0;
    while going() {
        let now = touched.load(Ordering::Relaxed);
        if now == seen {
            thread::yield_now();
            continue;
        }
        seen = now;
        // Each is best effort: what it cannot empty, the direct writes do.
        let _ = sys::invalidate(file.file(), 0, 0);
        if seen.is_multiple_of(2) {
            let _ = mapping.advise(libc::MADV_DONTNEED);
            let _ = sys::drop_cache(file.file());
        }
    }
}

/// Reads pages that are not cached, with an error each time, which leaves them not up to date.
fn read_and_fail(file: &ClaimFile, failed: &AtomicU64, going: impl Fn() -> bool) {
    if faults::fail_my_io(true).is_err() {
        return;
    }
    let mut page = vec![0; PAGE_LEN];
    for number in (0..PAGES as u64).cycle() {
        if !going() {
            break;
        }
        if file.file().read_at(&mut page, number * PAGE).is_err() {
            failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}
