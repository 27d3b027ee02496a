// SPDX-License-Identifier: GPL-2.0

//! Direct reads: they see what was stored, and take nothing from anybody.

use anyhow::Context as _;
use anyhow::Result;

use super::PAGE;
use crate::file::ClaimFile;
use crate::judge::Judge;
use crate::mapping::Mapping;
use crate::mapping::Share;
use crate::pages::PageFlags;
use crate::pages::PageMap;
use crate::pages::flag;
use crate::pattern::SECTOR;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::sys;
use crate::sys::Ended;
use crate::verdict::Outcome;
use crate::verdict::Verdict;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "T07",
        name: "direct_read_sees_earlier_store",
        rule: "B1 T07, A14, A15",
        summary: "A store through a mapping, then a direct read of the same bytes: the read sees \
                  the store. A second store after it is not forgotten either: it reaches the disk \
                  at the next fsync. The detail counts the faults of the second store.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t07.dat",
            size: 4 * PAGE,
        }],
        run: direct_read_sees_earlier_store,
    },
    Claim {
        id: "T08",
        name: "unprivileged_direct_reader_evicts_nobody",
        rule: "B1 T08, A15",
        summary: "A process has 1000 pages mapped and locked; another, with no privilege and the \
                  file open for reading only, reads all of it directly, three times: the first \
                  process has lost no page table entry and takes no major fault.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t08.dat",
            size: VICTIM_PAGES as u64 * PAGE,
        }],
        run: unprivileged_direct_reader_evicts_nobody,
    },
    Claim {
        id: "T09",
        name: "direct_read_cleans_and_does_not_drop",
        rule: "B1 T09, A15",
        summary: "A page is dirty through a mapping; a direct read of it writes it out and sees \
                  the store, and the page stays mapped, cached and up to date.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "t09.dat",
            size: 4 * PAGE,
        }],
        run: direct_read_cleans_and_does_not_drop,
    },
    Claim {
        id: "Sd",
        name: "direct_read_never_unmaps_anyone",
        rule: "seed (d), A15",
        summary: "A file is mapped shared and clean, shared and dirty, and private with copies; \
                  direct reads of many sizes and places run over it: every page table entry there \
                  was is there afterwards, and every read saw the stores.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "sd.dat",
            size: 32 * PAGE,
        }],
        run: direct_read_never_unmaps_anyone,
    },
    Claim {
        id: "Z3",
        name: "direct_reads_go_on_to_an_odd_end",
        rule: "read(2): zero is the end of the file, as dd iflag=direct relies on",
        summary: "A file that ends in the middle of a sector is read directly, buffer by buffer, each \
                  read starting where the last one ended: the last one with bytes is short, and the \
                  one after it, from an odd offset, returns 0. So do reads from beyond the end.",
        needs: Needs::NOTHING,
        expect: Expect::KEPT,
        files: &[],
        run: direct_reads_go_on_to_an_odd_end,
    },
];

const VICTIM_PAGES: usize = 1000;
const PAGE_LEN: usize = PAGE as usize;

/// Version 2 in the first sector, 1 elsewhere.
fn stored(sector: u64) -> Vec<u16> {
    vec![if sector == 0 { 2 } else { 1 }]
}

fn store_first_sector(file: &ClaimFile, mapping: &Mapping, version: u16) {
    mapping.store(0, &file.bytes(0, SECTOR, version));
}

fn direct_read_sees_earlier_store(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct_read_only()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    mapping.touch();
    store_first_sector(&file, &mapping, 2);
    let bytes = file
        .read_direct(&direct, 0, PAGE_LEN)
        .context("the direct read")?;
    file.judge_bytes(&mut judge, "direct read", 0, &bytes, Verdict::Stale, stored);
    let before = sys::thread_faults().minor;
    store_first_sector(&file, &mapping, 3);
    let faults = sys::thread_faults().minor - before;
    judge.fact(format!("the second store took {faults} minor faults"));
    let wanted = |sector| vec![if sector == 0 { 3 } else { 1 }];
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, wanted)?;
    Ok(judge.outcome())
}

fn unprivileged_direct_reader_evicts_nobody(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let map = PageMap::open()?;
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::SharedReadOnly)?;
    mapping.keep_page_tables()?;
    if let Err(error) = mapping.lock() {
        judge.fact(format!("not locked: {error}"));
    }
    mapping.touch();
    let before = map.count(&mapping, 0..VICTIM_PAGES)?;
    let reader = file.open_direct_read_only()?;
    let ended = sys::in_child(|| {
        if sys::is_root() && sys::become_user(65534).is_err() {
            return 2;
        }
        let all = file.size() as usize;
        let read = |_| {
            file.read_direct(&reader, 0, all)
                .map_or(0, |bytes| bytes.len())
        };
        i32::from(!(0..3).all(|round| read(round) == all))
    })
    .context("starting the reader")?;
    anyhow::ensure!(
        ended == Ended::Status(0),
        "the direct reader ended with {ended:?}"
    );
    let after = map.count(&mapping, 0..VICTIM_PAGES)?;
    let faults = sys::thread_faults().major;
    mapping.touch();
    let faults = sys::thread_faults().major - faults;
    judge.require(after == before && faults == 0, Verdict::FalseError, || {
        format!(
            "{before} pages were mapped before the reads and {after} after; {faults} major faults"
        )
    });
    judge.fact(format!(
        "{after} of {VICTIM_PAGES} pages mapped after the reads"
    ));
    file.judge_load(&mut judge, &mapping, 0, mapping.len(), |_| vec![1]);
    Ok(judge.outcome())
}

