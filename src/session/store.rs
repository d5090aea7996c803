//! The trait that a session store implements.

use std::sync::Arc;
use std::time::Duration;

use super::creation::{CreationOutcome, SessionLimit};
use super::data::UpdateOutcome;
use super::record::{Session, Subject, SubjectState};
use super::rotation::{Rotation, RotationOutcome};
use super::session_id::SessionId;
use crate::claims::NumericDate;
use crate::revocation::RevocationStore;

/// The longest lifetime of an access token that [`Sessions`](super::Sessions) allows: a day. A
/// store may rely on it.
pub const MAX_ACCESS_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// The highest generation that a store accepts in
/// [`Revocation::Generation`](crate::revocation::Revocation::Generation): 2^52.
///
/// Each logout everywhere must raise the generation. A generation that could not be raised any
/// more would make logouts everywhere impossible. The scripts of Redis count exactly up to 2^53, so
/// 2^52 more logouts fit above this limit.
pub const MAX_GENERATION: u64 = 1 << 52;

/// Stores sessions, and the generations and blocks of subjects.
///
/// Implement it to keep sessions in a database of your own. The store holds no secret: refresh
/// tokens are authenticated before it is called. It is a [`RevocationStore`] too, so ending a
/// session revokes its access tokens in the same step.
///
/// An implementation must fulfil this contract:
///
/// - Each method is atomic: of any two calls, one sees every effect of the other. Document what an
///   acknowledged change survives, such as a crash, and keep that promise.
/// - A method that fails has changed nothing, or has made its change completely.
/// - [`create`](SessionStore::create) and [`rotate`](SessionStore::rotate) check the subject's
///   block, generation and access epoch in the same step in which they write. `create` also applies
///   the limit there, and `rotate` checks the session's expiry and data version.
/// - [`end`](SessionStore::end), the limit of `create`,
///   [reuse detection](RotationOutcome::ReuseDetected),
///   [`raise_generation`](SessionStore::raise_generation) and [`block`](SessionStore::block) revoke
///   the access tokens of the sessions they end. Once they return,
///   [`is_revoked`](RevocationStore::is_revoked) answers `true` for those tokens, at least until
///   [`Session::access_expires_at`].
/// - Once [`raise_access_epoch`](SessionStore::raise_access_epoch) has returned,
///   [`is_revoked`](RevocationStore::is_revoked) answers `true` for all access tokens of lower
///   epochs. It does so at least until [`Session::access_expires_at`], as for tokens of ended
///   sessions. The claim `generation` of a token is its epoch.
/// - If the store lets callers choose a generation, as by
///   [`Revocation::Generation`](crate::revocation::Revocation::Generation), it rejects one above
///   [`MAX_GENERATION`].
/// - A session that was revoked through another method of the store cannot be rotated either.
/// - An expired session may be deleted 5 minutes after [`Session::access_expires_at`]. By then
///   every verifier rejects its access tokens: 5 minutes is the largest leeway. Until then, a
///   logout everywhere must revoke this session's tokens too.
/// - A block, a raised generation and a raised access epoch are never deleted.
///
/// With feature `testing`, `testing::session_store_contract` checks a store against this contract.
pub trait SessionStore: RevocationStore {
    /// The state of a subject. An unknown subject is not blocked and has generation 0 and access
    /// epoch 0.
    fn subject(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<SubjectState, Self::Error>> + Send;

    /// Saves a new session, unless its subject is blocked, or has another generation or access
    /// epoch than the session. [`Session::create`] has the rules.
    ///
    /// If the new session would exceed `limit`, [`SessionLimit`] decides: this ends other sessions
    /// as [`end`](SessionStore::end) does, or saves nothing.
    fn create(
        &self,
        session: &Session,
        limit: Option<SessionLimit>,
    ) -> impl Future<Output = Result<CreationOutcome, Self::Error>> + Send;

    /// Finds a session that has not ended. It may have expired: the caller checks that.
    fn find(
        &self,
        sid: SessionId,
    ) -> impl Future<Output = Result<Option<Session>, Self::Error>> + Send;

    /// Rotates the refresh token of a session. [`Session::rotate`] has the rules.
    fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> impl Future<Output = Result<RotationOutcome, Self::Error>> + Send;

    /// Replaces the data of a session if their version is `data_version`. Raises the version by
    /// one.
    fn update(
        &self,
        sid: SessionId,
        data_version: u64,
        data_json: Option<&str>,
    ) -> impl Future<Output = Result<UpdateOutcome, Self::Error>> + Send;

    /// Ends a session of `issuer` and returns it. Ending it again changes nothing.
    ///
    /// If the store has no session `sid`, the session may have been lost. The store then revokes
    /// every token of `issuer` with this `sid` until `revoke_until`, unless the `sid` is revoked
    /// already. A session of another issuer is not changed.
    ///
    /// Call this only with a `sid` from a verified token: each unknown `sid` may add an entry to
    /// the store.
    fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> impl Future<Output = Result<Option<Session>, Self::Error>> + Send;

    /// Ends the other sessions of the subject of session `sid`, and returns that session. `None` if
    /// it has ended, does not exist or belongs to another issuer: then nothing changes.
    ///
    /// It does what [`raise_generation`](SessionStore::raise_generation) does, but this session
    /// gets the new generation and access epoch.
    fn end_others(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
    ) -> impl Future<Output = Result<Option<Session>, Self::Error>> + Send;

    /// Raises the subject's access epoch by one, sets the generation to the same value, and returns
    /// it. This ends all sessions of the subject: see [`SubjectState::logged_out`].
    fn raise_generation(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send;

    /// Raises the subject's access epoch by one and returns it. Its sessions continue: see
    /// [`SubjectState::access_tokens_invalidated`].
    fn raise_access_epoch(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send;

    /// Blocks a subject and raises its generation, so lifting the block does not revive sessions.
    /// Blocking it again changes nothing.
    fn block(&self, subject: &Subject<'_>) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Lifts a block.
    fn unblock(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// Lists the sessions of a subject that have not ended or expired at `now`, in any order.
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
        limit: Option<SessionLimit>,
    ) -> impl Future<Output = Result<CreationOutcome, Self::Error>> + Send {
        (**self).create(session, limit)
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
    ) -> impl Future<Output = Result<RotationOutcome, Self::Error>> + Send {
        (**self).rotate(sid, rotation)
    }

    fn update(
        &self,
        sid: SessionId,
        data_version: u64,
        data_json: Option<&str>,
    ) -> impl Future<Output = Result<UpdateOutcome, Self::Error>> + Send {
        (**self).update(sid, data_version, data_json)
    }

    fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> impl Future<Output = Result<Option<Session>, Self::Error>> + Send {
        (**self).end(sid, issuer, revoke_until)
    }

    fn end_others(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
    ) -> impl Future<Output = Result<Option<Session>, Self::Error>> + Send {
        (**self).end_others(sid, issuer)
    }

    fn raise_generation(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        (**self).raise_generation(subject)
    }

    fn raise_access_epoch(
        &self,
        subject: &Subject<'_>,
    ) -> impl Future<Output = Result<u64, Self::Error>> + Send {
        (**self).raise_access_epoch(subject)
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
