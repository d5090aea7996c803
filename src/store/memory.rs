//! In memory: nothing survives a restart.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session_table::SessionTable;
use crate::claims::NumericDate;
use crate::clock::{Clock, SystemClock};
use crate::revocation::{
    Revocation, RevocationSet, RevocationSetFull, RevocationSetState, RevocationStore,
    TokenIdentity,
};
use crate::session::{
    CreationOutcome, MAX_ACCESS_LIFETIME, Rotation, RotationOutcome, Session, SessionId,
    SessionStore, Subject, SubjectState,
};

/// Revocations and sessions in memory, for one process, until it ends. Cheap to clone; clones share everything.
///
/// If the clock was ahead when something was dropped, sessions that expire before the time it
/// showed are gone. Tokens that expire no later than a revocation that was dropped count as
/// revoked, also once the clock is right: for a day at most, unless a token was revoked that lives
/// longer.
///
/// After a restart nobody is logged in, and what was revoked counts again until it expires: fit for tests, for services
/// whose signing key is as short-lived as they are, and for access tokens of minutes.
///
/// ```
/// use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};
/// use tower_jwt_auth::revocation::{Revocation, TokenIdentity};
/// use tower_jwt_auth::store::{MemoryStore, MemoryStoreFull};
/// # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
///
/// let store = MemoryStore::new();
/// let layer = JwtAuthLayer::new(key).revocation(store.clone());
///
/// fn logout(store: &MemoryStore, token: &VerifiedToken) -> Result<(), MemoryStoreFull> {
///     // The layer lets no token in that has no id.
///     match Revocation::of_token(&TokenIdentity::from(token)) {
///         Some(revocation) => store.revoke(&revocation),
///         None => Ok(()),
///     }
/// }
/// ```
#[derive(Clone)]
pub struct MemoryStore(Arc<Inner>);

struct Inner {
    set: RevocationSet,
    sessions: Mutex<SessionTable>,
    most_sessions: usize,
    clock: Arc<dyn Clock>,
}

impl MemoryStore {
    /// 1 million, which take a few hundred bytes each.
    pub const DEFAULT_MOST_SESSIONS: usize = 1_000_000;

