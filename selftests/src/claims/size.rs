// SPDX-License-Identifier: GPL-2.0

//! Sizes that change: what is cut off is gone for good, what is not stays, and the size is written down.

use std::fs;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU16;
use std::sync::atomic::Ordering::SeqCst;
use std::thread;
use std::time::Duration;
use std::time::Instant;

use anyhow::Context as _;
use anyhow::Result;
use rustix::io::Errno;

use super::PAGE;
use super::scratch::Scratch;
use super::volume::mounted;
use super::volume::require_cohfs;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::kernel_log::KernelLog;
use crate::mapping::Share;
use crate::mount::Mount;
use crate::pattern;
use crate::pattern::SECTOR;
use crate::pattern::Seen;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::transfer;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;
use crate::window;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T49",
        name: "what_is_cut_off_never_comes_back",
        rule: "B4 T49, A7, C2.1",
        summary: "A file is cut to nothing and made long again in a loop, while another thread writes it \
                  directly, and others look through a mapping and by direct reads: each sees zeros or \
                  versions that are neither older than the last one acknowledged nor older than the cut. \
                  Tried on cohfs only; with coherency=seed a write may fail, for who looks has the page \
                  pinned for a moment.",
        needs: Needs::NOTHING,
        expect: Expect {
            none: &[Verdict::Kept, Verdict::Stale],
            ..Expect::KEPT
        },
        files: &[FileSpec {
            name: "t49.dat",
            size: PAGES as u64 * PAGE,
        }],
        run: what_is_cut_off_never_comes_back,
    },
    Claim {
        id: "Z1",
        name: "size_of_file_that_grew_within_its_last_block_is_written_down",
        rule: "a size is a promise like bytes",
        summary: "Small files are synced and then, in the same second, made a few bytes longer: by \
                  write(2), by way of a pipe, by truncation, and with fdatasync after it. The file \
                  system is unmounted and mounted again: each has its last size and its bytes.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: size_of_file_that_grew_within_its_last_block_is_written_down,
    },
    Claim {
        id: "Z2",
        name: "cut_at_the_edge_of_a_hole_is_no_damage",
        rule: "a hole is no block",
        summary: "Files that are a hole but for one block are cut at, before and behind that block and \
                  where their trees of blocks begin, at every depth: the block is there or is zeros, \
                  and the kernel log has no complaint about the disk.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: cut_at_the_edge_of_a_hole_is_no_damage,
    },
    Claim {
        id: "Z4",
        name: "direct_write_behind_an_end_in_a_hole",
        rule: "C2.4: no error without a cause",
        summary: "A file of one sector is a hole. A sector is written directly at its end, and behind a                   gap, within its only block: each write takes it, and around them are zeros.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: direct_write_behind_an_end_in_a_hole,
    },
];

const PAGES: usize = 4;
const PAGE_LEN: usize = PAGE as usize;

/// How long T49 goes on, the fewest cuts, and the most versions.
const TIME: Duration = Duration::from_millis(1200);
const FEWEST: u32 = 8;
const MOST: u16 = 20_000;

/// What T49 knows of the versions of its file, of which one thread writes and one cuts.
#[derive(Debug)]
struct Versions {
    over: AtomicBool,
    /// The last one that was begun.
    begun: AtomicU16,
    /// The last one whose write has returned.
    done: AtomicU16,
    /// The last one that was done when a cut began that is over.
    cut: AtomicU16,
}

fn what_is_cut_off_never_comes_back(stage: &Stage<'_>) -> Result<Outcome> {
    require_cohfs(stage)?;
    let may_fail = mounted(stage)?.shows("coherency=seed");
    let file = stage.file()?;
    let direct = file.open_direct()?;
    let reader = file.open_direct_read_only()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    let versions = Versions {
        over: AtomicBool::new(false),
        begun: AtomicU16::new(1),
        done: AtomicU16::new(1),
        cut: AtomicU16::new(0),
    };
    let write = || {
        let mut judge = Judge::new();
        for version in 2..MOST {
            if versions.over.load(SeqCst) {
                break;
            }
            versions.begun.store(version, SeqCst);
            let written = file.write_direct(&direct, 0, PAGES * PAGE_LEN, version);
            if written.is_err() && may_fail {
                continue;
            }
            if !judge.wrote("a direct write", &written, PAGES * PAGE_LEN) {
                break;
            }
            versions.done.store(version, SeqCst);
        }
        judge
    };
    let cut = || -> Result<u32> {
        let (began, mut cuts) = (Instant::now(), 0);
        while cuts < FEWEST || began.elapsed() < TIME {
            let done = versions.done.load(SeqCst);
            file.set_len(0)?;
            versions.cut.store(done, SeqCst);
            file.set_len(file.size())?;
            // Some writes go to blocks that are there.
            thread::sleep(Duration::from_millis(2));
            cuts += 1;
        }
        Ok(cuts)
    };
    let load = |page: usize| Ok(mapping.peek(page * PAGE_LEN + SECTOR, SECTOR));
    let read = |page: usize| {
        let bytes = file.read_direct(&reader, (page * PAGE_LEN) as u64, PAGE_LEN)?;
        Ok(bytes.get(SECTOR..2 * SECTOR).unwrap_or_default().to_vec())
    };
    let cuts = thread::scope(|scope| {
        let (file, versions) = (&file, &versions);
        let writer = scope.spawn(write);
        let lookers = [
            scope.spawn(|| look("load", file, versions, load)),
            scope.spawn(|| look("load", file, versions, load)),
            scope.spawn(|| look("direct read", file, versions, read)),
        ];
        let cuts = cut();
        versions.over.store(true, SeqCst);
        judge.absorb(writer.join().expect("the writer does not panic"));
        for looker in lookers {
            judge.absorb(looker.join().expect("a looker does not panic"));
        }
        cuts
    });
    let last = versions.begun.load(SeqCst);
    judge.fact(format!("{} cuts, {last} writes", cuts.context("cutting")?));
    // As it was found.
    file.set_len(file.size())?;
    let written = file.write_direct(&direct, 0, PAGES * PAGE_LEN, last + 1);
    judge.wrote("the last direct write", &written, PAGES * PAGE_LEN);
    let all = mapping.len();
    file.judge_everywhere(&mut judge, Some(&mapping), 0, all, |_| vec![last + 1])?;
    Ok(judge.outcome())
}

