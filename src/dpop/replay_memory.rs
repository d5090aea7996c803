//! The proofs that this node has accepted.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::error::Error;
use std::fmt;
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use foldhash::fast::RandomState;

use super::replay::{ProofIdentity, ReplayStore, ReplayVerdict};
use crate::revocation::{FingerprintKey, Fingerprinter};

/// Remembers used proofs in memory, for one node. The default [`ReplayStore`].
///
/// ```
/// use tower_jwt_auth::dpop::{Dpop, ReplayMemory};
///
/// let memory = ReplayMemory::new().capacity(4_000_000);
/// let dpop = Dpop::new("https://api.example.com")?.replay_store(memory);
/// # Ok::<_, tower_jwt_auth::dpop::BaseUrlError>(())
/// ```
///
/// A proof is kept as a 64-bit fingerprint, made with a random secret. It takes 10 to 21 bytes of a
/// hash table. Proofs that expire in the same 16 seconds share a bucket, which is dropped as a
/// whole. A client's key and a subject take 19 to 39 bytes each, in every bucket that has one of
/// their proofs.
///
/// No proof is forgotten before it expires. If the clock steps back, proofs that may have been
/// dropped count as used.
///
/// | limit | then |
/// | --- | --- |
/// | a sixteenth of the capacity for one key, and for one subject | 429 for this client, or for all clients of this subject |
/// | the capacity | 503 for new proofs, until some expire |
pub struct ReplayMemory {
    capacity: usize,
    fingerprinter: Fingerprinter,
    buckets: Mutex<Buckets>,
}

/// The memory holds as many proofs as its capacity allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplayMemoryFull;

impl fmt::Display for ReplayMemoryFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the memory of used DPoP proofs is full: raise its capacity")
    }
}

impl Error for ReplayMemoryFull {}

/// Seconds of `forget_at` that share a bucket. By default a proof is kept for about 90 seconds, and
/// 120 at most, so there are six to nine buckets.
const WIDTH: u64 = 16;

#[derive(Default)]
struct Buckets {
    live: BTreeMap<u64, Bucket>,
    /// The number of proofs.
    count: usize,
    /// The first bucket that was never dropped. Proofs in earlier ones may have been forgotten.
    horizon: u64,
}

#[derive(Default)]
struct Bucket {
    proofs: HashSet<u64, RandomState>,
    /// How many of the proofs each key has, and each subject.
    senders: HashMap<u64, usize, RandomState>,
}

impl ReplayMemory {
    /// 1 million proofs: 8,000 requests a second for 120 seconds. They take 10 to 21 MB, and 50 to
    /// 100 MB if each comes from a different client.
    pub const DEFAULT_CAPACITY: usize = 1_000_000;

    /// How many keys, or subjects, must flood the memory to fill it.
    const SHARES: usize = 16;

    /// An empty memory.
    #[must_use]
    pub fn new() -> Self {
        Self {
            capacity: Self::DEFAULT_CAPACITY,
            fingerprinter: Fingerprinter::new(FingerprintKey::random()),
            buckets: Mutex::default(),
        }
    }

    /// Sets the greatest number of proofs. [1 million](Self::DEFAULT_CAPACITY) by default.
    #[must_use]
    pub fn capacity(mut self, proofs: usize) -> Self {
        self.capacity = proofs;
        self
    }

    fn answer(&self, proof: &ProofIdentity<'_>) -> Result<ReplayVerdict, ReplayMemoryFull> {
        let of_key = self.fingerprinter.issuer(Some(proof.key));
        let fingerprint = of_key.token(proof.jti).bits();
        let of_subject = proof
            .subject
            .map(|subject| self.fingerprinter.issuer(proof.issuer).subject(subject));
        let senders = [Some(of_key.session("")), of_subject];
        let senders = senders.into_iter().flatten().map(|sender| sender.bits());
        let bucket = bucket_of(proof.forget_at);

        // Each step leaves the buckets consistent, so a panic elsewhere does no harm.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        buckets.drop_before(bucket_of(proof.now));
        if buckets.holds(bucket, fingerprint) {
            return Ok(ReplayVerdict::Replayed);
        }
        let share = self.capacity.div_ceil(Self::SHARES);
        if senders
            .clone()
            .any(|sender| buckets.count_of(sender) >= share)
        {
            return Ok(ReplayVerdict::TooMany);
        }
        if buckets.count >= self.capacity {
            return Err(ReplayMemoryFull);
        }
        buckets.add(bucket, fingerprint, senders);
        Ok(ReplayVerdict::New)
    }
}

