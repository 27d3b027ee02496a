// SPDX-License-Identifier: GPL-2.0

//! The claims: small programs, each with one verdict about a file system.
//!
//! A claim states one promise about direct I/O, `mmap` and buffered I/O on the same file, tries
//! to break it on the directory it is given, and says what it saw. The claims run on any file
//! system; what a file system cannot do makes a claim `skip` with the reason, never pass.
//!
//! | module | role |
//! |---|---|
//! | [`claims`] | the claims, one file per subject |
//! | [`registry`], [`verdict`], [`timeline`] | what a claim is, what it can find, what happens in it |
//! | [`pattern`], [`judge`] | sectors that say who wrote them, and the checker |
//! | [`file`], [`mapping`], [`aligned`] | the three ways to the same bytes |
//! | [`device`], [`pages`], [`kernel_log`] | truth on disk, state of the cache, what the kernel says |
//! | [`window`] | races made on purpose |
//! | [`queue`], [`faults`], [`full_disk`], [`freeze`] | asynchronous I/O, and disks that fail, are full, stand still |
//! | [`cgroup`], [`transfer`] | little memory, other ways to move bytes |
//! | [`mount`], [`loop_device`] | file systems that are mounted again, or lie in a file |
//! | [`partitions`] | the raw device in the place of a file system |
//! | [`watch`] | what the kernel tells of errors of a file system |
//! | [`space`], [`handle`] | extents, swap and leases; files by handle |
//! | [`runner`], [`ktap`], [`hazard`], [`prepare`], [`digest`] | the command line's verbs |
//! | [`bench`] | how long things take |
//! | [`storm`] | everybody at once on a few files |
//! | [`generator`] | the same random steps on several file systems |

pub mod aligned;
pub mod bench;
pub mod cgroup;
pub mod claims;
pub mod device;
pub mod digest;
pub mod faults;
pub mod file;
pub mod freeze;
pub mod full_disk;
pub mod generation;
pub mod generator;
pub mod handle;
pub mod hazard;
pub mod judge;
mod judge_file;
pub mod kernel_log;
pub mod ktap;
pub mod loop_device;
pub mod mapping;
pub mod mount;
pub mod null_disk;
pub mod pages;
pub mod partitions;
pub mod pattern;
pub mod prepare;
pub mod queue;
pub mod registry;
pub mod runner;
pub mod space;
mod stacks;
pub mod storm;
pub mod sys;
pub mod timeline;
pub mod transfer;
pub mod verdict;
pub mod watch;
pub mod window;
