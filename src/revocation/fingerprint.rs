//! What the set keeps instead of an id: 64 bits that nobody can choose who does not know the key.

use std::fmt;
use std::hash::{BuildHasher, Hasher, RandomState};

use siphasher::sip::SipHasher24;

/// The key of a set's fingerprints: 16 secret bytes.
///
/// Nodes that share what they revoked by fingerprint need one key between them. A set of its own draws one.
#[derive(Clone, Copy)]
pub struct FingerprintKey([u8; 16]);

impl FingerprintKey {
    /// The key of these bytes. They must be random and secret: whoever knows them can choose ids that collide.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self(key)
    }

    /// A key of this process.
    ///
    /// `RandomState` has its key from the operating system. What it says of two numbers under that key is as hard to tell
    /// as SipHash.
    pub(super) fn random() -> Self {
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

// The first byte of each part, which tells the parts apart.
const NO_ISSUER: u64 = 0;
const ISSUER: u64 = 1;
const TOKEN: u64 = 2;
const SESSION: u64 = 3;
const SUBJECT: u64 = 4;

/// How many words of a text are hashed as they are: 64 bytes.
const WORDS: usize = 8;

/// Makes fingerprints.
///
/// A fingerprint is the upper half of a sum modulo 2^128: of each word of the text times a factor of its own, 128 random bits
/// each (multilinear hashing; Lemire and Kaser, "Strongly universal string hashing is fast", 2014). The words are, for
/// the issuer and for the id, one of the kind and the length, and those of the text, filled up with zeros. A text of more than
/// 64 bytes is replaced by 128 bits of SipHash-2-4.
///
/// Ids come from outside: who may choose a `jti` or a subject must not be able to choose one whose fingerprint is
/// another's, nor many that lie in one place of a table. This family promises that, and it is proven, not hoped: of any two
/// ids, chosen in whatever way by one who sees neither key nor fingerprints, each pair of fingerprints is
/// equally likely, so they collide with a chance of 2^-64. SipHash keeps its promise even before those who see the
/// fingerprints, but three of them took 54 ns here, and this 12; hashes that are as fast and promise nothing (foldhash,
/// rapidhash) gain little on it. So fingerprints are as secret as the key: where others can read them, they
/// belong encrypted.
pub(super) struct Fingerprinter {
    key: FingerprintKey,
    start: u128,
    issuer: Factors,
    id: Factors,
}

struct Factors {
    header: u128,
    text: [u128; WORDS],
}

impl Fingerprinter {
    pub(super) fn new(key: FingerprintKey) -> Self {
        // All factors are drawn from the key by counting.
        let factor = |number: u64| {
            let half = |half: u64| u128::from(key.derive(half, &number.to_le_bytes()));
            half(0) << 64 | half(1)
        };
        let factors = |first: u64| Factors {
            header: factor(first),
            text: [1, 2, 3, 4, 5, 6, 7, 8].map(|index| factor(first | index)),
        };
        Self {
            key,
            start: factor(0),
            issuer: factors(16),
            id: factors(32),
        }
    }

    /// Begins the fingerprints of an issuer's ids.
    #[inline]
    pub(super) fn issuer(&self, issuer: Option<&str>) -> IssuerFingerprints<'_> {
        let part = match issuer {
            None => self.issuer.header.wrapping_mul(u128::from(NO_ISSUER)),
            Some(issuer) => self.part(&self.issuer, ISSUER, issuer.as_bytes()),
        };
        IssuerFingerprints {
            fingerprinter: self,
            sum: self.start.wrapping_add(part),
        }
    }

    #[inline]
    fn part(&self, factors: &Factors, kind: u64, text: &[u8]) -> u128 {
        // No text in memory is longer than 2^56 bytes.
        let header = kind | (text.len() as u64) << 8;
        let mut sum = factors.header.wrapping_mul(u128::from(header));
        let mut add = |factor: &u128, word: u64| {
            sum = sum.wrapping_add(factor.wrapping_mul(u128::from(word)));
        };
        if text.len() > WORDS * 8 {
            let digest = self.digest(text);
            for (factor, word) in factors.text.iter().zip(digest) {
                add(factor, word);
            }
            return sum;
        }
        let (words, rest) = text.as_chunks::<8>();
        let mut left = factors.text.iter();
        for (word, factor) in words.iter().zip(&mut left) {
            add(factor, u64::from_le_bytes(*word));
        }
        if let Some(factor) = factors.text.get(words.len()) {
            add(factor, last_word(text, rest));
        }
        sum
    }

    #[cold]
    fn digest(&self, text: &[u8]) -> [u64; 2] {
        [self.key.derive(2, text), self.key.derive(3, text)]
    }
}

