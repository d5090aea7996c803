//! A power failure, a full disk, and disks that fail.

use std::time::Duration;

use super::disk::{Disk, SyncFailure};
use super::fixture::{
    ALICE, START, at, end, is_revoked, open_over, open_with, options, rotation, session, sid,
};
use crate::clock::ManualClock;
use crate::session::{CreationOutcome, SessionStore, Subject, SubjectState};
use crate::store::embedded::{EmbeddedStore, EmbeddedStoreError};

/// Runs one of a series of calls, which [`check`] knows.
async fn step(store: &EmbeddedStore, number: u64) -> Result<(), EmbeddedStoreError> {
    let other = Subject::new(None, "bob");
    match number % 6 {
        0 => drop(store.create(&session(number, 0), None).await?),
        1 => drop(store.rotate(sid(number - 1), &rotation(0)).await?),
        2 => drop(store.create(&session(number, 0), None).await?),
        3 => drop(end(store, sid(number - 1)).await?),
        4 => drop(store.raise_generation(&other).await?),
        _ => {
            store.block(&other).await?;
            store.unblock(&other).await?;
        }
    }
    Ok(())
}

/// Checks that the store has all acknowledged steps, and no step in part.
async fn check(store: &EmbeddedStore, steps: u64, what: &str) {
    let mut generation = 0;
    for number in 0..steps {
        match number % 6 {
            1 => {
                let found = store.find(sid(number - 1)).await.unwrap();
                let found = found.unwrap_or_else(|| panic!("{number} {what}"));
                assert_eq!(
                    (found.counter, found.rotated_at == at(1)),
                    (1, true),
                    "{number} {what}"
                );
            }
            3 => {
                assert_eq!(
                    store.find(sid(number - 1)).await.unwrap(),
                    None,
                    "{number} {what}"
                );
                assert!(
                    is_revoked(store, &session(number - 1, 0)),
                    "{number} {what}"
                );
            }
            4 | 5 => generation += 1,
            _ => {}
        }
    }
    let state = store.subject(&Subject::new(None, "bob")).await.unwrap();
    assert!(state.generation >= generation, "{what}");
    // A step that was not acknowledged is there completely, or not at all.
    let listed = store.list(&ALICE, at(2)).await.unwrap();
    let live = store.state().await.unwrap().sessions;
    assert_eq!(listed.len() as u64, live, "{what}");
    for session in &listed {
        assert_eq!(
            store.find(session.sid).await.unwrap().as_ref(),
            Some(session),
            "{what}"
        );
        assert_eq!(session.counter == 1, session.rotated_at == at(1), "{what}");
        assert!(!is_revoked(store, session), "{what}");
    }
}

/// The power fails after every operation. Data that was not synced is lost or torn.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_in_a_power_failure() {
    let clock = ManualClock::at(START);
    let disk = Disk::default();
    let store = open_over(disk.clone(), &clock).await.unwrap();
    disk.state().crash_images = Some(Vec::new());
    let mut checked = 0u64;
    for number in 0..12 {
        step(&store, number).await.unwrap();
        disk.state().acknowledged = number + 1;
        let images = disk.state().crash_images.replace(Vec::new()).unwrap();
        for (index, image) in images.into_iter().enumerate() {
            let what = format!("step {number}, image {index}");
            let crashed = Disk::with_bytes(image.bytes);
            let store = open_over(crashed, &clock).await;
            let store = store.unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&store, image.acknowledged, &what).await;
            checked += 1;
        }
    }
    assert!(checked > 500, "{checked}");
}

