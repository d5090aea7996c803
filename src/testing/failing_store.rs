//! A store that fails on demand.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::claims::NumericDate;
use crate::revocation::{RevocationStore, TokenIdentity};
use crate::session::{
    CreationOutcome, Rotation, RotationOutcome, Session, SessionId, SessionLimit, SessionStore,
    Subject, SubjectState, UpdateOutcome,
};

/// Wraps a [`RevocationStore`] or [`SessionStore`] and fails on demand. Clones share the store and
/// the state.
///
/// ```
/// use tower_jwt_auth::{revocation::NoRevocation, testing::{FailingStore, TestIssuer}};
///
/// let store = FailingStore::new(NoRevocation);
/// let layer = TestIssuer::new().layer().revocation(store.clone());
/// store.fail(); // 503 from now on
/// store.recover();
/// ```
#[derive(Debug)]
pub struct FailingStore<S> {
    store: Arc<S>,
    state: Arc<SharedState>,
}

#[derive(Debug, Default)]
struct SharedState {
    mode: Mutex<FailureMode>,
    calls: AtomicU64,
}

#[derive(Clone, Copy, Debug, Default)]
enum FailureMode {
    #[default]
    Healthy,
    Failing,
    Hanging,
    Delayed(Duration),
}

impl<S> FailingStore<S> {
    /// Wraps `store`. It behaves like `store` until you call [`fail`](Self::fail),
    /// [`hang`](Self::hang) or [`delay`](Self::delay).
    pub fn new(store: S) -> Self {
        Self {
            store: Arc::new(store),
            state: Arc::default(),
        }
    }

    /// Makes every call fail at once. `peek` returns `None`, so the layer makes a call that fails,
    /// even if the store answers from memory.
    pub fn fail(&self) {
        self.set(FailureMode::Failing);
    }

    /// Makes every call hang. A look-up of a revocation ends with the layer's deadline. Other
    /// calls, such as a login, wait until they are dropped: put a timeout around them.
    ///
    /// To skip the wait for a deadline or a timeout, pause tokio's clock with
    /// `#[tokio::test(start_paused = true)]` (feature `test-util` of tokio).
    pub fn hang(&self) {
        self.set(FailureMode::Hanging);
    }

    /// Delays every call by this much, measured by tokio's clock. `tokio::time::pause` skips the
    /// wait.
    pub fn delay(&self, by: Duration) {
        self.set(FailureMode::Delayed(by));
    }

    /// Calls behave like the wrapped store again.
    pub fn recover(&self) {
        self.set(FailureMode::Healthy);
    }

    /// The number of calls so far, without those of [`peek`](RevocationStore::peek). A store that
    /// answers from memory answers the layer by `peek` alone.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.state.calls.load(Ordering::SeqCst)
    }

    /// The wrapped store.
    #[must_use]
    pub fn store(&self) -> &S {
        &self.store
    }

    fn set(&self, mode: FailureMode) {
        *self
            .state
            .mode
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = mode;
    }

    fn mode(&self) -> FailureMode {
        *self
            .state
            .mode
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Clone for FailingStore<S> {
    fn clone(&self) -> Self {
        Self {
            store: Arc::clone(&self.store),
            state: Arc::clone(&self.state),
        }
    }
}

impl<S: RevocationStore> RevocationStore for FailingStore<S> {
    type Error = StoreFailure<S::Error>;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, Self::Error> {
        self.apply_mode().await?;
        let answer = self.store.is_revoked(token).await;
        answer.map_err(StoreFailure::Store)
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        match self.mode() {
            FailureMode::Healthy => self.store.peek(token),
            _ => None,
        }
    }
}

impl<S> FailingStore<S> {
    /// Fails, hangs or waits before the wrapped store is called.
    async fn apply_mode<E>(&self) -> Result<(), StoreFailure<E>> {
        self.state.calls.fetch_add(1, Ordering::SeqCst);
        match self.mode() {
            FailureMode::Healthy => Ok(()),
            FailureMode::Failing => Err(StoreFailure::Injected),
            FailureMode::Hanging => std::future::pending().await,
            FailureMode::Delayed(by) => {
                tokio::time::sleep(by).await;
                Ok(())
            }
        }
    }
}

/// Fails before anything is changed.
impl<S: SessionStore> SessionStore for FailingStore<S> {
    async fn subject(&self, subject: &Subject<'_>) -> Result<SubjectState, Self::Error> {
        self.apply_mode().await?;
        self.store
            .subject(subject)
            .await
            .map_err(StoreFailure::Store)
    }

    async fn create(
        &self,
        session: &Session,
        limit: Option<SessionLimit>,
    ) -> Result<CreationOutcome, Self::Error> {
        self.apply_mode().await?;
        let created = self.store.create(session, limit).await;
        created.map_err(StoreFailure::Store)
    }

    async fn find(&self, sid: SessionId) -> Result<Option<Session>, Self::Error> {
        self.apply_mode().await?;
        self.store.find(sid).await.map_err(StoreFailure::Store)
    }

    async fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<RotationOutcome, Self::Error> {
        self.apply_mode().await?;
        let rotated = self.store.rotate(sid, rotation).await;
        rotated.map_err(StoreFailure::Store)
    }

    async fn update(
        &self,
        sid: SessionId,
        data_version: u64,
        data_json: Option<&str>,
    ) -> Result<UpdateOutcome, Self::Error> {
        self.apply_mode().await?;
        let updated = self.store.update(sid, data_version, data_json).await;
        updated.map_err(StoreFailure::Store)
    }

    async fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> Result<Option<Session>, Self::Error> {
        self.apply_mode().await?;
        let ended = self.store.end(sid, issuer, revoke_until).await;
        ended.map_err(StoreFailure::Store)
    }

    async fn end_others(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
    ) -> Result<Option<Session>, Self::Error> {
        self.apply_mode().await?;
        let kept = self.store.end_others(sid, issuer).await;
        kept.map_err(StoreFailure::Store)
    }

    async fn raise_generation(&self, subject: &Subject<'_>) -> Result<u64, Self::Error> {
        self.apply_mode().await?;
        let raised = self.store.raise_generation(subject).await;
        raised.map_err(StoreFailure::Store)
    }

    async fn raise_access_epoch(&self, subject: &Subject<'_>) -> Result<u64, Self::Error> {
        self.apply_mode().await?;
        let raised = self.store.raise_access_epoch(subject).await;
        raised.map_err(StoreFailure::Store)
    }

    async fn block(&self, subject: &Subject<'_>) -> Result<(), Self::Error> {
        self.apply_mode().await?;
        self.store.block(subject).await.map_err(StoreFailure::Store)
    }

    async fn unblock(&self, subject: &Subject<'_>) -> Result<(), Self::Error> {
        self.apply_mode().await?;
        self.store
            .unblock(subject)
            .await
            .map_err(StoreFailure::Store)
    }

    async fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, Self::Error> {
        self.apply_mode().await?;
        self.store
            .list(subject, now)
            .await
            .map_err(StoreFailure::Store)
    }
}

/// The error of a [`FailingStore`].
#[derive(Debug)]
#[non_exhaustive]
pub enum StoreFailure<E> {
    /// The failure requested by [`FailingStore::fail`].
    Injected,
    /// An error of the wrapped store.
    Store(E),
}

impl<E> fmt::Display for StoreFailure<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Injected => "the store was told to fail",
            Self::Store(_) => "the wrapped store failed",
        })
    }
}

impl<E: Error + 'static> Error for StoreFailure<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Injected => None,
            Self::Store(error) => Some(error),
        }
    }
}
