//! What was revoked, in memory.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;

use super::buckets;
use super::fingerprint::{Fingerprint, FingerprintKey, Fingerprinter};
use super::root::{Root, TableOf};
use super::rows::{self, Block, Kind, Row, Rows, SHARDS};
use super::writer::Writer;
use super::{Revocation, TokenId};
use crate::claims::NumericDate;
use crate::clock::{Clock, SystemClock};

/// What was revoked, in memory: what every look-up reads.
///
/// ```
/// use tower_jwt_auth::claims::NumericDate;
/// use tower_jwt_auth::clock::ManualClock;
/// use tower_jwt_auth::revocation::{Revocation, RevocationSet, TokenId};
///
/// # fn main() -> Result<(), tower_jwt_auth::revocation::RevocationSetFull> {
/// let set = RevocationSet::new().clock(ManualClock::at(1_700_000_000));
/// let expires_at = NumericDate::from_seconds(1_700_000_300).unwrap();
/// let token = TokenId::new(expires_at).issuer("https://id.example.com").jti("6b1d5a9e");
///
/// set.revoke(&Revocation::of_token(&token).unwrap())?;
/// assert!(set.is_revoked(&token));
/// assert!(!set.is_revoked(&token.issuer("https://other.example.com")));
/// # Ok(())
/// # }
/// ```
///
/// # What is held
///
/// Of an id and its issuer 64 bits are kept, which depend on a secret key: the set's own, or one that was
/// [given](RevocationSet::fingerprint_key). Among n entries a token that nobody revoked is taken for one of them
/// with a chance of n / 2^63 at most: with 10 million, once in 10^12 look-ups.
///
/// A revoked token takes 12 to 14 bytes: it lies with those that expire in the same 64 seconds, which go together,
/// so none holds its own expiry. Tokens that expire more than 72 hours ahead, and sessions, take about 26 bytes,
/// subjects 37.
///
/// What still counts is never dropped: a full set refuses [new revocations](RevocationSet::revoke).
///
/// # Threads
///
/// Look-ups take no lock and wait for nobody. Writers take turns. Once [`revoke`](RevocationSet::revoke) has returned, every
/// look-up that begins after it, on any thread, sees it.
///
/// # Time
///
/// What has expired is dropped bit by bit by the writes that follow, and by [`prune`](RevocationSet::prune). Nothing runs in the
/// background. Whoever drops remembers until which `exp` tokens may have been forgotten: the horizon. A token that
/// expires no later counts as revoked, even if the clock steps back. A clock that jumps far ahead
/// while something is dropped thus kills tokens that expire before where it has been; never does it revive one.
pub struct RevocationSet {
    root: ArcSwap<Root>,
    settings: Settings,
    writer: Apart<Mutex<Writer>>,
}

/// What does not change once the set is in use.
pub(super) struct Settings {
    pub(super) ids: Fingerprinter,
    pub(super) capacity: usize,
    pub(super) leeway: Duration,
    pub(super) longest_lifetime: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

impl Settings {
    /// The time since the epoch. A clock that stands before it is broken, and says nothing: then nothing has expired.
    pub(super) fn now(&self) -> Duration {
        self.clock
            .now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
    }
}

/// In lines of the cache of its own, so that what writers do here costs readers nothing.
#[repr(align(128))]
struct Apart<T>(T);

impl RevocationSet {
    /// 10 million: about 120 MB of revoked tokens.
    ///
    /// So many are reached when every second of an hour 2,700 people log out whose tokens live that long. A limit
    /// there must be, since whoever may log in and out may do so in a loop.
    pub const DEFAULT_CAPACITY: usize = 10_000_000;

    /// 5 minutes: the most that a [`Verifier`](crate::Verifier::MAX_LEEWAY) allows, so that no setting of one revives a token.
    pub const DEFAULT_LEEWAY: Duration = Duration::from_secs(300);

    /// 24 hours. Few issuers make access tokens that live longer, and it costs little: one row a day for each block
    /// that was lifted.
    pub const DEFAULT_LONGEST_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

