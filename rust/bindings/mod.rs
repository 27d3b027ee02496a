// SPDX-License-Identifier: GPL-2.0

//! What [`kernel::bindings`] lacks, and one-line wrappers of C inlines.
//!
//! `bindgen` makes only the missing and the opaque types; whatever else a signature
//! names is the kernel crate's own type, so that the two never need a cast between them.
//! An item made here shadows the one of the same name in the kernel crate.
//!
//! C headers: `helpers.h`, `bindings_helper.h`

#![allow(
    clippy::all,
    clippy::cast_lossless,
    clippy::ptr_as_ptr,
    dead_code,
    improper_ctypes,
    missing_docs,
    non_camel_case_types,
    non_snake_case,
    non_upper_case_globals,
    unnecessary_transmutes,
    unreachable_pub,
    unsafe_op_in_unsafe_fn,
    clippy::undocumented_unsafe_blocks
)]

use kernel::ffi;
use pin_init::MaybeZeroable;

pub(crate) use kernel::bindings::*;

include!(concat!(
    env!("COHFS_OBJ"),
    "/rust/bindings/bindings_generated.rs"
));
