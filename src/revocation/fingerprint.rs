//! What the set keeps instead of an id: 64 bits that only the holder of a key can compute.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

/// The key of a set's fingerprints: 16 secret bytes.
///
/// Nodes that share what they revoked by fingerprint need one key between them. A set of its own draws one.
#[derive(Clone, Copy)]
pub struct FingerprintKey {
    first: u64,
    second: u64,
}

impl FingerprintKey {
    /// The key of these bytes. They must be random and secret: whoever knows them can choose ids that collide.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        let [first, second] = [0, 8].map(|start| {
            key.iter()
                .skip(start)
                .take(8)
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        });
        Self { first, second }
    }

    /// A key of this process.
    ///
    /// `RandomState` draws a key from the operating system for each thread, and one apart for each value. What it says of two
    /// numbers under that key is as hard to tell as SipHash.
    pub(super) fn random() -> Self {
        let state = RandomState::new();
        Self {
            first: state.hash_one(0_u64),
            second: state.hash_one(1_u64),
        }
    }

    /// Begins the fingerprints of an issuer's ids.
    #[inline]
    pub(super) fn issuer(self, issuer: Option<&str>) -> IssuerFingerprints {
        let mut state = Sip::new(self);
        match issuer {
            None => state.absorb(NO_ISSUER),
            Some(issuer) => state.absorb_text(ISSUER, issuer.as_bytes()),
        }
        IssuerFingerprints(state)
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

/// Makes the fingerprints of the ids of one issuer, which is hashed only once for all of them.
///
/// A fingerprint is SipHash-1-3 of the issuer and of the id, each as a word of 8 bytes (the part's kind, and its length
/// shifted left by 8) and its own bytes, filled up with zeros to whole words. No two pairs are written alike.
///
/// SipHash, because ids come from outside: who may choose a `jti` or a subject must not be able to choose one whose
/// fingerprint is another's, nor a thousand that lie in one place of a table, and fingerprints may be kept where
/// others read them. Faster hashes (foldhash, ahash, rapidhash) do not claim to stand that. Written out here, and not
/// taken from a library, because only that shares the issuer's part, and lets the processor work on the three hashes of a
/// look-up at once.
#[derive(Clone, Copy)]
pub(super) struct IssuerFingerprints(Sip);

impl IssuerFingerprints {
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
        let mut state = self.0;
        state.absorb_text(kind, id.as_bytes());
        Fingerprint::new(state.finish())
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

/// SipHash-1-3 (Aumasson and Bernstein, 2012) of whole words.
#[derive(Clone, Copy)]
struct Sip {
    v0: u64,
    v1: u64,
    v2: u64,
    v3: u64,
    length: u64,
}

impl Sip {
    #[inline]
    fn new(key: FingerprintKey) -> Self {
        Self {
            v0: key.first ^ 0x736f_6d65_7073_6575,
            v1: key.second ^ 0x646f_7261_6e64_6f6d,
            v2: key.first ^ 0x6c79_6765_6e65_7261,
            v3: key.second ^ 0x7465_6462_7974_6573,
            length: 0,
        }
    }

    #[inline]
    fn round(&mut self) {
        self.v0 = self.v0.wrapping_add(self.v1);
        self.v2 = self.v2.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(13) ^ self.v0;
        self.v3 = self.v3.rotate_left(16) ^ self.v2;
        self.v0 = self.v0.rotate_left(32);
        self.v2 = self.v2.wrapping_add(self.v1);
        self.v0 = self.v0.wrapping_add(self.v3);
        self.v1 = self.v1.rotate_left(17) ^ self.v2;
        self.v3 = self.v3.rotate_left(21) ^ self.v0;
        self.v2 = self.v2.rotate_left(32);
    }

    #[inline]
    fn compress(&mut self, word: u64) {
        self.v3 ^= word;
        self.round();
        self.v0 ^= word;
    }

    #[inline]
    fn absorb(&mut self, word: u64) {
        self.compress(word);
        self.length = self.length.wrapping_add(8);
    }

    #[inline]
    fn absorb_text(&mut self, kind: u64, text: &[u8]) {
        // No text in memory is longer than 2^56 bytes.
        self.absorb(kind | (text.len() as u64) << 8);
        let (words, rest) = text.as_chunks::<8>();
        for word in words {
            self.absorb(u64::from_le_bytes(*word));
        }
        if rest.is_empty() {
            return;
        }
        let last = match text.last_chunk::<8>() {
            // The last 8 bytes overlap the last whole word: shift that part out.
            Some(last) => {
                let known = 8_usize.saturating_sub(rest.len()).saturating_mul(8);
                u64::from_le_bytes(*last) >> known
            }
            None => rest
                .iter()
                .rev()
                .fold(0, |word, byte| word << 8 | u64::from(*byte)),
        };
        self.absorb(last);
    }

    #[inline]
    fn finish(mut self) -> u64 {
        self.compress(self.length << 56);
        self.v2 ^= 0xff;
        self.round();
        self.round();
        self.round();
        self.v0 ^ self.v1 ^ self.v2 ^ self.v3
    }
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher;

    use proptest::prelude::*;
    use siphasher::sip::SipHasher13;

    use super::*;

    const KEY: [u8; 16] = *b"0123456789abcdef";

    fn part(kind: u64, text: &str) -> Vec<u8> {
        let mut bytes = (kind | (text.len() as u64) << 8).to_le_bytes().to_vec();
        bytes.extend(text.as_bytes());
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    /// The same by the library.
    fn reference(issuer: Option<&str>, kind: u64, id: &str) -> u64 {
        let mut bytes = issuer.map_or_else(|| vec![0; 8], |issuer| part(ISSUER, issuer));
        bytes.extend(part(kind, id));
        let mut hasher = SipHasher13::new_with_key(&KEY);
        hasher.write(&bytes);
        hasher.finish()
    }

    proptest! {
        #[test]
        fn a_fingerprint_is_siphash_1_3(issuer in proptest::option::of(".{0,40}"), id in ".{0,40}") {
            let issuer = issuer.as_deref();
            let ours = FingerprintKey::new(KEY).issuer(issuer);
            prop_assert_eq!(ours.token(&id).bits(), reference(issuer, TOKEN, &id));
            prop_assert_eq!(ours.session(&id).bits(), reference(issuer, SESSION, &id));
            prop_assert_eq!(ours.subject(&id).bits(), reference(issuer, SUBJECT, &id));
        }
    }

    #[test]
    fn kinds_issuers_and_keys_are_told_apart() {
        let key = FingerprintKey::new(KEY);
        let all = [
            key.issuer(None).token("a"),
            key.issuer(None).session("a"),
            key.issuer(None).subject("a"),
            key.issuer(Some("")).token("a"),
            key.issuer(Some("a")).token(""),
            key.issuer(Some("a\0")).token(""),
            key.issuer(Some("a")).token("\0"),
            FingerprintKey::new([1; 16]).issuer(None).token("a"),
            FingerprintKey::random().issuer(None).token("a"),
            FingerprintKey::random().issuer(None).token("a"),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[..index].contains(one), "{index}");
        }
    }

    #[test]
    fn no_fingerprint_is_an_empty_place() {
        assert_eq!(Fingerprint::new(0).bits(), 1);
    }
}
