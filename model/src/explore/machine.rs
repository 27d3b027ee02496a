// SPDX-License-Identifier: GPL-2.0

//! Tasks that take turns, one step at a time.
//!
//! A task is ordinary code on a stack of its own. Whatever it does to the [`World`], or learns of
//! it, it does in a [`Machine::step`]: it says what it waits for, gives way, and goes on once
//! the explorer has chosen it, which it does only if what the task waits for is there. So a task
//! that waits for a lock costs no steps, and a run in which all wait is a deadlock.

use crate::pagecache::World;
use std::{
    any::Any,
    cell::{Cell, RefCell},
    collections::hash_map::DefaultHasher,
    fmt::{self, Debug},
    hash::{Hash, Hasher},
    panic,
};

/// What a task waits for before its next step.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub(crate) enum Want {
    /// Nothing.
    Nothing,
    /// The inode lock, exclusively.
    InodeLock,
    /// The inode lock, shared.
    InodeLockShared,
    /// `invalidate_lock`, exclusively.
    InvalidateLock,
    /// `invalidate_lock`, shared.
    InvalidateLockShared,
    /// The lock of this folio.
    FolioLock(usize),
    /// The end of this folio's writeback.
    WritebackEnd(usize),
    /// The spinlock of the redirty gate.
    GateLock,
    /// That nothing elder is in the way of the claim in this place.
    Turn(usize),
}

/// How a task's code ended.
pub(crate) type Ending = Result<(), Box<dyn Any + Send>>;

/// Unwinds a task whose run is over.
struct Abandoned;

/// Where a task stands.
#[derive(Clone, Copy, Default)]
struct Task {
    /// What it waits for; `None` before its first step and after its last.
    want: Option<Want>,
    /// Digest of all that it has learnt. Its code being deterministic, this and the code say where
    /// it stands and what it holds in its variables.
    learnt: u64,
}

/// The world and the tasks in it.
pub(crate) struct Machine {
    names: Vec<&'static str>,
    world: RefCell<World>,
    tasks: RefCell<Vec<Task>>,
    running: Cell<usize>,
    rush: Cell<bool>,
    abandon: Cell<bool>,
    panicked: RefCell<Option<String>>,
    told: RefCell<Option<Vec<String>>>,
}

impl Machine {
    /// Returns a machine for tasks of these names.
    pub(super) fn new(world: World, names: Vec<&'static str>) -> Self {
        Self {
            world: RefCell::new(world),
            tasks: RefCell::new(vec![Task::default(); names.len()]),
            names,
            running: Cell::new(0),
            rush: Cell::new(false),
            abandon: Cell::new(false),
            panicked: RefCell::new(None),
            told: RefCell::new(None),
        }
    }

    /// Starts a new run in `world`. If `tell`, every step leaves a line.
    pub(super) fn reset(&self, world: World, tell: bool) {
        self.world.replace(world);
        self.tasks.borrow_mut().fill(Task::default());
        self.rush.set(false);
        self.abandon.set(false);
        self.panicked.replace(None);
        self.told.replace(tell.then(Vec::new));
    }

    /// Says whose turn it is.
    pub(super) fn choose(&self, task: usize) {
        self.running.set(task);
    }

    /// From now on nobody looks at what the tasks do.
    pub(super) fn rush(&self) {
        self.rush.set(true);
    }

    /// From now on a task that is given its turn unwinds instead.
    pub(super) fn abandon(&self) {
        self.abandon.set(true);
    }

