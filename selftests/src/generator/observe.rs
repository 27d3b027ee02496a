// SPDX-License-Identifier: GPL-2.0

//! Looks at the tree: it must be what the model says, and the same on every side.

mod bytes;

pub use bytes::take_failed_write;
pub use bytes::take_failed_zeros;

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::SystemTime;
use std::time::UNIX_EPOCH;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use rustix::fs::FileType;
use rustix::io::Errno;

use super::content::PAGE;
use super::model::Id;
use super::model::Kind;
use super::model::Model;
use super::model::Node;
use super::side::Seen;
use super::side::Side;
use super::side::Xattrs;
use super::step::Step;
use super::step::Target;
use super::step::split;
use bytes::content_is;
use bytes::same;

/// How many bytes around a place are looked at, in files that are too large to be read whole.
const AROUND: u64 = 4 * PAGE;

/// How many bytes of a range are looked at, at most.
const LONGEST: u64 = 512 * 1024;

/// Files up to this size are read whole.
const WHOLE: u64 = 64 * 1024;

/// What of an inode only changes when somebody asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attributes {
    mode: u32,
    uid: u32,
    gid: u32,
    device: u64,
    flags: Option<u32>,
}

/// An observer, which knows when the run began.
#[derive(Clone, Copy, Debug)]
pub struct Observer {
    began: i64,
}

