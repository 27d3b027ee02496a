// SPDX-License-Identifier: GPL-2.0

//! The module's pure rooms on the host.
//!
//! The rooms of the kernel module that know nothing of the kernel are compiled here from the very
//! same files, and tested: on real images, on mutated ones, on arbitrary bytes.

#[forbid(unsafe_code)]
#[path = "../../rust/ext2/mod.rs"]
mod ext2;
