// SPDX-License-Identifier: GPL-2.0

//! The three kinds of numbers that are 32 bits on disk and must not be mixed up.
//!
//! C header: [`fs/ext2/ext2.h`](srctree/fs/ext2/ext2.h)

use core::fmt;

macro_rules! number {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub(crate) struct $name(pub(crate) u32);

        impl $name {
            /// Returns the bare number.
            pub(crate) const fn get(self) -> u32 {
                self.0
            }

            /// Returns the number `n` further on; `None` if there is none.
            pub(crate) const fn checked_add(self, n: u32) -> Option<Self> {
                match self.0.checked_add(n) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

number! {
    /// A block of a file, counted from its start.
    FileBlock
}

number! {
    /// A block of the file system, counted from the start of the device. Zero, as a pointer, is
    /// a hole.
    DiskBlock
}

number! {
    /// The number of an inode. They count from one; zero, in a directory, is no entry.
    Ino
}
