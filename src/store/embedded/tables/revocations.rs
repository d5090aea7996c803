//! Applies a revocation, also to the sessions and subjects of the store.

use super::failure::Failure;
use super::write::Tables;
use crate::claims::NumericDate;
use crate::session::{MAX_GENERATION, SessionId, Subject, SubjectState};
use crate::store::embedded::change::{Change, QualifiedName};
use crate::store::embedded::error::EmbeddedStoreError as Error;
use crate::store::embedded::row::subject::{SubjectRow, subject_key};

impl Tables<'_> {
    pub(in crate::store::embedded) fn revoke(
        &mut self,
        revocation: Change,
        now: NumericDate,
    ) -> Result<(), Failure> {
        match revocation {
            Change::Generation {
                name,
                generation,
                until,
            } => self.revoke_generation(&name.subject(), generation, until, now),
            Change::Block { name } => self.revoke_by_block(name, now),
            Change::Session { name, until } => self.revoke_session(name, until),
            Change::Token { .. } | Change::Cutoff { .. } | Change::Unblock { .. } => {
                self.insert_revocation(revocation)
            }
        }
    }

    fn revoke_session(&mut self, name: QualifiedName, until: NumericDate) -> Result<(), Failure> {
        let session = match SessionId::parse(&name.name) {
            Some(sid) => self.session(sid)?,
            None => None,
        };
        match session.filter(|row| row.session.issuer == name.issuer) {
            Some(row) => self.end_session(&row, until),
            None => self.insert_revocation(Change::Session { name, until }),
        }
    }

    fn revoke_generation(
        &mut self,
        subject: &Subject<'_>,
        generation: u64,
        until: NumericDate,
        now: NumericDate,
    ) -> Result<(), Failure> {
        if generation > MAX_GENERATION {
            return Err(Failure::Call(Error::OutOfRange));
        }
        let key = subject_key(subject).map_err(Failure::Call)?;
        let before = self.subject(&key)?;
        let raised = before.state.raised_to(generation);
        // No token has a generation below 0.
        if generation == 0 || raised.is_none() && before.until >= until {
            return Ok(());
        }
        // The higher generation and the later end apply.
        let state = raised.unwrap_or(before.state);
        let until = match before.state.blocked {
            true => self.latest_expiry(before.latest_issue(now)).max(until),
            false => until,
        };
        self.raise_to(subject, &key, before, state, until, None)
    }

    fn revoke_by_block(&mut self, name: QualifiedName, now: NumericDate) -> Result<(), Failure> {
        let subject = name.subject();
        let key = subject_key(&subject).map_err(Failure::Call)?;
        let before = self.subject(&key)?;
        if before.state.access_epoch > 0 || !self.sessions_of(&key)?.is_empty() {
            return self.block(&subject, now);
        }
        if before.state.blocked {
            return Ok(());
        }
        // A subject of another issuer: its tokens have no generation to raise.
        self.reserve(1)?;
        let state = SubjectState::new(0, true);
        let until = before.until.max(now);
        self.insert_subject(&key, SubjectRow { state, until })?;
        self.changes.push(Change::Block { name });
        Ok(())
    }
}