impl Observer {
    /// Begins a run.
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let began = now.map_or(0, |now| now.as_secs().cast_signed());
        // The clock that file systems take their time from lags behind by a tick.
        Self { began: began - 1 }
    }

    /// Looks at everything that a step may have changed. The attributes that it has set are noted
    /// in the model, as the first side has them. With `bytes` the files are read as well.
    pub fn look(&self, model: &mut Model, sides: &[Side], step: &Step, bytes: bool) -> Result<()> {
        let paths = step.paths();
        let parents: BTreeSet<_> = paths.iter().map(|path| split(path).0).collect();
        let slot = step.slot().filter(|slot| model.open(*slot).is_some());
        let targets = paths.iter().map(|path| Target::Path((*path).to_owned()));
        let targets: Vec<_> = targets.chain(slot.map(Target::Slot)).collect();
        for target in &targets {
            self.attributes(model, sides, target)?;
            let id = model.target(target);
            let content = id.and_then(|id| model.content(id));
            if let Some(content) = content.filter(|_| bytes) {
                let size = content.size();
                let (start, end) = match place(step) {
                    Some((at, len)) if size > WHOLE => {
                        let start = at.saturating_sub(AROUND) / PAGE * PAGE;
                        (start, at.saturating_add(len as u64).saturating_add(AROUND))
                    }
                    _ => (0, WHOLE),
                };
                content_is(model, sides, target, start, end.min(size + 1))?;
            }
        }
        for parent in parents {
            if model.find(parent).is_some() {
                self.attributes(model, sides, &Target::Path(parent.to_owned()))?;
            }
        }
        Ok(())
    }

    /// Looks at a node of the tree: its attributes, every name in it, and its bytes wherever it
    /// holds some.
    pub fn look_at(&self, model: &mut Model, sides: &mut [Side], path: &str, id: Id) -> Result<()> {
        let target = Target::Path(path.to_owned());
        self.attributes(model, sides, &target)?;
        if let Some(content) = model.content(id) {
            let runs = content.runs();
            let ends = [0, content.size().saturating_sub(1)].map(|at| (at, at + 1));
            for (start, end) in runs.into_iter().chain(ends) {
                content_is(
                    model,
                    sides,
                    &target,
                    start.saturating_sub(PAGE),
                    end + PAGE,
                )?;
            }
            if sides.len() > 1 && !model.node(id).blocks_vary {
                for (start, end) in content.runs() {
                    let range = start.saturating_sub(AROUND)..end + AROUND;
                    extents_are_alike(sides, &target, range)?;
                }
            }
        }
        if model.names(id).is_some() {
            let step = Step::List {
                path: path.to_owned(),
                buffer: 8192,
                scratch: Vec::new(),
            };
            for side in sides {
                let answer = side.perform(&step);
                let answer = answer.with_context(|| format!("{step:?} failed"))?;
                expect_answer(model, &step, &answer.text, &answer.bytes)?;
            }
        }
        Ok(())
    }

    /// Compares what `stat(2)` says of a target, with the model and between the sides.
    fn attributes(&self, model: &mut Model, sides: &[Side], target: &Target) -> Result<()> {
        let id = model.target(target);
        let mut first = None;
        for side in sides {
            let seen = side.look(target);
            let describe = || format!("{}: {target:?}", side.path().display());
            let text = match (id, seen) {
                (None, Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG)) => continue,
                (None, Ok(_)) => bail!("{} is there, and must not be", describe()),
                (_, Err(error)) => return Err(error).with_context(describe),
                (Some(id), Ok(seen)) => {
                    self.is_as_modelled(model, id, &seen)
                        .with_context(describe)?;
                    if let (Kind::Link(text), Target::Path(path)) = (&model.node(id).kind, target) {
                        let leads = side.text(path).with_context(describe)?;
                        ensure!(
                            *text == leads,
                            "{} leads to {leads}, not to {text}",
                            describe()
                        );
                    }
                    let mut text = self.describe(model.node(id), &seen);
                    if let Target::Path(path) = target {
                        let xattrs = side.xattrs(path).with_context(describe)?;
                        text +=
                            &xattrs_are_as_modelled(model, id, xattrs).with_context(describe)?;
                    }
                    text
                }
            };
            let (place, wanted) = first.get_or_insert((side.path(), text.clone()));
            ensure!(
                *wanted == text,
                "{target:?} differs\n  {}: {wanted}\n  {}: {text}",
                place.display(),
                side.path().display()
            );
        }
        Ok(())
    }

    fn is_as_modelled(&self, model: &mut Model, id: Id, seen: &Seen) -> Result<()> {
        let Seen {
            stat,
            flags,
            generation,
            ..
        } = seen;
        let seen = Attributes {
            mode: stat.st_mode,
            uid: stat.st_uid,
            gid: stat.st_gid,
            device: stat.st_rdev,
            flags: *flags,
        };
        let node = model.node_mut(id);
        let wanted = *node.attributes.get_or_insert(seen);
        ensure!(wanted == seen, "{seen:?}, and not {wanted:?}");
        if let Some(wanted) = node.generation {
            ensure!(
                *generation == Some(wanted),
                "generation {generation:?}, and not {wanted}"
            );
        }
        let links = u64::from(node.links);
        ensure!(
            stat.st_nlink == links,
            "{} links, and not {links}",
            stat.st_nlink
        );
        let is = FileType::from_raw_mode(stat.st_mode);
        let (kind, size) = match &node.kind {
            Kind::File(content) => (is == FileType::RegularFile, content.size()),
            Kind::Dir(..) => (is == FileType::Directory, stat.st_size.cast_unsigned()),
            Kind::Link(text) => (is == FileType::Symlink, text.len() as u64),
            Kind::Special => (true, 0),
        };
        ensure!(kind, "{is:?} is what it is not");
        let seen = stat.st_size.cast_unsigned();
        ensure!(seen == size, "{seen} bytes, and not {size}");
        Ok(())
    }

    /// What of an inode must be the same on every side, whatever the model knows of it. Of times
    /// that were not set on purpose it counts that they are of this run.
    fn describe(&self, node: &Node, seen: &Seen) -> String {
        let stat = &seen.stat;
        let time = |seconds: i64, nanoseconds: u64| {
            if (self.began..self.began + 86_400).contains(&seconds) {
                "now".to_owned()
            } else {
                format!("{seconds}.{nanoseconds:09}")
            }
        };
        let blocks = match node.blocks_vary {
            true => "some".to_owned(),
            false => stat.st_blocks.to_string(),
        };
        let accessed = match node.accessed_varies {
            true => "some".to_owned(),
            false => time(stat.st_atime, stat.st_atime_nsec),
        };
        format!(
            "mode {:o} owner {}:{} device {} links {} size {} blocks {blocks} times {accessed} {} {} \
             attributes {:#x} of {:#x} flags {:#x}",
            stat.st_mode,
            stat.st_uid,
            stat.st_gid,
            stat.st_rdev,
            stat.st_nlink,
            stat.st_size,
            time(stat.st_mtime, stat.st_mtime_nsec),
            time(stat.st_ctime, stat.st_ctime_nsec),
            seen.attributes,
            seen.possible,
            seen.flags.unwrap_or_default(),
        )
    }
}

