//! The tables in a transaction that reads.

use redb::{ReadOnlyTable, ReadableTable, ReadableTableMetadata, StorageBackend};

use super::definitions::{METADATA, REVOCATIONS, SESSIONS, SESSIONS_BY_SUBJECT, SUBJECTS};
use super::failure::Failure;
use super::lookup::{session, sessions_of, subject};
use super::metadata::{COMMITS, HORIZON, number};
use crate::claims::NumericDate;
use crate::revocation::Revocation;
use crate::session::{Session, SessionId, Subject, SubjectState};
use crate::store::embedded::backend::Backend;
use crate::store::embedded::database::OpenDatabase;
use crate::store::embedded::error::EmbeddedStoreError as Error;
use crate::store::embedded::row::revocation::decode_revocation;
use crate::store::embedded::row::subject::{SubjectRow, read_subject_key, subject_key};

/// The contents of the file after the last commit.
pub(in crate::store::embedded) struct Snapshot {
    backend: Backend,
    metadata: ReadOnlyTable<&'static str, &'static [u8]>,
    sessions: ReadOnlyTable<[u8; 16], &'static [u8]>,
    by_subject: ReadOnlyTable<&'static [u8], ()>,
    subjects: ReadOnlyTable<&'static [u8], &'static [u8]>,
    revocations: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Snapshot {
    pub(in crate::store::embedded) fn open(open: &OpenDatabase) -> Result<Self, Error> {
        let transaction = open.database.begin_read()?;
        Ok(Self {
            backend: open.backend.clone(),
            metadata: transaction.open_table(METADATA)?,
            sessions: transaction.open_table(SESSIONS)?,
            by_subject: transaction.open_table(SESSIONS_BY_SUBJECT)?,
            subjects: transaction.open_table(SUBJECTS)?,
            revocations: transaction.open_table(REVOCATIONS)?,
        })
    }

    /// Revocations that expire in this second or earlier may have been dropped.
    pub(in crate::store::embedded) fn horizon(&self) -> Result<u64, Error> {
        number(&self.metadata, HORIZON)
    }

    pub(in crate::store::embedded) fn commits(&self) -> Result<u64, Error> {
        number(&self.metadata, COMMITS)
    }

    pub(in crate::store::embedded) fn file_bytes(&self) -> Result<u64, Error> {
        Ok(self.backend.len()?)
    }

    pub(in crate::store::embedded) fn session_count(&self) -> Result<u64, Error> {
        Ok(self.sessions.len()?)
    }

    pub(in crate::store::embedded) fn find(
        &self,
        sid: SessionId,
    ) -> Result<Option<Session>, Failure> {
        Ok(session(&self.sessions, sid)?.map(|row| row.session))
    }

    pub(in crate::store::embedded) fn subject(
        &self,
        of: &Subject<'_>,
    ) -> Result<SubjectState, Failure> {
        let key = subject_key(of).map_err(Failure::Call)?;
        Ok(subject(&self.subjects, &key)?.state)
    }

    pub(in crate::store::embedded) fn list(
        &self,
        of: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, Failure> {
        let key = subject_key(of).map_err(Failure::Call)?;
        let rows = sessions_of(&self.by_subject, &self.sessions, &key)?;
        let sessions = rows.into_iter().map(|row| row.session);
        Ok(sessions
            .filter(|session| !session.has_expired(now))
            .collect())
    }

    /// Visits everything that the revocation index must have.
    pub(in crate::store::embedded) fn visit_revocations(
        &self,
        mut visit: impl FnMut(&Revocation<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        for entry in self.subjects.iter()? {
            let (key, value) = entry?;
            let Subject { issuer, name, .. } = read_subject_key(key.value())?;
            let SubjectRow { state, until } = SubjectRow::decode(key.value(), value.value())?;
            if state.blocked {
                visit(&Revocation::Block {
                    issuer,
                    subject: name,
                })?;
            }
            if state.access_epoch > 0 {
                visit(&Revocation::Generation {
                    issuer,
                    subject: name,
                    generation: state.access_epoch,
                    until,
                })?;
            }
        }
        for entry in self.revocations.iter()? {
            let (key, value) = entry?;
            visit(&decode_revocation(key.value(), value.value())?)?;
        }
        Ok(())
    }
}