    /// An empty set with a key of its own.
    #[must_use]
    pub fn new() -> Self {
        Self {
            root: ArcSwap::from_pointee(Root::new()),
            settings: Settings {
                ids: Fingerprinter::new(FingerprintKey::random()),
                capacity: Self::DEFAULT_CAPACITY,
                leeway: Self::DEFAULT_LEEWAY,
                longest_lifetime: Self::DEFAULT_LONGEST_LIFETIME,
                clock: Arc::new(SystemClock),
            },
            writer: Apart(Mutex::new(Writer::new())),
        }
    }

    /// Sets how many entries it holds at most. The default is [10 million](RevocationSet::DEFAULT_CAPACITY).
    #[must_use]
    pub fn capacity(mut self, entries: usize) -> Self {
        self.settings.capacity = entries;
        self
    }

    /// Sets for how long after its `exp` a token counts. The default is [5 minutes](RevocationSet::DEFAULT_LEEWAY).
    ///
    /// It must not be less than the verifier's. What was revoked stays so even then, but tokens that nobody revoked would die
    /// early: at the horizon, when something is dropped.
    #[must_use]
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.settings.leeway = leeway;
        self
    }

    /// Sets how long tokens live at most, from `iat` to `exp`. The default is
    /// [24 hours](RevocationSet::DEFAULT_LONGEST_LIFETIME).
    ///
    /// For so long a lifted block is remembered. Tokens that live longer may be revived by lifting.
    #[must_use]
    pub fn longest_lifetime(mut self, lifetime: Duration) -> Self {
        self.settings.longest_lifetime = lifetime;
        self
    }

