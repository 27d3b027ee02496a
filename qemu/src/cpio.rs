// SPDX-License-Identifier: GPL-2.0

//! Writes an initramfs: an uncompressed `newc` archive, as
//! `Documentation/driver-api/early-userspace/buffer-format.rst` describes it.

use std::io::{self, Write};

const DIRECTORY: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const CONSOLE: u32 = 0o020_600;

/// An archive under way. Everything in it belongs to root.
#[derive(Debug)]
pub struct Archive<W> {
    out: W,
    written: usize,
    inode: u32,
    dirs: Vec<String>,
}

impl<W: Write> Archive<W> {
    /// Starts an archive with the console that the kernel opens for init.
    ///
    /// # Errors
    ///
    /// Those of writing to `out`.
    pub fn new(out: W) -> io::Result<Self> {
        let mut archive = Self {
            out,
            written: 0,
            inode: 0,
            dirs: Vec::new(),
        };
        archive.parents("dev/console")?;
        archive.entry("dev/console", CONSOLE, (5, 1), &[])?;
        Ok(archive)
    }

    /// Adds an executable file at `path`, absolute in the guest, and the directories above it.
    ///
    /// # Errors
    ///
    /// Those of writing to the archive.
    pub fn file(&mut self, path: &str, content: &[u8]) -> io::Result<()> {
        let path = path.trim_start_matches('/');
        self.parents(path)?;
        self.entry(path, PROGRAM, (0, 0), content)
    }

    /// Ends the archive.
    ///
    /// # Errors
    ///
    /// Those of writing to the archive.
    pub fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn parents(&mut self, path: &str) -> io::Result<()> {
        for (slash, _) in path.match_indices('/') {
            let dir = &path[..slash];
            if !self.dirs.iter().any(|known| known == dir) {
                self.dirs.push(dir.to_owned());
                self.entry(dir, DIRECTORY, (0, 0), &[])?;
            }
        }
        Ok(())
    }

    fn entry(
        &mut self,
        name: &str,
        mode: u32,
        device: (u32, u32),
        content: &[u8],
    ) -> io::Result<()> {
        let too_large =
            || io::Error::new(io::ErrorKind::FileTooLarge, format!("{name}: over 4 GiB"));
        let size = u32::try_from(content.len()).map_err(|_| too_large())?;
        let name_size = u32::try_from(name.len() + 1).map_err(|_| too_large())?;
        self.inode += 1;
        let fields = [
            self.inode, mode, 0, 0, 1, 0, size, 0, 0, device.0, device.1, name_size, 0,
        ];
        let mut header = String::from("070701");
        header.extend(fields.map(|field| format!("{field:08x}")));
        self.put(header.as_bytes())?;
        self.put(name.as_bytes())?;
        self.put(&[0])?;
        self.pad()?;
        self.put(content)?;
        self.pad()
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.written += bytes.len();
        self.out.write_all(bytes)
    }

    fn pad(&mut self) -> io::Result<()> {
        let rest = self.written.next_multiple_of(4) - self.written;
        self.put(&[0; 3][..rest])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new()).expect("a vector takes all");
        archive
            .file("/a/b/c", b"12345")
            .expect("a vector takes all");
        archive.finish().expect("a vector takes all")
    }

    #[test]
    fn headers_are_aligned_and_sizes_are_hexadecimal() {
        let bytes = archive();
        assert_eq!(bytes.len() % 4, 0);
        let at = bytes
            .windows(6)
            .position(|window| window == b"a/b/c\0")
            .expect("the file is there");
        let header = &bytes[at - 110..at];
        assert!(header.starts_with(b"070701"));
        assert_eq!(&header[54..62], b"00000005");
        let content = (at + 6).next_multiple_of(4);
        assert_eq!(&bytes[content..content + 5], b"12345");
    }

    #[test]
    fn directories_come_once_and_before_what_is_in_them() {
        let text = String::from_utf8_lossy(&archive()).into_owned();
        assert_eq!(text.matches("a/b\0").count(), 1);
        assert!(text.find("a/b\0") < text.find("a/b/c\0"));
        assert!(text.contains("TRAILER!!!"));
    }
}
