//! Fingerprints: 64 bits in place of an issuer and an id, which nobody can choose without the key.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use siphasher::sip::SipHasher24;

/// The key of a set's fingerprints: 16 secret bytes.
///
/// Sets that exchange their entries need the same key. By default, a set uses a random key.
#[derive(Clone, Copy)]
pub struct FingerprintKey([u8; 16]);

impl FingerprintKey {
    /// A key of these bytes. They must be random and secret: an attacker who knows them can choose
    /// ids that collide.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// A random key.
    ///
    /// `RandomState` has a random key from the operating system. Its hashes of two numbers are as
    /// hard to guess as SipHash under that key.
    pub(crate) fn random() -> Self {
        let state = RandomState::new();
        let half = |number: u64| u128::from(state.hash_one(number));
        Self((half(0) << 64 | half(1)).to_le_bytes())
    }

    /// SipHash-2-4 of the bytes under the key.
    fn derive(&self, purpose: u64, bytes: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.0);
        hasher.write(&purpose.to_le_bytes());
        hasher.write(bytes);
        hasher.finish()
    }
}

/// Shows nothing.
impl fmt::Debug for FingerprintKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FingerprintKey").finish_non_exhaustive()
    }
}

// The first byte of each part distinguishes the parts.
const NO_ISSUER: u64 = 0;
const ISSUER: u64 = 1;
const TOKEN: u64 = 2;
const SESSION: u64 = 3;
const SUBJECT: u64 = 4;

/// Texts of up to 64 bytes are hashed without a digest.
const WORDS: usize = 8;

/// The greatest number of word pairs in a part: a header word and the words of the text.
const PAIRS: usize = WORDS / 2 + 1;

/// Computes fingerprints.
///
/// # The function
///
/// A fingerprint has two parts: the issuer and the id. The words of a part are:
///
/// 1. a header word with the kind and the length,
/// 2. the words of the text, padded with zeros to a whole number of pairs.
///
/// A text of more than 64 bytes is replaced by 128 bits of SipHash-2-4.
///
/// The parts are hashed in two steps:
///
/// 1. NH (Black and others, "UMAC: fast and secure message authentication", 1999). Each word is
///    added to a random word. The two words of a pair are multiplied. The products are summed
///    modulo 2^128.
/// 2. Multilinear hashing (Lemire and Kaser, "Strongly universal string hashing is fast", 2014).
///    Each half of the sum is multiplied by 128 random bits. The products are summed with 128
///    more. The fingerprint is the upper half.
///
/// # Why this function
///
/// An attacker may choose a `jti` or a subject. They must not be able to choose one with another's
/// fingerprint, nor many that fill one place of a table. For this family the following is proven.
/// The attacker chooses two ids in any way, and sees neither key nor fingerprints. Then:
///
/// - The two sums are equal with a probability of at most 2^-64.
/// - For two different sums, all pairs of fingerprints are equally likely.
/// - So two ids collide with a probability of at most 2^-63.
///
/// SipHash-1-3 is secure even if the attacker sees the fingerprints. But for an issuer and three
/// ids it took 59 ns here, and this function takes a third. Hashes that are as fast without a proof
/// (foldhash, rapidhash) gain little on it.
///
/// Fingerprints are therefore as secret as the key: encrypt them where others can read them.
pub(crate) struct Fingerprinter {
    key: FingerprintKey,
    multilinear: [u128; 3],
    issuer: [[u64; 2]; PAIRS],
    id: [[u64; 2]; PAIRS],
}

impl Fingerprinter {
    pub(crate) fn new(key: FingerprintKey) -> Self {
        // All random words are derived from the key and a counter.
        let word = |half: u64, number: u64| key.derive(half, &number.to_le_bytes());
        let pairs =
            |first: u64| [0, 1, 2, 3, 4].map(|pair| [word(0, first | pair), word(1, first | pair)]);
        Self {
            key,
            multilinear: [0, 1, 2]
                .map(|number| u128::from(word(0, number)) << 64 | u128::from(word(1, number))),
            issuer: pairs(16),
            id: pairs(32),
        }
    }

