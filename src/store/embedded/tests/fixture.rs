//! Sessions, clocks and stores for the tests.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redb::StorageBackend;

use crate::claims::NumericDate;
use crate::clock::ManualClock;
use crate::revocation::{RevocationStore, TokenIdentity};
use crate::session::{Rotation, Session, SessionId, SessionStore, Subject};
use crate::store::embedded::file::LockedFile;
use crate::store::embedded::{EmbeddedStore, EmbeddedStoreError, EmbeddedStoreOptions};

pub(super) const START: u64 = 1_700_000_000;
pub(super) const ALICE: Subject<'static> = Subject {
    issuer: Some("https://id.example.com"),
    name: "alice",
};

pub(super) fn at(seconds: u64) -> NumericDate {
    NumericDate::from_seconds(START + seconds).unwrap()
}

pub(super) fn sid(number: u64) -> SessionId {
    let mut bytes = [7; 16];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    SessionId::from_bytes(bytes)
}

pub(super) fn session(number: u64, generation: u64) -> Session {
    let mut session = Session::new(sid(number), &ALICE, generation, at(0));
    session.idle_expires_at = at(100_000);
    session.expires_at = at(900_000);
    session.access_expires_at = at(300);
    session
}

pub(super) fn rotation(counter: u64) -> Rotation {
    Rotation {
        grace: Duration::from_secs(10),
        idle_expires_at: at(100_001),
        access_expires_at: at(301),
        ..Rotation::new(counter, at(1))
    }
}

/// Ends a session of the issuer of `ALICE`. A session that the store does not have is revoked for
/// the lifetime of an access token.
pub(super) async fn end(
    store: &EmbeddedStore,
    sid: SessionId,
) -> Result<Option<Session>, EmbeddedStoreError> {
    store.end(sid, ALICE.issuer, at(300)).await
}

pub(super) fn is_revoked(store: &EmbeddedStore, session: &Session) -> bool {
    let sid = session.sid.to_string();
    let mut token = TokenIdentity::new(session.access_expires_at)
        .sid(&sid)
        .subject(&session.subject)
        .generation(session.generation);
    token.issuer = session.issuer.as_deref();
    store.peek(&token).unwrap()
}

/// A directory that is removed when the test ends.
pub(super) struct TemporaryDirectory(pub(super) PathBuf);

impl TemporaryDirectory {
    pub(super) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("tower-jwt-auth-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn file(&self) -> PathBuf {
        self.0.join("sessions")
    }
}

impl Drop for TemporaryDirectory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(super) fn options(clock: &ManualClock) -> EmbeddedStoreOptions {
    EmbeddedStoreOptions::new()
        .clock(clock.clone())
        .leeway(Duration::from_secs(30))
        .capacity(10_000)
}

pub(super) async fn try_open(path: &Path) -> Result<EmbeddedStore, EmbeddedStoreError> {
    options(&ManualClock::at(START)).open(path).await
}

pub(super) async fn open(path: &Path) -> EmbeddedStore {
    try_open(path).await.unwrap()
}

/// A store over a backend that is not a file.
pub(super) async fn open_over(
    backend: impl StorageBackend,
    clock: &ManualClock,
) -> Result<EmbeddedStore, EmbeddedStoreError> {
    open_with(options(clock), backend).await
}

pub(super) async fn open_with(
    options: EmbeddedStoreOptions,
    backend: impl StorageBackend,
) -> Result<EmbeddedStore, EmbeddedStoreError> {
    options.open_with(|| Ok(LockedFile::over(backend))).await
}