/// The bytes behind the last whole word, filled up with zeros.
#[inline]
fn last_word(text: &[u8], rest: &[u8]) -> u64 {
    match text.last_chunk::<8>() {
        // The last 8 bytes overlap the last whole word: shift that part out.
        Some(last) if !rest.is_empty() => {
            let known = 8_usize.saturating_sub(rest.len()).saturating_mul(8);
            u64::from_le_bytes(*last) >> known
        }
        Some(_) => 0,
        None => rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

/// Makes the fingerprints of the ids of one issuer, which is hashed only once for all of them.
#[derive(Clone, Copy)]
pub(super) struct IssuerFingerprints<'a> {
    fingerprinter: &'a Fingerprinter,
    sum: u128,
}

impl IssuerFingerprints<'_> {
    #[inline]
    pub(super) fn token(self, jti: &str) -> Fingerprint {
        self.of(TOKEN, jti)
    }

    #[inline]
    pub(super) fn session(self, sid: &str) -> Fingerprint {
        self.of(SESSION, sid)
    }

    #[inline]
    pub(super) fn subject(self, subject: &str) -> Fingerprint {
        self.of(SUBJECT, subject)
    }

    #[inline]
    fn of(self, kind: u64, id: &str) -> Fingerprint {
        let fingerprinter = self.fingerprinter;
        let part = fingerprinter.part(&fingerprinter.id, kind, id.as_bytes());
        Fingerprint::new((self.sum.wrapping_add(part) >> 64) as u64)
    }
}

/// 64 bits that stand for an issuer's id; never 0.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprint(u64);

impl Fingerprint {
    #[inline]
    pub(super) fn new(hash: u64) -> Self {
        Self(hash.max(1))
    }

    #[inline]
    pub(super) fn bits(self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;

    const KEY: FingerprintKey = FingerprintKey([7; 16]);

    /// The words of a part, as the documentation has them.
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

    fn plainly(key: FingerprintKey, issuer: Option<&str>, kind: u64, id: &str) -> u64 {
        let factor = |number: u64| {
            let half = |half| u128::from(key.derive(half, &number.to_le_bytes()));
            half(0) << 64 | half(1)
        };
        let issuer = issuer.map_or(vec![0], |issuer| words(key, ISSUER, issuer));
        let mut sum = factor(0);
        for (first, words) in [(16, issuer), (32, words(key, kind, id))] {
            for (number, word) in (first..).zip(words) {
                sum = sum.wrapping_add(factor(number).wrapping_mul(u128::from(word)));
            }
        }
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
            let ours = fingerprinter.issuer(issuer);
            prop_assert_eq!(ours.token(&id).bits(), plainly(KEY, issuer, TOKEN, &id));
            prop_assert_eq!(ours.session(&id).bits(), plainly(KEY, issuer, SESSION, &id));
            prop_assert_eq!(ours.subject(&id).bits(), plainly(KEY, issuer, SUBJECT, &id));
        }
    }

    #[test]
    fn kinds_issuers_lengths_and_keys_are_told_apart() {
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
    fn no_fingerprint_is_an_empty_place() {
        assert_eq!(Fingerprint::new(0).bits(), 1);
    }
}