    /// Sets the clock.
    #[must_use]
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.settings.clock = Arc::new(clock);
        self
    }

    /// Sets the key of the fingerprints, for sets that share what they hold. The default is random.
    ///
    /// What was revoked before under another key would no longer be found: the set must be empty.
    ///
    /// # Panics
    ///
    /// If the set is not empty.
    #[must_use]
    pub fn fingerprint_key(mut self, key: FingerprintKey) -> Self {
        assert!(
            self.writer().is_empty(),
            "the key of a set that holds something"
        );
        self.settings.ids = Fingerprinter::new(key);
        self
    }

    /// Whether the token was revoked: by itself, with its session, or with its subject.
    #[must_use]
    #[inline]
    pub fn is_revoked(&self, token: &TokenId<'_>) -> bool {
        let root = self.root.load();
        let expires_at = token.expires_at.since_epoch();
        if root.is_forgotten(expires_at) {
            return true;
        }
        let flags = root.flags;
        let issuer = self.settings.ids.issuer(token.issuer);
        let jti = token.jti.map(|jti| issuer.token(jti));
        let bucket = jti.and_then(|id| {
            let bucket = root.tokens.get(buckets::bucket_of(expires_at))?;
            // All three are far away in memory: to go for all at once takes as long as for one.
            bucket.fetch(id);
            Some((bucket, id))
        });
        let row = |table, id| Some((root.may_hold(table, id)?, id));
        let session = token
            .sid
            .filter(|_| flags.sessions)
            .and_then(|sid| row(TableOf::Sessions, issuer.session(sid)));
        let subject = token
            .subject
            .filter(|_| flags.subjects)
            .and_then(|subject| row(TableOf::Subjects, issuer.subject(subject)));

        bucket.is_some_and(|(bucket, id)| bucket.contains(id))
            || session.is_some_and(|(rows, id)| self.has_row(rows, id, Kind::Session, expires_at))
            || subject.is_some_and(|(rows, id)| self.is_subject_revoked(rows, id, token))
            || flags.far_tokens
                && jti.is_some_and(|id| {
                    root.may_hold(TableOf::Sessions, id)
                        .is_some_and(|rows| self.has_row(rows, id, Kind::Token, expires_at))
                })
    }

    #[inline]
    fn has_row(&self, rows: &Rows, id: Fingerprint, kind: Kind, expires_at: Duration) -> bool {
        rows.find(id, kind)
            .is_some_and(|row| self.counts(row, expires_at))
    }

    /// Whether a row counts for a token with that `exp`: if it was made for such tokens, or has not expired. The clock is
    /// asked only in the second case.
    fn counts(&self, row: Row<'_>, expires_at: Duration) -> bool {
        let until = row.until();
        expires_at <= Duration::from_secs(until)
            || !rows::is_over(until, self.settings.leeway, self.settings.now())
    }

    #[inline]
    fn is_subject_revoked(&self, rows: &Rows, id: Fingerprint, token: &TokenId<'_>) -> bool {
        let Some(found) = rows.subject(id) else {
            return false;
        };
        let expires_at = token.expires_at.since_epoch();
        let issued_until = |cutoff| token.issued_at.is_none_or(|at| at.seconds() <= cutoff);

        // In this order. Were the generation read before the block, it could be raised and the block lifted in between,
        // and the token would pass between the two.
        let block = found.block.and_then(|row| {
            let counts = self.counts(row, expires_at);
            let block = Block::of(row.value());
            (block.stands || counts).then_some(block)
        });
        if block.is_some_and(|block| block.stands) {
            return true;
        }
        // What was said between the search and the lifting has rows that were not found.
        let found = match found.block {
            Some(_) => rows.subject(id).unwrap_or(found),
            None => found,
        };
        let value = |row: Row<'_>| self.counts(row, expires_at).then(|| row.value());
        let generation = found.generation.and_then(value);
        if generation.is_some_and(|least| token.generation.unwrap_or(0) < least) {
            return true;
        }
        let is_by_generation = generation.is_some() && token.generation.is_some();
        if let Some(block) = block
            && !(is_by_generation && block.by_generation)
            && issued_until(block.cutoff)
        {
            return true;
        }
        found.cutoff.and_then(value).is_some_and(issued_until)
    }

    /// Revokes. To revoke what is revoked changes nothing; of two that speak of the same the later, higher or longer counts.
    ///
    /// Once it has returned, every look-up sees it.
    ///
    /// # Errors
    ///
    /// If the set is full and holds nothing yet that this could be added to. What it holds stays revoked.
    pub fn revoke(&self, revocation: &Revocation<'_>) -> Result<(), RevocationSetFull> {
        let mut writer = self.writer();
        writer.prune_a_little(&self.settings, &self.root);
        writer.revoke(&self.settings, &self.root, revocation)
    }

    /// Lifts the block of a subject. Whether there was one.
    ///
    /// What was issued until now stays dead: a cutoff at this second remains for as long as
    /// [tokens live](RevocationSet::longest_lifetime), for tokens that carry a generation too; see
    /// [`lift_block_by_generation`](RevocationSet::lift_block_by_generation).
    ///
    /// ```
    /// use std::time::Duration;
    /// use tower_jwt_auth::claims::NumericDate;
    /// use tower_jwt_auth::clock::ManualClock;
    /// use tower_jwt_auth::revocation::{Revocation, RevocationSet, TokenId};
    ///
    /// # fn main() -> Result<(), tower_jwt_auth::revocation::RevocationSetFull> {
    /// let set = RevocationSet::new().clock(ManualClock::at(1_700_000_100));
    /// let at = |seconds| NumericDate::from_seconds(seconds).unwrap();
    /// let token = TokenId::new(at(1_700_000_300)).subject("248289761001");
    /// set.revoke(&Revocation::of_subject(&token).unwrap())?;
    ///
    /// assert!(set.lift_block(None, "248289761001"));
    /// assert!(set.is_revoked(&token.issued_at(at(1_700_000_100))));
    /// assert!(!set.is_revoked(&token.issued_at(at(1_700_000_101))));
    /// # Ok(())
    /// # }
    /// ```
    pub fn lift_block(&self, issuer: Option<&str>, subject: &str) -> bool {
        let id = self.settings.ids.issuer(issuer).subject(subject);
        let mut writer = self.writer();
        writer.prune_a_little(&self.settings, &self.root);
        writer.lift_block(&self.settings, &self.root, id, false)
    }

    /// Lifts the block of a subject whose generation was raised to this one when it was blocked, or later. Whether there
    /// was one.
    ///
    /// Then the generation tells what was issued before, and the cutoff is only for tokens that carry none: who
    /// logs in now need not wait for the next second.
    ///
    /// # Errors
    ///
    /// If the set is full and does not hold the generation yet. The block stays.
    pub fn lift_block_by_generation(
        &self,
        issuer: Option<&str>,
        subject: &str,
        generation: u64,
    ) -> Result<bool, RevocationSetFull> {
        let id = self.settings.ids.issuer(issuer).subject(subject);
        let mut writer = self.writer();
        writer.prune_a_little(&self.settings, &self.root);
        writer.lift_block_by_generation(&self.settings, &self.root, id, generation)
    }

    /// Drops all that has expired. Writes do so too, bit by bit; this is for a set that is not written to.
    ///
    /// Readers wait for nothing, and writers for no more than one shard of the set.
    pub fn prune(&self) {
        self.writer()
            .prune_tokens(&self.settings, &self.root, usize::MAX);
        for shard in 0..SHARDS {
            self.writer().prune_rows(&self.settings, &self.root, shard);
        }
    }

    /// What it holds.
    #[must_use]
    pub fn state(&self) -> RevocationSetState {
        let writer = self.writer();
        let root = self.root.load();
        let mut state = writer.state();
        state.capacity = self.settings.capacity;
        state.heap_bytes = writer.heap_bytes().saturating_add(root.heap_bytes());
        state.horizon = root
            .horizon()
            .and_then(|horizon| NumericDate::from_seconds(horizon.as_secs()));
        state
    }

    #[cfg(feature = "redis")]
    pub(super) fn fingerprinter(&self) -> &Fingerprinter {
        &self.settings.ids
    }

    #[cfg(feature = "redis")]
    pub(super) fn current(&self) -> Arc<Root> {
        self.root.load_full()
    }

    /// Takes in an entry of a set with the same fingerprint key. A block becomes what the mark says: which of two is the newer
    /// one is for the caller to know.
    #[cfg(feature = "redis")]
    pub(crate) fn merge(&self, mark: &super::mark::Mark) -> Result<(), RevocationSetFull> {
        let mut writer = self.writer();
        writer.prune_a_little(&self.settings, &self.root);
        writer.merge(&self.settings, &self.root, mark)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        // A writer that panicked has published nothing by halves: it swaps in whole roots.
        self.writer.0.lock().unwrap_or_else(PoisonError::into_inner)
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
            .field("leeway", &self.settings.leeway)
            .field("longest_lifetime", &self.settings.longest_lifetime)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

/// What a [`RevocationSet`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RevocationSetState {
    /// Tokens, with those that have expired and were not dropped yet; so it is with the others.
    pub tokens: usize,
    /// Sessions.
    pub sessions: usize,
    /// Subjects whose generation was raised.
    pub generations: usize,
    /// Subjects with a cutoff.
    pub cutoffs: usize,
    /// Blocks, and lifted ones that are remembered.
    pub blocks: usize,
    /// How many of all these it holds at most.
    pub capacity: usize,
    /// How many bytes it has on the heap, without what the allocator needs for itself.
    pub heap_bytes: usize,
    /// A token with this `exp` or an earlier one may have been dropped, and counts as revoked. In whole seconds, rounded down.
    pub horizon: Option<NumericDate>,
}

impl RevocationSetState {
    /// How many entries there are of all kinds.
    #[must_use]
    pub fn entries(&self) -> usize {
        [
            self.tokens,
            self.sessions,
            self.generations,
            self.cutoffs,
            self.blocks,
        ]
        .iter()
        .fold(0, |sum, count| sum.saturating_add(*count))
    }
}

/// A revocation was not taken in: the set holds as much as it may, and all of it still counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RevocationSetFull;

impl fmt::Display for RevocationSetFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the set of revocations is full")
    }
}

impl Error for RevocationSetFull {}
