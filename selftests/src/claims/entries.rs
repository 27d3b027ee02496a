// SPDX-License-Identifier: GPL-2.0

//! The entries of a directory: each name that is there is found, once, and no other.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::fs::File;
use std::io::ErrorKind;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;

use anyhow::Context as _;
use anyhow::Result;
use rustix::fs::RawDir;

use super::PAGE;
use super::scratch::Scratch;
use super::scratch::touch;
use crate::judge::Judge;
use crate::registry::Claim;
use crate::registry::Expect;
use crate::registry::FileSpec;
use crate::registry::Needs;
use crate::registry::Stage;
use crate::verdict::Outcome;
use crate::verdict::Verdict;
use crate::verdict::skip;

/// The claims of this file.
pub(super) const CLAIMS: &[Claim] = &[
    Claim {
        id: "N1",
        name: "readdir_returns_each_name_that_stays_once",
        rule: "readdir(3): what is neither made nor removed meanwhile is returned once",
        summary: "A directory is read in small steps; after each, the name that would come next is \
                  removed, so that the position is that of nothing, and others are made in its \
                  place. Every name that stays is returned once, and no other one twice.",
        needs: Needs::SMALL_BLOCKS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "n1.dat",
            size: PAGE,
        }],
        run: readdir_returns_each_name_that_stays_once,
    },
    Claim {
        id: "N5",
        name: "full_directory_blocks_keep_every_name",
        rule: "names of 1 to 255 bytes, whatever they leave of a block",
        summary: "Names of all lengths fill blocks of a directory, are removed in another order \
                  and made again, thousands of times: each one is there, and no other. One of 256 \
                  bytes is refused.",
        needs: Needs::SMALL_BLOCKS,
        expect: Expect::KEPT,
        files: &[FileSpec {
            name: "n5.dat",
            size: PAGE,
        }],
        run: full_directory_blocks_keep_every_name,
    },
];

fn readdir_returns_each_name_that_stays_once(stage: &Stage<'_>) -> Result<Outcome> {
    const STAY: usize = 200;
    let scratch = Scratch::new(stage)?;
    for number in 0..STAY {
        touch(&scratch.join(format!("stays-{number:03}{}", "s".repeat(number % 40))))?;
        touch(&scratch.join(format!("goes-{number:03}{}", "g".repeat(number % 70))))?;
    }
    let order: Vec<OsString> = fs::read_dir(scratch.path())?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<std::io::Result<_>>()?;
    let next: BTreeMap<_, _> = order.windows(2).map(|two| (&two[0], &two[1])).collect();

    let mut judge = Judge::new();
    let (mut seen, mut removed) = (BTreeMap::new(), 0);
    let open = File::open(scratch.path())?;
    let mut room = [MaybeUninit::uninit(); 300];
    let mut dir = RawDir::new(&open, &mut room);
    while let Some(entry) = dir.next() {
        let last = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        *seen.entry(last.clone()).or_insert(0) += 1;
        // Only between two calls of getdents the position is where the next entry was.
        if !dir.is_buffer_empty() {
            continue;
        }
        let Some(after) = next.get(&last) else {
            continue;
        };
        if after.as_encoded_bytes().starts_with(b"goes") {
            // It is gone already where a position led back to what was returned before.
            match fs::remove_file(scratch.join(after)) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                result => result.context("removing a name")?,
            }
            touch(&scratch.join(format!("a{removed}")))?;
            removed += 1;
        }
    }
    judge.fact(format!("{removed} positions were of names just removed"));
    if removed < 10 {
        return Err(skip("too few positions were of names just removed"));
    }
    for name in order
        .iter()
        .filter(|name| name.as_encoded_bytes().starts_with(b"stays"))
    {
        judge.require(seen.contains_key(name), Verdict::Lost, || {
            format!("{} was not returned", name.display())
        });
    }
    let twice: Vec<_> = seen.iter().filter(|(_, times)| **times > 1).collect();
    judge.require(twice.is_empty(), Verdict::Stale, || {
        let name = twice[0].0.display();
        format!("{} names were returned twice, {name} first", twice.len())
    });
    Ok(judge.outcome())
}

fn full_directory_blocks_keep_every_name(stage: &Stage<'_>) -> Result<Outcome> {
    const STEPS: usize = 4000;
    let scratch = Scratch::new(stage)?;
    let mut judge = Judge::new();
    let anchor = scratch.join("anchor");
    touch(&anchor)?;
    let mut random = fastrand::Rng::with_seed(5);
    let mut there = vec![OsString::from("anchor")];
    for step in 0..STEPS {
        // It grows, then shrinks, and grows again.
        let grow = random.usize(..10) < if step / 700 % 2 == 0 { 8 } else { 3 };
        if grow || there.len() == 1 {
            let longest = if random.bool() { 255 } else { 30 };
            let fill = random.usize(..longest - 4);
            let name = format!("{step:04}{}", "n".repeat(fill));
            fs::hard_link(&anchor, scratch.join(&name))
                .with_context(|| format!("making {name}"))?;
            there.push(name.into());
        } else {
            let gone = there.swap_remove(random.usize(1..there.len()));
            fs::remove_file(scratch.join(&gone)).context("removing a name")?;
        }
        if step % 500 != 499 {
            continue;
        }
        let mut found: Vec<_> = fs::read_dir(scratch.path())?
            .map(|entry| entry.map(|entry| entry.file_name()))
            .collect::<std::io::Result<_>>()?;
        found.sort();
        there[1..].sort();
        let mut wanted = there.clone();
        wanted.sort();
        judge.require(found == wanted, Verdict::Lost, || {
            format!(
                "step {step}: {} names instead of {}",
                found.len(),
                wanted.len()
            )
        });
        let links = fs::metadata(&anchor)?.nlink();
        judge.require(links == there.len() as u64, Verdict::Stale, || {
            format!("step {step}: {links} links for {} names", there.len())
        });
    }
    judge.fact(format!(
        "{} names in {} bytes",
        there.len(),
        fs::metadata(scratch.path())?.size()
    ));
    let long = fs::hard_link(&anchor, scratch.join("l".repeat(256)));
    let refused = matches!(&long, Err(error) if error.raw_os_error() == Some(libc::ENAMETOOLONG));
    judge.require(refused, Verdict::Error, || {
        format!("a name of 256 bytes returned {long:?}")
    });
    Ok(judge.outcome())
}
