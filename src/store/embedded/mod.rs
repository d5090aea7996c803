//! Sessions and revocations in one file, for a service on one machine.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let path = std::env::temp_dir().join(format!("tower-jwt-auth-doc-{}", std::process::id()));
//! # let _ = std::fs::remove_file(&path);
//! use tower_jwt_auth::store::EmbeddedStore;
//!
//! let store = EmbeddedStore::open(&path).await?;
//! // Sessions::new(store.clone(), signing_key, refresh_keys), and JwtAuthLayer::new(key).revocation(store)
//! # use tower_jwt_auth::session::{SessionStore, Subject};
//! store.block(&Subject::new(None, "mallory")).await?; // on disk now
//! store.close().await;
//! # std::fs::remove_file(&path)?;
//! # Ok(()) }
//! ```
//!
//! What was acknowledged is on disk: it survives the process, the system and the power. Calls that come at the same time share
//! one sync. A thread of the store's own writes and another reads, so no thread of the runtime ever waits for the disk; whether a
//! token was revoked is answered from memory, where everything revoked is since the file was
//! opened. The threads are the store's own: it depends on no runtime, and outlives the one that
//! opened it.
//!
//! If the disk fails, or is full, calls fail and have changed nothing, look-ups of revocations go on, and each call tries anew.
//! A call that is dropped while it waits may still happen.
//!
//! # The file
//!
//! `open` checks every page of the file and every revocation, and each row is checked again when it
//! is read. Changed or lost bytes are [`Corrupt`](EmbeddedStoreError::Corrupt): at `open`, or as
//! the answer to the call that reads the row. The checksums guard against accidents, not against
//! somebody who can write to the file. Nor do they notice an older copy of the whole file.
//!
//! redb panics at some kinds of damage. The store looks at the file's length and header before redb
//! does, and answers a panic of redb with `Corrupt`. What remains: in a process built with
//! `panic = "abort"`, a damaged page that redb reads before its checksum is compared can end the
//! process. These are pages that redb reads while it opens, and pages damaged after `open`.
//!
//! | at the path | what `open` does |
//! | --- | --- |
//! | nothing, or an empty file | Makes a store with mode 0600. `PATH.new` is removed first, unless another process is making it. Links are not followed. |
//! | a store's file | Others lose their access, if it is the process's own file. What the group may do stays. |
//! | a link to a store's file | Follows it. Hard links are followed too; the lock is the file's, whatever its name. |
//! | a link to nothing | Fails with [`Io`](EmbeddedStoreError::Io). |
//! | a pipe, a socket or a device | Fails with [`ForeignFile`](EmbeddedStoreError::ForeignFile). |
//!
//! On Unix the store looks before each acknowledgement whether the path still leads to its file. If
//! the file or a directory above it was deleted, moved or replaced, every call that writes fails
//! with [`FileGone`](EmbeddedStoreError::FileGone). Look-ups go on: what was revoked stays revoked,
//! other tokens pass. If the file comes back, the store goes on. Call `chroot` before `open`, not
//! after.
//!
//! # A wrong clock
//!
//! Expired rows are dropped by the clock. A clock that is ahead for a single commit drops nothing.
//! One that stays ahead costs the following, also once it is right again:
//!
//! - Sessions that expire before the time it showed are gone: their users must log in again.
//! - Of the revocations that were dropped, the latest expiry is remembered. Tokens that expire no later
//!   count as revoked, since one of them may have been. No revoked token becomes valid.
//! - Of a subject that was blocked meanwhile, and whose tokens know no generation: tokens issued
//!   before the time it showed stay dead once the block is lifted, for as long as tokens live.
//!
//! Tokens live for a day at most, so after a day new tokens pass. A revocation of a token
//! that expires years from now, once dropped, makes it years: keep foreign tokens short-lived.
//!
//! # Figures
//!
//! With as many revocations as live sessions, on two busy cores of a virtual machine whose disk takes 5 ms for a sync
//! (`cargo bench --features embedded --bench embedded`):
//!
//! | sessions | open | file | resident, once open | a renewal, 1 caller | 64 callers | renewals a second, 64 callers |
//! | --- | --- | --- | --- | --- | --- | --- |
//! | 10,000 | 0.06 s | 10 MiB | 8 MiB | 22 ms | 20 ms | 3,300 |
//! | 100,000 | 0.6 s | 80 MiB | 51 MiB | 17 ms | 36 ms | 1,800 |
//!
//! A renewal is two syncs, shared by all calls at the same time. The second makes it certain after
//! a crash which commit counts. `open` reads the whole file to check it, in about a second per 500
//! MiB once the system has it in memory, which fills the [cache](EmbeddedStoreOptions::cache).

