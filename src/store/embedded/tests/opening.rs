//! Opening, creating and locking the file.

use std::time::Duration;

use super::fixture::{TemporaryDirectory, open, session, sid, try_open};
use crate::session::SessionStore;
use crate::store::embedded::EmbeddedStoreError;

#[tokio::test(flavor = "multi_thread")]
async fn a_second_store_on_the_file_is_refused() {
    let directory = TemporaryDirectory::new();
    let first = open(&directory.file()).await;
    let error = try_open(&directory.file()).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::InUse), "{error:?}");
    first.create(&session(1, 0), None).await.unwrap();
    first.close().await;
    let error = first.create(&session(2, 0), None).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::Closed));
    let error = first.find(sid(1)).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::Closed));
    let second = open(&directory.file()).await;
    assert!(second.find(sid(1)).await.unwrap().is_some());
    first.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_handle_closes_the_file() {
    let directory = TemporaryDirectory::new();
    for round in 0..5 {
        let store = loop {
            match try_open(&directory.file()).await {
                Ok(store) => break store,
                Err(EmbeddedStoreError::InUse) => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        assert_eq!(store.state().await.unwrap().sessions, round);
        store.create(&session(round, 0), None).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn concurrent_opens_create_one_store() {
    for _ in 0..10 {
        let directory = TemporaryDirectory::new();
        let path = directory.file();
        let opens: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move { try_open(&path).await })
            })
            .collect();
        let mut stores = Vec::new();
        for open in opens {
            match open.await.unwrap() {
                Ok(store) => stores.push(store),
                Err(EmbeddedStoreError::InUse) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
        assert_eq!(stores.len(), 1);
        stores[0].create(&session(1, 0), None).await.unwrap();
        stores[0].close().await;
        assert!(open(&path).await.find(sid(1)).await.unwrap().is_some());
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_may_access_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = TemporaryDirectory::new();
    let store = open(&directory.file()).await;
    let mode = std::fs::metadata(directory.file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!directory.0.join("sessions.new").exists());
    drop(store);
}
