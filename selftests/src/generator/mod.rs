// SPDX-License-Identifier: GPL-2.0

//! Does the same random steps in several directories: all must answer the same, and every byte,
//! name and attribute must be what a model in memory says.
//!
//! With one directory it holds a file system against the model; with one on cohfs and one on
//! stock ext2 it holds the two against each other as well: errors, times, and blocks in use. The
//! steps depend on the seed alone, so a failure can be had again by its seed.
//!
//! | module | role |
//! |---|---|
//! | [`step`], [`choose`] | what can be done, and what is done next |
//! | [`side`], [`data`], [`extents`] | doing it |
//! | [`model`], [`content`] | what the tree must be then |
//! | [`observe`] | looking whether it is |
//! | [`exhaust`] | not random: blocks, inodes and names are used up |

pub mod choose;
pub mod content;
pub mod data;
pub mod exhaust;
pub mod extents;
pub mod model;
pub mod observe;
pub mod side;
pub mod step;

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::path::PathBuf;

use anyhow::Context as _;
use anyhow::Result;
use anyhow::bail;
use anyhow::ensure;
use rustix::io::Errno;

use choose::Allowed;
use choose::Chooser;
use model::Id;
use model::Kind;
use model::Model;
use observe::Observer;
use side::Answer;
use side::Side;
use step::Step;
use step::Target;

/// How many earlier steps a failure shows.
const SHOWN: usize = 12;

/// After how many steps everything is looked at.
const ROUND: u64 = 500;

/// How large a file may be at the end, in bytes, so that it can be read whole.
const LARGE: u64 = 1 << 20;

/// What to do.
#[derive(Clone, Debug, clap::Args)]
pub struct Settings {
    /// A directory; repeat it to compare several, which leaves out what stock ext2 refuses. It must
    /// have no `tree` in it.
    #[arg(long = "dir", value_name = "DIR", required = true)]
    dirs: Vec<PathBuf>,
    /// What the steps depend on.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many steps.
    #[arg(long, default_value_t = 1000)]
    steps: u64,
    /// Fills the disk; at the end everything is removed, and as much must be free as before.
    #[arg(long, conflicts_with = "budget")]
    fill: bool,
    /// How many MiB the files may hold together before they are cut.
    #[arg(long, default_value_t = 16, value_name = "MIB")]
    budget: u64,
    /// The directories are where file systems are mounted that nobody else works on: unmounts and
    /// mounts them now and then, drops the caches of the machine, and looks at what is free.
    #[arg(long)]
    remount: bool,
    /// Leaves out stores through mappings and direct writes. When the disk is full stock ext2 loses
    /// the ones, and shows what is left of the others when the file grows.
    #[arg(long)]
    buffered: bool,
    /// Prints every step before it is done.
    #[arg(long)]
    trace: bool,
}

/// A run.
struct Run {
    chooser: Chooser,
    model: Model,
    sides: Vec<Side>,
    observer: Observer,
    /// The steps so far, each with the nodes it touched.
    history: Vec<(Step, BTreeSet<Id>)>,
    /// How many steps were answered by which error.
    errors: BTreeMap<i32, usize>,
}

/// Does the steps and says how many were answered by which error.
///
/// # Errors
///
/// What went wrong, in words: which step, and what led to it.
pub fn run(settings: &Settings) -> Result<String, String> {
    // For people.
    let shorten = |text: String| text.replace(&"long".repeat(63), "(long * 63)");
    let describe = |error| format!("seed {}, {error:#}", settings.seed);
    generate(settings).map_err(|error| shorten(describe(error)))
}

