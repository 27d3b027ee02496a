// SPDX-License-Identifier: GPL-2.0

//! dev
#![allow(dead_code, unused_imports)] // TODO: remove when fs is there
use kernel::prelude::*;
mod bindings;
#[forbid(unsafe_code)]
mod coherency;
mod pagecache;
mod prelude;

module! {
    type: Cohfs,
    name: "cohfs",
    authors: ["cohfs developers"],
    description: "ext2 on-disk format with a coherent page cache",
    license: "GPL",
    alias: ["fs-cohfs"],
}

struct Cohfs;
impl kernel::Module for Cohfs {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}