mod error;
mod file;
mod header;
mod known;
mod row;
mod tables;
#[cfg(test)]
mod tests;
mod worker;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

pub use error::EmbeddedStoreError;

use self::file::Opened;
use self::known::{Mark, SetOptions, id};
use self::tables::{Failure, Snapshot, Tables};
use self::worker::{Job, Query, Shared, Writer, change, query, read, spawn};
use crate::claims::NumericDate;
use crate::clock::{Clock, SystemClock};
use crate::revocation::{Revocation, RevocationSet, RevocationStore, TokenIdentity};
use crate::session::{
    CreationOutcome, Rotation, RotationOutcome, Session, SessionId, SessionStore, Subject,
    SubjectState,
};

/// Keeps sessions and revocations in one file. Clones share it.
///
/// See the [module docs](self) for an example. Once the last clone is dropped the file is closed, a moment later;
/// [`close`](EmbeddedStore::close) waits for it.
#[derive(Clone)]
pub struct EmbeddedStore {
    shared: Arc<Shared>,
    jobs: mpsc::Sender<Job>,
    queries: mpsc::Sender<Query>,
}

/// How an [`EmbeddedStore`] is opened.
///
/// ```
/// # async fn open() -> Result<(), tower_jwt_auth::store::EmbeddedStoreError> {
/// use tower_jwt_auth::store::EmbeddedStoreOptions;
///
/// let store = EmbeddedStoreOptions::new().capacity(10_000_000).open("/var/lib/service/sessions").await?;
/// # drop(store); Ok(()) }
/// ```
#[derive(Clone)]
#[must_use = "nothing is open before `open`"]
pub struct EmbeddedStoreOptions {
    clock: Arc<dyn Clock>,
    leeway: Duration,
    longest_lifetime: Duration,
    capacity: usize,
    cache: usize,
}

/// How much an [`EmbeddedStore`] holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EmbeddedStoreState {
    /// Sessions that were not ended, and not yet dropped for having expired.
    pub sessions: u64,
    /// Revocations that count.
    pub revocations: usize,
    /// The size of the file. It does not shrink while it is open: what was dropped makes room for what comes.
    pub file_bytes: u64,
}

/// As many calls wait in line at most; more wait before it.
const LINE: usize = 1024;

impl EmbeddedStoreOptions {
    /// 64 MiB: all of the inner pages for some million sessions, and the sessions used last.
    pub const DEFAULT_CACHE: usize = 64 << 20;

