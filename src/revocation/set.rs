//! A set of revocations in memory.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;

use super::entry::Revocation;
#[cfg(feature = "redis")]
use super::fingerprint::Fingerprint;
use super::fingerprint::{FingerprintKey, Fingerprinter};
#[cfg(feature = "redis")]
use super::fingerprinted::FingerprintedRevocation;
use super::published::Published;
use super::rows::SHARDS;
use super::shared::Shared;
use super::state::{RevocationSetFull, RevocationSetState};
use super::token_identity::TokenIdentity;
use super::writer::{Writer, WriterState};
use crate::clock::{Clock, MAX_LEEWAY, SystemClock};
use crate::per_thread::CachePadded;

/// A set of revocations in memory, for look-ups at every request.
///
/// The stores of this crate look up tokens in such a set. Use it to write a store of your own.
///
/// ```
/// use tower_jwt_auth::claims::NumericDate;
/// use tower_jwt_auth::clock::ManualClock;
/// use tower_jwt_auth::revocation::{Revocation, RevocationSet, TokenIdentity};
///
/// # fn main() -> Result<(), tower_jwt_auth::revocation::RevocationSetFull> {
/// let set = RevocationSet::new().clock(ManualClock::at(1_700_000_000));
/// let expires_at = NumericDate::from_seconds(1_700_000_300).unwrap();
/// let token = TokenIdentity::new(expires_at)
///     .issuer("https://id.example.com")
///     .jti("6b1d5a9e");
///
/// set.revoke(&Revocation::of_token(&token).unwrap())?;
/// assert!(set.is_revoked(&token));
/// assert!(!set.is_revoked(&token.issuer("https://other.example.com")));
/// # Ok(())
/// # }
/// ```
///
/// # Entries
///
/// The set stores a 64-bit fingerprint of each issuer and id. The fingerprint depends on a secret
/// key: a random one, or the one you [set](RevocationSet::fingerprint_key). The set wrongly reports
/// a valid token as revoked with a probability of at most n / 2^63, for n entries. With 10 million
/// entries that is once in 10^12 look-ups.
///
/// | entry | bytes |
/// | --- | --- |
/// | token | 12 to 14 |
/// | token that expires more than 72 hours ahead, session | about 26 |
/// | subject | 37 |
///
/// Tokens that expire in the same 64 seconds share a bucket, so the set does not store the expiry
/// of each. It drops the bucket as a whole.
///
/// The set never drops a revocation before it expires. A full set rejects
/// [new revocations](RevocationSet::revoke).
///
/// # Threads
///
/// Look-ups take no lock and never wait. Writers take turns. Once
/// [`revoke`](RevocationSet::revoke) has returned, every look-up that begins later sees the
/// revocation, on every thread.
///
/// # Time
///
/// Each write drops some expired entries, and [`prune`](RevocationSet::prune) drops all expired
/// entries. Nothing runs in the background. The set remembers the latest `exp` whose tokens it may
/// have dropped: the horizon. Tokens that expire at the horizon or earlier count as revoked, even
/// if the clock steps back. A clock that jumps far ahead can therefore revoke valid tokens. It
/// never makes a revoked token valid.
pub struct RevocationSet {
    shared: Shared,
    /// In cache lines apart from `shared`, so that writers do not slow look-ups down.
    writer: CachePadded<Mutex<WriterState>>,
}

impl RevocationSet {
    /// 10 million entries: about 120 MB of revoked tokens.
    ///
    /// The set reaches this when tokens live an hour and 2,700 users log out every second. The
    /// limit bounds the memory that a user can fill by logging in and out in a loop.
    pub const DEFAULT_CAPACITY: usize = 10_000_000;

    /// 5 minutes: the most that a [`Verifier`](crate::Verifier::MAX_LEEWAY) allows. So the default
    /// is long enough for every verifier.
    pub const DEFAULT_LEEWAY: Duration = MAX_LEEWAY;

    /// 24 hours. Few issuers issue access tokens that live longer. The cost is low: one entry for
    /// each block that was lifted within the last day.
    pub const DEFAULT_LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

