// SPDX-License-Identifier: GPL-2.0

//! Every interleaving of a few tasks, up to the point where all of them have ended.
//!
//! The tasks run the real `rust/coherency/*.rs` and, beside it, models of the kernel's own paths
//! ([`pagecache`](crate::pagecache)). A state is the [`World`] and what each task has learnt so
//! far; from each state every task that can take a step takes it. The search goes breadth first,
//! so that the first run in which something happens is the shortest one. States that are equal are
//! followed once, and the number of ways that lead to them is added up: the number of
//! schedules is exact, although most of them share their states.
//!
//! # Bounds
//!
//! Each test in `tests` names its scenario. What `cargo test` explores by default has 1 to 3 tasks
//! beside each other (a direct write or a walk, and up to two others), a file of 1 or 2 pages, two
//! cells in a page, at most 2 mappers, and each task runs its path once. Within that there is no
//! bound: no limit on steps or preemptions, every run is followed to its end, which takes up to
//! 112 steps. That is about 430 000 states in 103 explorations, a few seconds; the largest, a direct
//! write with a store and a writeback, has 10^5 states and 2.4 * 10^20 schedules. Each exploration
//! prints its numbers (`cargo test -p cohfs-model explore -- --nocapture`). Larger ones, with up to
//! four tasks, are `--ignored`, for they take minutes.
//!
//! What is *not* explored: memory ordering (steps are sequentially consistent); failing allocations
//! and devices; fairness of the locks (a waiting writer does not keep readers out); the locks that
//! stand outside, `mmap_lock` and freezing; readahead, fault-around, huge pages and splitting of
//! folios; truncation. The device reads and writes a page at a time, a direct write a cell.
//!
//! # What holds it together
//!
//! That equal states may be merged rests on two things. All that a task learns of the world goes
//! through a [`Machine::step`], so what it has learnt stands for its variables. And where code
//! under test calls into the model, what it learns is the result of the call
//! ([`Machine::call`]), not what the call saw on its way.
//!
//! # Why not `loom` or `shuttle`
//!
//! Both run real code on such tasks, and both look at schedules one by one. `shuttle`'s
//! `check_dfs` reduces nothing; `loom` leaves out schedules that differ in the order of independent
//! operations, but here nearly all steps are on one object, the page cache. The smallest
//! scenario that shows the lost write has 2 * 10^14 schedules, and 7 564 states. Merging equal states
//! is what makes all of them countable, and neither does it. Underneath, this runs on the same
//! crate for switching stacks (`generator`) as both.

mod actors;
mod machine;
mod scenario;
#[cfg(test)]
mod tests;

pub(crate) use self::machine::{Machine, Want};

use self::machine::give_way;
use self::{actors::Act, scenario::Scenario};
use crate::pagecache::{Host, Verdict, Verdicts};
use generator::{Generator, Gn};
use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashMap},
    fmt,
    panic::{catch_unwind, AssertUnwindSafe},
    rc::Rc,
};

/// More states than any scenario should have: a scenario that grows by accident fails.
const MAX_STATES: usize = 20_000_000;

/// Words of stack for a task.
const STACK: usize = 0x2000;

/// What exploring a scenario found.
pub(crate) struct Outcome {
    name: String,
    /// Number of different states.
    pub(crate) states: usize,
    /// Number of schedules, each from the first step of a task to the end of all.
    pub(crate) schedules: u128,
    /// Steps of the longest schedule.
    pub(crate) depth: usize,
    /// Number of schedules in which each thing happened, and the shortest.
    found: BTreeMap<Verdict, Found>,
}

/// What is known of one verdict.
struct Found {
    schedules: u128,
    trace: Vec<String>,
}

