//! The cache of verified tokens.
//!
//! It must never accept a token that the verifier would reject. These rules ensure that:
//!
//! 1. **A hit compares the whole token, byte for byte.** The hash only finds the slot. A tampered
//!    token has other bytes. So has a second signature over the same claims. A payload is compared
//!    after decoding, which is strict: no two segments decode to the same bytes.
//! 2. **Only verified tokens get in**, as the last step of verification. A token that fails, panics
//!    or is cancelled leaves nothing here and moves nothing.
//! 3. **What may change is checked at every hit**: `exp`, `nbf` and `iat` against the clock.
//!    Afterwards the revocation store is asked; it does not know of the cache.
//! 4. **A change of an issuer's fetched keys invalidates all tokens they verified.** An entry holds
//!    the version of the keys. `Verifier::keys_version` compares it at every hit. Keys too old to
//!    be used serve no hit. Configured keys never change.
//! 5. **A cache belongs to one configuration.** Every setter of a verifier starts with an empty
//!    cache.
//! 6. **Its memory is bounded.** The limit counts each token and its decoded claims. Tokens of more
//!    than 4,096 bytes are not kept. Nor are claims larger than what is reserved for them.
//! 7. **No foreign code runs under its locks.** Claims are decoded, copied and dropped outside. A
//!    panic in the drop of an evicted entry is caught.
//! 8. **The time of a look-up reveals nothing.** Two tokens of one length are compared to the end,
//!    wherever they differ. So nobody can find a token byte by byte.
//! 9. **Collisions cannot be made at will.** Only the end of a token is hashed, with a random seed.
//!    The signature is there. Clients cannot make signatures with equal ends. An issuer would gain
//!    nothing by them: it can issue any token anyway.

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};

use foldhash::fast::RandomState;
use quick_cache::sync::Cache;
use quick_cache::{Equivalent, Lifecycle, OptionsBuilder, Weighter};
use try_lock::TryLock;

use crate::per_thread::{self, PerThread};

/// Verified tokens and their values.
///
/// Each thread also has copies of its hottest tokens. A lock and a reference count that all threads
/// share would cost more than the look-up.
pub(crate) struct TokenCache<V> {
    hash: TokenHash,
    hot: PerThread<TryLock<HotTokens<V>>>,
    /// The size of the largest entry to copy, in bytes.
    max_hot_size: usize,
    entries: Entries<V>,
}

type Entries<V> = Cache<Key<V>, V, MemoryWeighter, BuildHasherDefault<PrecomputedHash>, DropLater>;

/// A borrowed key.
struct KeyRef<'a> {
    hash: u64,
    token: &'a [u8],
}

struct Key<V> {
    hash: u64,
    value: V,
}

/// A verified token. A clone shares its memory.
pub(crate) trait Cached: Clone {
    /// Whether it was verified from these bytes. It takes the same time wherever two tokens of one
    /// length differ.
    fn is_of(&self, token: &[u8]) -> bool;

    /// Whether both were verified from the same bytes.
    fn is_of_token_of(&self, other: &Self) -> bool;

    /// Its memory in bytes, which never changes.
    fn size(&self) -> usize;

    /// A copy of at most `max_size` bytes that shares no reference count with the original. `None`
    /// if it would be larger.
    fn deep_clone(&self, max_size: usize) -> Option<Self>;
}

impl<V: Cached> TokenCache<V> {
    /// The longest token to keep, in bytes. A cookie holds no more (RFC 6265 §6.1), so few tokens
    /// are longer.
    const MAX_LENGTH: usize = 4096;

    /// The usual size of an entry.
    const USUAL_SIZE: usize = 1280;

    /// The largest copy for a thread, in bytes. All of them take an eighth of the memory at most.
    const MAX_HOT_SIZE: usize = 4096;

