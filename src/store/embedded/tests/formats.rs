//! Files that are not a store of this version.

use std::path::Path;

use redb::{Database, TableDefinition};

use super::fixture::{TemporaryDirectory, open, session, try_open};
use crate::session::SessionStore;
use crate::store::embedded::EmbeddedStoreError;

async fn assert_foreign(path: &Path) {
    let error = try_open(path).await.unwrap_err();
    assert!(
        matches!(error, EmbeddedStoreError::ForeignFile),
        "{error:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_files_are_refused_untouched() {
    let directory = TemporaryDirectory::new();
    let path = directory.file();
    let zeros = vec![0; 1 << 16];
    let foreign: [&[u8]; 4] = [
        b"x",
        b"SQLite format 3\0 and more",
        &zeros,
        b"redb\x1a\x0a\xa9\x0d",
    ];
    for bytes in foreign {
        std::fs::write(&path, bytes).unwrap();
        assert_foreign(&path).await;
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    // An empty file becomes a store.
    std::fs::write(&path, b"").unwrap();
    open(&path).await.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_database_is_refused_untouched() {
    const OTHER: TableDefinition<'_, u8, u8> = TableDefinition::new("other");
    let directory = TemporaryDirectory::new();
    let path = directory.file();
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(OTHER).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    assert_foreign(&path).await;
    assert_eq!(
        Database::open(&path)
            .unwrap()
            .begin_read()
            .unwrap()
            .list_tables()
            .unwrap()
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn newer_older_and_damaged_formats_are_refused() {
    const METADATA: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tower-jwt-auth");
    let directory = TemporaryDirectory::new();
    let path = directory.file();
    for (format, expected) in [
        (
            &b"tower-jwt-auth\0\x01\0\0\0\x06"[..],
            EmbeddedStoreError::NewerFormat,
        ),
        (
            b"tower-jwt-auth\0\x01\0\0\0\x04",
            EmbeddedStoreError::OlderFormat,
        ),
        (
            b"tower-jwt-auth\0\x01\0\0\0\x05 damaged",
            EmbeddedStoreError::Corrupt,
        ),
        (
            b"tower-jwt-auth\0\x01\0\0\0\x00",
            EmbeddedStoreError::ForeignFile,
        ),
        (
            b"tower-jwt-auth\0\x02\0\0\0\x01",
            EmbeddedStoreError::ForeignFile,
        ),
        (b"", EmbeddedStoreError::ForeignFile),
    ] {
        let _ = std::fs::remove_file(&path);
        open(&path).await.close().await;
        let database = Database::open(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        transaction
            .open_table(METADATA)
            .unwrap()
            .insert("format", format)
            .unwrap();
        transaction.commit().unwrap();
        drop(database);
        let error = try_open(&path).await.unwrap_err();
        assert_eq!(error.to_string(), expected.to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_redb_format_and_truncated_files_are_refused() {
    let directory = TemporaryDirectory::new();
    let path = directory.file();
    let store = open(&path).await;
    store.create(&session(1, 0), None).await.unwrap();
    store.close().await;
    let whole = std::fs::read(&path).unwrap();
    let mut newer = whole.clone();
    (newer[64], newer[192]) = (9, 9);
    std::fs::write(&path, newer).unwrap();
    let error = try_open(&path).await.unwrap_err();
    assert!(
        matches!(error, EmbeddedStoreError::NewerFormat),
        "{error:?}"
    );

    // Truncated files are errors, not panics.
    for length in [9, 100, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = try_open(&path).await.unwrap_err();
        assert!(!matches!(error, EmbeddedStoreError::InUse), "{error:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_and_a_path_without_one_are_refused() {
    let directory = TemporaryDirectory::new();
    let path = directory.file();
    std::fs::create_dir(&path).unwrap();
    let error = try_open(&path).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::Io(_)), "{error:?}");
    let error = try_open(&directory.0.join("no/such/directory"))
        .await
        .unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
}