impl Outcome {
    /// Takes in the states of one more step.
    fn note(&mut self, layer: &[Node], crew: &mut Crew) {
        self.states += layer.len();
        self.depth += usize::from(!layer.is_empty());
        assert!(self.states <= MAX_STATES, "{self}: too many states");
        for verdict in Verdict::ALL {
            let with = || layer.iter().filter(|node| node.verdicts.has(verdict));
            if let Some(node) = with().min_by_key(|node| node.switches) {
                let found = self.found.entry(verdict).or_insert_with(|| Found {
                    schedules: 0,
                    trace: crew.run(node.path.iter().copied(), true).1,
                });
                let ended = with().filter(|node| node.ready == 0);
                found.schedules += ended.map(|node| node.ways).sum::<u128>();
            }
        }
        let ended = layer.iter().filter(|node| node.ready == 0);
        self.schedules += ended.map(|node| node.ways).sum::<u128>();
    }

    /// Says whether there is a schedule in which this happens.
    pub(crate) fn has(&self, verdict: Verdict) -> bool {
        self.found.contains_key(&verdict)
    }

    /// Returns the shortest schedule in which it happens, one line for each step.
    pub(crate) fn trace(&self, verdict: Verdict) -> String {
        self.found[&verdict].trace.join("\n")
    }

    /// Panics with the shortest trace if any of `verdicts` was found.
    pub(crate) fn expect_none_of(&self, verdicts: &[Verdict]) {
        for &verdict in verdicts {
            assert!(
                !self.has(verdict),
                "{self}\n{verdict:?}, shortest:\n{}",
                self.trace(verdict)
            );
        }
    }

    /// Panics unless every one of `verdicts` was found.
    pub(crate) fn expect_all_of(&self, verdicts: &[Verdict]) {
        for &verdict in verdicts {
            assert!(self.has(verdict), "{self}\nnot found: {verdict:?}");
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:<44} {:>8} states {:>24} schedules, up to {:>3} steps:",
            self.name, self.states, self.schedules, self.depth
        )?;
        if self.found.is_empty() {
            write!(f, " nothing")?;
        }
        for (verdict, found) in &self.found {
            write!(f, " {verdict:?} in {}", found.schedules)?;
        }
        Ok(())
    }
}

/// A state that was met.
struct Node {
    /// The way to it with the fewest changes of turn; all are equally long.
    path: Box<[u8]>,
    switches: u32,
    /// The tasks that can go on from it.
    ready: u8,
    verdicts: Verdicts,
    /// Number of ways to it.
    ways: u128,
}

impl Node {
    fn step(&self, task: u8) -> Box<[u8]> {
        self.path.iter().copied().chain([task]).collect()
    }
}

/// Where a run has come to.
struct Arrival {
    digest: u128,
    ready: u8,
    verdicts: Verdicts,
}

/// What the tasks of this thread's exploration work on.
struct Stage {
    scenario: Scenario,
    machine: Rc<Machine>,
    host: Host,
    dismissed: Cell<bool>,
}

thread_local! {
    /// Here and not captured by the tasks, for the kind of generator that can give way from
    /// anywhere below asks for `Send`.
    static STAGE: RefCell<Option<Rc<Stage>>> = const { RefCell::new(None) };
}

/// The code of task `me`: one run after the other, for making a stack is dear.
fn task(me: usize) {
    let stage = STAGE.with_borrow(|stage| stage.clone());
    let stage = stage.expect("the stage is set before the first turn");
    while !stage.dismissed.get() {
        let run = || stage.scenario.acts[me].perform(&stage.host, me);
        stage.machine.ended(catch_unwind(AssertUnwindSafe(run)));
        give_way();
    }
}

/// The tasks of a scenario on their stacks.
struct Crew {
    stage: Rc<Stage>,
    tasks: Vec<Generator<'static, (), ()>>,
}

impl Crew {
    fn new(scenario: &Scenario) -> Self {
        let names = scenario.acts.iter().map(Act::name).collect();
        let machine = Rc::new(Machine::new(scenario.world(), names));
        let stage = Rc::new(Stage {
            scenario: scenario.clone(),
            host: Host::new(Rc::clone(&machine)),
            machine,
            dismissed: Cell::new(false),
        });
        STAGE.set(Some(Rc::clone(&stage)));
        let tasks = (0..scenario.acts.len())
            .map(|me| Gn::new_opt(STACK, move || task(me)))
            .collect();
        Self { stage, tasks }
    }

