// SPDX-License-Identifier: GPL-2.0

//! Takes its input for an image, and reads all of it.

#![no_main]

use cohfs_model::exercise;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    exercise::image(bytes);
});
