//! Tokens that were verified before, so that they need not be again.
//!
//! A cache of verified tokens must never say yes where the verifier would say no. It does not, because:
//!
//! 1. **A hit is the whole token, byte for byte.** The hash only finds the place. A token that was tampered with, one with equal
//!    claims and another signature, and the second form of an ECDSA signature are other bytes.
//! 2. **Only what was verified gets in**, as the last step of verifying: whatever fails, panics or is cancelled before leaves
//!    nothing here, and moves nothing that is here.
//! 3. **What may change is asked at every hit**: `exp`, `nbf` and `iat` against the clock, and behind the verifier the
//!    store of revocations, which never learns that there is a cache.
//! 4. **Keys that go take along what they verified.** An entry bears the epoch of the very keys that it was verified with, and
//!    counts only while those are the keys. Keys that may no longer be used, for their age, serve no hit either.
//! 5. **One cache belongs to one configuration.** Each setting of a verifier begins an empty one.
//! 6. **It is bounded**: by weight, in which token, payload and decoded claims count, and by the length of a token.
//! 7. **Nothing of others runs under its locks**: claims are decoded, copied and dropped outside of them. A panic when they are
//!    dropped, for others to take their place, ends here.
//! 8. **The time that a look-up takes tells nothing worth having.** Two tokens of one length are compared to their ends, wherever
//!    they differ, so that nobody finds out a token piece by piece.
//! 9. **Tokens do not meet at will.** Only the end of a token is hashed, with a random seed. The signature is there: those who present
//!    tokens find no two whose signatures end alike, and whoever signs them has no need to.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhash::fast::RandomState;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};
use try_lock::TryLock;

use crate::per_thread::{self, PerThread};

/// Tokens, and what is known of each.
///
/// The hottest few are kept once more for each thread, as copies of its own: a lock and a count of references that all threads
/// share would cost each of them more than the look-up.
pub(crate) struct TokenCache<V> {
    hash: TokenHash,
    near: PerThread<TryLock<Near<V>>>,
    /// The largest entry that is copied.
    near_size: usize,
    entries: Entries<V>,
}

type Entries<V> = Cache<Key, Entry<V>, Weigh, BuildHasherDefault<Ready>, DropLater>;

/// A token as it is looked up.
struct Probe<'a> {
    hash: u64,
    token: &'a [u8],
}

struct Key {
    hash: u64,
    token: Box<[u8]>,
}

#[derive(Clone)]
struct Entry<V> {
    value: V,
    weight: u64,
}

/// What can be copied with everything that it shares.
pub(crate) trait DeepClone: Clone {
    /// Shares nothing that is counted with the original.
    fn deep_clone(&self) -> Self;
}

impl<V: DeepClone> TokenCache<V> {
    /// No longer token is kept. A cookie holds no more than this either (RFC 6265 §6.1), so hardly any is longer.
    const LONGEST: usize = 4096;

    /// What an entry takes besides the token and what is known of it: its place here, twice over as tables grow by doubling,
    /// and the hash that is remembered of one that was evicted.
    const OVERHEAD: usize = 256;

    /// An entry of usual size.
    const USUAL: usize = 4096;

    /// Holds `bytes` at most.
    pub(crate) fn new(bytes: usize) -> Self {
        Self::with_hash(bytes, TokenHash::Seeded(RandomState::default()))
    }

    #[cfg(test)]
    pub(crate) fn count(&self) -> usize {
        self.entries.len()
    }

    #[cfg(test)]
    pub(crate) fn colliding(bytes: usize) -> Self {
        Self::with_hash(bytes, TokenHash::Colliding)
    }

    fn with_hash(bytes: usize, hash: TokenHash) -> Self {
        // An eighth is for the copies.
        let copies = bytes.checked_div(8).unwrap_or(0);
        let bytes = bytes.saturating_sub(copies);
        let places = per_thread::count().saturating_mul(NEAR);
        let mut options = OptionsBuilder::new();
        options
            .weight_capacity(weight(bytes))
            .estimated_items_capacity(bytes.checked_div(Self::USUAL).unwrap_or(0));
        #[expect(clippy::expect_used, reason = "both that are required are set")]
        let options = options.build().expect("no option is missing");
        Self {
            hash,
            near: PerThread::new(TryLock::default),
            near_size: copies.checked_div(places).unwrap_or(0),
            entries: Cache::with_options(options, Weigh, BuildHasherDefault::default(), DropLater),
        }
    }

