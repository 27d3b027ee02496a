// SPDX-License-Identifier: GPL-2.0

//! What the kernel says on `/dev/kmsg`.

use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Seek;
use std::os::unix::fs::OpenOptionsExt;

use anyhow::Context as _;
use anyhow::Result;

use crate::verdict::skip;

/// An open `/dev/kmsg`.
#[derive(Debug)]
pub struct KernelLog(File);

impl KernelLog {
    /// Opens it, or skips the claim: it may be for root only.
    pub fn open() -> Result<Self> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg");
        opened
            .map(Self)
            .map_err(|error| skip(format!("/dev/kmsg cannot be read: {error}")))
    }

    /// Leaves out what was said so far.
    pub fn skip_to_end(&self) -> Result<()> {
        (&self.0)
            .seek(io::SeekFrom::End(0))
            .context("seeking in /dev/kmsg")?;
        Ok(())
    }

    /// Reads what was said since, and counts the messages with `words` in them.
    pub fn count(&self, words: &str) -> Result<usize> {
        let mut record = vec![0; 8192];
        let mut count = 0;
        loop {
            match (&self.0).read(&mut record) {
                Ok(len) => {
                    let text = String::from_utf8_lossy(&record[..len]);
                    count += usize::from(text.contains(words));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(count),
                // Messages were overwritten before they were read.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) => return Err(error).context("reading /dev/kmsg"),
            }
        }
    }
}