    /// Hashes the issuer once, for the fingerprints of all its ids.
    #[inline]
    pub(crate) fn issuer(&self, issuer: Option<&str>) -> IssuerFingerprints<'_> {
        let sum = match issuer {
            None => self.part(&self.issuer, NO_ISSUER, &[]),
            Some(issuer) => self.part(&self.issuer, ISSUER, issuer.as_bytes()),
        };
        IssuerFingerprints {
            fingerprinter: self,
            sum,
        }
    }

    #[inline]
    fn part(&self, keys: &[[u64; 2]; PAIRS], kind: u64, text: &[u8]) -> u128 {
        // No text in memory is longer than 2^56 bytes.
        let header = kind | (text.len() as u64) << 8;
        if text.len() > WORDS * 8 {
            let [a, b] = self.digest(text);
            let [first, second, ..] = keys;
            return product(first, header, a).wrapping_add(product(second, b, 0));
        }
        let [first, keys @ ..] = keys;
        let Some((word, rest)) = text.split_first_chunk() else {
            return product(first, header, last_word(text, text));
        };
        let mut sum = product(first, header, u64::from_le_bytes(*word));
        let (pairs, rest) = rest.as_chunks::<16>();
        let mut keys = keys.iter();
        for (pair, key) in pairs.iter().zip(&mut keys) {
            let [word, other] = halves(u128::from_le_bytes(*pair));
            sum = sum.wrapping_add(product(key, word, other));
        }
        if let Some(key) = keys.next()
            && !rest.is_empty()
        {
            let (word, other) = match rest.split_first_chunk() {
                Some((word, rest)) => (u64::from_le_bytes(*word), last_word(text, rest)),
                None => (last_word(text, rest), 0),
            };
            sum = sum.wrapping_add(product(key, word, other));
        }
        sum
    }

    #[cold]
    fn digest(&self, text: &[u8]) -> [u64; 2] {
        [self.key.derive(2, text), self.key.derive(3, text)]
    }
}

/// The lower half and the upper half.
#[inline]
#[expect(clippy::cast_possible_truncation, reason = "splits the number")]
fn halves(number: u128) -> [u64; 2] {
    [number as u64, (number >> 64) as u64]
}

#[inline]
fn product([first, second]: &[u64; 2], word: u64, other: u64) -> u128 {
    u128::from(word.wrapping_add(*first)).wrapping_mul(u128::from(other.wrapping_add(*second)))
}

/// The bytes after the last whole word, padded with zeros.
#[inline]
fn last_word(text: &[u8], rest: &[u8]) -> u64 {
    match text.last_chunk::<8>() {
        // The last 8 bytes overlap the last whole word: shift that part out.
        Some(last) if !rest.is_empty() => {
            let overlap = 8_usize.saturating_sub(rest.len()).saturating_mul(8);
            u64::from_le_bytes(*last) >> overlap
        }
        Some(_) => 0,
        None => rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Computes the fingerprints of the ids of one issuer.
#[derive(Clone, Copy)]
pub(crate) struct IssuerFingerprints<'a> {
    fingerprinter: &'a Fingerprinter,
    sum: u128,
}

impl IssuerFingerprints<'_> {
    #[inline]
    pub(crate) fn token(self, jti: &str) -> Fingerprint {
        self.of(TOKEN, jti)
    }

    #[inline]
    pub(crate) fn session(self, sid: &str) -> Fingerprint {
        self.of(SESSION, sid)
    }

    #[inline]
    pub(crate) fn subject(self, subject: &str) -> Fingerprint {
        self.of(SUBJECT, subject)
    }

    #[inline]
    fn of(self, kind: u64, id: &str) -> Fingerprint {
        let fingerprinter = self.fingerprinter;
        let sum = self
            .sum
            .wrapping_add(fingerprinter.part(&fingerprinter.id, kind, id.as_bytes()));
        let [start, low, high] = fingerprinter.multilinear;
        let [lower, upper] = halves(sum).map(u128::from);
        let sum = start
            .wrapping_add(low.wrapping_mul(lower))
            .wrapping_add(high.wrapping_mul(upper));
        let [_, fingerprint] = halves(sum);
        Fingerprint::new(fingerprint)
    }
}

