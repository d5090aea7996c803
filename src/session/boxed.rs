//! A session store of any type.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::creation::{CreationOutcome, SessionLimit};
use super::data::UpdateOutcome;
use super::record::{Session, Subject, SubjectState};
use super::rotation::{Rotation, RotationOutcome};
use super::session_id::SessionId;
use super::store::SessionStore;
use crate::claims::NumericDate;
use crate::revocation::{BoxStoreError, RevocationStore, TokenIdentity};

/// A type-erased [`SessionStore`], so that you can choose the store at run time. Clones share the
/// store.
///
/// ```
/// use tower_jwt_auth::session::BoxSessionStore;
/// use tower_jwt_auth::store::MemoryStore;
///
/// # let redis = MemoryStore::new();
/// # let in_production = true;
/// let store = if in_production {
///     BoxSessionStore::new(redis)
/// } else {
///     BoxSessionStore::new(MemoryStore::new())
/// };
/// ```
///
/// Look-ups that a store answers from memory cost no allocation. Every other call costs one.
#[derive(Clone)]
pub struct BoxSessionStore(Arc<dyn Erased>);

impl BoxSessionStore {
    /// Wraps a store.
    #[must_use]
    pub fn new(store: impl SessionStore) -> Self {
        Self(Arc::new(store))
    }
}

type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, BoxStoreError>> + Send + 'a>>;

/// The methods of [`SessionStore`] and [`RevocationStore`], callable on a trait object.
macro_rules! erased {
    ($($trait:ident::$method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        trait Erased: Send + Sync {
            fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool>;
            $(fn $method<'a>(&'a self, $($argument: $type),*) -> Answer<'a, $answer>;)*
        }

        impl<S: SessionStore> Erased for S {
            fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
                RevocationStore::peek(self, token)
            }

            $(fn $method<'a>(&'a self, $($argument: $type),*) -> Answer<'a, $answer> {
                Box::pin(async move {
                    let answer = $trait::$method(self, $($argument),*).await;
                    answer.map_err(BoxStoreError::new)
                })
            })*
        }
    };
}

erased! {
    RevocationStore::is_revoked(token: &'a TokenIdentity<'a>) -> bool;
    SessionStore::subject(subject: &'a Subject<'a>) -> SubjectState;
    SessionStore::create(session: &'a Session, limit: Option<SessionLimit>) -> CreationOutcome;
    SessionStore::find(sid: SessionId) -> Option<Session>;
    SessionStore::rotate(sid: SessionId, rotation: &'a Rotation) -> RotationOutcome;
    SessionStore::update(sid: SessionId, version: u64, json: Option<&'a str>) -> UpdateOutcome;
    SessionStore::end(sid: SessionId, issuer: Option<&'a str>, until: NumericDate)
        -> Option<Session>;
    SessionStore::end_others(sid: SessionId, issuer: Option<&'a str>) -> Option<Session>;
    SessionStore::raise_generation(subject: &'a Subject<'a>) -> u64;
    SessionStore::raise_access_epoch(subject: &'a Subject<'a>) -> u64;
    SessionStore::block(subject: &'a Subject<'a>) -> ();
    SessionStore::unblock(subject: &'a Subject<'a>) -> ();
    SessionStore::list(subject: &'a Subject<'a>, now: NumericDate) -> Vec<Session>;
}

impl RevocationStore for BoxSessionStore {
    type Error = BoxStoreError;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, BoxStoreError> {
        self.0.is_revoked(token).await
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        self.0.peek(token)
    }
}

impl SessionStore for BoxSessionStore {
    async fn subject(&self, subject: &Subject<'_>) -> Result<SubjectState, BoxStoreError> {
        self.0.subject(subject).await
    }

    async fn create(
        &self,
        session: &Session,
        limit: Option<SessionLimit>,
    ) -> Result<CreationOutcome, BoxStoreError> {
        self.0.create(session, limit).await
    }

    async fn find(&self, sid: SessionId) -> Result<Option<Session>, BoxStoreError> {
        self.0.find(sid).await
    }

    async fn rotate(
        &self,
        sid: SessionId,
        rotation: &Rotation,
    ) -> Result<RotationOutcome, BoxStoreError> {
        self.0.rotate(sid, rotation).await
    }

    async fn update(
        &self,
        sid: SessionId,
        data_version: u64,
        data_json: Option<&str>,
    ) -> Result<UpdateOutcome, BoxStoreError> {
        self.0.update(sid, data_version, data_json).await
    }

    async fn end(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
        revoke_until: NumericDate,
    ) -> Result<Option<Session>, BoxStoreError> {
        self.0.end(sid, issuer, revoke_until).await
    }

    async fn end_others(
        &self,
        sid: SessionId,
        issuer: Option<&str>,
    ) -> Result<Option<Session>, BoxStoreError> {
        self.0.end_others(sid, issuer).await
    }

    async fn raise_generation(&self, subject: &Subject<'_>) -> Result<u64, BoxStoreError> {
        self.0.raise_generation(subject).await
    }

    async fn raise_access_epoch(&self, subject: &Subject<'_>) -> Result<u64, BoxStoreError> {
        self.0.raise_access_epoch(subject).await
    }

    async fn block(&self, subject: &Subject<'_>) -> Result<(), BoxStoreError> {
        self.0.block(subject).await
    }

    async fn unblock(&self, subject: &Subject<'_>) -> Result<(), BoxStoreError> {
        self.0.unblock(subject).await
    }

    async fn list(
        &self,
        subject: &Subject<'_>,
        now: NumericDate,
    ) -> Result<Vec<Session>, BoxStoreError> {
        self.0.list(subject, now).await
    }
}

impl fmt::Debug for BoxSessionStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxSessionStore").finish_non_exhaustive()
    }
}
