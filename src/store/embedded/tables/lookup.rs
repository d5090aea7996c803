//! Look-ups for transactions that read and transactions that write.

use redb::ReadableTable;

use super::failure::Failure;
use crate::session::SessionId;
use crate::store::embedded::error::EmbeddedStoreError as Error;
use crate::store::embedded::row::session::SessionRow;
use crate::store::embedded::row::subject::SubjectRow;

pub(super) fn session(
    sessions: &impl ReadableTable<[u8; 16], &'static [u8]>,
    sid: SessionId,
) -> Result<Option<SessionRow>, Failure> {
    match sessions.get(sid.to_bytes())? {
        None => Ok(None),
        Some(value) => SessionRow::decode(sid, value.value())
            .map(Some)
            .map_err(Failure::Call),
    }
}

/// The row of a subject. The default, if the table does not have it.
pub(super) fn subject(
    subjects: &impl ReadableTable<&'static [u8], &'static [u8]>,
    key: &[u8],
) -> Result<SubjectRow, Failure> {
    match subjects.get(key)? {
        None => Ok(SubjectRow::default()),
        Some(value) => SubjectRow::decode(key, value.value()).map_err(Failure::Call),
    }
}

/// The sessions of the subject with that key.
pub(super) fn sessions_of(
    by_subject: &impl ReadableTable<&'static [u8], ()>,
    sessions: &impl ReadableTable<[u8; 16], &'static [u8]>,
    key: &[u8],
) -> Result<Vec<SessionRow>, Failure> {
    let first = by_subject_key(key, SessionId::from_bytes([0; 16]));
    let last = by_subject_key(key, SessionId::from_bytes([u8::MAX; 16]));
    let mut found = Vec::new();
    for entry in by_subject.range::<&[u8]>(&*first..=&*last)? {
        let key = entry?.0;
        let sid = key
            .value()
            .last_chunk()
            .ok_or(Failure::Call(Error::Corrupt))?;
        let session = session(sessions, SessionId::from_bytes(*sid))?;
        found.push(session.ok_or(Failure::Call(Error::Corrupt))?);
    }
    Ok(found)
}

pub(super) fn by_subject_key(subject: &[u8], sid: SessionId) -> Vec<u8> {
    [subject, &sid.to_bytes()].concat()
}
