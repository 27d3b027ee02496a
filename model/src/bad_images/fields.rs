// SPDX-License-Identifier: GPL-2.0

//! The fields of an image, found without the parser that they are to test.

/// Where the super block starts, in bytes.
const SUPER: usize = 1024;

/// An image under the knife.
pub(crate) struct Fields<'a> {
    image: &'a mut Vec<u8>,
    block_size: usize,
    inode_size: usize,
}

impl<'a> Fields<'a> {
    /// `image` is good.
    pub(crate) fn new(image: &'a mut Vec<u8>) -> Self {
        let mut fields = Self {
            image,
            block_size: 0,
            inode_size: 0,
        };
        fields.block_size = 1024 << fields.get32(SUPER + 0x18);
        fields.inode_size = usize::from(fields.get16(SUPER + 0x58));
        fields
    }

    /// Sets 16 bits of the super block.
    pub(crate) fn super16(&mut self, offset: usize, value: u16) {
        self.put(SUPER + offset, &value.to_le_bytes());
    }

    /// Sets 32 bits of the super block.
    pub(crate) fn super32(&mut self, offset: usize, value: u32) {
        self.put(SUPER + offset, &value.to_le_bytes());
    }

    /// Adds flags to 32 bits of the super block.
    pub(crate) fn add_flags(&mut self, offset: usize, flags: u32) {
        let value = self.get32(SUPER + offset) | flags;
        self.super32(offset, value);
    }

    /// Returns 32 bits of the super block.
    pub(crate) fn get_super32(&self, offset: usize) -> u32 {
        self.get32(SUPER + offset)
    }

    /// Sets 32 bits of the descriptor of the first group.
    pub(crate) fn desc32(&mut self, offset: usize, value: u32) {
        let at = self.descs() + offset;
        self.put(at, &value.to_le_bytes());
    }

    /// Returns 32 bits of the descriptor of the first group.
    pub(crate) fn get_desc32(&self, offset: usize) -> u32 {
        self.get32(self.descs() + offset)
    }

    /// Sets 16 bits of the root inode.
    pub(crate) fn root16(&mut self, offset: usize, value: u16) {
        let at = self.root_inode() + offset;
        self.put(at, &value.to_le_bytes());
    }

    /// Sets 32 bits of the root inode.
    pub(crate) fn root32(&mut self, offset: usize, value: u32) {
        let at = self.root_inode() + offset;
        self.put(at, &value.to_le_bytes());
    }

    /// Returns 32 bits of the root inode.
    pub(crate) fn get_root32(&self, offset: usize) -> u32 {
        self.get32(self.root_inode() + offset)
    }

    /// Overwrites bytes of the first block of the root directory: `.` is its first entry, and
    /// `..`, at byte 12, its second.
    pub(crate) fn root_dir(&mut self, offset: usize, bytes: &[u8]) {
        let at = self.block(self.get_root32(40)) + offset;
        self.put(at, bytes);
    }

    /// Gives `lost+found` a block of extended attributes: the last of the image, which is free.
    /// `entries` follow its header, as many as there is room for.
    pub(crate) fn attributes(&mut self, magic: u32, entries: &[u8]) {
        const LOST_AND_FOUND: usize = 11;
        let inode = self.block(self.get_desc32(8)) + (LOST_AND_FOUND - 1) * self.inode_size;
        let last = u32::try_from(self.image.len() / self.block_size - 1).expect("a small image");
        self.put(inode + 104, &last.to_le_bytes());
        let sectors = self.get32(inode + 28) + u32::try_from(self.block_size / 512).expect("few");
        self.put(inode + 28, &sectors.to_le_bytes());
        let at = self.block(last);
        self.put(at, &magic.to_le_bytes());
        // One user, one block.
        self.put(at + 4, &1u32.to_le_bytes());
        self.put(at + 8, &1u32.to_le_bytes());
        let room = entries.len().min(self.block_size - 32);
        self.put(at + 32, &entries[..room]);
    }

    /// Cuts the image in half.
    pub(crate) fn halve(&mut self) {
        let half = self.image.len() / 2;
        self.image
            .truncate(half / self.block_size * self.block_size);
    }

    fn descs(&self) -> usize {
        (SUPER / self.block_size + 1) * self.block_size
    }

    fn root_inode(&self) -> usize {
        self.block(self.get_desc32(8)) + self.inode_size
    }

    fn block(&self, block: u32) -> usize {
        usize::try_from(block).expect("64 bits") * self.block_size
    }

    fn get16(&self, at: usize) -> u16 {
        u16::from_le_bytes([self.image[at], self.image[at + 1]])
    }

    fn get32(&self, at: usize) -> u32 {
        u32::from(self.get16(at)) | u32::from(self.get16(at + 2)) << 16
    }

    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.image[at..at + bytes.len()].copy_from_slice(bytes);
    }
}
