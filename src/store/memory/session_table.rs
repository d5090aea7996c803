//! The sessions and subjects of [`MemoryStore`](super::MemoryStore).

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::claims::NumericDate;
use crate::session::{
    Rotation, RotationOutcome, RotationRejection, Session, SessionId, Subject, SubjectState,
    UpdateOutcome,
};

/// Sessions by ID, by subject and by expiry. The caller holds a lock.
#[derive(Default)]
pub(super) struct SessionTable {
    sessions: HashMap<SessionId, Session>,
    by_expiry: BTreeSet<(NumericDate, SessionId)>,
    subjects: HashMap<QualifiedName, Entry>,
}

type QualifiedName = (Option<Box<str>>, Box<str>);

#[derive(Default)]
struct Entry {
    state: SubjectState,
    sessions: HashSet<SessionId>,
}

impl SessionTable {
    pub(super) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(super) fn subject(&self, subject: &Subject<'_>) -> SubjectState {
        self.subjects
            .get(&qualified_name(subject))
            .map_or_else(SubjectState::default, |entry| entry.state)
    }

    pub(super) fn insert(&mut self, session: &Session) {
        // A caller's mistake may have used the ID before.
        self.end(session.sid);
        let owner = qualified_name(&session.owner());
        let entry = self.subjects.entry(owner).or_default();
        entry.sessions.insert(session.sid);
        self.by_expiry.insert((expiry(session), session.sid));
        self.sessions.insert(session.sid, session.clone());
    }

    pub(super) fn find(&self, sid: SessionId) -> Option<&Session> {
        self.sessions.get(&sid)
    }

    /// The session, if it belongs to this issuer.
    pub(super) fn find_of(&self, sid: SessionId, issuer: Option<&str>) -> Option<&Session> {
        self.find(sid)
            .filter(|session| session.issuer.as_deref() == issuer)
    }

    /// The outcome of a rotation. It takes effect with [`keep`](Self::keep) or [`end`](Self::end).
    pub(super) fn rotate(&self, sid: SessionId, rotation: &Rotation) -> RotationOutcome {
        let Some(session) = self.sessions.get(&sid) else {
            return RotationOutcome::Rejected(RotationRejection::Ended);
        };
        let state = self.subject(&session.owner());
        session.clone().rotate(rotation, state)
    }

    pub(super) fn update(
        &mut self,
        sid: SessionId,
        data_version: u64,
        data_json: Option<&str>,
    ) -> UpdateOutcome {
        match self.sessions.get_mut(&sid) {
            None => UpdateOutcome::Ended,
            Some(session) => session.update_data(data_version, data_json),
        }
    }

    /// Replaces a session.
    pub(super) fn keep(&mut self, session: &Session) {
        if let Some(before) = self.sessions.insert(session.sid, session.clone()) {
            self.by_expiry.remove(&(expiry(&before), before.sid));
        }
        self.by_expiry.insert((expiry(session), session.sid));
    }

    pub(super) fn end(&mut self, sid: SessionId) -> Option<Session> {
        let session = self.sessions.remove(&sid)?;
        self.by_expiry.remove(&(expiry(&session), sid));
        let owner = qualified_name(&session.owner());
        if let Some(entry) = self.subjects.get_mut(&owner) {
            entry.sessions.remove(&sid);
            if entry.sessions.is_empty() && entry.state == SubjectState::default() {
                self.subjects.remove(&owner);
            }
        }
        Some(session)
    }

    /// The latest `exp` of the access tokens of a subject.
    pub(super) fn latest_access(&self, subject: &Subject<'_>) -> Option<NumericDate> {
        self.sessions_of(subject)
            .map(|session| session.access_expires_at)
            .max()
    }

    /// Sets the state of a subject. Its sessions of other generations end.
    pub(super) fn set(&mut self, subject: &Subject<'_>, state: SubjectState) {
        let stale: Vec<_> = self
            .sessions_of(subject)
            .filter(|session| session.generation != state.generation)
            .map(|session| session.sid)
            .collect();
        for sid in stale {
            self.end(sid);
        }
        let owner = qualified_name(subject);
        let entry = self.subjects.entry(owner.clone()).or_default();
        entry.state = state;
        if entry.sessions.is_empty() && state == SubjectState::default() {
            self.subjects.remove(&owner);
        }
    }

    pub(super) fn sessions_of(&self, subject: &Subject<'_>) -> impl Iterator<Item = &Session> {
        self.subjects
            .get(&qualified_name(subject))
            .into_iter()
            .flat_map(|entry| &entry.sessions)
            .filter_map(|sid| self.sessions.get(sid))
    }

    /// Drops up to `most` sessions that have expired.
    pub(super) fn prune(&mut self, now: NumericDate, most: usize) -> usize {
        let expired: Vec<_> = self
            .by_expiry
            .iter()
            .take_while(|(expiry, _)| *expiry <= now)
            .take(most)
            .map(|(_, sid)| *sid)
            .collect();
        for sid in &expired {
            self.end(*sid);
        }
        expired.len()
    }
}

fn qualified_name(subject: &Subject<'_>) -> QualifiedName {
    (subject.issuer.map(Box::from), subject.name.into())
}

/// When all tokens of the session have expired. An access token may outlive an idle session by the
/// grace.
fn expiry(session: &Session) -> NumericDate {
    let end = session.idle_expires_at.min(session.expires_at);
    end.max(session.access_expires_at)
}
