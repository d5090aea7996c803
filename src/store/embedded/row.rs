//! Rows as bytes: numbers big-endian, texts after their lengths, a version in front, a checksum
//! behind.

use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::error::EmbeddedStoreError;
use crate::claims::NumericDate;
use crate::session::{Session, SessionId, Subject, SubjectState};

/// The longest text that is kept, in bytes: no token that reaches a handler holds a longer one.
pub(super) const LONGEST: usize = 4096;

pub(super) const VERSION: u8 = 1;
const NO_TEXT: u16 = u16::MAX;

/// Which table a row belongs to, in its checksum. Never reuse a number.
#[derive(Clone, Copy)]
pub(super) enum Seal {
    Meta = 1,
    Session = 2,
    Subject = 3,
    Revocation = 4,
}

impl Seal {
    /// Guards against accidents, not against people who can write to the file. The key counts, so a
    /// row under another key is noticed.
    fn checksum(self, key: &[u8], row: &[u8]) -> [u8; 8] {
        let seed = xxh3_64_with_seed(key, self as u64);
        xxh3_64_with_seed(row, seed).to_be_bytes()
    }

    pub(super) fn put(self, key: &[u8], row: &mut Vec<u8>) {
        let checksum = self.checksum(key, row);
        row.extend_from_slice(&checksum);
    }

    /// The row without its checksum.
    pub(super) fn check<'a>(
        self,
        key: &[u8],
        bytes: &'a [u8],
    ) -> Result<&'a [u8], EmbeddedStoreError> {
        match bytes.split_last_chunk() {
            Some((row, checksum)) if self.checksum(key, row) == *checksum => Ok(row),
            _ => Err(EmbeddedStoreError::Corrupt),
        }
    }
}

/// A session, and the second for which the index by expiry has it.
pub(super) struct SessionRow {
    pub(super) session: Session,
    pub(super) indexed: u64,
}

/// A subject, and when the last access token of an older generation is dead. Without a generation:
/// when it was blocked last, as far as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SubjectRow {
    pub(super) state: SubjectState,
    pub(super) until: NumericDate,
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

impl SessionRow {
    pub(super) fn encode(&self) -> Result<Vec<u8>, EmbeddedStoreError> {
        let session = &self.session;
        let mut row = Vec::with_capacity(128);
        row.push(VERSION);
        row.extend_from_slice(&self.indexed.to_be_bytes());
        row.extend_from_slice(&session.generation.to_be_bytes());
        row.extend_from_slice(&session.counter.to_be_bytes());
        for date in [
            session.created_at,
            session.rotated_at,
            session.idle_expires_at,
            session.expires_at,
            session.access_expires_at,
        ] {
            put_date(&mut row, date);
        }
        put_text(&mut row, session.issuer.as_deref())?;
        put_text(&mut row, Some(&session.subject))?;
        put_text(&mut row, session.label.as_deref())?;
        Seal::Session.put(&session.sid.to_bytes(), &mut row);
        Ok(row)
    }

    pub(super) fn decode(sid: SessionId, row: &[u8]) -> Result<Self, EmbeddedStoreError> {
        let row = Seal::Session.check(&sid.to_bytes(), row)?;
        let read = |row: &mut Reader<'_>| {
            row.version()?;
            let indexed = row.number()?;
            let (generation, counter) = (row.number()?, row.number()?);
            let created_at = row.date()?;
            let mut session = Session::new(sid, &Subject::new(None, ""), generation, created_at);
            session.counter = counter;
            session.rotated_at = row.date()?;
            session.idle_expires_at = row.date()?;
            session.expires_at = row.date()?;
            session.access_expires_at = row.date()?;
            session.issuer = row.text()?.map(str::to_owned);
            session.subject = row.text()??.to_owned();
            session.label = row.text()?.map(str::to_owned);
            row.end()?;
            Some(Self { session, indexed })
        };
        read(&mut Reader(row)).ok_or(EmbeddedStoreError::Corrupt)
    }
}

impl SubjectRow {
    /// The time up to which tokens may have been issued that a standing block has killed. The clock
    /// may have stepped back since it began.
    pub(super) fn latest(&self, now: NumericDate) -> NumericDate {
        match self.state {
            SubjectState {
                generation: 0,
                blocked: true,
            } => now.max(self.until),
            _ => now,
        }
    }

    pub(super) fn encode(self, key: &[u8]) -> Vec<u8> {
        let mut row = vec![VERSION, u8::from(self.state.blocked)];
        row.extend_from_slice(&self.state.generation.to_be_bytes());
        put_date(&mut row, self.until);
        Seal::Subject.put(key, &mut row);
        row
    }

    pub(super) fn decode(key: &[u8], row: &[u8]) -> Result<Self, EmbeddedStoreError> {
        let row = Seal::Subject.check(key, row)?;
        let read = |row: &mut Reader<'_>| {
            row.version()?;
            let blocked = match row.byte()? {
                0 => false,
                1 => true,
                _ => return None,
            };
            let state = SubjectState::new(row.number()?, blocked);
            let until = row.date()?;
            row.end()?;
            Some(Self { state, until })
        };
        read(&mut Reader(row)).ok_or(EmbeddedStoreError::Corrupt)
    }
}

/// The key of a subject. None is the beginning of another.
pub(super) fn subject_key(subject: &Subject<'_>) -> Result<Vec<u8>, EmbeddedStoreError> {
    let mut key = Vec::with_capacity(64);
    put_text(&mut key, subject.issuer)?;
    put_text(&mut key, Some(subject.name))?;
    Ok(key)
}

