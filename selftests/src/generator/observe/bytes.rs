// SPDX-License-Identifier: GPL-2.0

//! Looks at the bytes of files.

use std::os::fd::AsFd as _;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use rustix::fs::OFlags;
use rustix::io::Errno;

use crate::generator::content::PAGE;
use crate::generator::content::pattern;
use crate::generator::data;
use crate::generator::data::SECTOR;
use crate::generator::model::Model;
use crate::generator::side::Side;
use crate::generator::step::Reader;
use crate::generator::step::Step;
use crate::generator::step::Target;

/// Reads a range of a file, in bytes, on every side and compares it with the model.
pub(super) fn content_is(
    model: &Model,
    sides: &[Side],
    target: &Target,
    start: u64,
    end: u64,
) -> Result<()> {
    let content = model.target(target).and_then(|id| model.content(id));
    let content = content.context("what is to be read is no file")?;
    // Whole pages, because the file may be open for direct I/O.
    let start = start / PAGE * PAGE;
    let len = usize::try_from(end.next_multiple_of(PAGE).saturating_sub(start))?;
    let wanted = content.read(start, len);
    for side in sides {
        let describe = || format!("{}: {target:?}", side.path().display());
        let read = read(side, target, start, len).with_context(describe)?;
        same(start, &wanted, &read).with_context(describe)?;
    }
    Ok(())
}

fn read(side: &Side, target: &Target, start: u64, len: usize) -> Result<Vec<u8>, Errno> {
    match target {
        Target::Path(path) => {
            let file = side.open(path, OFlags::RDONLY, 0)?;
            data::read(file.as_fd(), Reader::Pread, start, len)
        }
        Target::Slot(slot) => data::read(side.slot(*slot)?, Reader::Pread, start, len),
    }
}

/// Looks what a direct write has done that failed: it may have written sectors before the one that
/// has no block, and does not say how many. The model takes those.
pub fn take_failed_write(model: &mut Model, side: &Side, step: &Step) -> Result<()> {
    let Step::Write {
        target,
        at,
        len,
        seed,
        ..
    } = step
    else {
        return Ok(());
    };
    let Some(content) = model.target(target).and_then(|id| model.content(id)) else {
        return Ok(());
    };
    let (old, mut new) = (content.read(*at, *len), pattern(*seed, *len));
    new.truncate(old.len());
    let found = read(side, target, *at, *len).context("reading what was not written")?;
    let sectors = found
        .chunks(SECTOR)
        .zip(old.chunks(SECTOR).zip(new.chunks(SECTOR)));
    let written = sectors.take_while(|(found, (_, new))| found == new).count() * SECTOR;
    let written = written.min(old.len());
    same(
        *at + written as u64,
        &old[written..],
        found.get(written..).unwrap_or_default(),
    )?;
    model.overwrite(target, *at, &new[..written]);
    Ok(())
}

/// Looks what a zeroed range has come to that failed: any of it may be zero, for what there was no
/// block for was a hole. The model takes that.
pub fn take_failed_zeros(model: &mut Model, side: &Side, step: &Step) -> Result<()> {
    let Step::Fallocate {
        target, at, len, ..
    } = step
    else {
        return Ok(());
    };
    let Some(content) = model.target(target).and_then(|id| model.content(id)) else {
        return Ok(());
    };
    // Whole pages, because the file may be open for direct I/O.
    let (start, end) = (at / PAGE * PAGE, at + len);
    let old = content.read(start, (end - start).next_multiple_of(PAGE) as usize);
    let found = read(side, target, start, old.len()).context("reading what was not zeroed")?;
    let may_be_zero = |place: usize| (*at..end).contains(&(start + place as u64));
    let wanted = found.iter().zip(&old).enumerate();
    let wanted: Vec<_> = wanted
        .map(|(place, (found, old))| match found {
            0 if may_be_zero(place) => 0,
            _ => *old,
        })
        .collect();
    same(start, &wanted, &found)?;
    model.overwrite(target, start, &wanted);
    Ok(())
}

/// What was read at `start` must be what is wanted there.
pub(super) fn same(start: u64, wanted: &[u8], read: &[u8]) -> Result<()> {
    let different = wanted
        .iter()
        .zip(read)
        .position(|(wanted, read)| wanted != read);
    if let Some(first) = different {
        let last = wanted
            .iter()
            .zip(read)
            .rposition(|(wanted, read)| wanted != read);
        let (wanted, found) = (&wanted[first..], &read[first..]);
        bail!(
            "bytes {} to {} differ: {:02x?}, and not {:02x?}",
            start + first as u64,
            start + last.unwrap_or(first) as u64,
            &found[..found.len().min(16)],
            &wanted[..wanted.len().min(16)]
        );
    }
    ensure!(
        wanted.len() == read.len(),
        "{} bytes at {start}, and not {}",
        read.len(),
        wanted.len()
    );
    Ok(())
}
