//! Expired rows, a full revocation set, and names that are too long.

use redb::backends::InMemoryBackend;

use super::fixture::{
    ALICE, START, at, end, is_revoked, open_over, open_with, options, rotation, session, sid,
};
use crate::clock::ManualClock;
use crate::session::{Rotation, Session, SessionLimit, SessionStore, Subject};
use crate::store::embedded::EmbeddedStoreError;

#[tokio::test(flavor = "multi_thread")]
async fn expired_rows_are_dropped_and_blocks_are_not() {
    let clock = ManualClock::at(START);
    let store = open_over(InMemoryBackend::new(), &clock).await.unwrap();
    for number in 0..300 {
        store.create(&session(number, 0), None).await.unwrap();
    }
    for number in 0..100 {
        end(&store, sid(number)).await.unwrap();
    }
    let carol = Subject::new(None, "carol");
    store.block(&carol).await.unwrap();
    let later = Rotation {
        idle_expires_at: at(200_000),
        ..rotation(0)
    };
    store.rotate(sid(299), &later).await.unwrap();
    assert_eq!(store.state().await.unwrap().sessions, 200);
    assert!(store.state().await.unwrap().revocations >= 101);
    clock.set(START + 100_000 + 30);
    end(&store, sid(0)).await.unwrap();
    assert!(store.state().await.unwrap().sessions > 100, "bounded work");
    clock.set(START + 100_000 + 31);
    for _ in 0..100 {
        end(&store, sid(0)).await.unwrap();
    }
    let state = store.state().await.unwrap();
    assert_eq!(state.sessions, 1, "the rotated one");
    assert!(state.revocations <= 110, "{state:?}");
    assert!(store.subject(&carol).await.unwrap().blocked);
    clock.set(START + 200_031);
    end(&store, sid(0)).await.unwrap();
    assert_eq!(
        store.state().await.unwrap().sessions,
        1,
        "one reading of the clock"
    );
    end(&store, sid(0)).await.unwrap();
    assert_eq!(store.state().await.unwrap().sessions, 0);
    assert_eq!(store.list(&ALICE, at(0)).await.unwrap(), []);
}

/// K12b: a call that needs room in a full set fails and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn k12b_a_full_set_is_an_error_and_drops_nothing() {
    let clock = ManualClock::at(START);
    let small = options(&clock).capacity(100);
    let store = open_with(small, InMemoryBackend::new()).await.unwrap();
    let mut ended = Vec::new();
    let refused = loop {
        let session = session(ended.len() as u64, 0);
        store.create(&session, None).await.unwrap();
        match end(&store, session.sid).await {
            Ok(_) => ended.push(session),
            Err(EmbeddedStoreError::SetFull) => break session,
            Err(error) => panic!("{error}"),
        }
        assert!(ended.len() <= 100, "more than the capacity");
    };
    assert!(ended.iter().all(|session| is_revoked(&store, session)));
    assert!(!is_revoked(&store, &refused));
    assert_eq!(
        store.find(refused.sid).await.unwrap(),
        Some(refused.clone())
    );
    let next = session(998, 0);
    let limit = Some(SessionLimit::EndOldest(1));
    let full = store.create(&next, limit).await.unwrap_err();
    assert!(matches!(full, EmbeddedStoreError::SetFull));
    assert!(!is_revoked(&store, &refused));
    let listed = store.list(&ALICE, at(0)).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&refused));
    let full = store.block(&ALICE).await.unwrap_err();
    assert!(matches!(full, EmbeddedStoreError::SetFull));
    assert!(!store.subject(&ALICE).await.unwrap().blocked);
    // Once the old revocations have expired there is room.
    clock.set(START + 1_000_000);
    end(&store, sid(999)).await.unwrap();
    store.block(&ALICE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_long_names_are_an_error() {
    let store = open_over(InMemoryBackend::new(), &ManualClock::at(START))
        .await
        .unwrap();
    let long = "x".repeat(4097);
    let subject = Subject::new(None, &long);
    for error in [
        store.subject(&subject).await.err(),
        store.block(&subject).await.err(),
        store.unblock(&subject).await.err(),
        store.raise_generation(&subject).await.err(),
        store.list(&subject, at(0)).await.err(),
        store
            .create(&Session::new(sid(1), &subject, 0, at(0)), None)
            .await
            .err(),
    ] {
        assert!(matches!(error, Some(EmbeddedStoreError::TooLong)));
    }
    let longest = "x".repeat(4096);
    let subject = Subject::new(Some(&longest), &longest);
    store
        .create(&Session::new(sid(1), &subject, 0, at(0)), None)
        .await
        .unwrap();
    assert_eq!(store.raise_generation(&subject).await.unwrap(), 1);
}
