//! Hash tables of fingerprints: many readers without locks, one writer.
//!
//! A table consists of groups of 32 places. A search starts at the group that the upper bits of the
//! fingerprint choose. A place has a fingerprint and a tag: 16 bits of the fingerprint, stored
//! apart.
//!
//! The tags of a group fill one cache line. A search reads the tags, and a fingerprint only where
//! the tag matches. So a search for an absent fingerprint reads 2 bytes of each 10.
//!
//! An empty place is 0. A used place never changes: nothing is moved or deleted. The writer builds
//! a new table when one is full or has too many expired entries.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fingerprint::Fingerprint;

const WORDS_PER_LINE: usize = 8;

/// Each word of a line has 4 tags.
const PLACES_PER_GROUP: usize = 4 * WORDS_PER_LINE;

/// One line of tags and four lines of fingerprints.
const LINES_PER_GROUP: usize = 5;

/// The greatest number of used places for each group, on average: 85 %. More than nine of ten
/// searches then end in the first group.
const ENTRIES_PER_GROUP: usize = 27;

#[derive(Default)]
#[repr(align(64))]
pub(super) struct CacheLine([AtomicU64; WORDS_PER_LINE]);

/// A view of the lines of a table: first all tags, then all fingerprints.
#[derive(Clone, Copy, Default)]
pub(super) struct Table<'a>(&'a [CacheLine]);

fn capacity(lines: usize) -> usize {
    (lines / LINES_PER_GROUP).saturating_mul(ENTRIES_PER_GROUP)
}

/// The lines of a new table, with capacity for a fifth more entries.
///
/// An entry therefore takes 11.8 to 14.1 bytes, and is copied about five times in its life.
fn lines_for(entries: usize) -> usize {
    let entries = entries.saturating_mul(6).div_ceil(5);
    entries
        .div_ceil(ENTRIES_PER_GROUP)
        .saturating_mul(LINES_PER_GROUP)
}

/// The lines of an empty table with capacity for this many entries.
pub(super) fn empty_lines<L: FromIterator<CacheLine>>(entries: usize) -> L {
    (0..lines_for(entries))
        .map(|_| CacheLine::default())
        .collect()
}

/// One bit set in each of the four tags of a word.
const ONES: u64 = 0x0001_0001_0001_0001;

/// Sets the upper bit of each 16-bit lane that is 0, and perhaps of lanes above such a one.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & ONES << 15
}

/// 16 bits of a fingerprint, other than the upper bits (they choose the group) and the lowest bits
/// (they choose the shard). Never 0.
#[inline]
fn tag(fingerprint: Fingerprint) -> u64 {
    (fingerprint.bits() >> 8 & 0xffff).max(1)
}

/// The place of a tag, by its position in a word of the line.
#[inline]
fn place_of(position: usize, word: usize) -> usize {
    position.wrapping_mul(WORDS_PER_LINE).wrapping_add(word)
}

impl<'a> Table<'a> {
    pub(super) fn new(lines: &'a [CacheLine]) -> Self {
        Self(lines)
    }

    /// The greatest number of entries.
    pub(super) fn capacity(self) -> usize {
        capacity(self.0.len())
    }

    pub(super) fn places(self) -> usize {
        self.groups().saturating_mul(PLACES_PER_GROUP)
    }

    #[inline]
    fn groups(self) -> usize {
        self.0.len() / LINES_PER_GROUP
    }

