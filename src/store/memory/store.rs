//! The store: its revocations, and what its sessions need of them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::error::MemoryStoreError;
use super::session_table::SessionTable;
use crate::claims::NumericDate;
use crate::clock::{Clock, SystemClock};
use crate::revocation::{
    Revocation, RevocationSet, RevocationSetState, RevocationStore, TokenIdentity,
};
use crate::session::{
    MAX_ACCESS_LIFETIME, MAX_GENERATION, Session, SessionId, Subject, SubjectState,
};

/// Keeps revocations and sessions in the memory of one process. Clones share their contents.
///
/// A restart ends all sessions. Revoked tokens become valid again until they expire, and blocked
/// users can log in. Use it for:
///
/// - tests,
/// - services that create a new signing key at every start,
/// - access tokens that live a few minutes.
///
/// A clock that jumps ahead makes the store drop entries too early:
///
/// - Sessions that have expired by the wrong clock are lost.
/// - Valid tokens are rejected if they expire no later than a token whose revocation was dropped.
///   This goes on after the clock is correct again. It lasts a day at most, unless a revoked token
///   lives longer. If the dropped revocation was made while the clock was wrong, it may last until
///   about the time that the wrong clock showed.
///
/// ```
/// use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};
/// use tower_jwt_auth::revocation::{Revocation, TokenIdentity};
/// use tower_jwt_auth::store::{MemoryStore, MemoryStoreError};
/// # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
///
/// let store = MemoryStore::new();
/// let layer = JwtAuthLayer::new(key).revocation(store.clone());
///
/// fn logout(store: &MemoryStore, token: &VerifiedToken) -> Result<(), MemoryStoreError> {
///     // The layer rejects tokens without a `jti`.
///     match Revocation::of_token(&TokenIdentity::from(token)) {
///         Some(revocation) => store.revoke(&revocation),
///         None => Ok(()),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct MemoryStore(pub(super) Arc<Inner>);

pub(super) struct Inner {
    pub(super) set: RevocationSet,
    sessions: Mutex<SessionTable>,
    pub(super) most_sessions: usize,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// 1 million sessions, each of a few hundred bytes, plus its data of up to 4 KiB. With so many,
    /// logins fail with [`MemoryStoreError::Sessions`].
    pub const MAX_SESSIONS: usize = 1_000_000;