    /// Notes that the code of the running task has ended.
    pub(super) fn ended(&self, ending: Ending) {
        self.tasks.borrow_mut()[self.running.get()].want = None;
        let Err(payload) = ending else { return };
        if payload.is::<Abandoned>() {
            return;
        }
        let text = payload.downcast_ref::<String>().cloned().or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        });
        self.panicked.replace(Some(text.unwrap_or_default()));
    }

    /// Says whether the task has not come to its end.
    pub(super) fn is_alive(&self, task: usize) -> bool {
        self.tasks.borrow()[task].want.is_some()
    }

    /// Returns the tasks that could take a step, as a mask.
    pub(super) fn ready(&self) -> u8 {
        let world = self.world.borrow();
        self.tasks
            .borrow()
            .iter()
            .enumerate()
            .filter(|(_, task)| task.want.is_some_and(|want| world.grants(want)))
            .fold(0, |mask, (index, _)| mask | 1 << index)
    }

    /// Says what each task that has not ended waits for.
    pub(super) fn waiting(&self) -> Vec<(usize, Want)> {
        self.tasks
            .borrow()
            .iter()
            .enumerate()
            .filter_map(|(index, task)| task.want.map(|want| (index, want)))
            .collect()
    }

    /// Returns the message of the task that panicked.
    pub(super) fn panicked(&self) -> Option<String> {
        self.panicked.borrow().clone()
    }

    /// Returns the lines of a run that was told.
    pub(super) fn told(&self) -> Vec<String> {
        self.told.borrow_mut().take().unwrap_or_default()
    }

    /// Digest of everything that the rest of a run depends on.
    ///
    /// Two 64-bit digests with different prefixes: with the few million states of one exploration
    /// the chance that two of them meet is below 2^-80.
    pub(super) fn digest(&self) -> u128 {
        let world = self.world.borrow();
        let tasks = self.tasks.borrow();
        let half = |prefix: u8| {
            let mut hasher = DefaultHasher::new();
            prefix.hash(&mut hasher);
            world.hash(&mut hasher);
            for task in tasks.iter() {
                (task.want, task.learnt).hash(&mut hasher);
            }
            u128::from(hasher.finish())
        };
        half(0) << 64 | half(1)
    }

    /// Takes one step of the running task once `want` is granted: `act` changes the world, and
    /// what it returns is all that the task learns of it.
    pub(crate) fn step<R: Hash + Debug>(
        &self,
        what: fmt::Arguments<'_>,
        want: Want,
        act: impl FnOnce(&mut World, usize) -> R,
    ) -> R {
        let me = self.running.get();
        self.tasks.borrow_mut()[me].want = Some(want);
        give_way();
        if self.abandon.get() {
            // Not a panic: no message, and the explorer catches it.
            panic::resume_unwind(Box::new(Abandoned));
        }

        let mut world = self.world.borrow_mut();
        world.grant(want);
        let result = act(&mut world, me);
        if self.rush.get() {
            return result;
        }
        world.check();
        let task = &mut self.tasks.borrow_mut()[me];
        task.learnt = digest(task.learnt, &result);

        if let Some(told) = self.told.borrow_mut().as_mut() {
            let answer = match format!("{result:?}").as_str() {
                "()" => String::new(),
                answer => format!(" -> {answer}"),
            };
            let line = format!("{what}{answer}");
            told.push(format!(
                "{:<15} {line:<66} {}",
                self.names[me],
                world.picture()
            ));
        }
        result
    }

    /// Calls a function of which the caller learns no more than the result.
    ///
    /// What the function saw on its way is forgotten, so that states that differ in nothing else
    /// are one.
    pub(crate) fn call<R: Hash>(&self, function: impl FnOnce() -> R) -> R {
        let me = self.running.get();
        let before = self.tasks.borrow()[me].learnt;
        let result = function();
        self.tasks.borrow_mut()[me].learnt = digest(before, &result);
        result
    }

    /// Calls a function again and again until it returns something, as [`call`](Self::call) does;
    /// a call in vain leaves no memory.
    pub(crate) fn retry<R: Hash>(&self, mut function: impl FnMut() -> Option<R>) -> R {
        let me = self.running.get();
        let before = self.tasks.borrow()[me].learnt;
        loop {
            let result = function();
            self.tasks.borrow_mut()[me].learnt = digest(before, &result);
            if let Some(result) = result {
                return result;
            }
        }
    }

    /// Looks at what never changes, or changes the world together with the step before.
    ///
    /// Releasing a lock needs no step of its own: whoever waits for the lock can go on at once, and
    /// whoever does not could have gone on before.
    pub(crate) fn at_once<R>(&self, act: impl FnOnce(&mut World, usize) -> R) -> R {
        let mut world = self.world.borrow_mut();
        let result = act(&mut world, self.running.get());
        world.check();
        result
    }
}

/// Digest of what was known before and something new.
fn digest(before: u64, new: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (before, new).hash(&mut hasher);
    hasher.finish()
}

/// Goes back to the explorer until it is this task's turn again.
#[expect(
    deprecated,
    reason = "the scoped variant cannot be reached from below the code under test"
)]
pub(super) fn give_way() {
    generator::yield_with(());
}
