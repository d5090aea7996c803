//! The key and the row of a subject.

use super::encoding::{Reader, TableId, VERSION, put_date, put_text};
use crate::claims::NumericDate;
use crate::session::{Subject, SubjectState};
use crate::store::embedded::error::EmbeddedStoreError as Error;

/// The state of a subject, and a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::embedded) struct SubjectRow {
    pub(in crate::store::embedded) state: SubjectState,
    /// When the last access token of a lower access epoch has expired. With access epoch 0: when
    /// the subject was last blocked, or 1970.
    pub(in crate::store::embedded) until: NumericDate,
}

impl Default for SubjectRow {
    fn default() -> Self {
        Self {
            state: SubjectState::default(),
            until: epoch(),
        }
    }
}

pub(super) fn epoch() -> NumericDate {
    NumericDate::from_seconds(0).unwrap_or(NumericDate::MAX)
}

impl SubjectRow {
    /// The latest possible `iat` of a token that a block in force rejects. The clock may have
    /// stepped back since the block began.
    pub(in crate::store::embedded) fn latest_issue(&self, now: NumericDate) -> NumericDate {
        match self.state {
            SubjectState {
                access_epoch: 0,
                blocked: true,
                ..
            } => now.max(self.until),
            _ => now,
        }
    }

    pub(in crate::store::embedded) fn encode(self, key: &[u8]) -> Vec<u8> {
        let mut value = vec![VERSION, u8::from(self.state.blocked)];
        value.extend_from_slice(&self.state.generation.to_be_bytes());
        value.extend_from_slice(&self.state.access_epoch.to_be_bytes());
        put_date(&mut value, self.until);
        TableId::Subject.append_checksum(key, &mut value);
        value
    }

    pub(in crate::store::embedded) fn decode(key: &[u8], value: &[u8]) -> Result<Self, Error> {
        let value = TableId::Subject.verify_checksum(key, value)?;
        let read = |reader: &mut Reader<'_>| {
            reader.version()?;
            let blocked = match reader.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            let mut state = SubjectState::new(reader.number()?, blocked);
            state.access_epoch = reader.number()?;
            let until = reader.date()?;
            reader.end()?;
            Some(Self { state, until })
        };
        read(&mut Reader(value)).ok_or(Error::Corrupt)
    }
}

/// Encodes the key of a subject. No key is a prefix of another.
pub(in crate::store::embedded) fn subject_key(subject: &Subject<'_>) -> Result<Vec<u8>, Error> {
    let mut key = Vec::with_capacity(64);
    put_text(&mut key, subject.issuer)?;
    put_text(&mut key, Some(subject.name))?;
    Ok(key)
}

/// Decodes the key of a subject.
pub(in crate::store::embedded) fn read_subject_key(key: &[u8]) -> Result<Subject<'_>, Error> {
    fn read<'a>(key: &mut Reader<'a>) -> Option<Subject<'a>> {
        let subject = Subject::new(key.text()?, key.text()??);
        key.end()?;
        Some(subject)
    }
    let mut key = Reader(key);
    read(&mut key).ok_or(Error::Corrupt)
}
