//! Calls that change a subject and all its sessions.

use super::failure::Failure;
use super::write::Tables;
use crate::claims::NumericDate;
use crate::session::{Session, SessionId, Subject, SubjectState};
use crate::store::embedded::change::{Change, QualifiedName};
use crate::store::embedded::row::subject::{SubjectRow, subject_key};

impl Tables<'_> {
    pub(in crate::store::embedded) fn raise_generation(
        &mut self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<u64, Failure> {
        self.change_now(subject, SubjectState::logged_out, now, None)
    }

    /// Ends all sessions of a subject except `sid`, and returns that one.
    pub(in crate::store::embedded) fn end_others(
        &mut self,
        sid: SessionId,
        issuer: Option<&str>,
        now: NumericDate,
    ) -> Result<Option<Session>, Failure> {
        let kept = self.session(sid)?.map(|row| row.session);
        let Some(kept) = kept.filter(|session| session.issuer.as_deref() == issuer) else {
            return Ok(None);
        };
        self.change_now(&kept.owner(), SubjectState::logged_out, now, Some(sid))?;
        Ok(self.session(sid)?.map(|row| row.session))
    }

    pub(in crate::store::embedded) fn raise_access_epoch(
        &mut self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<u64, Failure> {
        self.change_now(subject, SubjectState::access_tokens_invalidated, now, None)
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
        let mut state = before.state.logged_out();
        state.blocked = true;
        self.raise_now(subject, &key, before, state, now, None)?;
        Ok(())
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
        let generation = row.state.access_epoch;
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

    /// Changes the state of a subject as [`raise_now`](Self::raise_now) does.
    fn change_now(
        &mut self,
        subject: &Subject<'_>,
        change: fn(SubjectState) -> SubjectState,
        now: NumericDate,
        kept: Option<SessionId>,
    ) -> Result<u64, Failure> {
        let key = subject_key(subject).map_err(Failure::Call)?;
        let before = self.subject(&key)?;
        let state = change(before.state);
        self.raise_now(subject, &key, before, state, now, kept)
    }

    /// Replaces the state of a subject by one that revokes what was issued until `now`. Returns the
    /// access epoch.
    fn raise_now(
        &mut self,
        subject: &Subject<'_>,
        key: &[u8],
        before: SubjectRow,
        state: SubjectState,
        now: NumericDate,
        kept: Option<SessionId>,
    ) -> Result<u64, Failure> {
        let until = self.latest_expiry(before.latest_issue(now));
        self.raise_to(subject, key, before, state, until, kept)?;
        Ok(state.access_epoch)
    }

    /// Replaces the state of a subject, and removes its sessions of other generations, except
    /// `kept`.
    ///
    /// Tokens of lower access epochs are revoked until `until`, or longer if they live longer.
    pub(super) fn raise_to(
        &mut self,
        subject: &Subject<'_>,
        key: &[u8],
        before: SubjectRow,
        state: SubjectState,
        until: NumericDate,
        kept: Option<SessionId>,
    ) -> Result<(), Failure> {
        let sessions = self.sessions_of(key)?;
        let block = state.blocked && !before.state.blocked;
        self.reserve(if block { 2 } else { 1 })?;
        let expiries = sessions.iter().map(|row| row.session.access_expires_at);
        let until = expiries.fold(before.until.max(until), NumericDate::max);
        for mut row in sessions {
            if kept == Some(row.session.sid) {
                row.session.survive_logout(state);
                self.replace_session(&row)?;
            } else if row.session.generation != state.generation {
                self.remove_session(&row)?;
            }
        }
        self.insert_subject(key, SubjectRow { state, until })?;
        let name = QualifiedName::of(subject);
        // The order matters: see `Revocation::Block`.
        if block {
            let name = name.clone();
            self.changes.push(Change::Block { name });
        }
        self.changes.push(Change::Generation {
            name,
            generation: state.access_epoch,
            until,
        });
        Ok(())
    }
}