fn direct_read_cleans_and_does_not_drop(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct_read_only()?;
    let (map, flags) = (PageMap::open()?, PageFlags::open()?);
    let mut judge = Judge::new();
    file.fill(1)?;
    let mapping = file.map(Share::Shared)?;
    mapping.touch();
    store_first_sector(&file, &mapping, 2);
    let dirty = |word: u64| {
        if word & flag::DIRTY != 0 {
            "dirty"
        } else {
            "clean"
        }
    };
    let before = map
        .frame(&mapping, 0)?
        .context("the page just stored to is not mapped")?;
    let was = dirty(flags.of(before)?);
    let bytes = file
        .read_direct(&direct, 0, PAGE_LEN)
        .context("the direct read")?;
    file.judge_bytes(&mut judge, "direct read", 0, &bytes, Verdict::Stale, stored);
    match map.frame(&mapping, 0)? {
        None => judge.find(Verdict::FalseError, "the direct read unmapped the page"),
        Some(frame) => {
            let word = flags.of(frame)?;
            judge.require(frame == before, Verdict::FalseError, || {
                "another page is mapped".into()
            });
            judge.require(word & flag::UPTODATE != 0, Verdict::Torn, || {
                format!("the mapped page is not up to date (flags {word:#x})")
            });
            judge.fact(format!(
                "the page was {was} before the read and {} after",
                dirty(word)
            ));
        }
    }
    file.judge_everywhere(&mut judge, Some(&mapping), 0, PAGE_LEN, stored)?;
    Ok(judge.outcome())
}

fn direct_read_never_unmaps_anyone(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.file()?;
    let direct = file.open_direct_read_only()?;
    let map = PageMap::open()?;
    let mut judge = Judge::new();
    let pages = (file.size() / PAGE) as usize;
    file.fill(1)?;
    let mappings = [
        ("clean", file.map(Share::SharedReadOnly)?),
        ("dirty", file.map(Share::Shared)?),
        ("private", file.map(Share::Private)?),
    ];
    for (_, mapping) in &mappings {
        mapping.touch();
    }
    let wanted = |sector: u64| vec![if sector.is_multiple_of(32) { 2 } else { 1 }];
    for start in (0..file.size()).step_by(32 * SECTOR) {
        mappings[1]
            .1
            .store(start as usize, &file.bytes(start, SECTOR, 2));
        mappings[2]
            .1
            .store(start as usize, &file.bytes(start, SECTOR, 3));
    }
    for round in 0..8 {
        for (start, len) in [(0, pages), (3, 1), (8, 16), (pages - 1, 1)] {
            let (start, len) = (start as u64 * PAGE, len * PAGE_LEN);
            let bytes = file
                .read_direct(&direct, start, len)
                .context("the direct read")?;
            file.judge_bytes(
                &mut judge,
                "direct read",
                start,
                &bytes,
                Verdict::Stale,
                wanted,
            );
        }
        for (name, mapping) in &mappings {
            let present = map.count(mapping, 0..pages)?;
            judge.require(present == pages, Verdict::FalseError, || {
                format!("round {round}: {present} of {pages} pages left in the {name} mapping")
            });
        }
        // Dirty again, for the next round to write out.
        mappings[1].1.store(0, &file.bytes(0, SECTOR, 2));
    }
    file.judge_everywhere(
        &mut judge,
        Some(&mappings[1].1),
        0,
        file.size() as usize,
        wanted,
    )?;
    Ok(judge.outcome())
}

fn direct_reads_go_on_to_an_odd_end(stage: &Stage<'_>) -> Result<Outcome> {
    let file = stage.scratch("z3.tmp", 0)?;
    let mut judge = Judge::new();
    for size in [
        1,
        SECTOR - 1,
        2 * PAGE_LEN + 321,
        3 * PAGE_LEN - 1,
        2 * PAGE_LEN,
    ] {
        file.file().set_len(0).context("emptying the file")?;
        file.write(0, size, 1)?;
        file.file().sync_all()?;
        let direct = file.open_direct_read_only()?;
        let (mut at, mut reads) = (0, 0);
        loop {
            let read = file.read_direct(&direct, at as u64, PAGE_LEN);
            let bytes = read.with_context(|| format!("reading {size} bytes from {at} on"))?;
            if bytes.is_empty() {
                break;
            }
            let way = "direct read";
            file.judge_bytes(&mut judge, way, at as u64, &bytes, Verdict::Stale, |_| {
                vec![1]
            });
            at += bytes.len();
            reads += 1;
        }
        let wanted = size.div_ceil(PAGE_LEN);
        judge.require(at == size && reads == wanted, Verdict::Lost, || {
            format!("{reads} reads gave {at} bytes of {size}")
        });
        for beyond in [
            size + 1,
            size + 777,
            size.next_multiple_of(PAGE_LEN) + PAGE_LEN,
        ] {
            let read = file.read_direct(&direct, beyond as u64, PAGE_LEN);
            let bytes = read.with_context(|| format!("reading {size} bytes from {beyond} on"))?;
            judge.require(bytes.is_empty(), Verdict::Torn, || {
                format!("{} bytes at {beyond}, beyond {size}", bytes.len())
            });
        }
    }
    Ok(judge.outcome())
}
