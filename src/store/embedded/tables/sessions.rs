//! Calls that change one session.

use super::failure::Failure;
use super::write::{Tables, expiry_second};
use crate::claims::NumericDate;
use crate::session::{
    CreationOutcome, Rotation, RotationOutcome, RotationRejection, Session, SessionId,
    SessionLimit, UpdateOutcome,
};
use crate::store::embedded::change::{Change, QualifiedName};
use crate::store::embedded::error::EmbeddedStoreError as Error;
use crate::store::embedded::index::RevocationIndex;
use crate::store::embedded::row::session::SessionRow;
use crate::store::embedded::row::subject::{SubjectRow, subject_key};

impl Tables<'_> {
    pub(in crate::store::embedded) fn create(
        &mut self,
        session: &Session,
        limit: Option<SessionLimit>,
    ) -> Result<CreationOutcome, Failure> {
        let key = subject_key(&session.owner()).map_err(Failure::Call)?;
        let row = SessionRow {
            indexed_expiry: expiry_second(session),
            session: session.clone(),
        };
        let value = row.encode().map_err(Failure::Call)?;
        let SubjectRow { state, .. } = self.subject(&key)?;
        let others = match limit {
            Some(_) => self.sessions_of(&key)?,
            None => Vec::new(),
        };
        let outcome = session.create(state, limit, others.iter().map(|row| &row.session));
        let CreationOutcome::Created(excess) = &outcome else {
            return Ok(outcome);
        };
        // All or nothing.
        if self.free_entries < excess.len() {
            return Err(Failure::Call(Error::SetFull));
        }
        for ended in others
            .iter()
            .filter(|row| excess.contains(&row.session.sid))
        {
            self.end_session(ended, ended.session.access_expires_at)?;
        }
        // Only a caller's mistake uses the ID of another session.
        if let Some(before) = self.session(session.sid)? {
            self.remove_session(&before)?;
        }
        self.insert_session(&key, &row, &value)?;
        Ok(outcome)
    }

    pub(in crate::store::embedded) fn rotate(
        &mut self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<RotationOutcome, Failure> {
        let Some(mut row) = self.session(sid)? else {
            return Ok(RotationOutcome::Rejected(RotationRejection::Ended));
        };
        let key = subject_key(&row.session.owner()).map_err(Failure::Call)?;
        let SubjectRow { state, .. } = self.subject(&key)?;
        let before = row.session.clone();
        let outcome = row.session.rotate(rotation, state);
        match outcome {
            RotationOutcome::ReuseDetected(_) => {
                self.end_session(&row, row.session.access_expires_at)?;
            }
            RotationOutcome::Rotated(_)
            | RotationOutcome::WithinGrace(_)
            | RotationOutcome::LostWrites(_) => {
                if row.session != before {
                    self.replace_session(&row)?;
                }
            }
            RotationOutcome::Outdated | RotationOutcome::Rejected(_) => {}
        }
        Ok(outcome)
    }

    pub(in crate::store::embedded) fn update(
        &mut self,
        sid: SessionId,
        data_version: u64,
        data_json: Option<&str>,
    ) -> Result<UpdateOutcome, Failure> {
        let Some(mut row) = self.session(sid)? else {
            return Ok(UpdateOutcome::Ended);
        };
        let outcome = row.session.update_data(data_version, data_json);
        if outcome == UpdateOutcome::Updated {
            self.replace_session(&row)?;
        }
        Ok(outcome)
    }

    pub(super) fn replace_session(&mut self, row: &SessionRow) -> Result<(), Failure> {
        let value = row.encode().map_err(Failure::Call)?;
        self.is_modified = true;
        self.sessions.insert(row.session.sid.to_bytes(), &*value)?;
        Ok(())
    }

    /// `index` has the revocations of earlier commits.
    pub(in crate::store::embedded) fn end(
        &mut self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
        index: &RevocationIndex,
    ) -> Result<Option<Session>, Failure> {
        match self.session(sid)? {
            Some(row) if row.session.issuer.as_deref() == issuer => {
                self.end_session(&row, row.session.access_expires_at)?;
                Ok(Some(row.session))
            }
            Some(_) => Ok(None),
            None => {
                let ended = QualifiedName::new(issuer, &sid.to_string());
                let is_same = |change: &Change| match change {
                    Change::Session { name, .. } => *name == ended,
                    _ => false,
                };
                // A second logout must not extend the revocation of the first.
                if !index.is_session_revoked(&ended) && !self.changes.iter().any(is_same) {
                    self.insert_revocation(Change::Session {
                        name: ended,
                        until: revoke_until,
                    })?;
                }
                Ok(None)
            }
        }
    }

    /// Removes a session. Revokes it until `until`, or until its last access token expires if that
    /// is later.
    pub(super) fn end_session(
        &mut self,
        row: &SessionRow,
        until: NumericDate,
    ) -> Result<(), Failure> {
        let session = &row.session;
        self.insert_revocation(Change::Session {
            name: QualifiedName::new(session.issuer.as_deref(), &session.sid.to_string()),
            until: until.max(session.access_expires_at),
        })?;
        self.remove_session(row)
    }
}