#[tokio::test(flavor = "multi_thread")]
async fn l07_a_full_disk_is_an_error_and_loses_nothing() {
    let clock = ManualClock::at(START);
    let disk = Disk::default();
    let store = open_over(disk.clone(), &clock).await.unwrap();
    for number in 0..12 {
        step(&store, number).await.unwrap();
    }
    let capacity = disk.state().written_pages.len() * 4096 + 40_000;
    disk.state().capacity = Some(capacity);
    let mut kept = Vec::new();
    let error = loop {
        let session = session(1_000 + kept.len() as u64, 0);
        match store.create(&session, None).await {
            Ok(created) => {
                assert_eq!(created, CreationOutcome::Created(Vec::new()));
                kept.push(session);
            }
            Err(error) => break error,
        }
        assert!(kept.len() < 100_000, "never full");
    };
    assert!(
        matches!(error, EmbeddedStoreError::DiskFull(_)),
        "{error:?}"
    );
    let failed = session(1_000 + kept.len() as u64, 0);
    assert_eq!(store.find(failed.sid).await.unwrap(), None);
    for _ in 0..3 {
        check(&store, 12, "full").await;
        for session in &kept {
            assert_eq!(
                store.find(session.sid).await.unwrap().as_ref(),
                Some(session)
            );
            assert!(!is_revoked(&store, session));
        }
        // Repeated calls lose nothing either.
        let long = "x".repeat(4000);
        for number in 0..20 {
            let mut session = session(5_000 + number, 0);
            session.label = Some(long.clone());
            let _ = store.create(&session, None).await;
        }
    }
    disk.state().capacity = None;
    store.create(&failed, None).await.unwrap();
    end(&store, failed.sid).await.unwrap();
    assert!(is_revoked(&store, &failed));
    store.close().await;
    let store = open_over(disk.clone(), &clock).await.unwrap();
    for session in &kept {
        assert_eq!(
            store.find(session.sid).await.unwrap().as_ref(),
            Some(session)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l07_a_disk_that_fails_writes_is_an_error_and_loses_nothing() {
    let clock = ManualClock::at(START);
    let disk = Disk::default();
    let store = open_over(disk.clone(), &clock).await.unwrap();
    for number in 0..12 {
        step(&store, number).await.unwrap();
    }
    disk.state().fail_writes = true;
    for round in 0..3 {
        let live = session(6, 0);
        let error = end(&store, live.sid).await.unwrap_err();
        assert!(matches!(error, EmbeddedStoreError::Io(_)), "{error:?}");
        assert!(!is_revoked(&store, &live));
        for error in [
            store.create(&session(100, 0), None).await.err(),
            store.rotate(live.sid, &rotation(1)).await.err(),
            end(&store, live.sid).await.err(),
            store.raise_generation(&ALICE).await.err(),
            store.block(&ALICE).await.err(),
        ] {
            let error = error.unwrap_or_else(|| panic!("{round}"));
            assert!(matches!(error, EmbeddedStoreError::Io(_)), "{error:?}");
        }
        assert!(!is_revoked(&store, &live));
        assert!(is_revoked(&store, &session(2, 0)), "peek still works");
    }
    disk.state().fail_writes = false;
    assert_eq!(
        store.create(&session(100, 0), None).await.unwrap(),
        CreationOutcome::Created(Vec::new())
    );
    end(&store, sid(100)).await.unwrap();
    check(&store, 12, "writable again").await;
    assert_eq!(
        store.subject(&ALICE).await.unwrap(),
        SubjectState::default()
    );
}

/// Whichever sync of a commit fails, the answer says whether the commit is on disk.
#[tokio::test(flavor = "multi_thread")]
async fn each_sync_of_a_commit_may_fail() {
    let clock = ManualClock::at(START);
    let (mut lost, mut kept) = (0, 0);
    for failure in [SyncFailure::Lost, SyncFailure::Kept] {
        for successes in 0..4 {
            let disk = Disk::default();
            let store = open_over(disk.clone(), &clock).await.unwrap();
            store.create(&session(200, 0), None).await.unwrap();
            disk.state().fail_one_sync = Some((successes, failure));
            let ended = end(&store, sid(200)).await;
            let has_failed = disk.state().fail_one_sync.take().is_none();
            let what = format!("{failure:?} {successes}: {ended:?}");
            let found = store.find(sid(200)).await.unwrap();
            assert_eq!(ended.is_ok(), found.is_none(), "{what}");
            assert_eq!(
                ended.is_ok(),
                is_revoked(&store, &session(200, 0)),
                "{what}"
            );
            lost += u64::from(has_failed && ended.is_err());
            kept += u64::from(has_failed && ended.is_ok());
            end(&store, sid(200)).await.unwrap();
            let synced = disk.state().synced.clone();
            let again = open_over(Disk::with_bytes(synced), &clock).await.unwrap();
            assert!(is_revoked(&again, &session(200, 0)), "{what}");
            assert_eq!(again.find(sid(200)).await.unwrap(), None, "{what}");
        }
    }
    assert!(lost > 0 && kept > 0, "{lost} {kept}");
}

/// After a failed sync the store relies only on data that is on disk.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_not_acknowledged() {
    let clock = ManualClock::at(START);
    for failure in [SyncFailure::Lost, SyncFailure::Kept] {
        let disk = Disk::default();
        let store = open_over(disk.clone(), &clock).await.unwrap();
        for number in 0..6 {
            step(&store, number).await.unwrap();
        }
        store.create(&session(200, 0), None).await.unwrap();
        disk.state().fail_syncs = Some(failure);
        for _ in 0..3 {
            end(&store, sid(200)).await.unwrap_err();
            assert!(is_revoked(&store, &session(2, 0)), "peek still works");
        }
        disk.state().fail_syncs = None;
        let ended = end(&store, sid(200)).await.unwrap();
        let revoked = is_revoked(&store, &session(200, 0));
        assert!(revoked, "{failure:?}: {ended:?}");
        assert_eq!(store.find(sid(200)).await.unwrap(), None);
        step(&store, 6).await.unwrap();
        step(&store, 7).await.unwrap();
        // The data that the store relies on is on disk.
        let synced = disk.state().synced.clone();
        let again = open_over(Disk::with_bytes(synced), &clock).await.unwrap();
        check(&again, 8, "after a failed sync").await;
        assert!(is_revoked(&again, &session(200, 0)), "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_read_is_an_error_and_heals() {
    let clock = ManualClock::at(START);
    let disk = Disk::default();
    let uncached = options(&clock).cache(0);
    let store = open_with(uncached, disk.clone()).await.unwrap();
    for number in 0..6 {
        step(&store, number).await.unwrap();
    }
    disk.state().fail_reads = true;
    let error = store.find(sid(0)).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::Io(_)), "{error:?}");
    assert!(is_revoked(&store, &session(2, 0)));
    disk.state().fail_reads = false;
    for _ in 0..100 {
        if store.find(sid(0)).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    check(&store, 6, "readable again").await;
}
