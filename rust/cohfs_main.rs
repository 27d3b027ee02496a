// SPDX-License-Identifier: GPL-2.0

//! cohfs: the ext2 disk format with a page cache that direct writes do not betray.
//!
//! This is the map of the module. Rooms import only what is below them:
//!
//! ```text
//!                          cohfs_main
//!                              |
//!                              fs            the file system: policy
//!               +--------------+-----------+
//!              vfs         coherency      ext2
//!    what C asks of us    THE JEWEL       the disk format
//!               |              |
//!               +-----> pagecache          folios, mappings, locks
//!                           |
//!                       bindings           what the kernel crate's lack
//! ```
//!
//! Begin to read with [`coherency`]. `unsafe` is for `vfs` and `pagecache` only; the compiler sees to
//! it.

use kernel::prelude::*;

mod bindings;
#[forbid(unsafe_code)]
mod coherency;
#[forbid(unsafe_code)]
mod ext2;
#[forbid(unsafe_code)]
mod fs;
mod pagecache;
#[forbid(unsafe_code)]
mod prelude;
mod vfs;

module! {
    type: Module,
    name: "cohfs",
    authors: ["cohfs developers"],
    description: "ext2 on-disk format with a coherent page cache",
    license: "GPL",
    alias: ["fs-cohfs"],
}

/// The loaded module: a registered file system type.
struct Module {
    _registration: Pin<KBox<vfs::Registration<fs::Cohfs>>>,
}

impl kernel::Module for Module {
    fn init(module: &'static ThisModule) -> Result<Self> {
        Ok(Self {
            _registration: KBox::try_pin_init(
                vfs::Registration::new(module, fs::Registered::new()),
                GFP_KERNEL,
            )?,
        })
    }
}