    /// The group where a search starts.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "less than the number of groups, which is a usize"
    )]
    fn first_group(self, fingerprint: Fingerprint) -> usize {
        (u128::from(fingerprint.bits()).wrapping_mul(self.groups() as u128) >> 64) as usize
    }

    #[inline]
    fn next_group(self, group: usize) -> usize {
        let next = group.wrapping_add(1);
        if next == self.groups() { 0 } else { next }
    }

    /// The fingerprint of a place.
    #[inline]
    fn cell(self, group: usize, place: usize) -> Option<&'a AtomicU64> {
        let line = group
            .wrapping_mul(PLACES_PER_GROUP / WORDS_PER_LINE)
            .wrapping_add(place / WORDS_PER_LINE)
            .wrapping_add(self.groups());
        self.0.get(line)?.0.get(place % WORDS_PER_LINE)
    }

    /// Starts to read the first group of a search. The processor executes other code until the line
    /// arrives.
    #[inline]
    pub(super) fn prefetch(self, fingerprint: Fingerprint) {
        if let Some(tags) = self.0.get(self.first_group(fingerprint)) {
            let [first, ..] = &tags.0;
            first.load(Ordering::Relaxed);
        }
    }

    /// Calls `visit` with each place of the fingerprint, until `visit` returns `true`.
    #[inline]
    pub(super) fn find(
        self,
        fingerprint: Fingerprint,
        mut visit: impl FnMut(usize) -> bool,
    ) -> bool {
        let pattern = ONES.wrapping_mul(tag(fingerprint));
        let mut group = self.first_group(fingerprint);
        for _ in 0..self.groups() {
            let Some(tags) = self.0.get(group) else {
                return false;
            };
            let mut any = 0;
            let mut last = 0;
            for word in &tags.0 {
                last = word.load(Ordering::Acquire);
                any |= zeros(last ^ pattern);
            }
            if any != 0 && self.find_in_group(group, tags, fingerprint, &mut visit) {
                return true;
            }
            // The last place of a group is filled last, so the group is not full.
            if last >> 48 == 0 {
                return false;
            }
            group = self.next_group(group);
        }
        false
    }

    /// Searches one group in which a tag matches.
    #[inline]
    fn find_in_group(
        self,
        group: usize,
        tags: &CacheLine,
        fingerprint: Fingerprint,
        visit: &mut impl FnMut(usize) -> bool,
    ) -> bool {
        let pattern = ONES.wrapping_mul(tag(fingerprint));
        // Bit 16 * i + j: tag i of word j matches, or a tag below it. The fingerprint decides.
        let mut matches = 0;
        for (shift, word) in tags.0.iter().enumerate() {
            matches |= zeros(word.load(Ordering::Acquire) ^ pattern) >> 15 << shift;
        }
        while matches != 0 {
            let bit = matches.trailing_zeros() as usize;
            let place = place_of(bit / 16, bit % 16);
            let cell = self.cell(group, place);
            if cell.is_some_and(|cell| cell.load(Ordering::Acquire) == fingerprint.bits())
                && visit(group.wrapping_mul(PLACES_PER_GROUP).wrapping_add(place))
            {
                return true;
            }
            matches &= matches.wrapping_sub(1);
        }
        false
    }

    #[inline]
    pub(super) fn contains(self, fingerprint: Fingerprint) -> bool {
        self.find(fingerprint, |_| true)
    }

    /// Adds a fingerprint. First calls `fill` with its place, to write the columns of that place.
    ///
    /// Only one thread at a time may call this, and only below the [`capacity`](Table::capacity).
    pub(super) fn insert(self, fingerprint: Fingerprint, fill: impl FnOnce(usize)) {
        let mut group = self.first_group(fingerprint);
        for _ in 0..self.groups() {
            let Some(tags) = self.0.get(group) else {
                return;
            };
            for (offset, word) in tags.0.iter().enumerate() {
                let tags_of_word = word.load(Ordering::Relaxed);
                let vacant = [0_u32, 16, 32, 48]
                    .into_iter()
                    .enumerate()
                    .find(|(_, shift)| tags_of_word.wrapping_shr(*shift) & 0xffff == 0);
                if let Some((position, shift)) = vacant {
                    let place = place_of(position, offset);
                    fill(group.wrapping_mul(PLACES_PER_GROUP).wrapping_add(place));
                    if let Some(cell) = self.cell(group, place) {
                        cell.store(fingerprint.bits(), Ordering::Release);
                    }
                    // From now on searches find it.
                    let tags_of_word = tags_of_word | tag(fingerprint).wrapping_shl(shift);
                    word.store(tags_of_word, Ordering::Release);
                    return;
                }
            }
            group = self.next_group(group);
        }
        debug_assert!(false, "the table is full");
    }

    /// All fingerprints with their places.
    pub(super) fn entries(self) -> impl Iterator<Item = (usize, Fingerprint)> + 'a {
        self.0
            .iter()
            .skip(self.groups())
            .flat_map(|line| &line.0)
            .map(|place| place.load(Ordering::Relaxed))
            .enumerate()
            .filter(|(_, bits)| *bits != 0)
            .map(|(place, bits)| (place, Fingerprint::new(bits)))
    }

    /// A bigger copy, with capacity for one more entry.
    pub(super) fn grown(self, entries: usize) -> Arc<[CacheLine]> {
        let grown: Arc<[CacheLine]> = empty_lines(entries.saturating_add(1));
        for (_, fingerprint) in self.entries() {
            Table(&grown).insert(fingerprint, |_| ());
        }
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The fingerprints share a first group, a tag, or both.
    #[test]
    fn inserted_fingerprints_are_found_and_no_others() {
        for entries in [1, 27, 28, 100, 1000] {
            let lines: Box<[CacheLine]> = empty_lines(entries);
            let table = Table::new(&lines);
            let of = |number: u64| match number % 3 {
                0 => Fingerprint::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                1 => Fingerprint::new(number << 24 | 0x1234),
                _ => Fingerprint::new(u64::MAX - (number << 24)),
            };
            assert!(table.capacity() >= entries);
            for number in 1..=table.capacity() as u64 {
                assert!(!table.contains(of(number)), "{number} of {entries}");
                table.insert(of(number), |place| assert!(place < table.places()));
                for before in 1..=number {
                    assert!(table.contains(of(before)), "{before} of {entries}");
                }
            }
            assert!(!table.contains(of(1_000_000)));
            assert_eq!(table.entries().count(), table.capacity());
            for (place, fingerprint) in table.entries() {
                assert!(table.find(fingerprint, |found| found == place));
            }
            let grown = table.grown(table.capacity());
            assert!(Table::new(&grown).capacity() > table.capacity());
            for number in 1..=table.capacity() as u64 {
                assert!(Table::new(&grown).contains(of(number)));
            }
        }
    }

    #[test]
    fn a_table_without_lines_is_empty() {
        let table = Table::default();
        assert!(!table.contains(Fingerprint::new(7)));
        assert_eq!((table.capacity(), table.entries().count()), (0, 0));
    }
}
