//! The tables in a transaction that writes.

use std::time::Duration;

use redb::{Table, WriteTransaction};

use super::definitions::{
    METADATA, REVOCATIONS, SESSIONS, SESSIONS_BY_EXPIRY, SESSIONS_BY_SUBJECT, SUBJECTS,
};
use super::failure::Failure;
use super::lookup::{by_subject_key, session, sessions_of, subject};
use super::metadata::{COMMITS, HORIZON, number, put_number};
use crate::claims::NumericDate;
use crate::session::{Session, SessionId};
use crate::store::embedded::change::Change;
use crate::store::embedded::error::EmbeddedStoreError as Error;
use crate::store::embedded::row::revocation::encode_revocation;
use crate::store::embedded::row::session::SessionRow;
use crate::store::embedded::row::subject::{SubjectRow, subject_key};

/// All tables, and what the transaction has done so far.
pub(in crate::store::embedded) struct Tables<'t> {
    pub(super) metadata: Table<'t, &'static str, &'static [u8]>,
    pub(super) sessions: Table<'t, [u8; 16], &'static [u8]>,
    pub(super) by_expiry: Table<'t, [u8; 24], ()>,
    by_subject: Table<'t, &'static [u8], ()>,
    subjects: Table<'t, &'static [u8], &'static [u8]>,
    pub(super) revocations: Table<'t, &'static [u8], &'static [u8]>,
    /// What to apply to the revocation index once the transaction is committed.
    pub(in crate::store::embedded) changes: Vec<Change>,
    /// How many more changes the revocation index has room for.
    pub(super) free_entries: usize,
    longest_lifetime: Duration,
    pub(in crate::store::embedded) is_modified: bool,
    /// Set when the file failed. Then the transaction must not be committed.
    pub(in crate::store::embedded) file_error: Option<Error>,
}

impl<'t> Tables<'t> {
    pub(in crate::store::embedded) fn open(
        transaction: &'t WriteTransaction,
        free_entries: usize,
        longest_lifetime: Duration,
    ) -> Result<Self, Error> {
        Ok(Self {
            metadata: transaction.open_table(METADATA)?,
            sessions: transaction.open_table(SESSIONS)?,
            by_expiry: transaction.open_table(SESSIONS_BY_EXPIRY)?,
            by_subject: transaction.open_table(SESSIONS_BY_SUBJECT)?,
            subjects: transaction.open_table(SUBJECTS)?,
            revocations: transaction.open_table(REVOCATIONS)?,
            changes: Vec::new(),
            free_entries,
            longest_lifetime,
            is_modified: false,
            file_error: None,
        })
    }

    pub(in crate::store::embedded) fn horizon(&self) -> Result<u64, Error> {
        number(&self.metadata, HORIZON)
    }

    /// Counts this commit and returns its number.
    pub(in crate::store::embedded) fn count_commit(&mut self) -> Result<u64, Error> {
        let before = number(&self.metadata, COMMITS)?;
        let commit = before.wrapping_add(1);
        put_number(&mut self.metadata, COMMITS, commit)?;
        Ok(commit)
    }

    pub(super) fn session(&self, sid: SessionId) -> Result<Option<SessionRow>, Failure> {
        session(&self.sessions, sid)
    }

    pub(super) fn subject(&self, key: &[u8]) -> Result<SubjectRow, Failure> {
        subject(&self.subjects, key)
    }

    pub(super) fn sessions_of(&self, key: &[u8]) -> Result<Vec<SessionRow>, Failure> {
        sessions_of(&self.by_subject, &self.sessions, key)
    }

    pub(super) fn insert_session(
        &mut self,
        subject_key: &[u8],
        session: &SessionRow,
        value: &[u8],
    ) -> Result<(), Failure> {
        let sid = session.session.sid;
        self.is_modified = true;
        self.sessions.insert(sid.to_bytes(), value)?;
        self.by_expiry.insert(by_expiry_key(session), ())?;
        self.by_subject
            .insert(&*by_subject_key(subject_key, sid), ())?;
        Ok(())
    }

    pub(super) fn remove_session(&mut self, session: &SessionRow) -> Result<(), Failure> {
        let key = subject_key(&session.session.owner()).map_err(Failure::Call)?;
        let sid = session.session.sid;
        self.is_modified = true;
        self.sessions.remove(sid.to_bytes())?;
        self.by_expiry.remove(by_expiry_key(session))?;
        self.by_subject.remove(&*by_subject_key(&key, sid))?;
        Ok(())
    }

    pub(super) fn insert_subject(
        &mut self,
        key: &[u8],
        subject: SubjectRow,
    ) -> Result<(), Failure> {
        self.is_modified = true;
        self.subjects.insert(key, &*subject.encode(key))?;
        Ok(())
    }

    /// Inserts a revocation that expires.
    pub(super) fn insert_revocation(&mut self, change: Change) -> Result<(), Failure> {
        let Some((key, value)) = encode_revocation(&change).map_err(Failure::Call)? else {
            return Err(Failure::Call(Error::Corrupt));
        };
        self.reserve(1)?;
        self.is_modified = true;
        self.revocations.insert(&*key, &*value)?;
        self.changes.push(change);
        Ok(())
    }

    /// Reserves entries of the revocation index.
    pub(super) fn reserve(&mut self, entries: usize) -> Result<(), Failure> {
        let free = self.free_entries.checked_sub(entries);
        self.free_entries = free.ok_or(Failure::Call(Error::SetFull))?;
        Ok(())
    }

    /// When the last token issued until `issued_at` expires.
    ///
    /// The expiry of the sessions is not enough: the store may have dropped one while the clock was
    /// ahead.
    pub(super) fn latest_expiry(&self, issued_at: NumericDate) -> NumericDate {
        issued_at.later_by(self.longest_lifetime)
    }
}

/// The second in which a session and its access tokens have expired, without leeway.
pub(super) fn expiry_second(session: &Session) -> u64 {
    let end = session.idle_expires_at.min(session.expires_at);
    end.max(session.access_expires_at).seconds_up()
}

pub(super) fn by_expiry_key(session: &SessionRow) -> [u8; 24] {
    let mut key = first_by_expiry_key(session.indexed_expiry);
    if let Some(tail) = key.last_chunk_mut() {
        *tail = session.session.sid.to_bytes();
    }
    key
}

/// The lowest key of a second.
pub(super) fn first_by_expiry_key(second: u64) -> [u8; 24] {
    let mut key = [0; 24];
    if let Some(head) = key.first_chunk_mut() {
        *head = second.to_be_bytes();
    }
    key
}