    /// A cache of at most `bytes`.
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
        let slots = per_thread::count().saturating_mul(HOT_SLOTS);
        let copies = (slots.saturating_mul(Self::MAX_HOT_SIZE)).min(bytes / 8);
        let bytes = bytes.saturating_sub(copies);
        let mut options = OptionsBuilder::new();
        options
            .weight_capacity(weight(bytes))
            .estimated_items_capacity(bytes.checked_div(Self::USUAL_SIZE).unwrap_or(0))
            // Each hash of an evicted token takes a whole slot.
            .ghost_allocation(0.25);
        #[expect(clippy::expect_used, reason = "both required options are set")]
        let options = options.build().expect("no option is missing");
        Self {
            hash,
            hot: PerThread::new(TryLock::default),
            max_hot_size: copies.checked_div(slots).unwrap_or(0),
            entries: Cache::with_options(
                options,
                MemoryWeighter,
                BuildHasherDefault::default(),
                DropLater,
            ),
        }
    }

    /// Whether a token may be kept.
    #[inline]
    pub(crate) fn accepts(token: &[u8]) -> bool {
        token.len() <= Self::MAX_LENGTH
    }

    fn key_of<'a>(&self, token: &'a [u8]) -> KeyRef<'a> {
        KeyRef {
            hash: self.hash.of(token),
            token,
        }
    }

    #[inline]
    pub(crate) fn find(&self, token: &[u8]) -> Option<V> {
        if let Some(Some(value)) = self.hot_slot(token, |slot| slot.find(token)) {
            return Some(value);
        }
        let value = self.entries.get(&self.key_of(token))?;
        // Only now, as an unverified token must not move anything.
        let is_hot = self.hot_slot(token, |slot| slot.count(token)) == Some(true);
        if is_hot {
            let copy = value.deep_clone(self.max_hot_size.saturating_sub(token.len()));
            let copy = copy.map(|copy| (Box::from(token), copy));
            // The replaced copy is dropped after the lock is released.
            drop_catching(self.hot_slot(token, |slot| slot.replace(copy)));
        }
        Some(value)
    }

    /// Keeps a token. Replaces an earlier value.
    pub(crate) fn keep(&self, token: &[u8], value: V) {
        let key = Key {
            hash: self.hash.of(token),
            value: value.clone(),
        };
        // A stale copy of this thread would hide the new value.
        drop_catching(self.hot_slot(token, |slot| slot.copy.take()));
        self.entries.insert(key, value);
    }

    /// Uses the slot of a token among this thread's copies. `None` if another thread is using them.
    #[inline]
    fn hot_slot<T>(&self, token: &[u8], use_slot: impl FnOnce(&mut HotSlot<V>) -> T) -> Option<T> {
        let mut hot = self.hot.of_this_thread()?.try_lock()?;
        // The fourth character from the end is as good as random. The last one of a signature is
        // not.
        let index = usize::from(*token.get(token.len().checked_sub(4)?)?) & (HOT_SLOTS - 1);
        hot.0.get_mut(index).map(use_slot)
    }
}

/// The number of copies per thread, a power of two.
const HOT_SLOTS: usize = 4;

/// The copies of a thread. A few threads may share them.
struct HotTokens<V>([HotSlot<V>; HOT_SLOTS]);

/// The most frequent of the tokens that share a slot, and a copy once it is hot.
struct HotSlot<V> {
    /// The end of that token.
    end: [u8; 8],
    hits: u8,
    copy: Option<(Box<[u8]>, V)>,
}

impl<V: Clone> HotSlot<V> {
    const HOT: u8 = 16;
    const MAX_HITS: u8 = 64;

    #[inline]
    fn find(&mut self, token: &[u8]) -> Option<V> {
        if token.last_chunk() != Some(&self.end) {
            return None;
        }
        let (kept, value) = self.copy.as_ref()?;
        if !is_same(token, kept) {
            return None;
        }
        self.hits = self.hits.saturating_add(1).min(Self::MAX_HITS);
        Some(value.clone())
    }

