//! Calls that change a subject and all its sessions.

use super::failure::Failure;
use super::write::Tables;
use crate::claims::NumericDate;
use crate::session::{Subject, SubjectState};
use crate::store::embedded::change::{Change, QualifiedName};
use crate::store::embedded::error::EmbeddedStoreError as Error;
use crate::store::embedded::row::subject::{SubjectRow, subject_key};

impl Tables<'_> {
    pub(in crate::store::embedded) fn raise_generation(
        &mut self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<u64, Failure> {
        let key = subject_key(subject).map_err(Failure::Call)?;
        let before = self.subject(&key)?;
        self.end_last_generation(&key, &before)?;
        let generation = before.state.generation.saturating_add(1);
        let until = self.latest_expiry(before.latest_issue(now));
        self.set_generation(subject, &key, before, generation, until, false)?;
        Ok(generation)
    }

    pub(in crate::store::embedded) fn block(
        &mut self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<(), Failure> {
        let key = subject_key(subject).map_err(Failure::Call)?;
        let before = self.subject(&key)?;
        // A subject that a revocation blocked may have no generation yet.
        if before.state.blocked && before.state.generation > 0 {
            return Ok(());
        }
        self.end_last_generation(&key, &before)?;
        let generation = before.state.generation.saturating_add(1);
        let until = self.latest_expiry(before.latest_issue(now));
        self.set_generation(subject, &key, before, generation, until, true)
    }

    /// Lifts a block. Tokens issued until now stay revoked for the longest lifetime of a token: by
    /// the generation, or by a cutoff if the subject has no generation.
    pub(in crate::store::embedded) fn unblock(
        &mut self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<(), Failure> {
        let key = subject_key(subject).map_err(Failure::Call)?;
        let mut row = self.subject(&key)?;
        if !row.state.blocked {
            return Ok(());
        }
        let name = QualifiedName::of(subject);
        let generation = row.state.generation;
        self.reserve(1)?;
        let at = row.latest_issue(now);
        let until = self.latest_expiry(at);
        if generation == 0 {
            let name = name.clone();
            self.insert_revocation(Change::Cutoff { name, at, until })?;
        } else {
            // Tokens without a generation may have been issued during the block.
            row.until = row.until.max(until);
        }
        row.state.blocked = false;
        self.insert_subject(&key, row)?;
        self.changes.push(Change::Unblock { name, generation });
        Ok(())
    }

    /// Ends the sessions one by one if the generation is already the highest number. A revocation
    /// may have raised it so far.
    fn end_last_generation(&mut self, key: &[u8], before: &SubjectRow) -> Result<(), Failure> {
        if before.state.generation < u64::MAX {
            return Ok(());
        }
        let sessions = self.sessions_of(key)?;
        // All or nothing, with the block and the generation.
        if self.free_entries < sessions.len().saturating_add(2) {
            return Err(Failure::Call(Error::SetFull));
        }
        for session in &sessions {
            self.end_session(session, session.session.access_expires_at)?;
        }
        Ok(())
    }

    /// Sets the generation of a subject, removes its sessions of other generations, and blocks it
    /// if `block`.
    pub(super) fn set_generation(
        &mut self,
        subject: &Subject<'_>,
        key: &[u8],
        before: SubjectRow,
        generation: u64,
        until: NumericDate,
        block: bool,
    ) -> Result<(), Failure> {
        let mut sessions = self.sessions_of(key)?;
        sessions.retain(|row| row.session.generation != generation);
        self.reserve(if block { 2 } else { 1 })?;
        let expiries = sessions.iter().map(|row| row.session.access_expires_at);
        let until = expiries.fold(before.until.max(until), NumericDate::max);
        for session in &sessions {
            self.remove_session(session)?;
        }
        let state = SubjectState::new(generation, block || before.state.blocked);
        self.insert_subject(key, SubjectRow { state, until })?;
        let name = QualifiedName::of(subject);
        // The order matters: see `Revocation::Block`.
        if block {
            let name = name.clone();
            self.changes.push(Change::Block { name });
        }
        self.changes.push(Change::Generation {
            name,
            generation,
            until,
        });
        Ok(())
    }
}