fn generate(settings: &Settings) -> Result<String> {
    rustix::process::umask(rustix::fs::Mode::empty());
    let free = settings.dirs.iter().map(free).collect::<Result<Vec<_>>>()?;
    let sides = settings
        .dirs
        .iter()
        .map(|dir| Side::new(dir, settings.fill));
    let allowed = Allowed {
        budget: if settings.fill {
            u64::MAX
        } else {
            settings.budget << 20
        },
        buffered: settings.buffered,
        remounts: settings.remount,
        alone: settings.dirs.len() == 1,
    };
    let mut run = Run {
        chooser: Chooser::new(settings.seed, allowed),
        model: Model::default(),
        sides: sides.collect::<Result<_>>()?,
        observer: Observer::new(),
        history: Vec::new(),
        errors: BTreeMap::new(),
    };
    for number in 0..settings.steps {
        let step = run.chooser.next(&run.model);
        run.traced_step(&step, settings.trace)?;
        if step == Step::Remount || number % ROUND == ROUND - 1 {
            run.look_at_all()?;
        }
    }
    if let Some(step) = run.chooser.unprotect() {
        run.traced_step(&step, settings.trace)?;
    }
    run.settle(settings.fill)?;
    for (before, side) in free.iter().zip(&mut run.sides) {
        side.close();
        if settings.fill {
            std::fs::remove_dir_all(side.tree()).context("removing everything")?;
            let after = self::free(side.path())?;
            ensure!(
                *before == after,
                "{}: {before:?} blocks and inodes were free, {after:?} are",
                side.path().display()
            );
        }
    }
    let full = run.errors.contains_key(&Errno::NOSPC.raw_os_error());
    ensure!(full || !settings.fill, "the disk was never full");
    let errors = run
        .errors
        .iter()
        .map(|(error, count)| format!("\n{count} times {}", Errno::from_raw_os_error(*error)));
    Ok(format!(
        "{} steps{}",
        settings.steps,
        errors.collect::<String>()
    ))
}

impl Run {
    /// Does one step, and tells the story if it goes wrong.
    fn traced_step(&mut self, step: &Step, trace: bool) -> Result<()> {
        if trace {
            println!("{}: {step:?}", self.history.len());
        }
        self.step(step).with_context(|| self.story())
    }

    /// Does one step on every side and looks at what it did.
    fn step(&mut self, step: &Step) -> Result<()> {
        let mut touched = self.touched(step);
        let answers: Vec<_> = self
            .sides
            .iter_mut()
            .map(|side| side.perform(step))
            .collect();
        if *step == Step::Remount {
            self.model.close_all();
        }
        let judged = self.judge(step, &answers);
        touched.extend(self.touched(step));
        self.history.push((step.clone(), touched));
        judged?;
        let bytes = self.chooser.look_at_bytes();
        self.observer
            .look(&mut self.model, &self.sides, step, bytes)?;
        if *step == Step::Statfs {
            self.compare_free_space()?;
        }
        Ok(())
    }

    /// Holds the answers against each other and against the model, which takes them then.
    fn judge(&mut self, step: &Step, answers: &[Result<Answer, Errno>]) -> Result<()> {
        let (first, others) = answers.split_first().context("there is no directory")?;
        if others.iter().any(|other| other != first) {
            let sides = self.sides.iter().map(|side| side.path().display());
            let lines = sides
                .zip(answers)
                .map(|(side, answer)| format!("\n  {side}: {}", tell(answer)));
            bail!("the answers differ{}", lines.collect::<String>());
        }
        let answer = match first {
            Ok(answer) => answer,
            Err(error) => {
                *self.errors.entry(error.raw_os_error()).or_default() += 1;
                if *error == Errno::NOSPC {
                    self.take_what_had_no_space(step)?;
                }
                return Ok(());
            }
        };
        observe::expect_answer(&self.model, step, &answer.text, &answer.bytes)?;
        let applied = self.model.apply(step, answer.count);
        applied.map_err(|why| anyhow::anyhow!("it succeeded, and must not: {why}"))
    }

