// SPDX-License-Identifier: GPL-2.0

//! Ranges of a file, in bytes and in pages.
//!
//! Pure arithmetic: the `model` crate compiles this very file.
//!
//! C header: [`include/linux/pagemap.h`](srctree/include/linux/pagemap.h)

use crate::prelude::PAGE_SHIFT;

/// A range of bytes of a file: `pos` and on, up to and without `end`.
///
/// # Invariants
///
/// `pos < end`, and `end` is at most [`ByteRange::MAX_END`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ByteRange {
    pos: u64,
    end: u64,
}

impl ByteRange {
    /// One past the largest offset that a `loff_t` can name.
    const MAX_END: u64 = i64::MAX.unsigned_abs();

    /// Every byte that a file can have.
    pub(crate) const ALL: Self = Self {
        pos: 0,
        end: Self::MAX_END,
    };

    /// Returns the range of `len` bytes from `pos`.
    ///
    /// `None` if it is empty, or ends beyond what a `loff_t` can name.
    pub(crate) fn new(pos: u64, len: u64) -> Option<Self> {
        let end = pos.checked_add(len)?;
        // INVARIANT: Just checked.
        (pos < end && end <= Self::MAX_END).then_some(Self { pos, end })
    }

    /// Returns the range from `pos` to the largest end.
    pub(crate) fn from(pos: u64) -> Option<Self> {
        Self::new(pos, Self::MAX_END.checked_sub(pos)?)
    }

    /// Offset of the first byte.
    pub(crate) fn pos(self) -> u64 {
        self.pos
    }

    /// Offset one past the last byte.
    pub(crate) fn end(self) -> u64 {
        self.end
    }

    /// Number of bytes.
    pub(crate) fn len(self) -> u64 {
        self.end - self.pos
    }

    /// Returns the first `len` bytes of the range, or all of it if it has fewer.
    ///
    /// `None` if `len` is 0.
    pub(crate) fn first(self, len: usize) -> Option<Self> {
        let len = u64::try_from(len).unwrap_or(u64::MAX);
        Self::new(self.pos, len.min(self.len()))
    }

    /// Says whether the two have a byte in common.
    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.pos < other.end && other.pos < self.end
    }

    /// Returns the pages that hold at least one byte of the range.
    pub(crate) fn pages(self) -> PageRange {
        PageRange {
            first: self.pos >> PAGE_SHIFT,
            // INVARIANT: `end` is greater than `pos`, so `end - 1` is neither negative nor smaller.
            last: (self.end - 1) >> PAGE_SHIFT,
        }
    }
}

/// An inclusive range of page indexes of a file.
///
/// # Invariants
///
/// `first <= last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PageRange {
    first: u64,
    last: u64,
}

impl PageRange {
    /// Every page that a file can have.
    pub(crate) const ALL: Self = Self {
        first: 0,
        last: u64::MAX,
    };

    /// Index of the first page.
    pub(crate) fn first(self) -> u64 {
        self.first
    }

    /// Index of the last page, itself in the range.
    pub(crate) fn last(self) -> u64 {
        self.last
    }

    /// Returns the range from page `first` to the end of this one.
    ///
    /// `None` if nothing of this range lies there.
    pub(crate) fn rest_from(self, first: u64) -> Option<Self> {
        let first = first.max(self.first);
        // INVARIANT: Just checked.
        (first <= self.last).then_some(Self {
            first,
            last: self.last,
        })
    }

    /// Returns the range of `count` pages from page `first`; of one page if `count` is 0.
    pub(crate) fn starting_at(first: u64, count: u64) -> Self {
        // INVARIANT: The sum saturates at or above `first`.
        Self {
            first,
            last: first.saturating_add(count.saturating_sub(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_or_overflowing_byte_range_does_not_exist() {
        assert_eq!(ByteRange::new(0, 0), None);
        assert_eq!(ByteRange::new(u64::MAX, 1), None);
        assert_eq!(ByteRange::new(1, i64::MAX.unsigned_abs()), None);
        assert!(ByteRange::new(0, i64::MAX.unsigned_abs()).is_some());
    }

    #[test]
    fn pages_are_those_that_hold_a_byte_of_the_range() {
        let page = 1 << PAGE_SHIFT;
        let pages = |pos, len| {
            let pages = ByteRange::new(pos, len).unwrap().pages();
            (pages.first(), pages.last())
        };
        assert_eq!(pages(0, 1), (0, 0));
        assert_eq!(pages(0, page), (0, 0));
        assert_eq!(pages(0, page + 1), (0, 1));
        assert_eq!(pages(page - 1, 2), (0, 1));
        assert_eq!(pages(3 * page, 2 * page), (3, 4));
    }

    #[test]
    fn the_first_bytes_of_a_range_stay_inside_it() {
        let range = ByteRange::new(10, 100).unwrap();
        assert_eq!(range.first(0), None);
        assert_eq!(range.first(1), ByteRange::new(10, 1));
        assert_eq!(range.first(1000), Some(range));
    }

    #[test]
    fn ranges_that_touch_do_not_overlap() {
        let range = |pos, len| ByteRange::new(pos, len).unwrap();
        assert!(!range(0, 10).overlaps(range(10, 1)));
        assert!(!range(10, 1).overlaps(range(0, 10)));
        assert!(range(0, 11).overlaps(range(10, 1)));
        assert!(range(10, 1).overlaps(ByteRange::ALL));
    }

    #[test]
    fn the_rest_of_a_page_range_starts_inside_it() {
        let pages = ByteRange::new(0, 4 << PAGE_SHIFT).unwrap().pages();
        assert_eq!(
            pages.rest_from(2).map(|rest| (rest.first(), rest.last())),
            Some((2, 3))
        );
        assert_eq!(pages.rest_from(4), None);
        assert_eq!(PageRange::ALL.rest_from(7).map(PageRange::first), Some(7));
    }
}
