//! Refresh token rotation: the rules for stores. Redis applies them in `rotate_session.lua`.

use std::fmt;
use std::time::Duration;

use super::record::{Session, SubjectState};
use crate::claims::NumericDate;

/// A request to rotate the refresh token of a session.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rotation {
    /// The counter of the refresh token that was presented.
    pub counter: u64,
    /// [`SubjectState::access_epoch`], read before the claims were computed.
    pub access_epoch: u64,
    /// [`Session::data_version`], read before the claims were computed.
    pub data_version: u64,
    /// The time of the request.
    pub now: NumericDate,
    /// How long after a rotation the previous refresh token is still valid.
    pub grace: Duration,
    /// When the session expires unless it is refreshed again.
    pub idle_expires_at: NumericDate,
    /// `exp` of the access token that is issued with the rotation.
    pub access_expires_at: NumericDate,
    /// The new [`Session::acr`] of an elevation. `None` for a refresh. An elevation presents no
    /// refresh token: its `counter` is the one that was read before the claims were computed.
    pub elevation: Option<String>,
}

/// The outcome of [`SessionStore::rotate`](super::SessionStore::rotate). Holds the session as it is
/// after the call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationOutcome {
    /// The current refresh token was presented. The next one is now current.
    Rotated(Session),
    /// The previous refresh token was presented within the grace. The current one stays current
    /// and is issued again.
    WithinGrace(Session),
    /// The refresh token is newer than the store's record: the store has lost a refresh. The token
    /// after the presented one is now current.
    LostWrites(Session),
    /// A refresh token was presented that is no longer valid. It may have been stolen, or the
    /// client retried too late. The session has ended with its access tokens.
    ReuseDetected(Session),
    /// The access tokens of the subject were invalidated, or the data of the session changed,
    /// after the claims were computed. Or, for an elevation, the session was refreshed meanwhile.
    /// Read the session and compute the claims again. Nothing has changed.
    Outdated,
    /// The session cannot be refreshed. Nothing has changed.
    Rejected(RotationRejection),
}

/// Why a session cannot be refreshed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RotationRejection {
    /// The session has ended or does not exist.
    Ended,
    /// The session was idle for too long, or has reached its maximum lifetime.
    Expired,
    /// The subject is blocked.
    Blocked,
    /// The subject was logged out everywhere.
    LoggedOut,
    /// The refresh token is the previous one, within the grace, and the session was elevated since.
    /// A copy of that token must not inherit the elevation.
    Elevated,
}

/// Shows no claim.
impl fmt::Debug for Rotation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rotation")
            .field("counter", &self.counter)
            .field("data_version", &self.data_version)
            .field("grace", &self.grace)
            .finish_non_exhaustive()
    }
}

impl Rotation {
    /// A request at `now`, with access epoch 0, data version 0 and no grace. After this rotation
    /// the session expires at `now`, unless you set `idle_expires_at`.
    #[must_use]
    pub fn new(counter: u64, now: NumericDate) -> Self {
        Self {
            counter,
            access_epoch: 0,
            data_version: 0,
            now,
            grace: Duration::ZERO,
            idle_expires_at: now,
            access_expires_at: now,
            elevation: None,
        }
    }
}

impl Session {
    /// Applies `rotation` to this session, by the rules of
    /// [`SessionStore::rotate`](super::SessionStore::rotate).
    ///
    /// A store calls this within its atomic step and then saves the session. If the outcome is
    /// [`RotationOutcome::ReuseDetected`], it ends the session instead.
    pub fn rotate(&mut self, rotation: &Rotation, subject: SubjectState) -> RotationOutcome {
        if self.has_expired(rotation.now) {
            return RotationOutcome::Rejected(RotationRejection::Expired);
        }
        if subject.blocked {
            return RotationOutcome::Rejected(RotationRejection::Blocked);
        }
        if subject.generation != self.generation {
            return RotationOutcome::Rejected(RotationRejection::LoggedOut);
        }
        let is_old = rotation.counter < self.counter;
        if rotation.elevation.is_some() {
            if rotation.counter != self.counter {
                return RotationOutcome::Outdated;
            }
        } else if is_old {
            if !self.is_within_grace(rotation) {
                return RotationOutcome::ReuseDetected(self.clone());
            }
            if self.was_elevated {
                return RotationOutcome::Rejected(RotationRejection::Elevated);
            }
        }
        if rotation.access_epoch != subject.access_epoch
            || rotation.data_version != self.data_version
        {
            return RotationOutcome::Outdated;
        }
        if is_old {
            return self.repeat_rotation(rotation);
        }
        let is_ahead = rotation.counter > self.counter;
        let Some(next) = rotation.counter.checked_add(1) else {
            return RotationOutcome::Rejected(RotationRejection::Expired);
        };
        self.counter = next;
        self.access_epoch = rotation.access_epoch;
        self.rotated_at = rotation.now;
        self.idle_expires_at = rotation.idle_expires_at.min(self.expires_at);
        self.access_expires_at = self.access_expires_at.max(rotation.access_expires_at);
        self.was_elevated = rotation.elevation.is_some();
        if self.was_elevated {
            self.acr.clone_from(&rotation.elevation);
            self.authenticated_at = rotation.now;
        }
        if is_ahead {
            RotationOutcome::LostWrites(self.clone())
        } else {
            RotationOutcome::Rotated(self.clone())
        }
    }

    fn is_within_grace(&self, rotation: &Rotation) -> bool {
        // `abs_diff`: if the clock has stepped back, the age of the rotation is unknown.
        let now = rotation.now.since_epoch();
        let age = now.abs_diff(self.rotated_at.since_epoch());
        self.counter.checked_sub(1) == Some(rotation.counter) && age < rotation.grace
    }

    fn repeat_rotation(&mut self, rotation: &Rotation) -> RotationOutcome {
        // A clock that stepped back must not lengthen the grace.
        self.rotated_at = self.rotated_at.min(rotation.now);
        self.access_epoch = rotation.access_epoch;
        self.access_expires_at = self.access_expires_at.max(rotation.access_expires_at);
        RotationOutcome::WithinGrace(self.clone())
    }
}