    fn turn(&mut self, task: usize) {
        self.stage.machine.choose(task);
        self.tasks[task].resume();
    }

    /// Lets the tasks take the steps of `path` and looks where that leads.
    fn run(&mut self, path: impl IntoIterator<Item = u8>, tell: bool) -> (Arrival, Vec<String>) {
        self.stage.machine.reset(self.stage.scenario.world(), tell);
        for task in 0..self.tasks.len() {
            self.turn(task);
        }
        for task in path {
            self.turn(usize::from(task));
        }

        let mut ready = self.stage.machine.ready();
        let mut verdicts = self.stage.machine.at_once(|world, _| world.verdicts());
        let mut lines = self.stage.machine.told();
        if let Some(message) = self.stage.machine.panicked() {
            ready = 0;
            verdicts.insert(Verdict::Panic);
            lines.push(format!("panic: {message}"));
        } else if ready == 0 {
            let waiting = self.stage.machine.waiting();
            if waiting.is_empty() {
                let (settled, picture) = self.stage.machine.at_once(|world, _| world.settle());
                verdicts.add(settled);
                lines.push(format!("{:<82} {picture}", "... and all written out"));
            } else {
                verdicts.insert(Verdict::Deadlock);
                lines.push(format!("all wait: {waiting:?}"));
            }
        }
        let arrival = Arrival {
            digest: self.stage.machine.digest(),
            ready,
            verdicts,
        };

        self.finish();
        (arrival, lines)
    }

    /// Brings every task to the end of its run, in whatever order.
    fn finish(&mut self) {
        let machine = Rc::clone(&self.stage.machine);
        machine.rush();
        while let Some(task) = (0..8).find(|task| machine.ready() & 1 << task != 0) {
            self.turn(task);
        }
        // Only what waits for ever is unwound: that takes longer than many a step.
        machine.abandon();
        for task in 0..self.tasks.len() {
            if machine.is_alive(task) {
                self.turn(task);
            }
        }
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.stage.dismissed.set(true);
        for task in 0..self.tasks.len() {
            self.turn(task);
        }
    }
}

/// Follows every interleaving of the scenario's tasks to its end.
pub(crate) fn explore(scenario: &Scenario) -> Outcome {
    let mut crew = Crew::new(scenario);
    let mut outcome = Outcome {
        name: scenario.name.clone(),
        states: 1,
        schedules: 0,
        depth: 0,
        found: BTreeMap::new(),
    };

    let ready = crew.run([], false).0.ready;
    let mut layer = vec![Node {
        path: Box::from([]),
        switches: 0,
        ready,
        verdicts: Verdicts::default(),
        ways: 1,
    }];
    // What a task has learnt includes how many steps it took, so equal states are equally deep.
    while !layer.is_empty() {
        let mut next: Vec<Node> = Vec::new();
        let mut met: HashMap<u128, usize> = HashMap::new();
        for node in &layer {
            for task in (0..8).filter(|task| node.ready & 1 << task != 0) {
                let arrival = crew.run(node.path.iter().copied().chain([task]), false).0;
                let index = *met.entry(arrival.digest).or_insert(next.len());
                let switches = node.switches + u32::from(node.path.last() != Some(&task));
                if index == next.len() {
                    next.push(Node {
                        path: node.step(task),
                        switches,
                        ready: arrival.ready,
                        verdicts: arrival.verdicts,
                        ways: node.ways,
                    });
                } else {
                    next[index].ways += node.ways;
                    if switches < next[index].switches {
                        next[index].path = node.step(task);
                        next[index].switches = switches;
                    }
                }
            }
        }
        outcome.note(&next, &mut crew);
        next.retain(|node| node.ready != 0);
        layer = next;
    }
    outcome
}