    /// An empty set with a random fingerprint key.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Shared {
                published: ArcSwap::from_pointee(Published::new()),
                fingerprinter: Fingerprinter::new(FingerprintKey::random()),
                capacity: Self::DEFAULT_CAPACITY,
                leeway: Self::DEFAULT_LEEWAY,
                longest_lifetime: Self::DEFAULT_LONGEST_LIFETIME,
                clock: Arc::new(SystemClock),
            },
            writer: CachePadded(Mutex::new(WriterState::new())),
        }
    }

    /// Sets the greatest number of entries. The default is
    /// [10 million](RevocationSet::DEFAULT_CAPACITY).
    #[must_use]
    pub fn capacity(mut self, entries: usize) -> Self {
        self.shared.capacity = entries;
        self
    }

    /// Tells the set how long verifiers accept a token after its `exp`. The default is [5
    /// minutes](RevocationSet::DEFAULT_LEEWAY).
    ///
    /// Set at least the verifier's leeway. If you set less, a valid token can be rejected during
    /// its leeway, see [Time](#time). Revoked tokens stay revoked.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.shared.leeway = leeway;
        self
    }

    /// Tells the set the longest lifetime of any token, from `iat` to `exp`. The default is
    /// [24 hours](RevocationSet::DEFAULT_LONGEST_LIFETIME).
    ///
    /// The set remembers a lifted block for this long. A token that lives longer can become valid
    /// again after its subject's block was lifted.
    #[must_use]
    pub fn longest_lifetime(mut self, lifetime: Duration) -> Self {
        self.shared.longest_lifetime = lifetime;
        self
    }

    /// Sets the clock. The default is the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.shared.clock = Arc::new(clock);
        self
    }

    /// Sets the fingerprint key, for sets that exchange their entries. The default is random.
    ///
    /// # Panics
    ///
    /// If the set is not empty: entries under another key could not be found.
    #[must_use]
    pub fn fingerprint_key(mut self, key: FingerprintKey) -> Self {
        assert!(
            self.writer().is_empty(),
            "set the fingerprint key before the first revocation"
        );
        self.shared.fingerprinter = Fingerprinter::new(key);
        self
    }

    /// Whether the token, its session or its subject is revoked.
    #[must_use]
    #[inline]
    pub fn is_revoked(&self, token: &TokenIdentity<'_>) -> bool {
        self.shared.is_revoked(token)
    }

    /// Revokes a token, a session, or tokens of a subject.
    ///
    /// You may repeat a revocation. If you revoke the same session or subject twice, the later
    /// cutoff, higher generation or later expiry applies. Once this has returned, every look-up
    /// sees the revocation.
    ///
    /// # Errors
    ///
    /// If the set is full and this needs a new entry. Earlier revocations stay in force.
    pub fn revoke(&self, revocation: &Revocation<'_>) -> Result<(), RevocationSetFull> {
        self.write(|writer| writer.revoke(revocation))
    }

    /// Lifts the block of a subject. Returns whether the subject was blocked.
    ///
    /// Tokens issued until now stay revoked. For that, the set keeps a cutoff for the [longest
    /// lifetime](RevocationSet::longest_lifetime) of a token. The cutoff applies to tokens with a
    /// generation too, unless you use
    /// [`lift_block_by_generation`](RevocationSet::lift_block_by_generation).
    ///
    /// ```
    /// use tower_jwt_auth::claims::NumericDate;
    /// use tower_jwt_auth::clock::ManualClock;
    /// use tower_jwt_auth::revocation::{Revocation, RevocationSet, TokenIdentity};
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::revocation::RevocationSetFull> {
    /// let set = RevocationSet::new().clock(ManualClock::at(1_700_000_100));
    /// let at = |seconds| NumericDate::from_seconds(seconds).unwrap();
    /// let token = TokenIdentity::new(at(1_700_000_300)).subject("248289761001");
    /// set.revoke(&Revocation::of_subject(&token).unwrap())?;
    ///
    /// assert!(set.lift_block(None, "248289761001"));
    /// assert!(set.is_revoked(&token.issued_at(at(1_700_000_100))));
    /// assert!(!set.is_revoked(&token.issued_at(at(1_700_000_101))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn lift_block(&self, issuer: Option<&str>, subject: &str) -> bool {
        let fingerprint = self.shared.fingerprinter.issuer(issuer).subject(subject);
        self.write(|writer| writer.lift_block(fingerprint, false))
    }

    /// Lifts the block of a subject. The subject's generation must have been raised to `generation`
    /// together with the block, or after it. Returns whether the subject was blocked.
    ///
    /// The generation then rejects older tokens. The cutoff that
    /// [`lift_block`](RevocationSet::lift_block) describes applies only to tokens without a
    /// generation. So the subject can log in within the same second.
    ///
    /// # Errors
    ///
    /// If the set is full and needs a new entry for the subject's generation. The block stays in
    /// force.
    pub fn lift_block_by_generation(
        &self,
        issuer: Option<&str>,
        subject: &str,
        generation: u64,
    ) -> Result<bool, RevocationSetFull> {
        let fingerprint = self.shared.fingerprinter.issuer(issuer).subject(subject);
        self.write(|writer| writer.lift_block_by_generation(fingerprint, generation))
    }

    /// Drops all expired entries. You need this only for a set without regular writes, because each
    /// write drops some.
    ///
    /// Look-ups do not wait for this. Writers wait only briefly.
    pub fn prune(&self) {
        self.writer().prune_all_tokens();
        for shard in 0..SHARDS {
            self.writer().prune_rows(shard);
        }
    }

    /// The number of entries of each kind, and the size of the set.
    #[must_use]
    pub fn state(&self) -> RevocationSetState {
        self.writer().state()
    }

    /// The form in which sets with this fingerprint key exchange the revocation.
    #[cfg(feature = "redis")]
    pub(crate) fn fingerprinted(&self, revocation: &Revocation<'_>) -> FingerprintedRevocation {
        FingerprintedRevocation::new(revocation, &self.shared.fingerprinter)
    }

    #[cfg(feature = "redis")]
    pub(crate) fn subject_fingerprint(&self, issuer: Option<&str>, subject: &str) -> Fingerprint {
        self.shared.fingerprinter.issuer(issuer).subject(subject)
    }

    /// The entries at this moment. Later revocations may or may not be included.
    ///
    /// The snapshot keeps the memory of its tables.
    #[cfg(feature = "redis")]
    pub(crate) fn snapshot(&self) -> Arc<Published> {
        self.shared.published.load_full()
    }

    /// Makes changes in one turn, after dropping some expired entries. Other writers wait.
    pub(crate) fn write<T>(&self, change: impl FnOnce(&mut Writer<'_>) -> T) -> T {
        let mut writer = self.writer();
        writer.prune_a_little();
        change(&mut writer)
    }

    fn writer(&self) -> Writer<'_> {
        // After a panic the published state is still consistent: the writer replaces it as a whole.
        let state = self.writer.0.lock();
        Writer::new(&self.shared, state.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Default for RevocationSet {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows no entries.
impl fmt::Debug for RevocationSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RevocationSet")
            .field("leeway", &self.shared.leeway)
            .field("longest_lifetime", &self.shared.longest_lifetime)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}