    /// Takes a copy of the counted token. If it is too large for one, it is counted from the start,
    /// so that not each hit asks for a copy.
    fn replace(&mut self, copy: Option<(Box<[u8]>, V)>) -> Option<(Box<[u8]>, V)> {
        if copy.is_none() {
            self.hits = 0;
        }
        std::mem::replace(&mut self.copy, copy)
    }

    /// Counts a token. Returns whether it is worth a copy.
    #[inline]
    fn count(&mut self, token: &[u8]) -> bool {
        let Some(end) = token.last_chunk() else {
            return false;
        };
        if self.end == *end {
            self.hits = self.hits.saturating_add(1).min(Self::MAX_HITS);
            return self.hits >= Self::HOT;
        }
        // A token more frequent than all others together wins the slot.
        self.hits = self.hits.saturating_sub(1);
        if self.hits == 0 {
            self.end = *end;
            self.hits = 1;
        }
        false
    }
}

impl<V> Default for HotSlot<V> {
    fn default() -> Self {
        Self {
            end: [0; 8],
            hits: 0,
            copy: None,
        }
    }
}

impl<V> Default for HotTokens<V> {
    fn default() -> Self {
        Self(Default::default())
    }
}

fn weight(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

/// The hash of a token: fast, and seeded, so that nobody can predict collisions.
enum TokenHash {
    Seeded(RandomState),
    /// The worst case.
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

impl<V> Hash for Key<V> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl Hash for KeyRef<'_> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<V: Cached> PartialEq for Key<V> {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.value.is_of_token_of(&other.value)
    }
}

impl<V: Cached> Eq for Key<V> {}

impl<V: Cached> Equivalent<Key<V>> for KeyRef<'_> {
    /// Always compares the whole token. The table compares only a part of the hash.
    #[inline]
    fn equivalent(&self, key: &Key<V>) -> bool {
        self.hash == key.hash && key.value.is_of(self.token)
    }
}

/// The last 128 bytes. They hold the signature or its end, which no two tokens share.
#[inline]
fn end_of(token: &[u8]) -> &[u8] {
    token
        .last_chunk::<128>()
        .map_or(token, <[u8; 128]>::as_slice)
}

/// Compares every byte, whichever differs.
#[inline]
pub(crate) fn is_same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let (blocks, end) = one.as_chunks::<64>();
    let (other_blocks, other_end) = other.as_chunks::<64>();
    let mut differences = [0; 8];
    for (block, other) in blocks.iter().zip(other_blocks) {
        for ((all, one), other) in differences.iter_mut().zip(words(block)).zip(words(other)) {
            *all |= one ^ other;
        }
    }
    let at_end = end.iter().zip(other_end);
    let at_end = at_end.fold(0, |all, (one, other)| all | one ^ other);
    differences
        .iter()
        .fold(u64::from(at_end), |all, one| all | one)
        == 0
}

/// As words, so that the compiler compares many bytes at once.
#[inline]
fn words(block: &[u8; 64]) -> impl Iterator<Item = u64> {
    let (words, _) = block.as_chunks();
    words.iter().map(|word| u64::from_ne_bytes(*word))
}

/// Passes on a hash that was computed before.
#[derive(Default)]
struct PrecomputedHash(u64);

impl Hasher for PrecomputedHash {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }

    /// Never called: a key hashes as one number.
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }
}

/// Drops the value of another token. A panic must not fail the request that replaces it, and two
/// panics at once would end the process.
fn drop_catching<T>(value: T) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(value))) {
        // The payload of the panic may panic too when it is dropped.
        std::mem::forget(panic);
    }
}

/// Drops evicted entries after the lock is released: claims are foreign types, whose `drop` may do
/// anything.
#[derive(Clone)]
struct DropLater;

/// The evicted entries: mostly one.
struct Evicted<V>(Option<V>, Vec<V>);

