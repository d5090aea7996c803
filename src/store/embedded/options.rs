//! The settings of an embedded store, and how it is opened.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::error::EmbeddedStoreError as Error;
use super::file::LockedFile;
use super::index::IndexOptions;
use super::inner::Inner;
use super::reader;
use super::store::EmbeddedStore;
use super::writer::Writer;
use crate::clock::{Clock, SystemClock};
use crate::revocation::RevocationSet;
use crate::session::MAX_ACCESS_LIFETIME;

/// The most calls that wait in the queue of a thread. Further calls wait to enter it.
const QUEUE_LENGTH: usize = 1024;

/// The settings of an [`EmbeddedStore`].
///
/// ```
/// # async fn open() -> Result<(), tower_jwt_auth::store::EmbeddedStoreError> {
/// use tower_jwt_auth::store::EmbeddedStoreOptions;
///
/// let options = EmbeddedStoreOptions::new().capacity(20_000_000);
/// let store = options.open("/var/lib/service/sessions").await?;
/// # drop(store);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "nothing is open before `open`"]
pub struct EmbeddedStoreOptions {
    index: IndexOptions,
    cache: usize,
}

impl EmbeddedStoreOptions {
    /// 64 MiB: enough for the upper pages of the tables of a few million sessions, and for recently
    /// used sessions.
    pub const DEFAULT_CACHE: usize = 64 << 20;

    /// The defaults.
    pub fn new() -> Self {
        Self {
            index: IndexOptions {
                capacity: RevocationSet::DEFAULT_CAPACITY,
                leeway: RevocationSet::DEFAULT_LEEWAY,
                longest_lifetime: RevocationSet::DEFAULT_LONGEST_LIFETIME,
                clock: Arc::new(SystemClock),
            },
            cache: Self::DEFAULT_CACHE,
        }
    }

    /// Sets the clock by which the store drops expired sessions and revocations. The system clock
    /// by default.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.index.clock = Arc::new(clock);
        self
    }

    /// Tells the store how long verifiers accept a token after its `exp`. 5 minutes by default, the
    /// most that a verifier allows.
    ///
    /// Set at least the leeway of your verifiers. With less, the store may drop the revocation of
    /// a token that is still in its leeway. It then rejects every token with the same `exp` or an
    /// earlier one, even if the token was not revoked.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.index.leeway = leeway;
        self
    }

    /// Tells the store the longest lifetime of a token of any issuer. [24
    /// hours](RevocationSet::DEFAULT_LONGEST_LIFETIME) is the default and the minimum: a lower
    /// value counts as 24 hours.
    ///
    /// For this long, the store remembers each lifted block, each logout everywhere and each
    /// invalidation of access tokens. A token that lives longer can become valid again.
    pub fn longest_lifetime(mut self, lifetime: Duration) -> Self {
        self.index.longest_lifetime = lifetime.max(MAX_ACCESS_LIFETIME);
        self
    }

    /// Sets the maximum number of unexpired revocations. [10
    /// million](RevocationSet::DEFAULT_CAPACITY) by default.
    ///
    /// The store never drops an unexpired revocation. A call that needs more entries fails with
    /// [`SetFull`](Error::SetFull).
    pub fn capacity(mut self, revocations: usize) -> Self {
        self.index.capacity = revocations;
        self
    }

    /// Sets how many bytes of the file are cached in memory.
    /// [`DEFAULT_CACHE`](Self::DEFAULT_CACHE), 64 MiB, by default.
    pub fn cache(mut self, bytes: usize) -> Self {
        self.cache = bytes;
        self
    }

    /// Opens the store in the file at `path`, and creates the file if there is none.
    ///
    /// A new file is first created at `path` with `.new` appended. Only its owner can read it. The
    /// [module docs](super#the-file) say what else may be at the path.
    ///
    /// This reads the whole file and verifies its checksums.
    ///
    /// # Errors
    ///
    /// - [`InUse`](Error::InUse), [`ForeignFile`](Error::ForeignFile),
    ///   [`NewerFormat`](Error::NewerFormat), [`OlderFormat`](Error::OlderFormat) or
    ///   [`Corrupt`](Error::Corrupt) if the file is not one that this store can open.
    /// - [`SetFull`](Error::SetFull) if the file has more revocations than the capacity.
    /// - [`FileGone`](Error::FileGone) if the file was moved while it was opened.
    /// - [`Io`](Error::Io) or [`DiskFull`](Error::DiskFull) if it cannot be read or written.
    pub async fn open(self, path: impl AsRef<Path>) -> Result<EmbeddedStore, Error> {
        let path: PathBuf = path.as_ref().to_owned();
        self.open_with(move || LockedFile::open_or_create(&path))
            .await
    }

    pub(super) async fn open_with(
        self,
        open_file: impl FnOnce() -> Result<LockedFile, Error> + Send + 'static,
    ) -> Result<EmbeddedStore, Error> {
        let (done, wait) = oneshot::channel();
        spawn("jwt-auth-store", move || {
            let inner = Arc::new(Inner::new(self.index));
            let writer =
                open_file().and_then(|file| Writer::open(Arc::clone(&inner), file, self.cache));
            let writer = match writer {
                Ok(writer) => writer,
                Err(error) => {
                    let _ = done.send(Err(error));
                    return;
                }
            };
            let (write_sender, write_requests) = mpsc::channel(QUEUE_LENGTH);
            let (read_sender, mut read_requests) = mpsc::channel(QUEUE_LENGTH);
            let weak_sender = write_sender.downgrade();
            let store = EmbeddedStore::new(Arc::clone(&inner), write_sender, read_sender);
            let spawned = spawn("jwt-auth-reads", move || {
                reader::run(&inner, &mut read_requests, &weak_sender);
            });
            if done.send(spawned.map(|()| store)).is_ok() {
                writer.run(write_requests);
            }
        })?;
        wait.await.unwrap_or(Err(Error::Closed))
    }
}

impl Default for EmbeddedStoreOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for EmbeddedStoreOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EmbeddedStoreOptions")
            .field("leeway", &self.index.leeway)
            .field("longest_lifetime", &self.index.longest_lifetime)
            .field("capacity", &self.index.capacity)
            .field("cache", &self.cache)
            .finish_non_exhaustive()
    }
}

impl EmbeddedStore {
    /// Opens the store in the file at `path` with the default settings, and creates the file if
    /// there is none. See [`EmbeddedStoreOptions`] for other settings.
    ///
    /// # Errors
    ///
    /// The same as [`EmbeddedStoreOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        EmbeddedStoreOptions::new().open(path).await
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    thread::Builder::new().name(name.to_owned()).spawn(run)?;
    Ok(())
}
