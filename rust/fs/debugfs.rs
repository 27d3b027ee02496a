// SPDX-License-Identifier: GPL-2.0

//! `/sys/kernel/debug/cohfs/<device>/`.

use crate::{
    coherency::Counters,
    vfs::debugfs::Show, //
};
use core::convert::Infallible;
use kernel::{
    seq_file::SeqFile,
    seq_print, //
};

impl Show for Counters {
    /// One line for each counter, `name value`.
    fn show(&self, seq: &SeqFile) {
        let Ok(()) = self.each(|name, value| {
            seq_print!(seq, "{name} {value}\n");
            Ok::<(), Infallible>(())
        });
    }
}
