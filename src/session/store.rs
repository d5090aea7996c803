//! Where sessions are kept.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::SessionId;
use crate::claims::NumericDate;
use crate::revocation::RevocationStore;

/// Keeps sessions, and what is known of subjects. It holds no secret: refresh tokens are authenticated before it is asked.
///
/// It is a [`RevocationStore`] too: what ends here must end the access tokens that are out, in one step.
///
/// The contract:
///
/// - Each method is atomic: of any two calls, one sees all that the other did. What a method acknowledged survives
///   whatever the store says it survives.
/// - A method that fails has changed nothing, or all of what it was to change.
/// - [`create`](SessionStore::create) and [`rotate`](SessionStore::rotate) look at the subject's block and generation, and
///   at the session's life, in the same step in which they write.
/// - Once [`end`](SessionStore::end), a [replay](Rotated::Replayed), [`raise_generation`](SessionStore::raise_generation) or
///   [`block`](SessionStore::block) has returned, [`is_revoked`](RevocationStore::is_revoked) answers `true` for every
///   access token of what was ended: until [`Session::access_expires_at`] at least.
/// - What the store offers to revoke by itself ends sessions too: a session that was revoked is
///   never renewed.
/// - A session that is dead by its own times may be dropped once its access tokens are dead for every verifier: 5 minutes,
///   the largest leeway, after [`Session::access_expires_at`]. Until then a logout everywhere must know of it. A block, and a
///   generation that was raised, may never be dropped.
///
/// The feature `testing` has a suite that holds a store to this.
pub trait SessionStore: RevocationStore {
    /// What is known of a subject. One that was never heard of is not blocked, and of generation 0.
    fn subject(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<SubjectState, Self::Error>> + Send;

    /// Keeps a new session, unless its subject is blocked, or is of another generation than the session.
    fn create(
        &self,
        session: &Session,
    ) -> impl Future<Output = Result<Created, Self::Error>> + Send;

    /// A session that was not ended. Whether it has expired is the caller's business.
    fn find(
        &self,
        sid: SessionId,
    ) -> impl Future<Output = Result<Option<Session>, Self::Error>> + Send;

    /// Renews a session for whoever presents its refresh token, as [`Rotation`] says.
    fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> impl Future<Output = Result<Rotated, Self::Error>> + Send;

    /// Ends a session of `issuer`, and returns it. Ending it again changes nothing.
    ///
    /// If the store has no session `sid`, it may have lost it. Then it revokes every token of
    /// `issuer` with this `sid` until `revoke_until`, unless the `sid` is revoked already. A
    /// session of another issuer is left alone.
    ///
    /// Call this only for a `sid` from a token that was verified: each other `sid` may cost the
    /// store an entry.
    fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> impl Future<Output = Result<Option<Session>, Self::Error>> + Send;

    /// Raises the subject's generation by one, which ends all sessions that it has, and says what it is now.
    fn raise_generation(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send;

    /// Blocks a subject, and raises its generation, so that lifting the block revives nothing. Blocking twice changes nothing.
    fn block(&self, subject: &Subject<'_>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Lifts a block.
    fn unblock(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// The sessions of a subject that were not ended and have not expired at `now`, in any order.
    fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> impl Future<Output = Result<Vec<Session>, Self::Error>> + Send;
}

impl<S: SessionStore> SessionStore for Arc<S> {
    fn subject(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<SubjectState, Self::Error>> + Send {
        (**self).subject(subject)
    }

    fn create(
        &self,
        session: &Session,
    ) -> impl Future<Output = Result<Created, Self::Error>> + Send {
        (**self).create(session)
    }

    fn find(
        &self,
        sid: SessionId,
    ) -> impl Future<Output = Result<Option<Session>, Self::Error>> + Send {
        (**self).find(sid)
    }

    fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> impl Future<Output = Result<Rotated, Self::Error>> + Send {
        (**self).rotate(sid, rotation)
    }

    fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> impl Future<Output = Result<Option<Session>, Self::Error>> + Send {
        (**self).end(sid, issuer, revoke_until)
    }

    fn raise_generation(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        (**self).raise_generation(subject)
    }

    fn block(&self, subject: &Subject<'_>) -> impl Future<Output = Result<(), Self::Error>> + Send {
        (**self).block(subject)
    }

    fn unblock(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send {
        (**self).unblock(subject)
    }

    fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> impl Future<Output = Result<Vec<Session>, Self::Error>> + Send {
        (**self).list(subject, now)
    }
}

/// Who logs in: a subject of an issuer.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Subject<'a> {
    /// `iss` of the tokens.
    pub issuer: Option<&'a str>,
    /// `sub` of the tokens.
    pub name: &'a str,
}

impl<'a> Subject<'a> {
    /// The subject `name` of tokens without `iss`, or with this one.
    #[must_use]
    pub fn new(issuer: Option<&'a str>, name: &'a str) -> Self {
        Self { issuer, name }
    }
}

/// What is known of a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SubjectState {
    /// How often it was logged out everywhere.
    pub generation: u64,
    /// Whether it gets no tokens.
    pub blocked: bool,
}

impl SubjectState {
    /// A subject that was logged out everywhere so often, and may be blocked.
    #[must_use]
    pub fn new(generation: u64, blocked: bool) -> Self {
        Self {
            generation,
            blocked,
        }
    }
}

/// A session, as a store keeps it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Session {
    /// `sid` of its access tokens.
    pub sid: SessionId,
    /// `iss` of its access tokens.
    pub issuer: Option<String>,
    /// `sub` of its access tokens.
    pub subject: String,
    /// The generation of the subject at login.
    pub generation: u64,
    /// How often it was renewed: the one refresh token that counts says the same.
    pub counter: u64,
    /// What the session is called in lists: a device, a browser.
    pub label: Option<String>,
    /// When it began.
    pub created_at: NumericDate,
    /// When it was last renewed, or began.
    pub rotated_at: NumericDate,
    /// When it ends unless it is renewed before.
    pub idle_expires_at: NumericDate,
    /// When it ends in any case.
    pub expires_at: NumericDate,
    /// The latest `exp` of the access tokens handed out for it.
    pub access_expires_at: NumericDate,
}

impl Session {
    /// A session that begins at `now`, ends with it, and has no label.
    #[must_use]
    pub fn new(sid: SessionId, subject: &Subject<'_>, generation: u64, now: NumericDate) -> Self {
        Self {
            sid,
            issuer: subject.issuer.map(str::to_owned),
            subject: subject.name.to_owned(),
            generation,
            counter: 0,
            label: None,
            created_at: now,
            rotated_at: now,
            idle_expires_at: now,
            expires_at: now,
            access_expires_at: now,
        }
    }

    /// Whose session it is.
    #[must_use]
    pub fn whose(&self) -> Subject<'_> {
        Subject::new(self.issuer.as_deref(), &self.subject)
    }

    /// Whether it has expired: by being idle, or by its age.
    #[must_use]
    pub fn has_expired(&self, now: NumericDate) -> bool {
        now >= self.idle_expires_at || now >= self.expires_at
    }

    /// What `rotation` makes of this session: the rules of [`SessionStore::rotate`], for a store to apply in its one step. It
    /// then keeps the session as it is now, or ends it where the answer is [`Rotated::Replayed`].
    pub fn rotate(&mut self, rotation: &Rotation, subject: SubjectState) -> Rotated {
        if self.has_expired(rotation.now) {
            return Rotated::Refused(Refusal::Expired);
        }
        if subject.blocked {
            return Rotated::Refused(Refusal::Blocked);
        }
        if subject.generation != self.generation {
            return Rotated::Refused(Refusal::LoggedOut);
        }
        let previous = self.counter.checked_sub(1);
        if rotation.counter < self.counter {
            // Once a clock has stepped back, nobody knows how long ago the renewal was.
            let now = rotation.now.since_epoch();
            let age = now.abs_diff(self.rotated_at.since_epoch());
            if previous != Some(rotation.counter) || age >= rotation.grace {
                return Rotated::Replayed(self.clone());
            }
            // A clock that stepped back must not lengthen the grace.
            self.rotated_at = self.rotated_at.min(rotation.now);
            self.access_expires_at = self.access_expires_at.max(rotation.access_expires_at);
            return Rotated::Repeated(self.clone());
        }
        let ahead = rotation.counter > self.counter;
        let Some(next) = rotation.counter.checked_add(1) else {
            return Rotated::Refused(Refusal::Expired);
        };
        self.counter = next;
        self.rotated_at = rotation.now;
        self.idle_expires_at = rotation.idle_expires_at.min(self.expires_at);
        self.access_expires_at = self.access_expires_at.max(rotation.access_expires_at);
        if ahead {
            Rotated::Recovered(self.clone())
        } else {
            Rotated::Renewed(self.clone())
        }
    }
}

/// Shows no claim.
impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("generation", &self.generation)
            .field("counter", &self.counter)
            .finish_non_exhaustive()
    }
}