    /// Whether a token may have a place here.
    #[inline]
    pub(crate) fn takes(token: &[u8]) -> bool {
        token.len() <= Self::LONGEST
    }

    fn probe<'a>(&self, token: &'a [u8]) -> Probe<'a> {
        Probe {
            hash: self.hash.of(token),
            token,
        }
    }

    #[inline]
    pub(crate) fn find(&self, token: &[u8]) -> Option<V> {
        if let Some(Some(value)) = self.near(token, |place| place.find(token)) {
            return Some(value);
        }
        let entry = self.entries.get(&self.probe(token))?;
        // Not before it is known to be here: what was never verified moves nothing.
        let is_hot = self.near(token, |place| place.warm(token)) == Some(true);
        if is_hot && entry.weight <= weight(self.near_size) {
            let copy = (Box::from(token), entry.value.deep_clone());
            // What it replaces is dropped once the lock is open.
            drop_apart(self.near(token, |place| place.copy.replace(copy)));
        }
        Some(entry.value)
    }

    /// Keeps what is known of a token, which takes `size` bytes. In place of what was known before.
    pub(crate) fn keep(&self, token: &[u8], value: V, size: usize) {
        let key = Key {
            hash: self.hash.of(token),
            token: token.into(),
        };
        let size = size
            .saturating_add(token.len())
            .saturating_add(Self::OVERHEAD);
        let weight = weight(size);
        // A copy that is still here is why it was verified anew: no other thread's copy comes back here.
        drop_apart(self.near(token, |place| place.copy.take()));
        self.entries.insert(key, Entry { value, weight });
    }

    /// The place of a token among this thread's copies, unless another thread that shares them is there.
    #[inline]
    fn near<T>(&self, token: &[u8], look: impl FnOnce(&mut NearPlace<V>) -> T) -> Option<T> {
        let mut near = self.near.of_this_thread()?.try_lock()?;
        // A character that is as good as random, as the last of a signature is not.
        let index = usize::from(*token.get(token.len().checked_sub(4)?)?) & (NEAR - 1);
        near.0.get_mut(index).map(look)
    }
}

/// How many copies a thread has. A power of two.
const NEAR: usize = 4;

/// The copies that some threads share.
struct Near<V>([NearPlace<V>; NEAR]);

/// Which of the tokens that meet here comes most often, and a copy once it is hot.
struct NearPlace<V> {
    /// What it ends with.
    end: [u8; 8],
    heat: u8,
    copy: Option<(Box<[u8]>, V)>,
}

impl<V: Clone> NearPlace<V> {
    const HOT: u8 = 16;
    const HOTTEST: u8 = 64;

    #[inline]
    fn find(&mut self, token: &[u8]) -> Option<V> {
        if token.last_chunk() != Some(&self.end) {
            return None;
        }
        let (kept, value) = self.copy.as_ref()?;
        if !is_same(token, kept) {
            return None;
        }
        self.heat = self.heat.saturating_add(1).min(Self::HOTTEST);
        Some(value.clone())
    }

    /// Notes that a token has come. Whether it is worth a copy.
    #[inline]
    fn warm(&mut self, token: &[u8]) -> bool {
        let Some(end) = token.last_chunk() else {
            return false;
        };
        if self.end == *end {
            self.heat = self.heat.saturating_add(1).min(Self::HOTTEST);
            return self.heat >= Self::HOT;
        }
        // Whoever comes more often than all others together wins the place.
        self.heat = self.heat.saturating_sub(1);
        if self.heat == 0 {
            self.end = *end;
            self.heat = 1;
        }
        false
    }
}

impl<V> Default for NearPlace<V> {
    fn default() -> Self {
        Self {
            end: [0; 8],
            heat: 0,
            copy: None,
        }
    }
}

impl<V> Default for Near<V> {
    fn default() -> Self {
        Self(Default::default())
    }
}

