//! A Bloom filter in front of each shard of rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::fingerprint::Fingerprint;

/// 16 bits for each place of the table. A fingerprint sets three bits of one word.
const PLACES_PER_WORD: usize = 4;

/// A blocked Bloom filter: three bits of one word for each fingerprint.
///
/// Most tokens have a session and a subject without a row. For each the filter says so after
/// reading one word. Of 200 absent fingerprints it lets one or two through. With half the bits it
/// would let eight through, and their useless searches cost more than the bits do.
#[derive(Clone, Default)]
pub(super) struct BloomFilter(Arc<[AtomicU64]>);

impl BloomFilter {
    pub(super) fn for_places(places: usize) -> Self {
        let words = places.div_ceil(PLACES_PER_WORD);
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
        // Other bits than those that choose the shard and the tag.
        let mask = 1 << (bits >> 24 & 63) | 1 << (bits >> 30 & 63) | 1 << (bits >> 36 & 63);
        Some((self.0.get(word as usize)?, mask))
    }

    #[inline]
    pub(super) fn may_contain(&self, fingerprint: Fingerprint) -> bool {
        self.bits_of(fingerprint)
            .is_some_and(|(word, mask)| word.load(Ordering::Acquire) & mask == mask)
    }

    /// Call this before the fingerprint becomes visible in the table.
    pub(super) fn insert(&self, fingerprint: Fingerprint) {
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
    fn added_fingerprints_may_be_there_and_few_others() {
        let fingerprint =
            |number: u64| Fingerprint::new(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let filter = BloomFilter::for_places(1000);
        for number in 0..850 {
            filter.insert(fingerprint(number));
        }
        assert!((0..850).all(|number| filter.may_contain(fingerprint(number))));
        let false_positives = (1_000_000..1_010_000)
            .filter(|number| filter.may_contain(fingerprint(*number)))
            .count();
        assert!(false_positives < 150, "{false_positives}");
        assert!(!BloomFilter::default().may_contain(fingerprint(1)));
    }
}
