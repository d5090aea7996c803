//! Rows are read as they were written, and damaged rows are errors.

use std::time::Duration;

use super::encoding::{MAX_TEXT_BYTES, TableId};
use super::session::SessionRow;
use super::subject::{SubjectRow, epoch, read_subject_key, subject_key};
use crate::claims::NumericDate;
use crate::session::{Session, SessionId, Subject, SubjectState};

fn session_row() -> SessionRow {
    let subject = Subject::new(Some("https://id.example.com"), "zoë");
    let mut session = Session::new(
        SessionId::from_bytes([9; 16]),
        &subject,
        3,
        NumericDate::MAX,
    );
    session.counter = u64::MAX;
    session.access_epoch = 5;
    session.data_version = 6;
    session.data_json = Some("x".repeat(MAX_TEXT_BYTES));
    session.client_id = Some("app".to_owned());
    session.key_thumbprint = Some("thumbprint".to_owned());
    session.access_is_bound = true;
    session.acr = Some("mfa".to_owned());
    session.actor = Some("support".to_owned());
    session.actor_generation = 8;
    session.was_elevated = true;
    session.persistent = false;
    session.authenticated_at = epoch();
    session.rotated_at =
        NumericDate::from_since_epoch(Duration::new(1_700_000_000, 999_999_999)).unwrap();
    session.access_expires_at = epoch();
    session.label = Some(String::new());
    SessionRow {
        session,
        indexed_expiry: 7,
    }
}

#[test]
fn rows_are_read_as_they_were_written() {
    let mut row = session_row();
    for label in [Some(String::new()), None, Some("x".repeat(MAX_TEXT_BYTES))] {
        row.session.label = label;
        let bytes = row.encode().unwrap();
        let again = SessionRow::decode(row.session.sid, &bytes).unwrap();
        assert!(again.session == row.session);
        assert_eq!(again.indexed_expiry, row.indexed_expiry);
    }
    let mut state = SubjectState::new(3, true);
    state.access_epoch = u64::MAX;
    let subject = SubjectRow {
        state,
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
    let row = session_row();
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
            // With a valid checksum it is no panic either.
            changed.truncate(changed.len() - 8);
            TableId::Session.append_checksum(&row.session.sid.to_bytes(), &mut changed);
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
    let long = "x".repeat(MAX_TEXT_BYTES + 1);
    assert!(subject_key(&Subject::new(None, &long)).is_err());
    let longer = "x".repeat(70_000);
    assert!(subject_key(&Subject::new(Some(&longer), "")).is_err());
}
