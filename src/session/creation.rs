//! Creating a session: the rules for stores. Redis applies them in `create_session.lua`.

use super::record::{Session, SubjectState};
use super::session_id::SessionId;

/// How many sessions a subject may have, and what happens at a login beyond that limit: see
/// [`Sessions::max_sessions`](super::Sessions::max_sessions).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SessionLimit {
    /// The login ends the sessions that were refreshed least recently.
    EndOldest(u16),
    /// The login is rejected.
    RejectLogin(u16),
}

impl SessionLimit {
    /// The highest limit: 1,000, because a login with a limit reads all sessions of the subject.
    pub const MAX: u16 = 1_000;

    /// How many sessions a subject may have.
    #[must_use]
    pub fn max_sessions(self) -> u16 {
        let (Self::EndOldest(max) | Self::RejectLogin(max)) = self;
        max
    }
}

/// The outcome of [`SessionStore::create`](super::SessionStore::create).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CreationOutcome {
    /// The session was saved. Holds the IDs of the sessions that the limit ended, the least
    /// recently refreshed first.
    Created(Vec<SessionId>),
    /// The subject has as many sessions as the limit allows. Nothing was saved.
    LimitReached,
    /// The subject is blocked. Nothing was saved.
    Blocked,
    /// The subject was logged out everywhere after the login began. Nothing was saved.
    LoggedOut,
    /// The access tokens of the subject were invalidated after the claims were computed. Compute
    /// them again. Nothing was saved.
    Outdated,
}

impl Session {
    /// The outcome of creating this session, by the rules of
    /// [`SessionStore::create`](super::SessionStore::create). `others` are the sessions of the
    /// subject. They are not read if there is no limit.
    ///
    /// A store calls this within its atomic step. If the outcome is
    /// [`CreationOutcome::Created`], it ends the sessions named there and saves this one.
    ///
    /// All other sessions count towards the limit, except impersonations and sessions that had
    /// expired when this one began. The sessions that were refreshed least recently are ended
    /// first, rather than the oldest ones: a device in use stays logged in.
    #[must_use]
    pub fn create<'a>(
        &self,
        subject: SubjectState,
        limit: Option<SessionLimit>,
        others: impl IntoIterator<Item = &'a Self>,
    ) -> CreationOutcome {
        if subject.blocked {
            return CreationOutcome::Blocked;
        }
        if subject.generation != self.generation {
            return CreationOutcome::LoggedOut;
        }
        if subject.access_epoch != self.access_epoch {
            return CreationOutcome::Outdated;
        }
        let excess = limit.map_or_else(Vec::new, |limit| self.excess(limit, others));
        match limit {
            Some(SessionLimit::RejectLogin(_)) if !excess.is_empty() => {
                CreationOutcome::LimitReached
            }
            _ => CreationOutcome::Created(excess),
        }
    }

    /// The sessions that are too many beside this one, the least recently refreshed first.
    fn excess<'a>(
        &self,
        limit: SessionLimit,
        others: impl IntoIterator<Item = &'a Self>,
    ) -> Vec<SessionId> {
        let mut others: Vec<_> = others
            .into_iter()
            .filter(|other| other.sid != self.sid && other.actor.is_none())
            .filter(|other| !other.has_expired(self.created_at))
            .map(|other| (other.rotated_at, other.sid))
            .collect();
        others.sort_unstable();
        let most = usize::from(limit.max_sessions()).saturating_sub(1);
        others.truncate(others.len().saturating_sub(most));
        others.into_iter().map(|(_, sid)| sid).collect()
    }
}