    /// The defaults.
    pub fn new() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            leeway: RevocationSet::DEFAULT_LEEWAY,
            longest_lifetime: RevocationSet::DEFAULT_LONGEST_LIFETIME,
            capacity: RevocationSet::DEFAULT_CAPACITY,
            cache: Self::DEFAULT_CACHE,
        }
    }

    /// Where the time comes from by which old rows are dropped. The system's clock by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// For how long after its `exp` a token is accepted. 5 minutes by default, the
    /// most that a verifier allows: less than the verifier's would revive tokens.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = leeway;
        self
    }

    /// How long tokens of other issuers live at most, whose subjects were blocked: for so long it is remembered that a block was
    /// lifted. At least [24 hours](RevocationSet::DEFAULT_LONGEST_LIFETIME), the default.
    pub fn longest_lifetime(mut self, lifetime: Duration) -> Self {
        self.longest_lifetime = lifetime;
        self
    }

    /// How many revocations count at the same time at most. [10 million](RevocationSet::DEFAULT_CAPACITY) by default. What
    /// still counts is never forgotten: a call that would need more fails.
    pub fn capacity(mut self, revocations: usize) -> Self {
        self.capacity = revocations;
        self
    }

    /// How many bytes of the file are kept in memory. [`DEFAULT_CACHE`](Self::DEFAULT_CACHE) by default.
    pub fn cache(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }

    /// Opens the store in the file at `path`, and makes one if there is none; for its making `path` with `.new` behind is
    /// used. The file's owner alone may read it. The [module docs](self#the-file) say what else may
    /// lie there.
    ///
    /// It takes as long as it takes to read the whole file, whose checksums are compared.
    ///
    /// # Errors
    ///
    /// [`InUse`](EmbeddedStoreError::InUse), [`ForeignFile`](EmbeddedStoreError::ForeignFile),
    /// [`NewerFormat`](EmbeddedStoreError::NewerFormat),
    /// [`OlderFormat`](EmbeddedStoreError::OlderFormat) and
    /// [`Corrupt`](EmbeddedStoreError::Corrupt) say what the file is;
    /// [`SetFull`](EmbeddedStoreError::SetFull) if it holds more revocations than the capacity;
    /// [`Io`](EmbeddedStoreError::Io) and [`DiskFull`](EmbeddedStoreError::DiskFull) if it cannot
    /// be read or written.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<EmbeddedStore, EmbeddedStoreError> {
        let path: PathBuf = path.as_ref().to_owned();
        self.open_with(move || Opened::at(&path)).await
    }

    async fn open_with(
        self,
        opened: impl FnOnce() -> Result<Opened, EmbeddedStoreError> + Send + 'static,
    ) -> Result<EmbeddedStore, EmbeddedStoreError> {
        let (done, wait) = oneshot::channel();
        spawn("jwt-auth-store", move || {
            let shared = Arc::new(Shared::new(SetOptions {
                capacity: self.capacity,
                leeway: self.leeway,
                longest_lifetime: self.longest_lifetime,
                clock: self.clock,
            }));
            let writer =
                opened().and_then(|opened| Writer::open(Arc::clone(&shared), opened, self.cache));
            let writer = match writer {
                Ok(writer) => writer,
                Err(error) => {
                    let _ = done.send(Err(error));
                    return;
                }
            };
            let (jobs, jobs_to_do) = mpsc::channel(LINE);
            let (queries, mut queries_to_do) = mpsc::channel(LINE);
            let store = EmbeddedStore {
                shared,
                jobs,
                queries,
            };
            let reader = Arc::clone(&store.shared);
            let weak = store.jobs.downgrade();
            let spawned = spawn("jwt-auth-reads", move || {
                read(&reader, &mut queries_to_do, &weak);
            });
            if done.send(spawned.map(|()| store)).is_ok() {
                writer.run(jobs_to_do);
            }
        })?;
        wait.await.unwrap_or(Err(EmbeddedStoreError::Closed))
    }
}

impl Default for EmbeddedStoreOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl EmbeddedStore {
    /// Opens the store in the file at `path`, and makes one if there is none. With
    /// [`EmbeddedStoreOptions`] there is more to choose.
    ///
    /// # Errors
    ///
    /// As [`EmbeddedStoreOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, EmbeddedStoreError> {
        EmbeddedStoreOptions::new().open(path).await
    }

    /// Revokes a token, or whatever else can be revoked. Once this has returned it is on disk, and every look-up sees it.
    ///
    /// This holds for sessions in this store too. A session that is revoked has ended. A block
    /// refuses logins and refreshes until [`unblock`](SessionStore::unblock), and a generation ends
    /// the sessions before it. To block a subject that logs in here, prefer
    /// [`block`](SessionStore::block): it also refuses a login that has begun and completes after
    /// the block is lifted.
    ///
    /// # Errors
    ///
    /// As every call; then it was not revoked, or not yet.
    pub async fn revoke(&self, revocation: &Revocation<'_>) -> Result<(), EmbeddedStoreError> {
        let mark = match *revocation {
            Revocation::Token {
                issuer,
                jti,
                expires_at,
            } => Mark::Token {
                id: id(issuer, jti),
                until: expires_at,
            },
            Revocation::Session { issuer, sid, until } => Mark::Session {
                id: id(issuer, sid),
                until,
            },
            Revocation::Generation {
                issuer,
                subject,
                generation,
                until,
            } => Mark::Generation {
                id: id(issuer, subject),
                generation,
                until,
            },
            Revocation::Cutoff {
                issuer,
                subject,
                issued_at,
                until,
            } => Mark::Cutoff {
                id: id(issuer, subject),
                at: issued_at,
                until,
            },
            Revocation::Block { issuer, subject } => Mark::Block {
                id: id(issuer, subject),
            },
        };
        let shared = Arc::clone(&self.shared);
        self.act(move |tables| tables.revoke_any(mark, shared.now()))
            .await
    }

    /// How much it holds.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub async fn state(&self) -> Result<EmbeddedStoreState, EmbeddedStoreError> {
        let shared = Arc::clone(&self.shared);
        self.ask(move |snapshot| {
            Ok(EmbeddedStoreState {
                sessions: snapshot.sessions().map_err(Failure::File)?,
                revocations: shared.known.len(),
                file_bytes: snapshot.bytes().map_err(Failure::File)?,
            })
        })
        .await
    }

    /// Closes the file, for all clones, once the calls that came before are answered. Then it can be opened again.
    ///
    /// Look-ups of revocations go on; every other call fails with [`EmbeddedStoreError::Closed`].
    pub async fn close(&self) {
        let (done, wait) = oneshot::channel();
        if self.jobs.send(Job::Close(done)).await.is_ok() {
            // An error says that another call has closed it.
            let _ = wait.await;
        }
        // Either way the writer is gone once its end of the line is.
        self.jobs.closed().await;
    }

    /// Has the thread that writes do something, and waits until it is on disk.
    async fn act<T: Send + 'static>(
        &self,
        run: impl FnOnce(&mut Tables<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, EmbeddedStoreError> {
        let (job, wait) = change(run);
        if self.jobs.send(job).await.is_err() {
            return Err(EmbeddedStoreError::Closed);
        }
        wait.await.unwrap_or(Err(EmbeddedStoreError::Closed))
    }

    /// Has the thread that reads look at what is on disk.
    async fn ask<T: Send + 'static>(
        &self,
        run: impl FnOnce(&Snapshot) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, EmbeddedStoreError> {
        let (query, wait) = query(run);
        if self.queries.send(query).await.is_err() {
            return Err(EmbeddedStoreError::Closed);
        }
        wait.await.unwrap_or(Err(EmbeddedStoreError::Closed))
    }
}