impl<V> Default for Evicted<V> {
    fn default() -> Self {
        Self(None, Vec::new())
    }
}

impl<V> Drop for Evicted<V> {
    fn drop(&mut self) {
        let more = std::mem::take(&mut self.1);
        self.0
            .take()
            .into_iter()
            .chain(more)
            .for_each(drop_catching);
    }
}

impl<V> Lifecycle<Key<V>, V> for DropLater {
    type RequestState = Evicted<V>;

    /// The key shares the memory of its value, and both are replaced together. So dropping the key
    /// under the lock drops no claims.
    fn on_evict(&self, Evicted(one, more): &mut Evicted<V>, _: Key<V>, value: V) {
        match one {
            None => *one = Some(value),
            Some(_) => more.push(value),
        }
    }
}

#[derive(Clone)]
struct MemoryWeighter;

impl MemoryWeighter {
    /// The bytes of an entry beside its value: two slots, as tables grow by doubling, and the hash
    /// that is kept after eviction.
    const SLOT: usize = 96;
}

impl<V: Cached> Weighter<Key<V>, V> for MemoryWeighter {
    fn weight(&self, _: &Key<V>, value: &V) -> u64 {
        weight(value.size().saturating_add(Self::SLOT))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A token of a certain size, with something that it shares.
    #[derive(Clone)]
    struct Token<T> {
        bytes: Vec<u8>,
        value: T,
        size: usize,
    }

    impl<T: Clone> Cached for Token<T> {
        fn is_of(&self, token: &[u8]) -> bool {
            is_same(token, &self.bytes)
        }

        fn is_of_token_of(&self, other: &Self) -> bool {
            self.bytes == other.bytes
        }

        fn size(&self) -> usize {
            self.size
        }

        fn deep_clone(&self, max_size: usize) -> Option<Self> {
            (self.size <= max_size).then(|| self.clone())
        }
    }

    fn find<T: Clone>(cache: &TokenCache<Token<T>>, token: &[u8]) -> Option<T> {
        cache.find(token).map(|token| token.value)
    }

    fn keep<T: Clone>(cache: &TokenCache<Token<T>>, token: &[u8], value: T) {
        keep_sized(cache, token, value, 100);
    }

    fn keep_sized<T: Clone>(cache: &TokenCache<Token<T>>, token: &[u8], value: T, size: usize) {
        let bytes = token.to_vec();
        cache.keep(token, Token { bytes, value, size });
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
        for _ in 0..HotSlot::<Token<u32>>::HOT {
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
        for _ in 0..HotSlot::<Token<u32>>::HOT {
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

    #[test]
    fn claims_that_panic_when_they_are_dropped_harm_nobody() {
        let cache = TokenCache::new(1 << 16);
        for number in 0..150_u8 {
            let bomb = Arc::new(Bomb((10..13).contains(&number)));
            keep(&cache, &[number], bomb);
        }
        // In place of most of them.
        keep_sized(&cache, b"large", Arc::new(Bomb(false)), 50_000);
        assert!(cache.find(b"large").is_some());
        assert!((10..13).all(|number| cache.find(&[number]).is_none()));
        keep(&cache, b"another", Arc::new(Bomb(false)));
        assert!(cache.find(b"another").is_some());
    }

    #[test]
    fn the_bound_holds_whatever_comes() {
        for bytes in [0, 1, 1000, 1 << 16, 1 << 20] {
            let cache = TokenCache::new(bytes);
            for number in 0..10_000_u32 {
                let size = usize::try_from(number % 7000).unwrap();
                let token = number.to_string();
                keep_sized(&cache, token.as_bytes(), number, size);
                let _ = cache.find(token.as_bytes());
                assert!(cache.entries.weight() <= cache.entries.capacity());
                assert!(cache.entries.capacity() <= weight(bytes) + 64);
            }
            assert_eq!(cache.count() > 0, bytes >= 1000);
        }
    }
}
