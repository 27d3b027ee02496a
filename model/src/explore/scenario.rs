// SPDX-License-Identifier: GPL-2.0

//! A few tasks and the world they start in.

use super::actors::Act;
use crate::pagecache::{Setup, World};

/// What is explored at a time.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) setup: Setup,
    /// At most seven: a write is known by the number of its task.
    pub(crate) acts: Vec<Act>,
}

impl Scenario {
    /// Returns a scenario.
    pub(crate) fn new(name: impl Into<String>, setup: Setup, acts: &[Act]) -> Self {
        assert!(acts.len() < 8, "writes are numbered from 1 to 7");
        Self {
            name: name.into(),
            setup,
            acts: acts.to_vec(),
        }
    }

    /// Returns the world before the first step.
    pub(super) fn world(&self) -> World {
        World::new(self.setup)
    }
}
