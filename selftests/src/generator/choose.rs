// SPDX-License-Identifier: GPL-2.0

//! Chooses the next step, from a seed and from what the tree is.

mod attributes;
mod files;
mod inodes;
mod names;

use fastrand::Rng;

use super::content::Content;
use super::model::Id;
use super::model::Kind;
use super::model::Model;
use super::model::SLOTS;
use super::step::Slot;
use super::step::Step;
use super::step::Target;
use inodes::Protected;

/// How many nodes a tree may have before removing goes first.
const NODES: usize = 250;

/// No directory is put below a path longer than this, so that every path stays shorter than what
/// the kernel takes, 4096 bytes.
const DEEP: usize = 1_500;

/// What steps may be.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// How many bytes the files may keep together before cutting goes first.
    pub budget: u64,
    /// No stores through a mapping, and no direct writes.
    pub buffered: bool,
    /// Unmounting, dropping the caches of the machine, and looking at what is free.
    pub remounts: bool,
    /// What stock ext2 refuses: names that change places, holes and zeros by `fallocate(2)`.
    pub alone: bool,
}

/// Chooses steps.
#[derive(Debug)]
pub struct Chooser {
    random: Rng,
    allowed: Allowed,
    protected: Option<Protected>,
}

/// The tree as it is, by what there is to choose from.
struct Choice<'a> {
    model: &'a Model,
    paths: Vec<(String, Id)>,
}

impl<'a> Choice<'a> {
    fn new(model: &'a Model) -> Self {
        let paths = model.walk();
        Self { model, paths }
    }

    /// The same, but of the tree only its root, `path` and what is below that.
    fn below(model: &'a Model, path: &str) -> Self {
        let mut choice = Self::new(model);
        let below = format!("{path}/");
        let inside = |other: &str| other == path || other.starts_with(&below);
        choice
            .paths
            .retain(|(other, _)| other.is_empty() || inside(other));
        choice
    }

    fn those(&self, random: &mut Rng, wanted: impl Fn(&Kind) -> bool) -> Option<String> {
        // The root is for looking at only.
        let paths = self.paths.iter().skip(1);
        let fitting = paths.filter(|(_, id)| wanted(&self.model.node(*id).kind));
        random
            .choice(fitting.collect::<Vec<_>>())
            .map(|(path, _)| path.clone())
    }

    fn file(&self, random: &mut Rng) -> Option<String> {
        self.those(random, |kind| matches!(kind, Kind::File(_)))
    }

    fn any(&self, random: &mut Rng) -> Option<String> {
        self.those(random, |_| true)
    }

    fn dir(&self, random: &mut Rng) -> String {
        let short = |path: &str| path.len() < DEEP;
        let dirs = self
            .paths
            .iter()
            .filter(|(path, id)| short(path) && matches!(self.model.node(*id).kind, Kind::Dir(..)));
        random
            .choice(dirs.collect::<Vec<_>>())
            .map_or_else(String::new, |(path, _)| path.clone())
    }

    fn slot(&self, random: &mut Rng, open: bool) -> Option<Slot> {
        let slots = (0..SLOTS).filter(|slot| self.model.open(*slot).is_some() == open);
        random.choice(slots.collect::<Vec<_>>())
    }

    fn target(&self, random: &mut Rng) -> Option<Target> {
        let slot = if random.u8(..3) == 0 {
            self.slot(random, true)
        } else {
            None
        };
        slot.map(Target::Slot)
            .or_else(|| self.file(random).map(Target::Path))
    }

    /// Whether a target is a file that is open for direct I/O.
    fn is_direct(&self, target: &Target) -> bool {
        let slot = match target {
            Target::Path(_) => None,
            Target::Slot(slot) => self.model.open(*slot),
        };
        slot.is_some_and(|open| open.mode.direct)
    }

    fn content(&self, target: &Target) -> Option<&Content> {
        self.model
            .target(target)
            .and_then(|id| self.model.content(id))
    }
}

impl Chooser {
    /// A chooser whose steps depend on `seed` and on the tree alone.
    pub fn new(seed: u64, allowed: Allowed) -> Self {
        Self {
            random: Rng::with_seed(seed),
            allowed,
            protected: None,
        }
    }

    /// Whether to look at the bytes of what the step worked on: not always, for that fills the
    /// cache, and what is not in the cache is worth writing to as well.
    pub fn look_at_bytes(&mut self) -> bool {
        self.random.u8(..4) > 0
    }

    /// The next step.
    pub fn next(&mut self, model: &Model) -> Step {
        if let Some(step) = self.on_protected(model) {
            return step;
        }
        let choice = Choice::new(model);
        if model.kept() > self.allowed.budget
            && let Some(step) = self.save(&choice)
        {
            return step;
        }
        loop {
            let step = match self.random.u32(..1000) {
                0..550 => self.on_files(&choice),
                550..932 => self.on_names(&choice, model.count() > NODES),
                932..940 => self.protect(&choice),
                940..975 => Some(self.list(&choice)),
                975.. if !self.allowed.remounts => None,
                975..992 => Some(Step::Statfs),
                992..996 => Some(Step::DropCaches),
                _ => Some(Step::Remount),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    /// A step that takes bytes from a file that has some.
    fn save(&mut self, choice: &Choice<'_>) -> Option<Step> {
        let path = choice.those(
            &mut self.random,
            |kind| matches!(kind, Kind::File(content) if content.kept() > 0),
        )?;
        let target = Target::Path(path);
        let size = choice.content(&target).map_or(0, Content::size);
        let size = if self.random.bool() {
            0
        } else {
            self.random.u64(..=size)
        };
        Some(Step::Truncate { target, size })
    }
}

fn permissions(random: &mut Rng) -> u32 {
    [
        0o644, 0o600, 0o755, 0o777, 0o4755, 0o2755, 0o1777, 0o000, 0o6711,
    ][random.usize(..9)]
}