/// 64 bits that identify a token, session or subject of an issuer. Never 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    #[inline]
    pub(crate) fn new(hash: u64) -> Self {
        Self(hash.max(1))
    }

    #[inline]
    pub(crate) fn bits(self) -> u64 {
        self.0
    }
}

/// Shows nothing: a fingerprint is secret.
impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Fingerprint(..)")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const KEY: FingerprintKey = FingerprintKey([7; 16]);

    /// The words of a part, as documented.
    fn words(key: FingerprintKey, kind: u64, text: &str) -> Vec<u64> {
        let mut words = vec![kind | (text.len() as u64) << 8];
        if text.len() > 64 {
            words.extend([2, 3].map(|purpose| key.derive(purpose, text.as_bytes())));
        } else {
            words.extend(text.as_bytes().chunks(8).map(|chunk| {
                let mut word = [0; 8];
                word[..chunk.len()].copy_from_slice(chunk);
                u64::from_le_bytes(word)
            }));
        }
        words
    }

    fn documented(key: FingerprintKey, issuer: Option<&str>, kind: u64, id: &str) -> u64 {
        let random = |half: u64, number: u64| key.derive(half, &number.to_le_bytes());
        let issuer = issuer.map_or(vec![0], |issuer| words(key, ISSUER, issuer));
        let mut sum = 0_u128;
        for (first, words) in [(16, issuer), (32, words(key, kind, id))] {
            for (number, pair) in (first..).zip(words.chunks(2)) {
                let word = pair[0].wrapping_add(random(0, number));
                let other = pair.get(1).unwrap_or(&0).wrapping_add(random(1, number));
                sum = sum.wrapping_add(u128::from(word) * u128::from(other));
            }
        }
        let factor = |number| u128::from(random(0, number)) << 64 | u128::from(random(1, number));
        let low = factor(1).wrapping_mul(sum & u128::from(u64::MAX));
        let sum = factor(0)
            .wrapping_add(low)
            .wrapping_add(factor(2).wrapping_mul(sum >> 64));
        u64::try_from(sum >> 64).unwrap().max(1)
    }

    proptest! {
        #[test]
        fn a_fingerprint_is_what_the_documentation_says(
            issuer in proptest::option::of("[a-zé]{0,70}"),
            id in "[a-zé]{0,70}",
        ) {
            let issuer = issuer.as_deref();
            let fingerprinter = Fingerprinter::new(KEY);
            let fingerprints = fingerprinter.issuer(issuer);
            let expected = |kind| documented(KEY, issuer, kind, &id);
            prop_assert_eq!(fingerprints.token(&id).bits(), expected(TOKEN));
            prop_assert_eq!(fingerprints.session(&id).bits(), expected(SESSION));
            prop_assert_eq!(fingerprints.subject(&id).bits(), expected(SUBJECT));
        }
    }

    #[test]
    fn kinds_issuers_lengths_and_keys_are_distinguished() {
        let keys = [
            KEY,
            FingerprintKey([8; 16]),
            FingerprintKey::random(),
            FingerprintKey::random(),
        ];
        let texts = [
            "",
            "a",
            "b",
            "a\0",
            "\0",
            "\0\0\0\0\0\0\0\0",
            "aaaaaaaa",
            "aaaaaaaa\0",
        ];
        let long = [
            "a".repeat(64),
            "a".repeat(65),
            "a".repeat(66),
            "b".repeat(65),
        ];
        let texts: Vec<&str> = texts
            .into_iter()
            .chain(long.iter().map(String::as_str))
            .collect();
        let mut seen = HashSet::new();
        for key in keys {
            let fingerprinter = Fingerprinter::new(key);
            for issuer in texts.iter().map(|text| Some(*text)).chain([None]) {
                let issuer = fingerprinter.issuer(issuer);
                for text in &texts {
                    assert!(seen.insert(issuer.token(text).bits()));
                    assert!(seen.insert(issuer.session(text).bits()));
                    assert!(seen.insert(issuer.subject(text).bits()));
                }
            }
        }
    }

    #[test]
    fn a_fingerprint_is_never_zero() {
        assert_eq!(Fingerprint::new(0).bits(), 1);
    }
}
