//! What a store keeps after a restart.

use redb::backends::InMemoryBackend;

use super::fixture::{
    ALICE, TemporaryDirectory, at, end, is_revoked, open, open_over, rotation, session, sid,
};
use crate::clock::ManualClock;
use crate::revocation::{RevocationStore, TokenIdentity};
use crate::session::{RotationOutcome, SessionStore, Subject, SubjectState};

#[cfg(feature = "testing")]
#[tokio::test(flavor = "multi_thread")]
async fn keeps_the_session_store_contract() {
    let make = async |clock: ManualClock| open_over(InMemoryBackend::new(), &clock).await.unwrap();
    crate::testing::session_store_contract(make).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let directory = TemporaryDirectory::new();
    let store = open(&directory.file()).await;
    for number in 0..4 {
        store.create(&session(number, 0), None).await.unwrap();
    }
    let bob = Subject::new(None, "bob");
    store.raise_generation(&bob).await.unwrap();
    store.block(&Subject::new(None, "carol")).await.unwrap();
    store.rotate(sid(1), &rotation(0)).await.unwrap();
    end(&store, sid(2)).await.unwrap();
    store.rotate(sid(3), &rotation(0)).await.unwrap();
    store.rotate(sid(3), &rotation(1)).await.unwrap();
    let replayed = store.rotate(sid(3), &rotation(0)).await.unwrap();
    assert!(matches!(replayed, RotationOutcome::ReuseDetected(_)));
    let state = store.state().await.unwrap();
    store.close().await;

    let store = open(&directory.file()).await;
    assert_eq!(store.state().await.unwrap().sessions, state.sessions);
    assert_eq!(store.find(sid(0)).await.unwrap(), Some(session(0, 0)));
    assert_eq!(store.find(sid(1)).await.unwrap().unwrap().counter, 1);
    for ended in [2, 3] {
        assert_eq!(store.find(sid(ended)).await.unwrap(), None);
        assert!(is_revoked(&store, &session(ended, 0)));
    }
    assert!(!is_revoked(&store, &session(0, 0)));
    assert_eq!(
        store.subject(&bob).await.unwrap(),
        SubjectState::new(1, false)
    );
    let carol = store.subject(&Subject::new(None, "carol")).await.unwrap();
    assert_eq!(carol, SubjectState::new(1, true));
    let token = TokenIdentity::new(at(300)).subject("carol").generation(1);
    assert_eq!(store.peek(&token), Some(true), "blocked");
    assert_eq!(store.list(&ALICE, at(0)).await.unwrap().len(), 2);

    store.raise_generation(&ALICE).await.unwrap();
    store.unblock(&Subject::new(None, "carol")).await.unwrap();
    store.close().await;
    let store = open(&directory.file()).await;
    assert!(is_revoked(&store, &session(0, 0)));
    assert_eq!(store.peek(&token), Some(false), "the block was lifted");
    assert_eq!(store.state().await.unwrap().sessions, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn l03_l08_a_hundred_rotations_at_once_and_again_after_a_restart() {
    let directory = TemporaryDirectory::new();
    let mut store = open(&directory.file()).await;
    store.create(&session(1, 0), None).await.unwrap();
    for expected_rotations in [1, 0] {
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.rotate(sid(1), &rotation(0)).await.unwrap() })
            })
            .collect();
        let mut rotations = 0;
        for task in tasks {
            match task.await.unwrap() {
                RotationOutcome::Rotated(session) if session.counter == 1 => rotations += 1,
                RotationOutcome::WithinGrace(session) if session.counter == 1 => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(rotations, expected_rotations);
        store.close().await;
        store = open(&directory.file()).await;
    }
}

#[test]
fn the_store_outlives_the_runtime_that_opened_it() {
    let directory = TemporaryDirectory::new();
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let store = runtime().block_on(open(&directory.file()));
    runtime().block_on(async {
        store.create(&session(1, 0), None).await.unwrap();
        assert!(store.find(sid(1)).await.unwrap().is_some());
        end(&store, sid(1)).await.unwrap();
        assert!(is_revoked(&store, &session(1, 0)));
        store.close().await;
    });
}