/// Looks at the second sector of every page again and again. What `see` gives is nothing beyond the
/// end of the file.
fn look(
    way: &str,
    file: &ClaimFile,
    versions: &Versions,
    see: impl Fn(usize) -> io::Result<Vec<u8>>,
) -> Judge {
    let (mut judge, mut seen) = (Judge::new(), 0_u64);
    for page in (0..PAGES).cycle() {
        if versions.over.load(SeqCst) || !judge.is_clean() {
            break;
        }
        let oldest = versions.done.load(SeqCst);
        let oldest = oldest.max(versions.cut.load(SeqCst).saturating_add(1));
        let bytes = match see(page) {
            Ok(bytes) => bytes,
            Err(error) => {
                judge.find(Verdict::Error, format!("a {way} returned {error}"));
                break;
            }
        };
        let newest = versions.begun.load(SeqCst);
        let sector = (page * PAGE_LEN / SECTOR + 1) as u64;
        seen += u64::from(bytes.iter().any(|byte| *byte != 0));
        if !is_between(file, sector, &bytes, oldest..=newest) {
            let what = match pattern::look(file.id(), sector, &bytes) {
                Seen::Version(version) => (Verdict::Stale, version.to_string()),
                other => (Verdict::Torn, format!("{other:?}")),
            };
            judge.find(
                what.0,
                format!(
                    "{way}: sector {sector} is {}, not v{oldest} to v{newest}",
                    what.1
                ),
            );
        }
    }
    judge.fact(format!("{seen} times bytes by {way}"));
    judge
}

/// Whether each byte of a sector is zero or of one of the versions: who looks without a lock may see
/// the middle of a write, and of a word.
fn is_between(
    file: &ClaimFile,
    sector: u64,
    bytes: &[u8],
    versions: std::ops::RangeInclusive<u16>,
) -> bool {
    if bytes.iter().all(|byte| *byte == 0) {
        return true;
    }
    let known: Vec<_> = versions
        .map(|number| pattern::sector(file.id(), sector, file.version(number)))
        .collect();
    bytes.iter().enumerate().all(|(place, found)| {
        *found == 0 || known.iter().any(|known| known.get(place) == Some(found))
    })
}

/// How many bytes the files of Z1 have, and how many more they get.
const SHORT: usize = 100;
const MORE: usize = 24;

/// A way to make a file longer.
type Grow = fn(&File, &[u8]) -> io::Result<()>;

fn size_of_file_that_grew_within_its_last_block_is_written_down(
    stage: &Stage<'_>,
) -> Result<Outcome> {
    let mount = Mount::of(stage.dir()?).map_err(|_| {
        skip("this is no mount point, and what is on the disk is seen after mounting only")
    })?;
    let scratch = Scratch::new(stage)?;
    let mut judge = Judge::new();
    let ways: [(&str, Grow); 4] = [
        ("write", |file, more| file.write_all_at(more, SHORT as u64)),
        ("pipe", |file, more| {
            transfer::splice_in(file, more, SHORT as u64).map(drop)
        }),
        ("truncation", |file, more| {
            file.set_len((SHORT + more.len()) as u64)
        }),
        ("fdatasync", |file, more| {
            file.write_all_at(more, SHORT as u64)?;
            file.sync_data()
        }),
    ];
    let bytes = pattern::bytes(pattern::file_id("z1"), 0, SHORT + MORE, |_| {
        pattern::Version::PREPARED
    });
    let mut coarse = 0;
    for (way, grow) in ways {
        for _ in 0..window::ATTEMPTS {
            if grow_after_sync(&scratch.join(way), &bytes, grow)
                .with_context(|| format!("making a file longer by {way}"))?
            {
                coarse += 1;
                break;
            }
        }
    }
    judge.fact(format!(
        "{coarse} of {} files grew without their times moving",
        ways.len()
    ));
    match mount.again() {
        Err(Errno::BUSY | Errno::PERM) => return Err(skip("it cannot be unmounted now")),
        mounted => mounted.context("unmounting and mounting")?,
    }
    for (way, _) in ways {
        let found = fs::read(scratch.join(way)).context("reading after mounting")?;
        judge.require(found.len() == bytes.len(), Verdict::Lost, || {
            format!("{way}: {} bytes, not {}", found.len(), bytes.len())
        });
        let zeros = way == "truncation";
        let good = found
            .iter()
            .enumerate()
            .all(|(at, byte)| *byte == bytes[at] || (zeros && at >= SHORT && *byte == 0));
        judge.require(good, Verdict::Torn, || format!("{way}: other bytes"));
    }
    Ok(judge.outcome())
}