/// The subject of a key.
pub(super) fn read_subject_key(key: &[u8]) -> Result<Subject<'_>, EmbeddedStoreError> {
    fn read<'a>(key: &mut Reader<'a>) -> Option<Subject<'a>> {
        let subject = Subject::new(key.text()?, key.text()??);
        key.end()?;
        Some(subject)
    }
    let mut key = Reader(key);
    read(&mut key).ok_or(EmbeddedStoreError::Corrupt)
}

pub(super) fn put_date(row: &mut Vec<u8>, date: NumericDate) {
    let since_epoch = date.since_epoch();
    row.extend_from_slice(&since_epoch.as_secs().to_be_bytes());
    row.extend_from_slice(&since_epoch.subsec_nanos().to_be_bytes());
}

pub(super) fn put_text(row: &mut Vec<u8>, text: Option<&str>) -> Result<(), EmbeddedStoreError> {
    let Some(text) = text else {
        row.extend_from_slice(&NO_TEXT.to_be_bytes());
        return Ok(());
    };
    let length = u16::try_from(text.len()).map_err(|_| EmbeddedStoreError::TooLong)?;
    if text.len() > LONGEST {
        return Err(EmbeddedStoreError::TooLong);
    }
    row.extend_from_slice(&length.to_be_bytes());
    row.extend_from_slice(text.as_bytes());
    Ok(())
}

/// Takes a row apart. `None`: the row is not what it should be.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn version(&mut self) -> Option<()> {
        (self.byte()? == VERSION).then_some(())
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*byte)
    }

    pub(super) fn number(&mut self) -> Option<u64> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*bytes))
    }

    pub(super) fn date(&mut self) -> Option<NumericDate> {
        let seconds = self.number()?;
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        let nanoseconds = u32::from_be_bytes(*bytes);
        if nanoseconds >= 1_000_000_000 {
            return None;
        }
        NumericDate::from_since_epoch(Duration::new(seconds, nanoseconds))
    }

    /// A text, or the word that there is none.
    #[expect(clippy::option_option, reason = "the outer one says that it was read")]
    pub(super) fn text(&mut self) -> Option<Option<&'a str>> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        let length = u16::from_be_bytes(*bytes);
        if length == NO_TEXT {
            self.0 = rest;
            return Some(None);
        }
        let (text, rest) = rest.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(Some(std::str::from_utf8(text).ok()?))
    }

    pub(super) fn end(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> SessionRow {
        let subject = Subject::new(Some("https://id.example.com"), "zoë");
        let mut session = Session::new(
            SessionId::from_bytes([9; 16]),
            &subject,
            3,
            NumericDate::MAX,
        );
        session.counter = u64::MAX;
        session.rotated_at =
            NumericDate::from_since_epoch(Duration::new(1_700_000_000, 999_999_999)).unwrap();
        session.access_expires_at = epoch();
        session.label = Some(String::new());
        SessionRow {
            session,
            indexed: 7,
        }
    }

    #[test]
    fn rows_are_read_as_they_were_written() {
        let mut row = row();
        for label in [Some(String::new()), None, Some("x".repeat(LONGEST))] {
            row.session.label = label;
            let bytes = row.encode().unwrap();
            let again = SessionRow::decode(row.session.sid, &bytes).unwrap();
            assert!(again.session == row.session);
            assert_eq!(again.indexed, row.indexed);
        }
        let subject = SubjectRow {
            state: SubjectState::new(u64::MAX, true),
            until: NumericDate::MAX,
        };
        let bytes = subject.encode(b"key");
        assert_eq!(SubjectRow::decode(b"key", &bytes).unwrap(), subject);
        assert!(SubjectRow::decode(b"kez", &bytes).is_err());
        let bytes = row.encode().unwrap();
        assert!(SessionRow::decode(SessionId::from_bytes([8; 16]), &bytes).is_err());
    }

    #[test]
    fn a_corrupt_row_is_an_error() {
        let row = row();
        let bytes = row.encode().unwrap();
        for end in 0..bytes.len() {
            assert!(SessionRow::decode(row.session.sid, &bytes[..end]).is_err());
        }
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(SessionRow::decode(row.session.sid, &longer).is_err());
        for index in 0..bytes.len() {
            for change in [1, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[index] ^= change;
                assert!(SessionRow::decode(row.session.sid, &changed).is_err());
                // Nor is it a panic if the checksum fits.
                changed.truncate(changed.len() - 8);
                Seal::Session.put(&row.session.sid.to_bytes(), &mut changed);
                let _ = SessionRow::decode(row.session.sid, &changed);
            }
        }
        let bytes = SubjectRow::default().encode(b"key");
        for end in 0..bytes.len() {
            assert!(SubjectRow::decode(b"key", &bytes[..end]).is_err());
        }
    }

    #[test]
    fn subjects_are_told_apart() {
        let subjects = [
            Subject::new(None, ""),
            Subject::new(None, "a"),
            Subject::new(None, "ab"),
            Subject::new(Some(""), "a"),
            Subject::new(Some("a"), ""),
            Subject::new(Some("a"), "b"),
            Subject::new(Some("ab"), ""),
        ];
        let keys: Vec<_> = subjects
            .iter()
            .map(|one| subject_key(one).unwrap())
            .collect();
        for (a, key) in keys.iter().enumerate() {
            assert!(read_subject_key(key).unwrap() == subjects[a]);
            for (b, other) in keys.iter().enumerate() {
                assert_eq!(a == b, other.starts_with(key), "{a} {b}");
            }
        }
        let long = "x".repeat(LONGEST + 1);
        assert!(subject_key(&Subject::new(None, &long)).is_err());
        let longer = "x".repeat(70_000);
        assert!(subject_key(&Subject::new(Some(&longer), "")).is_err());
    }
}