/// Answers from memory, always at once.
impl RevocationStore for EmbeddedStore {
    type Error = EmbeddedStoreError;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, EmbeddedStoreError> {
        self.shared.known.peek(token)
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        self.shared.known.peek(token).ok()
    }
}

/// Every call fails if the file does, and then has changed nothing that was acknowledged.
impl SessionStore for EmbeddedStore {
    async fn subject(&self, subject: &Subject<'_>) -> Result<SubjectState, EmbeddedStoreError> {
        let whose = Whose::new(subject);
        self.ask(move |snapshot| snapshot.subject(&whose.subject()))
            .await
    }

    async fn create(&self, session: &Session) -> Result<CreationOutcome, EmbeddedStoreError> {
        let session = session.clone();
        self.act(move |tables| tables.create(&session)).await
    }

    async fn find(&self, sid: SessionId) -> Result<Option<Session>, EmbeddedStoreError> {
        self.ask(move |snapshot| snapshot.find(sid)).await
    }

    async fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<RotationOutcome, EmbeddedStoreError> {
        let rotation = rotation.clone();
        self.act(move |tables| tables.rotate(sid, &rotation)).await
    }

    async fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> Result<Option<Session>, EmbeddedStoreError> {
        let issuer = issuer.map(str::to_owned);
        let shared = Arc::clone(&self.shared);
        self.act(move |tables| tables.end(sid, issuer.as_deref(), revoke_until, &shared.known))
            .await
    }

    async fn raise_generation(&self, subject: &Subject<'_>) -> Result<u64, EmbeddedStoreError> {
        let whose = Whose::new(subject);
        let shared = Arc::clone(&self.shared);
        self.act(move |tables| tables.raise_generation(&whose.subject(), shared.now()))
            .await
    }

    async fn block(&self, subject: &Subject<'_>) -> Result<(), EmbeddedStoreError> {
        let whose = Whose::new(subject);
        let shared = Arc::clone(&self.shared);
        self.act(move |tables| tables.block(&whose.subject(), shared.now()))
            .await
    }

    async fn unblock(&self, subject: &Subject<'_>) -> Result<(), EmbeddedStoreError> {
        let whose = Whose::new(subject);
        let shared = Arc::clone(&self.shared);
        self.act(move |tables| tables.unblock(&whose.subject(), shared.now()))
            .await
    }

    async fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, EmbeddedStoreError> {
        let whose = Whose::new(subject);
        self.ask(move |snapshot| snapshot.list(&whose.subject(), now))
            .await
    }
}

/// A subject that goes to another thread.
struct Whose {
    issuer: Option<String>,
    name: String,
}

impl Whose {
    fn new(subject: &Subject<'_>) -> Self {
        Self {
            issuer: subject.issuer.map(str::to_owned),
            name: subject.name.to_owned(),
        }
    }

    fn subject(&self) -> Subject<'_> {
        Subject::new(self.issuer.as_deref(), &self.name)
    }
}

impl fmt::Debug for EmbeddedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStore").finish_non_exhaustive()
    }
}

impl fmt::Debug for EmbeddedStoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStoreOptions")
            .field("leeway", &self.leeway)
            .field("capacity", &self.capacity)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}
