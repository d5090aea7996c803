//! Damaged rows are reported by the calls that read them.

use redb::{Database, TableDefinition};

use super::fixture::{ALICE, TemporaryDirectory, at, end, open, rotation, session, sid, try_open};
use crate::session::{RotationOutcome, SessionStore, Subject, SubjectState};
use crate::store::embedded::EmbeddedStoreError;

/// Only the calls that read the row fail.
#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_row_is_an_error_and_no_panic() {
    const SESSIONS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("sessions");
    let directory = TemporaryDirectory::new();
    let store = open(&directory.file()).await;
    for number in 1..=2 {
        store.create(&session(number, 0), None).await.unwrap();
    }
    store.close().await;
    let database = Database::open(directory.file()).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction
        .open_table(SESSIONS)
        .unwrap()
        .insert(sid(1).to_bytes(), &b"\x01nonsense"[..])
        .unwrap();
    transaction.commit().unwrap();
    drop(database);
    let store = open(&directory.file()).await;
    for error in [
        store.find(sid(1)).await.err(),
        store.rotate(sid(1), &rotation(0)).await.err(),
        end(&store, sid(1)).await.err(),
        store.list(&ALICE, at(0)).await.err(),
        store.raise_generation(&ALICE).await.err(),
    ] {
        assert!(
            matches!(error, Some(EmbeddedStoreError::Corrupt)),
            "{error:?}"
        );
    }
    let rotated = store.rotate(sid(2), &rotation(0)).await.unwrap();
    assert!(matches!(rotated, RotationOutcome::Rotated(_)));
    assert_eq!(
        store.subject(&ALICE).await.unwrap(),
        SubjectState::default()
    );
}

/// A valid row under a key with one flipped bit.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_under_another_key_is_corrupt() {
    const SUBJECTS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("subjects");
    const REVOCATIONS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("revocations");
    for table in [SUBJECTS, REVOCATIONS] {
        let directory = TemporaryDirectory::new();
        let store = open(&directory.file()).await;
        store.block(&Subject::new(None, "mallory")).await.unwrap();
        store.create(&session(1, 0), None).await.unwrap();
        end(&store, sid(1)).await.unwrap();
        store.close().await;
        let database = Database::open(directory.file()).unwrap();
        let transaction = database.begin_write().unwrap();
        {
            let mut rows = transaction.open_table(table).unwrap();
            let (mut key, row) = {
                let (key, row) = rows.pop_first().unwrap().unwrap();
                (key.value().to_vec(), row.value().to_vec())
            };
            *key.last_mut().unwrap() ^= 1;
            rows.insert(&*key, &*row).unwrap();
        }
        transaction.commit().unwrap();
        drop(database);
        let error = try_open(&directory.file()).await.unwrap_err();
        assert!(matches!(error, EmbeddedStoreError::Corrupt), "{error:?}");
    }
}