    /// How many expired sessions a login drops at most. More than one, so that they do not pile up.
    pub(super) const PRUNED_AT_ONCE: usize = 16;

    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with(RevocationSet::new(), SystemClock)
    }

    /// An empty store with this clock. Use the same clock for the layer, the sessions, and guards
    /// with [`max_age`](crate::Require::max_age).
    #[must_use]
    pub fn with_clock(clock: impl Clock + Clone) -> Self {
        Self::with(RevocationSet::new().clock(clock.clone()), clock)
    }

    /// A store that uses `set`, for example a set with another capacity.
    #[must_use]
    pub fn with(set: RevocationSet, clock: impl Clock) -> Self {
        Self(Arc::new(Inner {
            set,
            sessions: Mutex::default(),
            most_sessions: Self::MAX_SESSIONS,
            clock: Arc::new(clock),
        }))
    }

    /// Revokes a token, a session, or tokens of a subject. You may repeat a revocation.
    ///
    /// Once this has returned, every look-up sees the revocation. It also applies to the sessions
    /// in this store:
    ///
    /// - Revoking a session ends it.
    /// - A [`Generation`](crate::revocation::Revocation::Generation) ends the subject's sessions
    ///   with a lower generation.
    /// - A block rejects logins and refreshes.
    ///
    /// To block a subject that logs in here, prefer
    /// [`block`](crate::session::SessionStore::block). It also rejects a login that begins before
    /// the block and completes after it is lifted.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreError`] if the set is full, or a generation is too high. Earlier revocations
    /// stay in force.
    pub fn revoke(&self, revocation: &Revocation<'_>) -> Result<(), MemoryStoreError> {
        let mut sessions = self.sessions();
        match *revocation {
            Revocation::Session { issuer, sid, until } => {
                let sid = SessionId::parse(sid);
                let session = sid.and_then(|sid| sessions.find_of(sid, issuer)).cloned();
                let Some(session) = session else {
                    return Ok(self.0.set.revoke(revocation)?);
                };
                self.revoke_session(&session, until)?;
                sessions.end(session.sid);
            }
            Revocation::Generation {
                issuer,
                subject,
                generation,
                until,
            } => {
                if generation > MAX_GENERATION {
                    return Err(MemoryStoreError::OutOfRange);
                }
                let subject = Subject::new(issuer, subject);
                let Some(state) = sessions.subject(&subject).raised_to(generation) else {
                    return Ok(self.0.set.revoke(revocation)?);
                };
                let latest = sessions.latest_access(&subject).unwrap_or(until);
                self.revoke_before(&subject, state.access_epoch, until.max(latest))?;
                sessions.set(&subject, state);
            }
            Revocation::Block { issuer, subject } => {
                let subject = Subject::new(issuer, subject);
                let has_sessions = sessions.subject(&subject).access_epoch > 0
                    || sessions.sessions_of(&subject).next().is_some();
                // Tokens of other issuers have no generation to raise.
                self.block_in(&mut sessions, &subject, has_sessions)?;
            }
            _ => self.0.set.revoke(revocation)?,
        }
        Ok(())
    }

    /// Blocks a subject. With `raise_generation`, raises its generation, unless an earlier block
    /// did.
    pub(super) fn block_in(
        &self,
        sessions: &mut SessionTable,
        subject: &Subject<'_>,
        raise_generation: bool,
    ) -> Result<(), MemoryStoreError> {
        let mut state = sessions.subject(subject);
        self.0.set.revoke(&Revocation::Block {
            issuer: subject.issuer,
            subject: subject.name,
        })?;
        if raise_generation && (!state.blocked || state.generation == 0) {
            state = state.logged_out();
            let until = self.latest_token_end(sessions, subject);
            // It matters once the block is lifted: `unblock` adds it if it is missing.
            self.revoke_before(subject, state.access_epoch, until).ok();
        }
        state.blocked = true;
        sessions.set(subject, state);
        Ok(())
    }

    /// Lifts the block of a subject. Returns whether the subject was blocked.
    ///
    /// Use this for subjects of other issuers. For your own users call
    /// [`unblock`](crate::session::SessionStore::unblock). Tokens issued until now stay revoked:
    /// see [`RevocationSet::lift_block`].
    pub fn lift_block(&self, issuer: Option<&str>, subject: &str) -> bool {
        let mut sessions = self.sessions();
        let of_issuer = Subject::new(issuer, subject);
        let mut state = sessions.subject(&of_issuer);
        if state.blocked {
            state.blocked = false;
            sessions.set(&of_issuer, state);
        }
        self.0.set.lift_block(issuer, subject)
    }

    /// Drops all expired entries. You need this only for a store without regular writes.
    pub fn prune(&self) {
        self.0.set.prune();
        let expiry = self.latest_safe_expiry();
        // Takes the lock for each batch, so that logins can run in between.
        while self.sessions().prune(expiry, Self::PRUNED_AT_ONCE) > 0 {}
    }

    /// The number of revocations of each kind, and their size.
    #[must_use]
    pub fn revocations(&self) -> RevocationSetState {
        self.0.set.state()
    }

    /// The number of sessions, including expired ones that are not dropped yet.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions().len()
    }

    fn now(&self) -> NumericDate {
        NumericDate::precise(self.0.clock.now())
    }

    /// Sessions that expire by this time have expired for every verifier, whatever its leeway.
    ///
    /// A logout everywhere must still find later ones.
    pub(super) fn latest_safe_expiry(&self) -> NumericDate {
        let now = self.now().since_epoch();
        let then = now.saturating_sub(RevocationSet::DEFAULT_LEEWAY);
        NumericDate::from_since_epoch(then).unwrap_or(NumericDate::MAX)
    }

    pub(super) fn sessions(&self) -> MutexGuard<'_, SessionTable> {
        // No code panics between two changes that belong together.
        self.0
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the set can take so many revocations, once expired ones are dropped.
    pub(super) fn has_room_for(&self, revocations: usize) -> bool {
        let has_room = || {
            let state = self.0.set.state();
            state.entries().saturating_add(revocations) <= state.capacity
        };
        revocations == 0 || has_room() || {
            self.0.set.prune();
            has_room()
        }
    }

    /// Revokes a session until its last access token expires, or until `until` if that is later.
    pub(super) fn revoke_session(
        &self,
        session: &Session,
        until: NumericDate,
    ) -> Result<(), MemoryStoreError> {
        Ok(self.0.set.revoke(&Revocation::Session {
            issuer: session.issuer.as_deref(),
            sid: &session.sid.to_string(),
            until: until.max(session.access_expires_at),
        })?)
    }

    /// Raises the access epoch of a subject to that of `state`. Its sessions of other generations
    /// end, except `kept`.
    pub(super) fn raise_to(
        &self,
        sessions: &mut SessionTable,
        subject: &Subject<'_>,
        state: SubjectState,
        kept: Option<SessionId>,
    ) -> Result<u64, MemoryStoreError> {
        let until = self.latest_token_end(sessions, subject);
        self.revoke_before(subject, state.access_epoch, until)?;
        if let Some(mut kept) = kept.and_then(|sid| sessions.find(sid).cloned()) {
            kept.survive_logout(state);
            sessions.keep(&kept);
        }
        sessions.set(subject, state);
        Ok(state.access_epoch)
    }

    /// The latest `exp` of an access token of this subject.
    fn latest_token_end(&self, sessions: &SessionTable, subject: &Subject<'_>) -> NumericDate {
        // Cover the longest lifetime, because a clock that was ahead may have dropped a session.
        let longest = self.now().later_by(MAX_ACCESS_LIFETIME);
        let latest = sessions.latest_access(subject);
        latest.map_or(longest, |latest| latest.max(longest))
    }

    /// Revokes the tokens of lower access epochs.
    ///
    /// Call this before changing the sessions: if the set is full, they must stay as they are.
    fn revoke_before(
        &self,
        subject: &Subject<'_>,
        access_epoch: u64,
        until: NumericDate,
    ) -> Result<(), MemoryStoreError> {
        Ok(self.0.set.revoke(&Revocation::Generation {
            issuer: subject.issuer,
            subject: subject.name,
            generation: access_epoch,
            until,
        })?)
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl RevocationStore for MemoryStore {
    type Error = MemoryStoreError;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, MemoryStoreError> {
        Ok(self.0.set.is_revoked(token))
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        Some(self.0.set.is_revoked(token))
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryStore")
            .field("revocations", &self.revocations())
            .field("sessions", &self.session_count())
            .finish_non_exhaustive()
    }
}
