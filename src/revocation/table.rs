//! Tables that are read without locks while one writer writes.
//!
//! A table consists of groups of 32 places, probed from the group that a fingerprint's upper bits name. In a place lie the
//! fingerprint and, apart from it, a tag: 16 bits of it. The tags of a group fill one line of the cache, so a look-up of what is
//! not there reads 2 bytes of each 10, most often from a cache that is near; a fingerprint is only read where its tag fits.
//!
//! A place is empty (0) or taken, and never changes again: nothing is moved or deleted in place. A table that is too full,
//! or holds too much that has expired, is built anew aside and swapped for the old one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fingerprint::Fingerprint;

const IN_LINE: usize = 8;

/// How many places a group has: 4 tags in each word of a line.
const IN_GROUP: usize = 4 * IN_LINE;

/// A group takes one line of tags and four of fingerprints.
const LINES_OF_GROUP: usize = 5;

/// How many places are in use at most, of those of a group: 85 of 100. Then more than nine of ten look-ups end in the
/// first group.
const MOST_OF_GROUP: usize = 27;

/// A line of the cache.
#[derive(Default)]
#[repr(align(64))]
pub(super) struct Line([AtomicU64; IN_LINE]);

/// The lines of a table: first all tags, then all fingerprints.
#[derive(Clone, Copy, Default)]
pub(super) struct Table<'a>(&'a [Line]);

/// How many entries a table of so many lines takes.
fn room(lines: usize) -> usize {
    (lines / LINES_OF_GROUP).saturating_mul(MOST_OF_GROUP)
}

/// How many lines a new table gets: for a fifth more than its entries. So an entry takes 11.8 to 14.1 bytes, and is moved
/// about five times in its life.
fn lines_for(entries: usize) -> usize {
    let entries = entries.saturating_mul(6).div_ceil(5);
    entries
        .div_ceil(MOST_OF_GROUP)
        .saturating_mul(LINES_OF_GROUP)
}

/// The lines of an empty table for so many entries.
pub(super) fn empty<L: FromIterator<Line>>(entries: usize) -> L {
    (0..lines_for(entries)).map(|_| Line::default()).collect()
}

/// One bit set in each of the four tags of a word.
const ONES: u64 = 0x0001_0001_0001_0001;

/// The upper bit of each 16 that are 0, and perhaps of others above one that is.
#[inline]
fn zeros(word: u64) -> u64 {
    word.wrapping_sub(ONES) & !word & ONES << 15
}

/// 16 bits in which neither the upper bits play a part, which choose the group, nor the lowest, which choose the shard.
#[inline]
fn tag(fingerprint: Fingerprint) -> u64 {
    (fingerprint.bits() >> 8 & 0xffff).max(1)
}

/// The place of which the tag is the one of that number in that word.
#[inline]
fn place_of(number: usize, word: usize) -> usize {
    number.wrapping_mul(IN_LINE).wrapping_add(word)
}

impl<'a> Table<'a> {
    pub(super) fn of(lines: &'a [Line]) -> Self {
        Self(lines)
    }

    /// How many entries it takes.
    pub(super) fn room(self) -> usize {
        room(self.0.len())
    }

    /// How many places it has.
    pub(super) fn places(self) -> usize {
        self.groups().saturating_mul(IN_GROUP)
    }

    #[inline]
    fn groups(self) -> usize {
        self.0.len() / LINES_OF_GROUP
    }