impl Default for Observer {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether an extended attribute is an access control list.
pub fn is_list(name: &str) -> bool {
    name.starts_with("system.")
}

/// Compares extended attributes with the model, which takes access control lists that were not seen
/// yet. Returns the lists, to be compared between the sides.
fn xattrs_are_as_modelled(model: &mut Model, id: Id, seen: Xattrs) -> Result<String> {
    let (lists, others): (Xattrs, Xattrs) = seen.into_iter().partition(|(name, _)| is_list(name));
    let node = model.node_mut(id);
    let wanted = &node.xattrs;
    ensure!(
        *wanted == others,
        "attributes {others:02x?}, and not {wanted:02x?}"
    );
    let wanted = node.lists.get_or_insert_with(|| lists.clone());
    ensure!(
        *wanted == lists,
        "lists {lists:02x?}, and not {wanted:02x?}"
    );
    Ok(format!(" lists {lists:02x?}"))
}

/// Holds what a step gave against the model, which it has not changed yet.
pub fn expect_answer(model: &Model, step: &Step, text: &str, bytes: &[u8]) -> Result<()> {
    match step {
        Step::Read {
            target, at, len, ..
        } => {
            let content = model.target(target).and_then(|id| model.content(id));
            let content = content.context("what was read is no file")?;
            same(*at, &content.read(*at, *len), bytes)
        }
        Step::List { path, .. } => {
            let names = model.find(path).and_then(|id| model.names(id));
            let names = names.context("what was listed is no directory")?;
            let kind = |id: &Id| match &model.node(*id).kind {
                Kind::File(_) => FileType::RegularFile,
                Kind::Dir(..) => FileType::Directory,
                Kind::Link(_) => FileType::Symlink,
                Kind::Special => {
                    let mode = model.node(*id).attributes.map_or(0, |seen| seen.mode);
                    FileType::from_raw_mode(mode)
                }
            };
            let lines = names
                .iter()
                .map(|(name, id)| format!("{name}:{:?}", kind(id)));
            let dots = [".", ".."].map(|name| format!("{name}:{:?}", FileType::Directory));
            let mut lines: Vec<_> = lines.chain(dots).collect();
            lines.sort();
            let found: Vec<_> = text.lines().collect();
            if let Some(line) = lines.iter().find(|line| !found.contains(&line.as_str())) {
                bail!("{line} is not listed in {path:?}");
            }
            ensure!(
                lines.len() == found.len(),
                "{} names are listed in {path:?} instead of {}: {found:?}",
                found.len(),
                lines.len()
            );
            Ok(())
        }
        Step::Fallocate { .. } => {
            ensure!(text.is_empty(), "{text}");
            Ok(())
        }
        Step::GetXattr { path, name, room } if !is_list(name) => {
            let node = model.node(model.find(path).context("it is not there")?);
            let value = node.xattrs.get(name).context("it has no such attribute")?;
            ensure!(
                *room == 0 || bytes == value,
                "{bytes:02x?}, and not {value:02x?}"
            );
            Ok(())
        }
        Step::ListXattr { path, room } if *room > 0 => {
            let node = model.node(model.find(path).context("it is not there")?);
            let names: Vec<_> = text.lines().filter(|name| !is_list(name)).collect();
            let wanted: Vec<_> = node.xattrs.keys().collect();
            ensure!(names == wanted, "{names:?}, and not {wanted:?}");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Compares which bytes of a range have blocks. Only around what a file holds, for stock ext2 goes
/// over holes block by block.
fn extents_are_alike(sides: &[Side], target: &Target, range: Range<u64>) -> Result<()> {
    let mut first = None;
    for side in sides {
        let describe = || format!("{}: blocks of {target:?}", side.path().display());
        let seen = side.mapped(target, range.clone()).with_context(describe)?;
        let (place, wanted) = first.get_or_insert((side.path(), seen.clone()));
        ensure!(
            *wanted == seen,
            "{target:?} has blocks elsewhere in {range:?}\n  {}: {wanted:?}\n  {}: {seen:?}",
            place.display(),
            side.path().display()
        );
    }
    Ok(())
}

/// Where in a file a step was, in bytes.
fn place(step: &Step) -> Option<(u64, usize)> {
    match step {
        Step::Write { at, len, .. } | Step::Read { at, len, .. } | Step::Copy { at, len, .. } => {
            Some((*at, *len))
        }
        // A hole may be larger than what can be read at once.
        Step::Fallocate { at, len, .. } => Some((*at, (*len).min(LONGEST) as usize)),
        Step::Truncate { size, .. } => Some((*size, 0)),
        _ => None,
    }
}
