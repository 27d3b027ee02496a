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
        let mut count = 0;
        self.read(|record| count += usize::from(record.contains(words)))?;
        Ok(count)
    }

    /// Reads what the kernel itself said since: the text of each message, the first `most` of them.
    pub fn messages(&self, most: usize) -> Result<Vec<String>> {
        let mut messages = Vec::new();
        self.read(|record| {
            if messages.len() < most
                && let Some(text) = message_of_kernel(record)
            {
                messages.push(text.to_owned());
            }
        })?;
        Ok(messages)
    }

    /// Hands on each record since the last one read.
    fn read(&self, mut take: impl FnMut(&str)) -> Result<()> {
        let mut record = vec![0; 8192];
        loop {
            match (&self.0).read(&mut record) {
                Ok(len) => take(&String::from_utf8_lossy(&record[..len])),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Messages were overwritten before they were read.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {}
                Err(error) => return Err(error).context("reading /dev/kmsg"),
            }
        }
    }
}

/// The text of a record, unless a program wrote it: the facility is above the lowest three bits of
/// its first number, and that of the kernel is 0.
fn message_of_kernel(record: &str) -> Option<&str> {
    let (head, text) = record.split_once(';')?;
    let priority: u32 = head.split(',').next()?.parse().ok()?;
    (priority >> 3 == 0).then(|| text.lines().next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::message_of_kernel;

    #[test]
    fn a_record_of_the_kernel_is_told_from_one_of_a_program() {
        let kernel = "4,123,456789,-;Page cache invalidation failure\n DEVICE=b254:0\n";
        assert_eq!(
            message_of_kernel(kernel),
            Some("Page cache invalidation failure")
        );
        assert_eq!(message_of_kernel("12,124,456790,-;lab: step a\n"), None);
        assert_eq!(message_of_kernel("nonsense"), None);
    }
}