    /// The group where the search begins.
    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "less than the number of groups, which is a usize"
    )]
    fn home(self, fingerprint: Fingerprint) -> usize {
        (u128::from(fingerprint.bits()).wrapping_mul(self.groups() as u128) >> 64) as usize
    }

    #[inline]
    fn after(self, group: usize) -> usize {
        let next = group.wrapping_add(1);
        if next == self.groups() { 0 } else { next }
    }

    /// Where the fingerprint of a place lies.
    #[inline]
    fn cell(self, group: usize, place: usize) -> Option<&'a AtomicU64> {
        let line = group
            .wrapping_mul(IN_GROUP / IN_LINE)
            .wrapping_add(place / IN_LINE)
            .wrapping_add(self.groups());
        self.0.get(line)?.0.get(place % IN_LINE)
    }

    /// Begins to read the group where the search begins. A processor goes on with what follows until the line has come.
    #[inline]
    pub(super) fn fetch(self, fingerprint: Fingerprint) {
        if let Some(tags) = self.0.get(self.home(fingerprint)) {
            let [first, ..] = &tags.0;
            first.load(Ordering::Relaxed);
        }
    }

    /// Calls `visit` with each place of the fingerprint, until it answers `true`.
    #[inline]
    pub(super) fn find(
        self,
        fingerprint: Fingerprint,
        mut visit: impl FnMut(usize) -> bool,
    ) -> bool {
        let pattern = ONES.wrapping_mul(tag(fingerprint));
        let mut group = self.home(fingerprint);
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
            if any != 0 && self.find_in(group, tags, fingerprint, &mut visit) {
                return true;
            }
            // The last place of a group is taken last.
            if last >> 48 == 0 {
                return false;
            }
            group = self.after(group);
        }
        false
    }

    /// The same in one group, of which a tag fits.
    #[inline]
    fn find_in(
        self,
        group: usize,
        tags: &Line,
        fingerprint: Fingerprint,
        visit: &mut impl FnMut(usize) -> bool,
    ) -> bool {
        let pattern = ONES.wrapping_mul(tag(fingerprint));
        // Bit 16 * i + j of it: tag i of word j fits. (Or the one below it fits; the fingerprint tells.)
        let mut fits = 0;
        for (shift, word) in tags.0.iter().enumerate() {
            fits |= zeros(word.load(Ordering::Acquire) ^ pattern) >> 15 << shift;
        }
        while fits != 0 {
            let bit = fits.trailing_zeros() as usize;
            let place = place_of(bit / 16, bit % 16);
            let cell = self.cell(group, place);
            if cell.is_some_and(|cell| cell.load(Ordering::Acquire) == fingerprint.bits())
                && visit(group.wrapping_mul(IN_GROUP).wrapping_add(place))
            {
                return true;
            }
            fits &= fits.wrapping_sub(1);
        }
        false
    }

    /// Whether the fingerprint is in the table.
    #[inline]
    pub(super) fn contains(self, fingerprint: Fingerprint) -> bool {
        self.find(fingerprint, |_| true)
    }

    /// Puts a fingerprint in, after `fill` has prepared what belongs to its place. Only one writer at a time may do so, and
    /// it sees to it that there is [`room`](Table::room).
    pub(super) fn put(self, fingerprint: Fingerprint, fill: impl FnOnce(usize)) {
        let mut group = self.home(fingerprint);
        for _ in 0..self.groups() {
            let Some(tags) = self.0.get(group) else {
                return;
            };
            for (offset, word) in tags.0.iter().enumerate() {
                let known = word.load(Ordering::Relaxed);
                let vacant = [0_u32, 16, 32, 48]
                    .into_iter()
                    .enumerate()
                    .find(|(_, shift)| known.wrapping_shr(*shift) & 0xffff == 0);
                if let Some((number, shift)) = vacant {
                    let place = place_of(number, offset);
                    fill(group.wrapping_mul(IN_GROUP).wrapping_add(place));
                    if let Some(cell) = self.cell(group, place) {
                        cell.store(fingerprint.bits(), Ordering::Release);
                    }
                    // Now it can be found.
                    let known = known | tag(fingerprint).wrapping_shl(shift);
                    word.store(known, Ordering::Release);
                    return;
                }
            }
            group = self.after(group);
        }
        debug_assert!(false, "a table without room");
    }

    /// All fingerprints, each with its place.
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

    /// Its fingerprints in a bigger table, with room for one more.
    pub(super) fn grown(self, entries: usize) -> Arc<[Line]> {
        let grown: Arc<[Line]> = empty(entries.saturating_add(1));
        for (_, fingerprint) in self.entries() {
            Table(&grown).put(fingerprint, |_| ());
        }
        grown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fingerprints that share a home, a tag, or both.
    #[test]
    fn what_is_put_in_is_found_and_nothing_else() {
        for entries in [1, 27, 28, 100, 1000] {
            let lines: Box<[Line]> = empty(entries);
            let table = Table::of(&lines);
            let of = |number: u64| match number % 3 {
                0 => Fingerprint::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                1 => Fingerprint::new(number << 24 | 0x1234),
                _ => Fingerprint::new(u64::MAX - (number << 24)),
            };
            assert!(table.room() >= entries);
            for number in 1..=table.room() as u64 {
                assert!(!table.contains(of(number)), "{number} of {entries}");
                table.put(of(number), |place| assert!(place < table.places()));
                for before in 1..=number {
                    assert!(table.contains(of(before)), "{before} of {entries}");
                }
            }
            assert!(!table.contains(of(1_000_000)));
            assert_eq!(table.entries().count(), table.room());
            for (place, fingerprint) in table.entries() {
                assert!(table.find(fingerprint, |found| found == place));
            }
            let grown = table.grown(table.room());
            assert!(Table::of(&grown).room() > table.room());
            for number in 1..=table.room() as u64 {
                assert!(Table::of(&grown).contains(of(number)));
            }
        }
    }

    #[test]
    fn a_table_without_lines_holds_nothing() {
        let table = Table::default();
        assert!(!table.contains(Fingerprint::new(7)));
        assert_eq!((table.room(), table.entries().count()), (0, 0));
    }
}