impl Buckets {
    /// Drops the buckets whose proofs have all expired.
    fn drop_before(&mut self, bucket: u64) {
        while let Some(entry) = self
            .live
            .first_entry()
            .filter(|entry| *entry.key() < bucket)
        {
            let (number, dropped) = entry.remove_entry();
            self.count = self.count.saturating_sub(dropped.proofs.len());
            self.horizon = self.horizon.max(number.saturating_add(1));
        }
    }

    /// Whether the proof was used, as far as is known.
    ///
    /// Layers with other lifetimes give the same proof another bucket.
    fn holds(&self, bucket: u64, proof: u64) -> bool {
        let mut live = self.live.values();
        bucket < self.horizon || live.any(|bucket| bucket.proofs.contains(&proof))
    }

    fn count_of(&self, sender: u64) -> usize {
        let buckets = self.live.values();
        let counts = buckets.filter_map(|bucket| bucket.senders.get(&sender));
        counts.fold(0, |all, count| all.saturating_add(*count))
    }

    fn add(&mut self, bucket: u64, proof: u64, senders: impl Iterator<Item = u64>) {
        let bucket = self.live.entry(bucket).or_default();
        bucket.proofs.insert(proof);
        for sender in senders {
            let count = bucket.senders.entry(sender).or_default();
            *count = count.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
    }
}

fn bucket_of(time: SystemTime) -> u64 {
    let since_epoch = time.duration_since(SystemTime::UNIX_EPOCH);
    since_epoch.unwrap_or_default().as_secs() / WIDTH
}

impl ReplayStore for ReplayMemory {
    type Error = ReplayMemoryFull;

    async fn remember(&self, proof: &ProofIdentity<'_>) -> Result<ReplayVerdict, ReplayMemoryFull> {
        self.answer(proof)
    }

    fn remember_now(
        &self,
        proof: &ProofIdentity<'_>,
    ) -> Option<Result<ReplayVerdict, ReplayMemoryFull>> {
        Some(self.answer(proof))
    }
}

impl Default for ReplayMemory {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows the number of proofs.
impl fmt::Debug for ReplayMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        f.debug_struct("ReplayMemory")
            .field("capacity", &self.capacity)
            .field("proofs", &buckets.count)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A multiple of the width of a bucket.
    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// A proof that expires 60 seconds after `now`.
    fn use_at(
        memory: &ReplayMemory,
        now: u64,
        key: &str,
        jti: &str,
    ) -> Result<ReplayVerdict, ReplayMemoryFull> {
        memory.answer(&ProofIdentity::new(key, jti, at(now + 60), at(now)))
    }

    fn count(memory: &ReplayMemory) -> usize {
        memory.buckets.lock().unwrap().count
    }

    #[test]
    fn a_proof_is_the_pair_of_key_and_id() {
        let memory = ReplayMemory::new();
        for (key, jti) in [("a", "b"), ("a", "c"), ("b", "b"), ("ab", ""), ("", "ab")] {
            assert_eq!(use_at(&memory, NOW, key, jti), Ok(ReplayVerdict::New));
        }
        assert_eq!(use_at(&memory, NOW, "a", "b"), Ok(ReplayVerdict::Replayed));
    }

    #[test]
    fn a_proof_that_lives_longer_in_another_layer_is_the_same() {
        let memory = ReplayMemory::new();
        let until = |second| memory.answer(&ProofIdentity::new("a", "b", at(second), at(NOW)));
        assert_eq!(until(NOW + 90), Ok(ReplayVerdict::New));
        assert_eq!(until(NOW + 330), Ok(ReplayVerdict::Replayed));
    }