fn weight(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The hash of a token: fast, and seeded, so that nobody can tell which tokens meet.
enum TokenHash {
    Seeded(RandomState),
    /// The worst there can be.
    #[cfg(test)]
    Colliding,
}

impl TokenHash {
    #[inline]
    fn of(&self, token: &[u8]) -> u64 {
        match self {
            Self::Seeded(seed) => seed.hash_one(end_of(token)),
            #[cfg(test)]
            Self::Colliding => 7,
        }
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for Probe<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.token == other.token
    }
}

impl Eq for Key {}

impl Equivalent<Key> for Probe<'_> {
    /// The whole token, always. The hash, of which tables look at a part, says first whether to go into that.
    #[inline]
    fn equivalent(&self, key: &Key) -> bool {
        self.hash == key.hash && is_same(self.token, &key.token)
    }
}

/// The last 128 bytes, in which the signature is, or the end of one: no two tokens share that.
#[inline]
fn end_of(token: &[u8]) -> &[u8] {
    token
        .last_chunk::<128>()
        .map_or(token, <[u8; 128]>::as_slice)
}

/// Looks at every byte, whether the first differs or the last.
#[inline]
fn is_same(token: &[u8], kept: &[u8]) -> bool {
    if token.len() != kept.len() {
        return false;
    }
    let mut differences = [0; 8];
    let mut compare = |block, kept| {
        for ((all, one), other) in differences.iter_mut().zip(words(block)).zip(words(kept)) {
            *all |= one ^ other;
        }
    };
    match (token.last_chunk(), kept.last_chunk()) {
        (Some(end), Some(kept)) => compare(end, kept),
        // Shorter than any token that there is.
        _ => return token == kept,
    }
    for (block, kept) in token.as_chunks().0.iter().zip(kept.as_chunks().0) {
        compare(block, kept);
    }
    differences.iter().fold(0, |all, one| all | one) == 0
}

/// As one that many bytes are compared at once.
#[inline]
fn words(block: &[u8; 64]) -> impl Iterator<Item = u64> {
    let (words, _) = block.as_chunks();
    words.iter().map(|word| u64::from_ne_bytes(*word))
}

/// Hands on a hash that was made before.
#[derive(Default)]
struct Ready(u64);

impl Hasher for Ready {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// Not called: a key hashes as one number.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

/// Drops what another token has left here. A panic in it is no fault of the request that takes the place, and ends with it; two at
/// once would end the process.
fn drop_apart<T>(left: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(left))) {
        // What it says may panic too when it is dropped.
        std::mem::forget(panic);
    }
}

/// What is evicted is dropped once the lock is open: claims are others' types, whose `drop` may do anything, panic too.
#[derive(Clone)]
struct DropLater;

/// One, as most often, and more.
struct Evicted<V>(Option<Entry<V>>, Vec<Entry<V>>);

impl<V> Default for Evicted<V> {
    fn default() -> Self {
        Self(None, Vec::new())
    }
}

impl<V> Drop for Evicted<V> {
    fn drop(&mut self) {
        let more = std::mem::take(&mut self.1);
        self.0.take().into_iter().chain(more).for_each(drop_apart);
    }
}

impl<V> Lifecycle<Key, Entry<V>> for DropLater {
    type RequestState = Evicted<V>;

    fn on_evict(&self, Evicted(one, more): &mut Evicted<V>, _: Key, entry: Entry<V>) {
        match one {
            None => *one = Some(entry),
            Some(_) => more.push(entry),
        }
    }
}

#[derive(Clone)]
struct Weigh;