/// Makes a short file, has its inode written, and makes it longer. Returns whether its times are those
/// from before: nothing but the size tells then that there is something to write.
fn grow_after_sync(path: &Path, bytes: &[u8], grow: Grow) -> io::Result<bool> {
    let file = File::create(path)?;
    file.write_all_at(&bytes[..SHORT], 0)?;
    file.sync_all()?;
    let times = |file: &File| -> io::Result<_> {
        let meta = file.metadata()?;
        Ok((
            meta.mtime(),
            meta.mtime_nsec(),
            meta.ctime(),
            meta.ctime_nsec(),
        ))
    };
    let before = times(&file)?;
    grow(&file, &bytes[SHORT..])?;
    Ok(before == times(&file)?)
}

fn direct_write_behind_an_end_in_a_hole(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.scratch("z4.tmp", 0)?;
    let direct = file.open_direct()?;
    let mut judge = Judge::new();
    for at in [SECTOR as u64, 2 * SECTOR as u64] {
        file.file().set_len(0).context("making it empty")?;
        file.file()
            .set_len(SECTOR as u64)
            .context("making a hole")?;
        let written = file.write_direct(&direct, at, SECTOR, 1);
        judge.wrote(&format!("the write at {at}"), &written, SECTOR);
        let Ok(SECTOR) = written else { continue };
        let found = file.read(0, at as usize + SECTOR)?;
        let (before, bytes) = found.split_at(at as usize);
        let zeros = before.iter().all(|byte| *byte == 0);
        judge.require(zeros, Verdict::Torn, || {
            format!("there are no zeros before byte {at}")
        });
        file.judge_bytes(&mut judge, "read", at, bytes, Verdict::Lost, |_| vec![1]);
    }
    Ok(judge.outcome())
}

fn cut_at_the_edge_of_a_hole_is_no_damage(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.scratch("z2.tmp", 0)?;
    let device = file.device()?.name().to_string_lossy().into_owned();
    let log = KernelLog::open()?;
    let mut judge = Judge::new();
    // Over NFS it is the size of a request.
    let unit = u64::from(sys::fibmap_unit(file.file()).unwrap_or(4096)).min(PAGE);
    // Where the inode's own pointers end, and those of one block, and of a block of blocks.
    let (own, one) = (12, unit / 4);
    let (double, triple) = (own + one, own + one + one * one);
    let places = [
        0,
        own - 1,
        own,
        double - 1,
        double,
        double + one,
        double + 5 * one + 3,
        triple - 1,
        triple,
        triple + 2 * one * one + 7,
    ];
    let end = (triple + 3 * one * one) * unit;
    log.skip_to_end()?;
    for written in places {
        for cut in places {
            let at = written * unit;
            let what = format!("block {written} of a hole, cut at block {cut}");
            file.file().set_len(end).context("making it long")?;
            file.write(at, SECTOR, 1)?;
            let shortened = file.file().set_len(cut * unit);
            judge.require(shortened.is_ok(), Verdict::Error, || {
                format!("{what}: {shortened:?}")
            });
            file.file().set_len(end).context("making it long again")?;
            let found = file.read(at, SECTOR)?;
            if written < cut {
                file.judge_bytes(&mut judge, &what, at, &found, Verdict::Lost, |_| vec![1]);
            } else {
                let zeros = found.iter().all(|byte| *byte == 0);
                judge.require(zeros, Verdict::Torn, || {
                    format!("{what}: what was cut off is back")
                });
            }
            file.file().set_len(0).context("emptying it")?;
        }
    }
    let cuts = places.len() * places.len();
    judge.fact(format!("{cuts} cuts, blocks of {unit} bytes"));
    let complaints = log.count(&device)?;
    judge.require(complaints == 0, Verdict::FalseError, || {
        format!("the kernel log names {device} {complaints} times")
    });
    Ok(judge.outcome())
}
