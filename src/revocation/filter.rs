//! A quick look at what a table of rows does not hold.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fingerprint::Fingerprint;

/// How many places of a table share a word: 16 bits for each place, of which a fingerprint sets three of one word.
const PLACES_OF_WORD: usize = 4;

/// Three bits of one word for each fingerprint (a blocked Bloom filter). Of 200 fingerprints that were not added it may hold one or
/// two: with half the bits it would be eight, and to look for these in vain costs more than the bits do.
///
/// Most tokens belong to a session and a subject of which nothing is known: one word says so for each.
#[derive(Clone, Default)]
pub(super) struct Filter(Arc<[AtomicU64]>);

impl Filter {
    pub(super) fn for_places(places: usize) -> Self {
        let words = places.div_ceil(PLACES_OF_WORD);
        Self((0..words).map(|_| AtomicU64::default()).collect())
    }

    #[inline]
    #[expect(
        clippy::cast_possible_truncation,
        reason = "less than the number of words, which is a usize"
    )]
    fn bits_of(&self, fingerprint: Fingerprint) -> Option<(&AtomicU64, u64)> {
        let bits = fingerprint.bits();
        let word = u128::from(bits).wrapping_mul(self.0.len() as u128) >> 64;
        // Neither the bits that choose the shard, nor those of the tag.
        let mask = 1 << (bits >> 24 & 63) | 1 << (bits >> 30 & 63) | 1 << (bits >> 36 & 63);
        Some((self.0.get(word as usize)?, mask))
    }

    /// Whether the fingerprint may have been added.
    #[inline]
    pub(super) fn may_hold(&self, fingerprint: Fingerprint) -> bool {
        self.bits_of(fingerprint)
            .is_some_and(|(word, mask)| word.load(Ordering::Acquire) & mask == mask)
    }

    /// Adds a fingerprint, before it can be found in the table.
    pub(super) fn add(&self, fingerprint: Fingerprint) {
        if let Some((word, mask)) = self.bits_of(fingerprint) {
            word.fetch_or(mask, Ordering::Release);
        }
    }

    pub(super) fn heap_bytes(&self) -> usize {
        size_of_val::<[AtomicU64]>(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_may_be_there_and_little_else() {
        let fingerprint =
            |number: u64| Fingerprint::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let filter = Filter::for_places(1000);
        for number in 0..850 {
            filter.add(fingerprint(number));
        }
        assert!((0..850).all(|number| filter.may_hold(fingerprint(number))));
        let wrongly = (1_000_000..1_010_000)
            .filter(|number| filter.may_hold(fingerprint(*number)))
            .count();
        assert!(wrongly < 150, "{wrongly}");
        assert!(!Filter::default().may_hold(fingerprint(1)));
    }
}
