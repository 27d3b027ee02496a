// SPDX-License-Identifier: GPL-2.0

//! What the guest says, as it comes.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use lab_proto::Event;

/// The file that QEMU writes the second serial port to, read as it grows.
pub(crate) struct EventFile {
    path: PathBuf,
    read: usize,
    partial: Vec<u8>,
}

impl EventFile {
    /// A file that need not be there yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self {
            path: path.to_path_buf(),
            read: 0,
            partial: Vec::new(),
        }
    }

    /// Returns the events of the lines that are new and whole.
    pub(crate) fn read_new(&mut self) -> Vec<Event> {
        let Ok(mut file) = File::open(&self.path) else {
            return Vec::new();
        };
        let mut new = Vec::new();
        let offset = u64::try_from(self.read).unwrap_or(u64::MAX);
        if file.seek(SeekFrom::Start(offset)).is_err() || file.read_to_end(&mut new).is_err() {
            return Vec::new();
        }
        self.read += new.len();
        self.partial.extend(new);
        let mut events = Vec::new();
        while let Some(end) = self.partial.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = self.partial.drain(..=end).collect();
            // A line that is no event is a guest that died in the middle of one: the missing
            // end says it all.
            events.extend(serde_json::from_slice(&line));
        }
        events
    }
}