/// Shows no claim.
impl fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subject").finish_non_exhaustive()
    }
}

/// A wish to renew a session.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// What the refresh token says.
    pub counter: u64,
    /// The time of it all.
    pub now: NumericDate,
    /// For how long after a renewal the token before it still counts.
    pub grace: Duration,
    /// When the session ends unless it is renewed again.
    pub idle_expires_at: NumericDate,
    /// `exp` of the access token that goes with it.
    pub access_expires_at: NumericDate,
}

impl Rotation {
    /// A wish at `now` that extends nothing and grants no grace.
    #[must_use]
    pub fn new(counter: u64, now: NumericDate) -> Self {
        Self {
            counter,
            now,
            grace: Duration::ZERO,
            idle_expires_at: now,
            access_expires_at: now,
        }
    }
}

/// What became of a wish to create a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Created {
    /// The session is kept.
    Kept,
    /// It is not, since the subject is blocked.
    Blocked,
    /// It is not, since the subject was logged out everywhere after this login began.
    LoggedOut,
}

/// What became of a wish to renew a session. Holds the session as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Rotated {
    /// The token was the current one: the next counts from now on.
    Renewed(Session),
    /// The token was the one before, within the grace: the current one counts on, for whoever asks.
    Repeated(Session),
    /// The token was ahead: the store has lost writes. The one after it counts from now on.
    Recovered(Session),
    /// The token was an old one: two people have had it. The session has ended, with its access tokens.
    Replayed(Session),
    /// Nothing has changed.
    Refused(Refusal),
}

/// Why a session is not renewed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no such session, or it was ended.
    Ended,
    /// It has expired: by being idle, or by its age.
    Expired,
    /// Its subject is blocked.
    Blocked,
    /// Its subject was logged out everywhere.
    LoggedOut,
}
