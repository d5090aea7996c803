//! What an [`EmbeddedStore`] does to its file, and what the file's troubles do to it.
#![expect(
    clippy::cast_possible_truncation,
    reason = "the files of these tests are small"
)]

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use redb::backends::InMemoryBackend;
use redb::{Database, StorageBackend, TableDefinition};

use super::*;
use crate::clock::ManualClock;
use crate::session::RotationRejection;

const START: u64 = 1_700_000_000;
const ALICE: Subject<'static> = Subject {
    issuer: Some("https://id.example.com"),
    name: "alice",
};

fn at(seconds: u64) -> NumericDate {
    NumericDate::from_seconds(START + seconds).unwrap()
}

fn sid(number: u64) -> SessionId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

fn session(number: u64, generation: u64) -> Session {
    let mut session = Session::new(sid(number), &ALICE, generation, at(0));
    session.idle_expires_at = at(100_000);
    session.expires_at = at(900_000);
    session.access_expires_at = at(300);
    session
}

fn rotation(counter: u64) -> Rotation {
    Rotation {
        grace: Duration::from_secs(10),
        idle_expires_at: at(100_001),
        access_expires_at: at(301),
        ..Rotation::new(counter, at(1))
    }
}

/// Ends a session of alice's issuer. One that is not there is revoked for as long as an access
/// token lives here.
async fn end(store: &EmbeddedStore, sid: SessionId) -> Result<Option<Session>, EmbeddedStoreError> {
    store.end(sid, ALICE.issuer, at(300)).await
}

fn is_revoked(store: &EmbeddedStore, session: &Session) -> bool {
    let sid = session.sid.to_string();
    let mut token = TokenIdentity::new(session.access_expires_at)
        .sid(&sid)
        .subject(&session.subject)
        .generation(session.generation);
    token.issuer = session.issuer.as_deref();
    store.peek(&token).unwrap()
}

/// A directory of its own, which goes with it.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-jwt-auth-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("sessions")
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn options(clock: &ManualClock) -> EmbeddedStoreOptions {
    EmbeddedStoreOptions::new()
        .clock(clock.clone())
        .leeway(Duration::from_secs(30))
        .capacity(10_000)
}

async fn try_open(path: &Path) -> Result<EmbeddedStore, EmbeddedStoreError> {
    options(&ManualClock::at(START)).open(path).await
}

async fn open(path: &Path) -> EmbeddedStore {
    try_open(path).await.unwrap()
}

/// A store over a backend that is no file.
async fn over(
    backend: impl StorageBackend,
    clock: &ManualClock,
) -> Result<EmbeddedStore, EmbeddedStoreError> {
    let opened = move || Ok(Opened::over(Box::new(backend)));
    options(clock).open_with(opened).await
}

