//! Which calls share a commit, and in which order concurrent calls take effect.

use redb::backends::InMemoryBackend;
use redb::{Database, ReadableTableMetadata, TableDefinition};

use super::disk::Disk;
use super::fixture::{
    ALICE, START, TemporaryDirectory, at, end, is_revoked, open, open_over, rotation, session, sid,
};
use crate::clock::ManualClock;
use crate::session::{
    CreationOutcome, Rotation, RotationOutcome, RotationRejection, SessionId, SessionStore,
};
use crate::store::embedded::{EmbeddedStore, EmbeddedStoreError};

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_share_a_sync() {
    let disk = Disk::default();
    let store = open_over(disk.clone(), &ManualClock::at(START))
        .await
        .unwrap();
    let before = disk.syncs();
    let tasks: Vec<_> = (0..1000)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.create(&session(number, 0), None).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), CreationOutcome::Created(Vec::new()));
    }
    let syncs = disk.syncs() - before;
    assert!(syncs < 500, "{syncs} syncs for 1000 calls");
    assert_eq!(store.state().await.unwrap().sessions, 1000);
}

/// Concurrent logouts share a commit. The index does not have the first one until the commit.
#[tokio::test(flavor = "multi_thread")]
async fn logouts_of_a_lost_session_in_one_commit_revoke_it_once() {
    let directory = TemporaryDirectory::new();
    let store = open(&directory.file()).await;
    let ends: Vec<_> = (0..100)
        .map(|number| {
            let store = store.clone();
            let until = at(300 + number);
            tokio::spawn(async move { store.end(sid(1), ALICE.issuer, until).await })
        })
        .collect();
    for end in ends {
        assert_eq!(end.await.unwrap().unwrap(), None);
    }
    store.close().await;
    let database = Database::open(directory.file()).unwrap();
    let table: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("revocations");
    let revocations = database.begin_read().unwrap().open_table(table).unwrap();
    assert_eq!(revocations.len().unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejection_needs_no_sync() {
    let disk = Disk::default();
    let store = open_over(disk.clone(), &ManualClock::at(START))
        .await
        .unwrap();
    store.create(&session(1, 0), None).await.unwrap();
    // Ending a missing session revokes it. The second call changes nothing.
    assert_eq!(end(&store, sid(2)).await.unwrap(), None);
    let before = disk.syncs();
    let rejected = store.rotate(sid(2), &rotation(0)).await.unwrap();
    assert_eq!(
        rejected,
        RotationOutcome::Rejected(RotationRejection::Ended)
    );
    assert_eq!(end(&store, sid(2)).await.unwrap(), None);
    assert_eq!(
        store.create(&session(2, 9), None).await.unwrap(),
        CreationOutcome::LoggedOut
    );
    assert_eq!(disk.syncs(), before);
}

/// L06: once a call that ends a session has returned, no earlier token works. Neither does the
/// token of a concurrent rotation.
async fn race_rotation_with<A>(end: impl Fn(EmbeddedStore, SessionId) -> A)
where
    A: Future<Output = Result<(), EmbeddedStoreError>> + Send + 'static,
{
    let store = open_over(InMemoryBackend::new(), &ManualClock::at(START))
        .await
        .unwrap();
    let (mut won, mut lost) = (0, 0);
    for round in 0..500 {
        let generation = store.subject(&ALICE).await.unwrap().generation;
        let mut session = session(round, generation);
        store.create(&session, None).await.unwrap();
        let rotating = tokio::spawn({
            let store = store.clone();
            async move {
                if round % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                let rotation = Rotation {
                    access_epoch: generation,
                    ..rotation(0)
                };
                store.rotate(sid(round), &rotation).await
            }
        });
        let ending = tokio::spawn(end(store.clone(), sid(round)));
        ending.await.unwrap().unwrap();
        assert!(is_revoked(&store, &session), "{round}");
        match rotating.await.unwrap().unwrap() {
            RotationOutcome::Rotated(now) => {
                won += 1;
                session = now;
            }
            RotationOutcome::Rejected(_) => lost += 1,
            other => panic!("{other:?}"),
        }
        assert!(is_revoked(&store, &session), "{round}");
        let rotated = store.rotate(sid(round), &rotation(1)).await.unwrap();
        assert!(
            matches!(rotated, RotationOutcome::Rejected(_)),
            "{rotated:?}"
        );
        assert_eq!(store.find(sid(round)).await.unwrap(), None);
    }
    assert!(won > 0 && lost > 0, "no race: {won} won, {lost} lost");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l06_rotate_against_end() {
    race_rotation_with(|store, sid| async move { end(&store, sid).await.map(drop) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l06_rotate_against_raise_generation() {
    race_rotation_with(|store, _| async move { store.raise_generation(&ALICE).await.map(drop) })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l06_rotate_against_block() {
    race_rotation_with(|store, _| async move {
        store.block(&ALICE).await?;
        store.unblock(&ALICE).await
    })
    .await;
}