    /// Takes what some steps have done before they found the disk full.
    fn take_what_had_no_space(&mut self, step: &Step) -> Result<()> {
        match step {
            Step::Write { .. } if self.is_direct(step) => {
                observe::take_failed_write(&mut self.model, &self.sides[0], step)
            }
            Step::Fallocate { .. } => {
                observe::take_failed_zeros(&mut self.model, &self.sides[0], step)
            }
            Step::Chmod { target, .. } => {
                // The permissions are changed before the access control list, and stay.
                self.model.forget_attributes(target);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn is_direct(&self, step: &Step) -> bool {
        let open = step.slot().and_then(|slot| self.model.open(slot));
        let direct = open.is_some_and(|open| open.mode.direct);
        direct || matches!(step, Step::Write { mode, .. } if mode.direct)
    }

    /// Looks at the whole tree.
    fn look_at_all(&mut self) -> Result<()> {
        for (path, id) in self.model.walk() {
            let seen = self
                .observer
                .look_at(&mut self.model, &mut self.sides, &path, id);
            seen.with_context(|| {
                let last = self.history.len() - 1;
                format!(
                    "after step {last}\nbefore it, on this:\n{}then",
                    self.before(last + 1, &BTreeSet::from([id]))
                )
            })?;
        }
        Ok(())
    }

    /// Free space and what the files use whose use may vary must be the same together.
    fn compare_free_space(&self) -> Result<()> {
        let varies = |id: &Id| self.model.node(*id).blocks_vary;
        let named = self.model.walk().into_iter().filter(|(_, id)| varies(id));
        // One name for each file.
        let mut seen = BTreeSet::new();
        let named = named.filter(|(_, id)| seen.insert(*id));
        let mut vary: Vec<_> = named.map(|(path, _)| Target::Path(path)).collect();
        let mut seen = BTreeSet::new();
        let nameless = self
            .model
            .nameless()
            .filter(|(_, id)| varies(id) && seen.insert(*id));
        vary.extend(nameless.map(|(slot, _)| Target::Slot(slot)));
        let sectors = self.sides.iter().map(|side| side.free_and_used(&vary));
        let sectors = sectors.collect::<Result<Vec<_>, Errno>>()?;
        // Files with the same attributes may have one block between them, or each its own: which
        // blocks are remembered is up to the file system. A block has 8 sectors at most.
        let slack = 8 * self.model.with_xattrs().saturating_sub(1) as u64;
        ensure!(
            sectors
                .windows(2)
                .all(|pair| pair[0].abs_diff(pair[1]) <= slack),
            "free sectors, and those of {} files that may differ: {sectors:?}; {slack} may differ",
            vary.len()
        );
        Ok(())
    }

    /// Ends the run: everything is as it must be, no file is too large to be read whole, and the
    /// times and generations are such that a digest of the tree is the same for every file system.
    fn settle(&mut self, fill: bool) -> Result<()> {
        for slot in 0..model::SLOTS {
            self.step(&Step::Close { slot })?;
        }
        self.look_at_all()?;
        if fill {
            return Ok(());
        }
        let mut paths = self.model.walk();
        paths.reverse();
        for (path, id) in paths {
            let large = self
                .model
                .content(id)
                .is_some_and(|content| content.size() > LARGE);
            if large {
                let target = Target::Path(path.clone());
                self.step(&Step::Truncate {
                    target,
                    size: LARGE,
                })?;
            }
            // Nothing is looked at any more: that would change the time of access.
            let time = Some(i64::from(id) * 1_000);
            let utimens = Step::Utimens {
                path: if path.is_empty() { "." } else { &path }.to_owned(),
                accessed: time,
                modified: time,
            };
            let has_generation = matches!(self.model.node(id).kind, Kind::File(_) | Kind::Dir(..));
            let set_generation = Step::SetGeneration {
                target: Target::Path(path),
                generation: self.model.node(id).generation.unwrap_or(id),
            };
            for side in &mut self.sides {
                if has_generation {
                    // There need not be such a command.
                    _ = side.perform(&set_generation);
                }
                side.perform(&utimens)
                    .with_context(|| format!("{utimens:?}"))?;
            }
        }
        Ok(())
    }

    fn touched(&self, step: &Step) -> BTreeSet<Id> {
        let paths = step
            .paths()
            .into_iter()
            .filter_map(|path| self.model.find(path));
        let slot = step.slot().and_then(|slot| self.model.open(slot));
        paths.chain(slot.map(|open| open.id)).collect()
    }

    /// The last step and what led to it.
    fn story(&self) -> String {
        let last = self.history.len() - 1;
        let (step, touched) = &self.history[last];
        let before = self.before(last, touched);
        format!("step {last}: {step:?}\nbefore it, on the same:\n{before}then")
    }

    /// The steps before one that touched the same.
    fn before(&self, number: usize, touched: &BTreeSet<Id>) -> String {
        let earlier = self.history.iter().enumerate().take(number).rev();
        let related = earlier.filter(|(_, (_, others))| !others.is_disjoint(touched));
        let lines = related.take(SHOWN);
        let lines = lines.map(|(number, (step, _))| format!("  {number}: {step:?}\n"));
        lines.collect::<Vec<_>>().into_iter().rev().collect()
    }
}

fn tell(answer: &Result<Answer, Errno>) -> String {
    match answer {
        Ok(answer) => format!(
            "{} {} {} bytes read",
            answer.count,
            answer.text,
            answer.bytes.len()
        ),
        Err(error) => error.to_string(),
    }
}

/// How many blocks and inodes are free.
fn free(dir: impl AsRef<std::path::Path>) -> Result<(u64, u64)> {
    let dir = dir.as_ref();
    let stat = rustix::fs::statfs(dir).with_context(|| format!("asking {}", dir.display()))?;
    Ok((stat.f_bfree, stat.f_ffree))
}