#[cfg(feature = "testing")]
#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_kept() {
    let make = async |clock: ManualClock| over(InMemoryBackend::new(), &clock).await.unwrap();
    crate::testing::session_store_contract(make).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_there_after_a_restart() {
    let directory = Temporary::new();
    let store = open(&directory.file()).await;
    for number in 0..4 {
        store.create(&session(number, 0)).await.unwrap();
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
async fn l03_l08_a_hundred_renewals_at_once_and_again_after_a_restart() {
    let directory = Temporary::new();
    let mut store = open(&directory.file()).await;
    store.create(&session(1, 0)).await.unwrap();
    for renewed_in_all in [1, 0] {
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let store = store.clone();
                tokio::spawn(async move { store.rotate(sid(1), &rotation(0)).await.unwrap() })
            })
            .collect();
        let mut renewed = 0;
        for task in tasks {
            match task.await.unwrap() {
                RotationOutcome::Rotated(session) if session.counter == 1 => renewed += 1,
                RotationOutcome::WithinGrace(session) if session.counter == 1 => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(renewed, renewed_in_all);
        store.close().await;
        store = open(&directory.file()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_calls_share_a_sync() {
    let disk = Disk::default();
    let store = over(disk.clone(), &ManualClock::at(START)).await.unwrap();
    let before = disk.syncs();
    let tasks: Vec<_> = (0..1000)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move { store.create(&session(number, 0)).await.unwrap() })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), CreationOutcome::Created);
    }
    let syncs = disk.syncs() - before;
    assert!(syncs < 500, "{syncs} syncs for 1000 calls");
    assert_eq!(store.state().await.unwrap().sessions, 1000);
}

/// The threads are the store's own, so it depends on no runtime.
#[test]
fn the_store_outlives_the_runtime_that_opened_it() {
    let directory = Temporary::new();
    let runtime = || tokio::runtime::Runtime::new().unwrap();
    let store = runtime().block_on(open(&directory.file()));
    runtime().block_on(async {
        store.create(&session(1, 0)).await.unwrap();
        assert!(store.find(sid(1)).await.unwrap().is_some());
        end(&store, sid(1)).await.unwrap();
        assert!(is_revoked(&store, &session(1, 0)));
        store.close().await;
    });
}

/// Many logouts of one lost session share a commit, in which the first is not known yet.
#[tokio::test(flavor = "multi_thread")]
async fn logouts_of_a_lost_session_in_one_commit_revoke_it_once() {
    let directory = Temporary::new();
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
    assert_eq!(redb::ReadableTableMetadata::len(&revocations).unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_needs_no_sync() {
    let disk = Disk::default();
    let store = over(disk.clone(), &ManualClock::at(START)).await.unwrap();
    store.create(&session(1, 0)).await.unwrap();
    // A session that is not there is revoked: the second time there is nothing to do.
    assert_eq!(end(&store, sid(2)).await.unwrap(), None);
    let before = disk.syncs();
    let refused = store.rotate(sid(2), &rotation(0)).await.unwrap();
    assert_eq!(refused, RotationOutcome::Rejected(RotationRejection::Ended));
    assert_eq!(end(&store, sid(2)).await.unwrap(), None);
    assert_eq!(
        store.create(&session(2, 9)).await.unwrap(),
        CreationOutcome::LoggedOut
    );
    assert_eq!(disk.syncs(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn old_rows_are_dropped_and_blocks_are_not() {
    let clock = ManualClock::at(START);
    let store = over(InMemoryBackend::new(), &clock).await.unwrap();
    for number in 0..300 {
        store.create(&session(number, 0)).await.unwrap();
    }
    for number in 0..100 {
        end(&store, sid(number)).await.unwrap();
    }
    let carol = Subject::new(None, "carol");
    store.block(&carol).await.unwrap();
    let renewed = Rotation {
        idle_expires_at: at(200_000),
        ..rotation(0)
    };
    store.rotate(sid(299), &renewed).await.unwrap();
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
    assert_eq!(state.sessions, 1, "the one that was renewed");
    assert!(state.revocations <= 110, "{state:?}");
    assert!(store.subject(&carol).await.unwrap().blocked);
    clock.set(START + 200_031);
    end(&store, sid(0)).await.unwrap();
    assert_eq!(store.state().await.unwrap().sessions, 1, "one reading");
    end(&store, sid(0)).await.unwrap();
    assert_eq!(store.state().await.unwrap().sessions, 0);
    assert_eq!(store.list(&ALICE, at(0)).await.unwrap(), []);
}

/// K12b: what is full says so, and changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn k12b_a_full_set_is_an_error_and_forgets_nothing() {
    let clock = ManualClock::at(START);
    let opened = || Ok(Opened::over(Box::new(InMemoryBackend::new())));
    let store = options(&clock)
        .capacity(100)
        .open_with(opened)
        .await
        .unwrap();
    let mut ended = Vec::new();
    let refused = loop {
        let session = session(ended.len() as u64, 0);
        store.create(&session).await.unwrap();
        match end(&store, session.sid).await {
            Ok(_) => ended.push(session),
            Err(EmbeddedStoreError::SetFull) => break session,
            Err(error) => panic!("{error}"),
        }
        assert!(ended.len() <= 100, "more than it holds");
    };
    assert!(ended.iter().all(|session| is_revoked(&store, session)));
    assert!(!is_revoked(&store, &refused));
    assert_eq!(
        store.find(refused.sid).await.unwrap(),
        Some(refused.clone())
    );
    let full = store.block(&ALICE).await.unwrap_err();
    assert!(matches!(full, EmbeddedStoreError::SetFull));
    assert!(!store.subject(&ALICE).await.unwrap().blocked);
    // Once the old ones are dead there is room.
    clock.set(START + 1_000_000);
    end(&store, sid(999)).await.unwrap();
    store.block(&ALICE).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn too_long_names_are_an_error() {
    let store = over(InMemoryBackend::new(), &ManualClock::at(START))
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
            .create(&Session::new(sid(1), &subject, 0, at(0)))
            .await
            .err(),
    ] {
        assert!(matches!(error, Some(EmbeddedStoreError::TooLong)));
    }
    let longest = "x".repeat(4096);
    let subject = Subject::new(Some(&longest), &longest);
    store
        .create(&Session::new(sid(1), &subject, 0, at(0)))
        .await
        .unwrap();
    assert_eq!(store.raise_generation(&subject).await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_store_on_the_file_is_refused() {
    let directory = Temporary::new();
    let first = open(&directory.file()).await;
    let error = try_open(&directory.file()).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::InUse), "{error:?}");
    first.create(&session(1, 0)).await.unwrap();
    first.close().await;
    let error = first.create(&session(2, 0)).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::Closed));
    let error = first.find(sid(1)).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::Closed));
    let second = open(&directory.file()).await;
    assert!(second.find(sid(1)).await.unwrap().is_some());
    first.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_handle_closes_the_file() {
    let directory = Temporary::new();
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
        store.create(&session(round, 0)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_that_make_the_same_file_are_one() {
    for _ in 0..10 {
        let directory = Temporary::new();
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
        stores[0].create(&session(1, 0)).await.unwrap();
        stores[0].close().await;
        assert!(open(&path).await.find(sid(1)).await.unwrap().is_some());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_newer_and_damaged_files_are_refused_untouched() {
    const OTHER: TableDefinition<'_, u8, u8> = TableDefinition::new("other");
    const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("tower-jwt-auth");
    let directory = Temporary::new();
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
        let error = try_open(&path).await.unwrap_err();
        assert!(
            matches!(error, EmbeddedStoreError::ForeignFile),
            "{error:?}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }

    // An empty file is no store of anybody's.
    std::fs::write(&path, b"").unwrap();
    open(&path).await.close().await;

    // Another database.
    std::fs::remove_file(&path).unwrap();
    let database = Database::create(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    transaction.open_table(OTHER).unwrap().insert(1, 1).unwrap();
    transaction.commit().unwrap();
    drop(database);
    let error = try_open(&path).await.unwrap_err();
    assert!(
        matches!(error, EmbeddedStoreError::ForeignFile),
        "{error:?}"
    );
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

    // A store of the future, of the past, of nobody, and of redb's future.
    for (format, expected) in [
        (
            &b"tower-jwt-auth\0\x01\0\0\0\x03"[..],
            EmbeddedStoreError::NewerFormat,
        ),
        (
            b"tower-jwt-auth\0\x01\0\0\0\x01",
            EmbeddedStoreError::OlderFormat,
        ),
        (
            b"tower-jwt-auth\0\x01\0\0\0\x02 damaged",
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
            .open_table(META)
            .unwrap()
            .insert("format", format)
            .unwrap();
        transaction.commit().unwrap();
        drop(database);
        let error = try_open(&path).await.unwrap_err();
        assert_eq!(error.to_string(), expected.to_string());
    }
    let _ = std::fs::remove_file(&path);
    let store = open(&path).await;
    store.create(&session(1, 0)).await.unwrap();
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

    // Cut off, and overwritten: an error, no panic.
    for length in [9, 100, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let error = try_open(&path).await.unwrap_err();
        assert!(!matches!(error, EmbeddedStoreError::InUse), "{error:?}");
    }
    let _ = std::fs::remove_file(&path);
    std::fs::create_dir(&path).unwrap();
    let error = try_open(&path).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::Io(_)), "{error:?}");
    let error = try_open(&directory.0.join("no/such/directory"))
        .await
        .unwrap_err();
    assert!(std::error::Error::source(&error).is_some());
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let directory = Temporary::new();
    let store = open(&directory.file()).await;
    let mode = std::fs::metadata(directory.file())
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(!directory.0.join("sessions.new").exists());
    drop(store);
}

/// A corrupt row fails its own call, and no other.
#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_row_is_an_error_and_no_panic() {
    const SESSIONS: TableDefinition<'_, [u8; 16], &[u8]> = TableDefinition::new("sessions");
    let directory = Temporary::new();
    let store = open(&directory.file()).await;
    for number in 1..=2 {
        store.create(&session(number, 0)).await.unwrap();
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
    let renewed = store.rotate(sid(2), &rotation(0)).await.unwrap();
    assert!(matches!(renewed, RotationOutcome::Rotated(_)));
    assert_eq!(
        store.subject(&ALICE).await.unwrap(),
        SubjectState::default()
    );
}

/// A whole row, but of another key: as if a bit of the key had flipped.
#[tokio::test(flavor = "multi_thread")]
async fn a_row_under_another_key_is_corrupt() {
    const ROWS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("subjects");
    const REVOKED: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("revocations");
    for table in [ROWS, REVOKED] {
        let directory = Temporary::new();
        let store = open(&directory.file()).await;
        store.block(&Subject::new(None, "mallory")).await.unwrap();
        store.create(&session(1, 0)).await.unwrap();
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

/// K01 to K03, for tokens of any issuer: in memory at once, and after a restart.
#[tokio::test(flavor = "multi_thread")]
async fn k01_k02_k03_whatever_is_revoked_stays_revoked_after_a_restart() {
    let directory = Temporary::new();
    let clock = ManualClock::at(START);
    let open = async || options(&clock).open(directory.file()).await.unwrap();
    let store = open().await;
    // With a fraction of a second, at the edge of a bucket of the set.
    let expires_at =
        NumericDate::from_since_epoch(Duration::new((START / 32 + 20) * 32 - 1, 500_000_000));
    let expires_at = expires_at.unwrap();
    let until = at(4_000);
    let elsewhere = "https://elsewhere.example.com";
    let issuer = Some(elsewhere);
    let foreign = TokenIdentity::new(expires_at).issuer(elsewhere);
    let revocations = [
        Revocation::Token {
            issuer,
            jti: "t",
            expires_at,
        },
        Revocation::Session {
            issuer,
            sid: "s",
            until,
        },
        Revocation::Generation {
            issuer,
            subject: "g",
            generation: 3,
            until,
        },
        Revocation::Cutoff {
            issuer,
            subject: "c",
            issued_at: at(0),
            until,
        },
        Revocation::Block {
            issuer,
            subject: "b",
        },
    ];
    let dead = [
        foreign.jti("t"),
        foreign.sid("s"),
        foreign.subject("g").generation(2),
        foreign.subject("c").issued_at(at(0)),
        foreign.subject("b").issued_at(at(1)),
    ];
    let live = [
        foreign.jti("u"),
        TokenIdentity::new(expires_at).jti("t"),
        foreign.sid("u"),
        foreign.subject("g").generation(3),
        foreign.subject("c").issued_at(at(1)),
        foreign.subject("u"),
    ];
    for revocation in &revocations {
        store.revoke(revocation).await.unwrap();
        store.revoke(revocation).await.unwrap();
    }
    let is_revoked = |store: &EmbeddedStore, token| store.peek(token).unwrap();
    let check = |store: &EmbeddedStore| {
        for (number, token) in dead.iter().enumerate() {
            assert!(is_revoked(store, token), "dead {number}");
        }
        for (number, token) in live.iter().enumerate() {
            assert!(!is_revoked(store, token), "live {number}");
        }
    };
    check(&store);
    store.close().await;
    let store = open().await;
    check(&store);
    // Until the token is dead, leeway and all; and then by its expiry, even if the clock steps back.
    clock.set(expires_at.seconds() + 30);
    for _ in 0..3 {
        end(&store, sid(0)).await.unwrap();
    }
    store.close().await;
    let store = open().await;
    check(&store);
    clock.set(START + 10_000_000);
    for _ in 0..2 {
        end(&store, sid(0)).await.unwrap();
    }
    store.close().await;
    clock.set(START);
    let store = open().await;
    for token in &dead {
        assert!(is_revoked(&store, token), "forgotten, so dead");
    }
    assert!(
        store.state().await.unwrap().revocations <= 2,
        "block and generation"
    );
}

/// Lifting the block of somebody whose tokens know no generation.
#[tokio::test(flavor = "multi_thread")]
async fn k03_lifting_a_block_revives_no_foreign_token() {
    let directory = Temporary::new();
    let store = open(&directory.file()).await;
    let subject = Subject::new(Some("https://elsewhere.example.com"), "b");
    let token = TokenIdentity::new(at(300))
        .issuer("https://elsewhere.example.com")
        .subject("b");
    let issuer = subject.issuer;
    store
        .revoke(&Revocation::Block {
            issuer,
            subject: "b",
        })
        .await
        .unwrap();
    assert_eq!(
        store.subject(&subject).await.unwrap(),
        SubjectState::new(0, true)
    );
    let refused = store
        .create(&Session::new(sid(1), &subject, 0, at(0)))
        .await
        .unwrap();
    assert_eq!(refused, CreationOutcome::Blocked);
    store.unblock(&subject).await.unwrap();
    let check = |store: &EmbeddedStore| {
        assert_eq!(store.peek(&token.issued_at(at(0))), Some(true));
        assert_eq!(store.peek(&token.issued_at(at(1))), Some(false));
    };
    check(&store);
    store.close().await;
    let store = open(&directory.file()).await;
    check(&store);

    // Who has sessions is blocked as a subject of this store.
    store.create(&session(1, 0)).await.unwrap();
    store
        .revoke(&Revocation::Block {
            issuer: ALICE.issuer,
            subject: ALICE.name,
        })
        .await
        .unwrap();
    assert_eq!(
        store.subject(&ALICE).await.unwrap(),
        SubjectState::new(1, true)
    );
    store.unblock(&ALICE).await.unwrap();
    assert!(is_revoked(&store, &session(1, 0)));
    assert_eq!(store.find(sid(1)).await.unwrap(), None);
}

/// L06: once an ending has returned, nothing from before works, nor what a renewal at the same time was.
async fn race<A>(end: impl Fn(EmbeddedStore, SessionId) -> A)
where
    A: Future<Output = Result<(), EmbeddedStoreError>> + Send + 'static,
{
    let store = over(InMemoryBackend::new(), &ManualClock::at(START))
        .await
        .unwrap();
    let (mut won, mut lost) = (0, 0);
    for round in 0..500 {
        let generation = store.subject(&ALICE).await.unwrap().generation;
        let mut session = session(round, generation);
        store.create(&session).await.unwrap();
        let renewal = tokio::spawn({
            let store = store.clone();
            async move {
                if round % 2 == 0 {
                    tokio::task::yield_now().await;
                }
                store.rotate(sid(round), &rotation(0)).await
            }
        });
        let ending = tokio::spawn(end(store.clone(), sid(round)));
        ending.await.unwrap().unwrap();
        assert!(is_revoked(&store, &session), "{round}");
        match renewal.await.unwrap().unwrap() {
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
    race(|store, sid| async move { end(&store, sid).await.map(drop) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l06_rotate_against_raise_generation() {
    race(|store, _| async move { store.raise_generation(&ALICE).await.map(drop) }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn l06_rotate_against_block() {
    race(|store, _| async move {
        store.block(&ALICE).await?;
        store.unblock(&ALICE).await
    })
    .await;
}

/// A disk that forgets, at a loss of power, what was not synced; that can be full; and that can fail.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Platters>>);

#[derive(Debug, Default)]
struct Platters {
    /// What survives.
    synced: Vec<u8>,
    /// What is seen.
    seen: Vec<u8>,
    /// What was done since the last sync.
    pending: Vec<Operation>,
    syncs: u64,
    /// Bytes beyond which there is no room. Writes to what was never written need some.
    room: Option<usize>,
    written: BTreeMap<u64, ()>,
    fail_reads: bool,
    fail_writes: bool,
    /// Fails, though what was written may be on disk.
    fail_syncs: Option<SyncFailure>,
    /// So many syncs go well before one fails.
    fail_one_sync: Option<(u64, SyncFailure)>,
    /// Each state that a loss of power could leave, if they are wanted.
    cuts: Option<Vec<Cut>>,
    acknowledged: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SyncFailure {
    /// And nothing of it reached the disk.
    Lost,
    /// But all of it did.
    Kept,
}

#[derive(Clone, Debug)]
enum Operation {
    Length(u64),
    Write(u64, Vec<u8>),
}

struct Cut {
    bytes: Vec<u8>,
    acknowledged: u64,
}

impl std::fmt::Debug for Cut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cut").finish_non_exhaustive()
    }
}

fn apply(bytes: &mut Vec<u8>, operation: &Operation) {
    match operation {
        Operation::Length(length) => bytes.resize(*length as usize, 0),
        Operation::Write(offset, data) => {
            let (start, end) = (*offset as usize, *offset as usize + data.len());
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(data);
        }
    }
}

impl Platters {
    /// What could be left if the power went now: any of what was done since the last sync, in any order, the last torn.
    fn cut(&mut self) {
        let Some(mut cuts) = self.cuts.take() else {
            return;
        };
        let mut add = |operations: &[&Operation]| {
            let mut bytes = self.synced.clone();
            for operation in operations {
                apply(&mut bytes, operation);
            }
            cuts.push(Cut {
                bytes,
                acknowledged: self.acknowledged,
            });
        };
        let pending: Vec<_> = self.pending.iter().collect();
        // Nothing, and all but the last.
        add(&[]);
        add(&pending);
        if let Some((last, before)) = pending.split_last() {
            // The last alone, and torn, before the others or after them.
            add(&[last]);
            if let Operation::Write(offset, data) = last {
                for part in [1, data.len() / 2, data.len().saturating_sub(1)] {
                    let torn = Operation::Write(*offset, data[..part].to_vec());
                    add(&[&torn]);
                    let mut all = before.to_vec();
                    all.push(&torn);
                    add(&all);
                }
            }
            // Each of the others missing.
            for missing in 0..before.len() {
                let mut some = pending.clone();
                some.remove(missing);
                add(&some);
            }
        }
        self.cuts = Some(cuts);
    }

    fn operate(&mut self, operation: Operation) {
        apply(&mut self.seen, &operation);
        self.pending.push(operation);
        self.cut();
    }
}

impl Disk {
    fn platters(&self) -> std::sync::MutexGuard<'_, Platters> {
        self.0.lock().unwrap()
    }

    fn of(bytes: Vec<u8>) -> Self {
        let disk = Self::default();
        disk.platters().seen = bytes.clone();
        disk.platters().synced = bytes;
        disk
    }

    fn syncs(&self) -> u64 {
        self.platters().syncs
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.platters().seen.len() as u64)
    }

    fn read(&self, offset: u64, len: usize) -> io::Result<Vec<u8>> {
        let platters = self.platters();
        if platters.fail_reads {
            return Err(io::Error::other("no reading"));
        }
        let bytes = platters.seen.get(offset as usize..offset as usize + len);
        bytes
            .map(<[u8]>::to_vec)
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut platters = self.platters();
        if platters.fail_writes {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        platters.operate(Operation::Length(len));
        Ok(())
    }

    fn sync_data(&self, _: bool) -> io::Result<()> {
        let mut platters = self.platters();
        let mut failure = platters.fail_syncs;
        if let Some((left, one)) = platters.fail_one_sync {
            let next = left.checked_sub(1).map(|left| (left, one));
            platters.fail_one_sync = next;
            failure = failure.or(next.is_none().then_some(one));
        }
        // As Linux does: what could not be written is taken for written, and not tried again.
        let pending = std::mem::take(&mut platters.pending);
        if failure != Some(SyncFailure::Lost) {
            for operation in &pending {
                apply(&mut platters.synced, operation);
            }
        }
        if failure.is_some() {
            return Err(io::Error::other("no syncing"));
        }
        platters.syncs += 1;
        platters.cut();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut platters = self.platters();
        if platters.fail_writes {
            return Err(io::ErrorKind::ReadOnlyFilesystem.into());
        }
        for page in offset / 4096..=(offset + data.len() as u64 - 1) / 4096 {
            let full = platters
                .room
                .is_some_and(|room| platters.written.len() * 4096 >= room);
            if !platters.written.contains_key(&page) && full {
                return Err(io::ErrorKind::StorageFull.into());
            }
            platters.written.insert(page, ());
        }
        platters.operate(Operation::Write(offset, data.to_vec()));
        Ok(())
    }
}

/// The state of a store after each of the steps of [`step`].
async fn step(store: &EmbeddedStore, number: u64) -> Result<(), EmbeddedStoreError> {
    let other = Subject::new(None, "bob");
    match number % 6 {
        0 => drop(store.create(&session(number, 0)).await?),
        1 => drop(store.rotate(sid(number - 1), &rotation(0)).await?),
        2 => drop(store.create(&session(number, 0)).await?),
        3 => drop(end(store, sid(number - 1)).await?),
        4 => drop(store.raise_generation(&other).await?),
        _ => {
            store.block(&other).await?;
            store.unblock(&other).await?;
        }
    }
    Ok(())
}

/// Everything acknowledged is there, and nothing by halves.
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
    // What was not acknowledged is there whole, or not at all.
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

/// The power goes at every point, and drops or tears what was not synced.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_with_the_power() {
    let clock = ManualClock::at(START);
    let disk = Disk::default();
    let store = over(disk.clone(), &clock).await.unwrap();
    disk.platters().cuts = Some(Vec::new());
    let mut checked = 0u64;
    for number in 0..12 {
        step(&store, number).await.unwrap();
        disk.platters().acknowledged = number + 1;
        let cuts = disk.platters().cuts.replace(Vec::new()).unwrap();
        for (place, cut) in cuts.into_iter().enumerate() {
            let what = format!("step {number}, cut {place}");
            let cut_disk = Disk::of(cut.bytes);
            let store = over(cut_disk, &clock).await;
            let store = store.unwrap_or_else(|error| panic!("{what}: {error}"));
            check(&store, cut.acknowledged, &what).await;
            checked += 1;
        }
    }
    assert!(checked > 500, "{checked}");
}

/// A disk that is full, and one that takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn l07_a_full_disk_is_an_error_and_loses_nothing() {
    let clock = ManualClock::at(START);
    let disk = Disk::default();
    let store = over(disk.clone(), &clock).await.unwrap();
    for number in 0..12 {
        step(&store, number).await.unwrap();
    }
    let room = disk.platters().written.len() * 4096 + 40_000;
    disk.platters().room = Some(room);
    let mut kept = Vec::new();
    let error = loop {
        let session = session(1_000 + kept.len() as u64, 0);
        match store.create(&session).await {
            Ok(created) => {
                assert_eq!(created, CreationOutcome::Created);
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
        // However often it is tried.
        let long = "x".repeat(4000);
        for number in 0..20 {
            let mut session = session(5_000 + number, 0);
            session.label = Some(long.clone());
            let _ = store.create(&session).await;
        }
    }
    disk.platters().room = None;
    store.create(&failed).await.unwrap();
    end(&store, failed.sid).await.unwrap();
    assert!(is_revoked(&store, &failed));
    store.close().await;
    let store = over(disk.clone(), &clock).await.unwrap();
    for session in &kept {
        assert_eq!(
            store.find(session.sid).await.unwrap().as_ref(),
            Some(session)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn l07_a_disk_that_takes_nothing_is_an_error_and_loses_nothing() {
    let clock = ManualClock::at(START);
    let disk = Disk::default();
    let store = over(disk.clone(), &clock).await.unwrap();
    for number in 0..12 {
        step(&store, number).await.unwrap();
    }
    disk.platters().fail_writes = true;
    for round in 0..3 {
        let live = session(6, 0);
        let error = end(&store, live.sid).await.unwrap_err();
        assert!(matches!(error, EmbeddedStoreError::Io(_)), "{error:?}");
        assert!(!is_revoked(&store, &live));
        for error in [
            store.create(&session(100, 0)).await.err(),
            store.rotate(live.sid, &rotation(1)).await.err(),
            end(&store, live.sid).await.err(),
            store.raise_generation(&ALICE).await.err(),
            store.block(&ALICE).await.err(),
        ] {
            let error = error.unwrap_or_else(|| panic!("{round}"));
            assert!(matches!(error, EmbeddedStoreError::Io(_)), "{error:?}");
        }
        assert!(!is_revoked(&store, &live));
        assert!(is_revoked(&store, &session(2, 0)), "peek answers on");
    }
    disk.platters().fail_writes = false;
    assert_eq!(
        store.create(&session(100, 0)).await.unwrap(),
        CreationOutcome::Created
    );
    end(&store, sid(100)).await.unwrap();
    check(&store, 12, "writable again").await;
    assert_eq!(
        store.subject(&ALICE).await.unwrap(),
        SubjectState::default()
    );
}

/// Whichever sync of a commit fails, and whatever became of what it was to write: the store finds out, and answers so.
#[tokio::test(flavor = "multi_thread")]
async fn each_sync_of_a_commit_may_fail() {
    let clock = ManualClock::at(START);
    let (mut failed, mut happened) = (0, 0);
    for failure in [SyncFailure::Lost, SyncFailure::Kept] {
        for place in 0..4 {
            let disk = Disk::default();
            let store = over(disk.clone(), &clock).await.unwrap();
            store.create(&session(200, 0)).await.unwrap();
            disk.platters().fail_one_sync = Some((place, failure));
            let ended = end(&store, sid(200)).await;
            let struck = disk.platters().fail_one_sync.take().is_none();
            let what = format!("{failure:?} {place}: {ended:?}");
            let found = store.find(sid(200)).await.unwrap();
            assert_eq!(ended.is_ok(), found.is_none(), "{what}");
            assert_eq!(
                ended.is_ok(),
                is_revoked(&store, &session(200, 0)),
                "{what}"
            );
            failed += u64::from(struck && ended.is_err());
            happened += u64::from(struck && ended.is_ok());
            end(&store, sid(200)).await.unwrap();
            let synced = disk.platters().synced.clone();
            let again = over(Disk::of(synced), &clock).await.unwrap();
            assert!(is_revoked(&again, &session(200, 0)), "{what}");
            assert_eq!(again.find(sid(200)).await.unwrap(), None, "{what}");
        }
    }
    assert!(failed > 0 && happened > 0, "{failed} {happened}");
}

/// A sync that fails leaves it open what is on disk: the store finds out, and counts on nothing that is not.
#[tokio::test(flavor = "multi_thread")]
async fn a_failed_sync_is_no_acknowledgement() {
    let clock = ManualClock::at(START);
    for failure in [SyncFailure::Lost, SyncFailure::Kept] {
        let disk = Disk::default();
        let store = over(disk.clone(), &clock).await.unwrap();
        for number in 0..6 {
            step(&store, number).await.unwrap();
        }
        store.create(&session(200, 0)).await.unwrap();
        disk.platters().fail_syncs = Some(failure);
        for _ in 0..3 {
            end(&store, sid(200)).await.unwrap_err();
            assert!(is_revoked(&store, &session(2, 0)), "peek answers on");
        }
        disk.platters().fail_syncs = None;
        let ended = end(&store, sid(200)).await.unwrap();
        let revoked = is_revoked(&store, &session(200, 0));
        assert!(revoked, "{failure:?}: {ended:?}");
        assert_eq!(store.find(sid(200)).await.unwrap(), None);
        step(&store, 6).await.unwrap();
        step(&store, 7).await.unwrap();
        // And what it counts on is on disk.
        let synced = disk.platters().synced.clone();
        let again = over(Disk::of(synced), &clock).await.unwrap();
        check(&again, 8, "after a failed sync").await;
        assert!(is_revoked(&again, &session(200, 0)), "{failure:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_read_is_an_error_and_heals() {
    let clock = ManualClock::at(START);
    let disk = Disk::default();
    let opened = {
        let disk = disk.clone();
        move || Ok(Opened::over(Box::new(disk)))
    };
    let store = options(&clock).cache(0).open_with(opened).await.unwrap();
    for number in 0..6 {
        step(&store, number).await.unwrap();
    }
    disk.platters().fail_reads = true;
    let error = store.find(sid(0)).await.unwrap_err();
    assert!(matches!(error, EmbeddedStoreError::Io(_)), "{error:?}");
    assert!(is_revoked(&store, &session(2, 0)));
    disk.platters().fail_reads = false;
    for _ in 0..100 {
        if store.find(sid(0)).await.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    check(&store, 6, "readable again").await;
}

/// K03: a cutoff counts for all tokens that it names, also those of this crate's own
/// sessions.
#[tokio::test(flavor = "multi_thread")]
async fn k03_a_cutoff_counts_beside_a_generation_and_after_a_restart() {
    let directory = Temporary::new();
    let clock = ManualClock::at(START);
    let open = async || options(&clock).open(directory.file()).await.unwrap();
    let store = open().await;
    store.create(&session(1, 0)).await.unwrap();
    store.raise_generation(&ALICE).await.unwrap();
    clock.advance(Duration::from_secs(60));
    let token = |generation, issued_at| {
        let token = TokenIdentity::new(at(300)).issuer("https://id.example.com");
        let token = token.subject("alice").generation(generation);
        token.issued_at(at(issued_at))
    };
    assert_eq!(store.peek(&token(1, 60)), Some(false));
    let cutoff = Revocation::Cutoff {
        issuer: ALICE.issuer,
        subject: ALICE.name,
        issued_at: at(60),
        until: at(400),
    };
    store.revoke(&cutoff).await.unwrap();
    for generation in 1..4 {
        assert_eq!(store.peek(&token(generation, 0)), Some(true));
        assert_eq!(store.peek(&token(generation, 60)), Some(true));
        assert_eq!(store.peek(&token(generation, 61)), Some(false));
        store.raise_generation(&ALICE).await.unwrap();
        assert_eq!(store.peek(&token(generation, 61)), Some(true));
    }
    store.close().await;
    let store = open().await;
    assert_eq!(store.peek(&token(4, 60)), Some(true));
    assert_eq!(store.peek(&token(4, 61)), Some(false));
}