    /// At a write, so many sessions that have expired are dropped: more than come in.
    const PRUNED_AT_ONCE: usize = 16;

    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::with(RevocationSet::new(), SystemClock)
    }

    /// An empty store that reads the time from `clock`, as the layer and the sessions around it should too.
    #[must_use]
    pub fn with_clock(clock: impl Clock + Clone) -> Self {
        Self::with(RevocationSet::new().clock(clock.clone()), clock)
    }

    /// A store over a set of one's own: of another capacity, say.
    #[must_use]
    pub fn with(set: RevocationSet, clock: impl Clock) -> Self {
        Self(Arc::new(Inner {
            set,
            sessions: Mutex::default(),
            most_sessions: Self::DEFAULT_MOST_SESSIONS,
            clock: Arc::new(clock),
        }))
    }

    /// Revokes. Once it has returned, every look-up sees it. To revoke what is revoked changes nothing.
    ///
    /// This holds for sessions in this store too. A session that is revoked has ended. A block
    /// refuses logins and refreshes, and a generation ends the sessions before it.
    ///
    /// # Errors
    ///
    /// [`MemoryStoreFull`] if there is no room: then it is not revoked. What was revoked before stays so.
    pub fn revoke(&self, revocation: &Revocation<'_>) -> Result<(), MemoryStoreFull> {
        let mut sessions = self.sessions();
        match *revocation {
            Revocation::Session { issuer, sid, until } => {
                let sid = SessionId::parse(sid);
                let held = sid.and_then(|sid| sessions.find_of(sid, issuer)).cloned();
                let Some(session) = held else {
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
                let subject = Subject::new(issuer, subject);
                let before = sessions.subject(&subject);
                if generation <= before.generation {
                    return Ok(self.0.set.revoke(revocation)?);
                }
                let latest = sessions.latest_access(&subject).unwrap_or(until);
                self.revoke_before(&subject, generation, until.max(latest))?;
                sessions.set(&subject, SubjectState::new(generation, before.blocked));
            }
            Revocation::Block { issuer, subject } => {
                let subject = Subject::new(issuer, subject);
                let is_known = sessions.subject(&subject).generation > 0
                    || sessions.sessions_of(&subject).next().is_some();
                // The tokens of other issuers know no generation.
                self.block_in(&mut sessions, &subject, is_known)?;
            }
            _ => self.0.set.revoke(revocation)?,
        }
        Ok(())
    }

    /// Blocks a subject, and raises its generation if that is wanted and was not done by an earlier
    /// block.
    fn block_in(
        &self,
        sessions: &mut SessionTable,
        subject: &Subject<'_>,
        raises: bool,
    ) -> Result<(), MemoryStoreFull> {
        let mut state = sessions.subject(subject);
        self.0.set.revoke(&Revocation::Block {
            issuer: subject.issuer,
            subject: subject.name,
        })?;
        if raises && (!state.blocked || state.generation == 0) {
            self.end_last(sessions, subject, state)?;
            state.generation = state.generation.saturating_add(1);
        }
        state.blocked = true;
        sessions.set(subject, state);
        Ok(())
    }

    /// A revocation may have raised the generation as far as it goes. Then its sessions end one by
    /// one.
    fn end_last(
        &self,
        sessions: &mut SessionTable,
        subject: &Subject<'_>,
        state: SubjectState,
    ) -> Result<(), MemoryStoreFull> {
        if state.generation < u64::MAX {
            return Ok(());
        }
        let last: Vec<_> = sessions.sessions_of(subject).cloned().collect();
        for session in &last {
            self.revoke_session(session, session.access_expires_at)?;
        }
        for session in &last {
            sessions.end(session.sid);
        }
        Ok(())
    }

    /// Lifts the block of a subject of tokens that are not this crate's sessions: see
    /// [`RevocationSet::lift_block`]. Whether there was one.
    pub fn lift_block(&self, issuer: Option<&str>, subject: &str) -> bool {
        let mut sessions = self.sessions();
        let whose = Subject::new(issuer, subject);
        let mut state = sessions.subject(&whose);
        if state.blocked {
            state.blocked = false;
            sessions.set(&whose, state);
        }
        self.0.set.lift_block(issuer, subject)
    }

    /// Drops what has expired. Writes do so too, bit by bit.
    pub fn prune(&self) {
        self.0.set.prune();
        let now = self.long_ago();
        // Not all under one lock: others want to log in.
        while self.sessions().prune(now, Self::PRUNED_AT_ONCE) > 0 {}
    }

    /// What it holds of revocations.
    #[must_use]
    pub fn revocations(&self) -> RevocationSetState {
        self.0.set.state()
    }

    /// How many sessions it holds, with those that have expired and were not dropped yet.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions().len()
    }

    fn now(&self) -> NumericDate {
        NumericDate::precise(self.0.clock.now())
    }

    /// What expired by then is dead for every verifier, whatever its leeway: until then a logout everywhere must know of it.
    fn long_ago(&self) -> NumericDate {
        let now = self.now().since_epoch();
        let then = now.saturating_sub(RevocationSet::DEFAULT_LEEWAY);
        NumericDate::from_since_epoch(then).unwrap_or(NumericDate::MAX)
    }

    fn sessions(&self) -> MutexGuard<'_, SessionTable> {
        // Nothing here panics between two changes that belong together.
        self.0
            .sessions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Until `until`, or until all its access tokens are dead if that is later.
    fn revoke_session(&self, session: &Session, until: NumericDate) -> Result<(), MemoryStoreFull> {
        Ok(self.0.set.revoke(&Revocation::Session {
            issuer: session.issuer.as_deref(),
            sid: &session.sid.to_string(),
            until: until.max(session.access_expires_at),
        })?)
    }

    /// Before the sessions are looked at: a set that is full must leave all as it was.
    fn revoke_before(
        &self,
        subject: &Subject<'_>,
        generation: u64,
        until: NumericDate,
    ) -> Result<(), MemoryStoreFull> {
        Ok(self.0.set.revoke(&Revocation::Generation {
            issuer: subject.issuer,
            subject: subject.name,
            generation,
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
    type Error = MemoryStoreFull;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, MemoryStoreFull> {
        Ok(self.0.set.is_revoked(token))
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        Some(self.0.set.is_revoked(token))
    }
}

impl SessionStore for MemoryStore {
    async fn subject(&self, subject: &Subject<'_>) -> Result<SubjectState, MemoryStoreFull> {
        Ok(self.sessions().subject(subject))
    }

    async fn create(&self, session: &Session) -> Result<CreationOutcome, MemoryStoreFull> {
        let mut sessions = self.sessions();
        sessions.prune(self.long_ago(), Self::PRUNED_AT_ONCE);
        if sessions.len() >= self.0.most_sessions {
            return Err(MemoryStoreFull::Sessions);
        }
        Ok(sessions.create(session))
    }

    async fn find(&self, sid: SessionId) -> Result<Option<Session>, MemoryStoreFull> {
        Ok(self.sessions().find(sid).cloned())
    }

    async fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<RotationOutcome, MemoryStoreFull> {
        let mut sessions = self.sessions();
        let rotated = sessions.rotate(sid, rotation);
        match &rotated {
            RotationOutcome::Rotated(session)
            | RotationOutcome::WithinGrace(session)
            | RotationOutcome::LostWrites(session) => sessions.keep(session),
            RotationOutcome::ReuseDetected(session) => {
                self.revoke_session(session, session.access_expires_at)?;
                sessions.end(sid);
            }
            RotationOutcome::Rejected(_) => {}
        }
        Ok(rotated)
    }

    async fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> Result<Option<Session>, MemoryStoreFull> {
        let mut sessions = self.sessions();
        if let Some(session) = sessions.find_of(sid, issuer) {
            self.revoke_session(session, session.access_expires_at)?;
            return Ok(sessions.end(sid));
        }
        if sessions.find(sid).is_none() {
            let sid = sid.to_string();
            let mut token = TokenIdentity::new(NumericDate::MAX).sid(&sid);
            token.issuer = issuer;
            // A second logout must not lengthen what the first has revoked.
            if !self.0.set.is_revoked(&token) {
                self.0.set.revoke(&Revocation::Session {
                    issuer,
                    sid: &sid,
                    until: revoke_until,
                })?;
            }
        }
        Ok(None)
    }

    async fn raise_generation(&self, subject: &Subject<'_>) -> Result<u64, MemoryStoreFull> {
        let mut sessions = self.sessions();
        let mut state = sessions.subject(subject);
        self.end_last(&mut sessions, subject, state)?;
        state.generation = state.generation.saturating_add(1);
        // Beyond the sessions that are known: one may have been dropped by a clock that was ahead.
        let longest = self.now().later_by(MAX_ACCESS_LIFETIME);
        let until = sessions.latest_access(subject).unwrap_or(longest);
        self.revoke_before(subject, state.generation, until.max(longest))?;
        sessions.set(subject, state);
        Ok(state.generation)
    }

    async fn block(&self, subject: &Subject<'_>) -> Result<(), MemoryStoreFull> {
        self.block_in(&mut self.sessions(), subject, true)
    }

    async fn unblock(&self, subject: &Subject<'_>) -> Result<(), MemoryStoreFull> {
        let mut sessions = self.sessions();
        let mut state = sessions.subject(subject);
        if state.blocked {
            // The generation tells a login in this very second from what was issued before.
            self.0
                .set
                .lift_block_by_generation(subject.issuer, subject.name, state.generation)?;
            state.blocked = false;
            sessions.set(subject, state);
        } else {
            // The set that the store was made with may hold it.
            self.0.set.lift_block(subject.issuer, subject.name);
        }
        Ok(())
    }

    async fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, MemoryStoreFull> {
        let sessions = self.sessions();
        let live = sessions.sessions_of(subject);
        let live = live.filter(|session| !session.has_expired(now));
        Ok(live.cloned().collect())
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

/// There is no room for more. What is held stays as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum MemoryStoreFull {
    /// For revocations.
    Revocations(RevocationSetFull),
    /// For sessions.
    Sessions,
}

impl From<RevocationSetFull> for MemoryStoreFull {
    fn from(full: RevocationSetFull) -> Self {
        Self::Revocations(full)
    }
}

impl fmt::Display for MemoryStoreFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Revocations(_) => "there is no room for another revocation",
            Self::Sessions => "there is no room for another session",
        })
    }
}

impl Error for MemoryStoreFull {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Revocations(full) => Some(full),
            Self::Sessions => None,
        }
    }
}
