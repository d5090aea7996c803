//! The sessions of a store in memory.

use super::error::MemoryStoreError;
use super::store::MemoryStore;
use crate::claims::NumericDate;
use crate::revocation::{Revocation, TokenIdentity};
use crate::session::{
    CreationOutcome, Rotation, RotationOutcome, Session, SessionId, SessionLimit, SessionStore,
    Subject, SubjectState, UpdateOutcome,
};

impl SessionStore for MemoryStore {
    async fn subject(&self, subject: &Subject<'_>) -> Result<SubjectState, MemoryStoreError> {
        Ok(self.sessions().subject(subject))
    }

    async fn create(
        &self,
        session: &Session,
        limit: Option<SessionLimit>,
    ) -> Result<CreationOutcome, MemoryStoreError> {
        let mut sessions = self.sessions();
        sessions.prune(self.latest_safe_expiry(), Self::PRUNED_AT_ONCE);
        let owner = session.owner();
        let state = sessions.subject(&owner);
        let outcome = session.create(state, limit, sessions.sessions_of(&owner));
        if let CreationOutcome::Created(excess) = &outcome {
            if sessions.len().saturating_sub(excess.len()) >= self.0.most_sessions {
                return Err(MemoryStoreError::Sessions);
            }
            // One by one: if the set is full, a session must not live on with a revoked `sid`.
            for sid in excess {
                if let Some(ended) = sessions.find(*sid) {
                    self.revoke_session(ended, ended.access_expires_at)?;
                    sessions.end(*sid);
                }
            }
            sessions.insert(session);
        }
        Ok(outcome)
    }

    async fn find(&self, sid: SessionId) -> Result<Option<Session>, MemoryStoreError> {
        Ok(self.sessions().find(sid).cloned())
    }

    async fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<RotationOutcome, MemoryStoreError> {
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
            RotationOutcome::Outdated | RotationOutcome::Rejected(_) => {}
        }
        Ok(rotated)
    }

    async fn update(
        &self,
        sid: SessionId,
        data_version: u64,
        data_json: Option<&str>,
    ) -> Result<UpdateOutcome, MemoryStoreError> {
        Ok(self.sessions().update(sid, data_version, data_json))
    }

    async fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> Result<Option<Session>, MemoryStoreError> {
        let mut sessions = self.sessions();
        if let Some(session) = sessions.find_of(sid, issuer) {
            self.revoke_session(session, session.access_expires_at)?;
            return Ok(sessions.end(sid));
        }
        if sessions.find(sid).is_none() {
            let sid = sid.to_string();
            let mut token = TokenIdentity::new(NumericDate::MAX).sid(&sid);
            token.issuer = issuer;
            // A second logout must not extend the revocation of the first.
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

    async fn end_others(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
    ) -> Result<Option<Session>, MemoryStoreError> {
        let mut sessions = self.sessions();
        let Some(session) = sessions.find_of(sid, issuer).cloned() else {
            return Ok(None);
        };
        let subject = session.owner();
        let state = sessions.subject(&subject).logged_out();
        self.raise_to(&mut sessions, &subject, state, Some(sid))?;
        Ok(sessions.find(sid).cloned())
    }

    async fn raise_generation(&self, subject: &Subject<'_>) -> Result<u64, MemoryStoreError> {
        let mut sessions = self.sessions();
        let state = sessions.subject(subject).logged_out();
        self.raise_to(&mut sessions, subject, state, None)
    }

    async fn raise_access_epoch(&self, subject: &Subject<'_>) -> Result<u64, MemoryStoreError> {
        let mut sessions = self.sessions();
        let state = sessions.subject(subject).access_tokens_invalidated();
        self.raise_to(&mut sessions, subject, state, None)
    }

    async fn block(&self, subject: &Subject<'_>) -> Result<(), MemoryStoreError> {
        self.block_in(&mut self.sessions(), subject, true)
    }

    async fn unblock(&self, subject: &Subject<'_>) -> Result<(), MemoryStoreError> {
        let mut sessions = self.sessions();
        let mut state = sessions.subject(subject);
        if state.blocked {
            // The access epoch distinguishes a login in this second from older tokens.
            self.0.set.lift_block_by_generation(
                subject.issuer,
                subject.name,
                state.access_epoch,
            )?;
            state.blocked = false;
            sessions.set(subject, state);
        } else {
            // The set passed to `with` may contain a block of this subject.
            self.0.set.lift_block(subject.issuer, subject.name);
        }
        Ok(())
    }

    async fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, MemoryStoreError> {
        let sessions = self.sessions();
        let live = sessions.sessions_of(subject);
        let live = live.filter(|session| !session.has_expired(now));
        Ok(live.cloned().collect())
    }
}
