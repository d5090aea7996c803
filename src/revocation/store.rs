//! The interface between the layer and a store of revocations.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::token_identity::TokenIdentity;

/// Tells the layer whether a token is revoked.
///
/// Implement [`is_revoked`](RevocationStore::is_revoked) to use a store of your own:
///
/// ```
/// use std::io;
/// use tower_jwt_auth::revocation::{RevocationStore, TokenIdentity};
///
/// struct Files;
///
/// impl RevocationStore for Files {
///     type Error = io::Error;
///
///     async fn is_revoked(&self, token: &TokenIdentity<'_>) -> io::Result<bool> {
///         let Some(jti) = token.jti else { return Ok(false) };
///         let issuer = token.issuer.unwrap_or_default();
///         // An id may contain `../`. The two parts are a directory and a file.
///         let hex = |id: &str| id.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
///         let path = format!("/var/lib/revoked/iss-{}/jti-{}", hex(issuer), hex(jti));
///         tokio::fs::try_exists(path).await
///     }
/// }
/// ```
///
/// The contract:
///
/// - After the store has acknowledged a revocation, it must return `true` for the revoked tokens.
///   It must do so until their `exp` plus the leeway of the verifier.
/// - If the store does not know the answer, it must return an error, never `false`. The layer's
///   [`FailurePolicy`](super::FailurePolicy) decides what happens then.
/// - The store must distinguish tokens by issuer and id, not by id alone.
/// - The layer waits for a limited time, so it may drop a look-up before the look-up finishes.
pub trait RevocationStore: Send + Sync + 'static {
    /// Why a look-up failed. The layer logs its `Display` text, so it must not contain a claim of
    /// the token.
    type Error: Error + Send + Sync + 'static;

    /// Whether the token is revoked.
    fn is_revoked(
        &self,
        token: &TokenIdentity<'_>,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// The answer, if the store has it without waiting.
    ///
    /// On `None`, the default, the layer calls [`is_revoked`](RevocationStore::is_revoked). An
    /// answer here saves the request an allocation.
    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        let _ = token;
        None
    }
}

impl<S: RevocationStore> RevocationStore for Arc<S> {
    type Error = S::Error;

    fn is_revoked(
        &self,
        token: &TokenIdentity<'_>,
    ) -> impl Future<Output = Result<bool, S::Error>> + Send {
        (**self).is_revoked(token)
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        (**self).peek(token)
    }
}

/// The store of a layer without revocation: no token is revoked.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRevocation;

impl RevocationStore for NoRevocation {
    type Error = Infallible;

    async fn is_revoked(&self, _: &TokenIdentity<'_>) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn peek(&self, _: &TokenIdentity<'_>) -> Option<bool> {
        Some(false)
    }
}

/// The [`RevocationStore`] that [`store_fn`] returns.
#[derive(Clone, Copy)]
pub struct StoreFn<F>(F);

/// A [`RevocationStore`] that calls a closure. The future must not borrow from the token: copy the
/// claims that it needs.
///
/// ```
/// use std::{collections::HashSet, io, sync::Arc};
/// use tower_jwt_auth::revocation::store_fn;
///
/// // The pairs of `iss` and `jti`.
/// let revoked = Arc::new(HashSet::from([("https://id.example.com", "6b1d5a9e")]));
/// let store = store_fn(move |token| {
///     let id = token.issuer.zip(token.jti);
///     let revoked = id.is_some_and(|id| revoked.contains(&id));
///     async move { Ok::<_, io::Error>(revoked) }
/// });
/// # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
/// # let _ = tower_jwt_auth::JwtAuthLayer::new(key).revocation(store);
/// ```
pub fn store_fn<F, A, E>(ask: F) -> StoreFn<F>
where
    F: Fn(&TokenIdentity<'_>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<bool, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    StoreFn(ask)
}

impl<F, A, E> RevocationStore for StoreFn<F>
where
    F: Fn(&TokenIdentity<'_>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<bool, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    type Error = E;

    fn is_revoked(
        &self,
        token: &TokenIdentity<'_>,
    ) -> impl Future<Output = Result<bool, E>> + Send {
        (self.0)(token)
    }
}

impl<F> fmt::Debug for StoreFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFn").finish_non_exhaustive()
    }
}

/// A type-erased [`RevocationStore`], so that you can choose the store at run time.
///
/// ```
/// use tower_jwt_auth::revocation::{BoxRevocationStore, NoRevocation};
///
/// let store = BoxRevocationStore::new(NoRevocation);
/// ```
#[derive(Clone)]
pub struct BoxRevocationStore(Arc<dyn Erased>);

/// The error of a [`BoxRevocationStore`] or a
/// [`BoxSessionStore`](crate::session::BoxSessionStore): the error of the boxed store.
pub struct BoxStoreError(Box<dyn Error + Send + Sync>);

impl BoxStoreError {
    pub(crate) fn new(error: impl Error + Send + Sync + 'static) -> Self {
        Self(Box::new(error))
    }
}

impl BoxRevocationStore {
    /// Wraps a store.
    #[must_use]
    pub fn new(store: impl RevocationStore) -> Self {
        Self(Arc::new(store))
    }
}

impl RevocationStore for BoxRevocationStore {
    type Error = BoxStoreError;

    async fn is_revoked(&self, token: &TokenIdentity<'_>) -> Result<bool, BoxStoreError> {
        self.0.is_revoked(token).await
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        self.0.peek(token)
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<bool, BoxStoreError>> + Send + 'a>>;

trait Erased: Send + Sync {
    fn is_revoked<'a>(&'a self, token: &'a TokenIdentity<'_>) -> Answer<'a>;
    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool>;
}

impl<S: RevocationStore> Erased for S {
    fn is_revoked<'a>(&'a self, token: &'a TokenIdentity<'_>) -> Answer<'a> {
        Box::pin(async move {
            RevocationStore::is_revoked(self, token)
                .await
                .map_err(BoxStoreError::new)
        })
    }

    fn peek(&self, token: &TokenIdentity<'_>) -> Option<bool> {
        RevocationStore::peek(self, token)
    }
}

impl fmt::Debug for BoxRevocationStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxRevocationStore").finish_non_exhaustive()
    }
}

impl fmt::Debug for BoxStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl fmt::Display for BoxStoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl Error for BoxStoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