impl<V> Weighter<Key, Entry<V>> for Weigh {
    fn weight(&self, _: &Key, entry: &Entry<V>) -> u64 {
        entry.weight
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    impl DeepClone for u32 {
        fn deep_clone(&self) -> Self {
            *self
        }
    }

    fn find(cache: &TokenCache<u32>, token: &[u8]) -> Option<u32> {
        cache.find(token)
    }

    fn keep(cache: &TokenCache<u32>, token: &[u8], value: u32) {
        cache.keep(token, value, 100);
    }

    #[test]
    fn tokens_whose_hashes_are_equal_are_told_apart() {
        let cache = TokenCache::colliding(1 << 20);
        for value in 0..50 {
            keep(&cache, format!("token {value}").as_bytes(), value);
        }
        for round in 0..100 {
            for value in [0, 0, 0, round % 50] {
                let token = format!("token {value}");
                assert_eq!(find(&cache, token.as_bytes()), Some(value));
                for other in ["", "token", "token 51", "Token 0", "token 0 "] {
                    assert_eq!(find(&cache, other.as_bytes()), None, "{other}");
                }
            }
        }
    }

    #[test]
    fn tokens_that_end_alike_are_told_apart() {
        let cache = TokenCache::new(1 << 20);
        let token = |at: usize, byte: u8| {
            let mut token = vec![b'A'; 500];
            token[at] = byte;
            token
        };
        keep(&cache, &token(0, b'A'), 1);
        for at in 0..492 {
            // Of one hash in all but the last bytes, and in one place of the copies.
            for _ in 0..100 {
                assert_eq!(find(&cache, &token(at, b'B')), None, "{at}");
                assert_eq!(find(&cache, &token(0, b'A')), Some(1));
            }
        }
        keep(&cache, &token(9, b'B'), 2);
        assert_eq!(find(&cache, &token(9, b'B')), Some(2));
        assert_eq!(find(&cache, &token(0, b'A')), Some(1));
        assert_eq!(find(&cache, &token(0, b'A')[1..]), None);
    }

    #[test]
    fn no_byte_is_left_out_of_a_comparison() {
        for length in [0, 1, 8, 63, 64, 65, 127, 128, 129, 200, 4096] {
            let token = vec![b'A'; length];
            assert!(is_same(&token, &token.clone()));
            for at in 0..length {
                let mut other = token.clone();
                other[at] = b'B';
                assert!(!is_same(&token, &other), "{at} of {length}");
            }
            assert!(!is_same(&token, &vec![b'A'; length + 1]));
        }
    }

    #[test]
    fn what_is_kept_anew_is_what_is_found() {
        for cache in [TokenCache::new(1 << 20), TokenCache::colliding(1 << 20)] {
            for value in 0..10 {
                keep(&cache, b"token", value);
                // Until it has a copy, and on.
                for _ in 0..100 {
                    assert_eq!(find(&cache, b"token"), Some(value));
                }
            }
        }
    }

    #[test]
    fn a_hot_token_is_found_though_it_was_evicted() {
        let cache = TokenCache::new(1 << 16);
        keep(&cache, b"a hot token", 7);
        for _ in 0..NearPlace::<u32>::HOT {
            find(&cache, b"a hot token");
        }
        cache.entries.clear();
        assert_eq!(find(&cache, b"a hot token"), Some(7));
    }

    #[test]
    fn what_was_never_verified_moves_nothing() {
        let cache = TokenCache::new(1 << 20);
        let token = b"a hot token: AAAA";
        keep(&cache, token, 7);
        for _ in 0..NearPlace::<u32>::HOT {
            find(&cache, token);
        }
        cache.entries.clear();
        for number in 0..200 {
            assert_eq!(
                find(&cache, format!("forged {number}AAAA").as_bytes()),
                None
            );
        }
        assert_eq!(find(&cache, token), Some(7));
    }

    struct Bomb(bool);

    impl Drop for Bomb {
        fn drop(&mut self) {
            assert!(!self.0, "not to be dropped");
        }
    }

    impl DeepClone for Arc<Bomb> {
        fn deep_clone(&self) -> Self {
            Self::clone(self)
        }
    }

    #[test]
    fn claims_that_panic_when_they_are_dropped_harm_nobody() {
        let cache = TokenCache::new(1 << 16);
        for number in 0..150_u8 {
            let bomb = Arc::new(Bomb((10..13).contains(&number)));
            cache.keep(&[number], bomb, 100);
        }
        // In place of most of them.
        cache.keep(b"large", Arc::new(Bomb(false)), 50_000);
        assert!(cache.find(b"large").is_some());
        assert!((10..13).all(|number| cache.find(&[number]).is_none()));
        cache.keep(b"another", Arc::new(Bomb(false)), 100);
        assert!(cache.find(b"another").is_some());
    }

    #[test]
    fn the_bound_holds_whatever_comes() {
        for bytes in [0, 1, 1000, 1 << 16, 1 << 20] {
            let cache = TokenCache::new(bytes);
            for number in 0..10_000_u32 {
                let size = usize::try_from(number % 7000).unwrap();
                let token = number.to_string();
                cache.keep(token.as_bytes(), number, size);
                let _ = cache.find(token.as_bytes());
                assert!(cache.entries.weight() <= cache.entries.capacity());
                assert!(cache.entries.capacity() <= weight(bytes) + 64);
            }
            assert_eq!(cache.count() > 0, bytes >= 1000);
        }
    }
}