    #[test]
    fn o23_no_bucket_is_dropped_before_its_proofs_expire() {
        assert_eq!(NOW % WIDTH, 0);
        for offset in 0..WIDTH {
            let memory = ReplayMemory::new();
            let start = NOW + offset;
            let again = |seconds: u64| {
                let identity = ProofIdentity::new("a", "b", at(start + 60), at(start + seconds));
                memory.answer(&identity)
            };
            assert_eq!(again(0), Ok(ReplayVerdict::New));
            for seconds in 0..200 {
                assert_eq!(
                    again(seconds),
                    Ok(ReplayVerdict::Replayed),
                    "{offset} {seconds}"
                );
            }
            assert_eq!(count(&memory), 0);
        }
    }

    #[test]
    fn o24_what_was_dropped_stays_used_after_the_clock_steps_back() {
        let memory = ReplayMemory::new();
        assert_eq!(use_at(&memory, NOW, "a", "b"), Ok(ReplayVerdict::New));
        // The clock jumps a day ahead, and back.
        assert_eq!(
            use_at(&memory, NOW + 86_400, "a", "c"),
            Ok(ReplayVerdict::New)
        );
        assert_eq!(use_at(&memory, NOW, "a", "b"), Ok(ReplayVerdict::Replayed));
        // Proofs that were made later than the dropped ones are accepted at once.
        assert_eq!(
            use_at(&memory, NOW + WIDTH, "a", "d"),
            Ok(ReplayVerdict::New)
        );
    }

    #[test]
    fn o29_a_flood_of_one_key_fills_its_share_alone() {
        let memory = ReplayMemory::new().capacity(16_000);
        let mut verdicts = [0, 0];
        for number in 0..100_000 {
            match use_at(&memory, NOW, "flood", &number.to_string()) {
                Ok(ReplayVerdict::New) => verdicts[0] += 1,
                Ok(ReplayVerdict::TooMany) => verdicts[1] += 1,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(verdicts, [1000, 99_000]);
        for number in 0..10_000 {
            let key = number.to_string();
            assert_eq!(use_at(&memory, NOW, &key, "a"), Ok(ReplayVerdict::New));
        }
        assert_eq!(count(&memory), 11_000);
        // The share is free again once its proofs have expired.
        let later = NOW + 60 + WIDTH;
        assert_eq!(use_at(&memory, later, "flood", "a"), Ok(ReplayVerdict::New));
        assert_eq!(count(&memory), 1);
    }

    #[test]
    fn o34_many_keys_of_one_subject_have_one_share() {
        let memory = ReplayMemory::new().capacity(1600);
        let use_by = |key: u32, issuer, subject| {
            let key = key.to_string();
            let mut identity = ProofIdentity::new(&key, "a", at(NOW + 60), at(NOW));
            (identity.issuer, identity.subject) = (issuer, subject);
            memory.answer(&identity)
        };
        for key in 0..100 {
            assert_eq!(use_by(key, Some("i"), Some("s")), Ok(ReplayVerdict::New));
        }
        assert_eq!(
            use_by(100, Some("i"), Some("s")),
            Ok(ReplayVerdict::TooMany)
        );
        assert_eq!(use_by(101, Some("i"), Some("t")), Ok(ReplayVerdict::New));
        assert_eq!(use_by(102, Some("j"), Some("s")), Ok(ReplayVerdict::New));
        assert_eq!(use_by(103, None, Some("s")), Ok(ReplayVerdict::New));
        assert_eq!(use_by(104, Some("i"), None), Ok(ReplayVerdict::New));
    }

    #[test]
    fn o31_a_full_memory_is_an_error() {
        let memory = ReplayMemory::new().capacity(32);
        for number in 0..32 {
            let key = number.to_string();
            assert_eq!(use_at(&memory, NOW, &key, "a"), Ok(ReplayVerdict::New));
        }
        assert_eq!(use_at(&memory, NOW, "new", "a"), Err(ReplayMemoryFull));
        assert_eq!(use_at(&memory, NOW, "0", "a"), Ok(ReplayVerdict::Replayed));
        let later = NOW + 60 + WIDTH;
        assert_eq!(use_at(&memory, later, "new", "a"), Ok(ReplayVerdict::New));
    }
}
