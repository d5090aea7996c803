//! Who is asked whether a token still counts.

use std::convert::Infallible;
use std::error::Error;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use super::TokenId;

/// Knows which tokens were revoked.
///
/// A store of one's own needs [`is_revoked`](RevocationStore::is_revoked) and no more:
///
/// ```
/// use std::io;
/// use tower_jwt_auth::revocation::{RevocationStore, TokenId};
///
/// struct Files;
///
/// impl RevocationStore for Files {
///     type Error = io::Error;
///
///     async fn is_revoked(&self, token: &TokenId<'_>) -> io::Result<bool> {
///         let Some(jti) = token.jti else { return Ok(false) };
///         let name: String = jti.bytes().map(|byte| format!("{byte:02x}")).collect();
///         std::path::Path::new("/var/lib/revoked").join(name).try_exists()
///     }
/// }
/// ```
///
/// The contract:
///
/// - Once a revocation was acknowledged, every token it speaks of must be answered `true`, until that token is dead by its
///   own `exp` and the leeway of the verifier.
/// - What cannot be told must be an error, never `false`. What is to happen then is the layer's business.
/// - Tokens must be told apart by issuer and id, not by id alone.
/// - A look-up may be dropped before it ends: the layer waits for a limited time.
pub trait RevocationStore: Send + Sync + 'static {
    /// Why a look-up has no answer. It is logged by its type's text, so it must not quote the token's id.
    type Error: Error + Send + Sync + 'static;

    /// Whether the token was revoked.
    fn is_revoked(
        &self,
        token: &TokenId<'_>,
    ) -> impl Future<Output = Result<bool, Self::Error>> + Send;

    /// The answer, if it is at hand without waiting; `None`: ask [`is_revoked`](RevocationStore::is_revoked).
    ///
    /// A store that answers here costs the request no allocation.
    fn peek(&self, token: &TokenId<'_>) -> Option<bool> {
        let _ = token;
        None
    }
}

impl<S: RevocationStore> RevocationStore for Arc<S> {
    type Error = S::Error;

    fn is_revoked(
        &self,
        token: &TokenId<'_>,
    ) -> impl Future<Output = Result<bool, S::Error>> + Send {
        (**self).is_revoked(token)
    }

    fn peek(&self, token: &TokenId<'_>) -> Option<bool> {
        (**self).peek(token)
    }
}

/// The store of a layer that has none: nothing was ever revoked.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoRevocation;

impl RevocationStore for NoRevocation {
    type Error = Infallible;

    async fn is_revoked(&self, _: &TokenId<'_>) -> Result<bool, Infallible> {
        Ok(false)
    }

    fn peek(&self, _: &TokenId<'_>) -> Option<bool> {
        Some(false)
    }
}

/// A [`RevocationStore`] of a closure. Made by [`store_fn`].
#[derive(Clone, Copy)]
pub struct StoreFn<F>(F);

/// A [`RevocationStore`] that asks a closure. What the future needs of the token it must own.
///
/// ```
/// use std::{collections::HashSet, io, sync::Arc};
/// use tower_jwt_auth::revocation::store_fn;
///
/// let revoked = Arc::new(HashSet::from(["a".to_owned()]));
/// let store = store_fn(move |token| {
///     let revoked = token.jti.is_some_and(|jti| revoked.contains(jti));
///     async move { Ok::<_, io::Error>(revoked) }
/// });
/// # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
/// # let _ = tower_jwt_auth::JwtAuthLayer::new(key).revocation(store);
/// ```
pub fn store_fn<F, A, E>(ask: F) -> StoreFn<F>
where
    F: Fn(&TokenId<'_>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<bool, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    StoreFn(ask)
}

impl<F, A, E> RevocationStore for StoreFn<F>
where
    F: Fn(&TokenId<'_>) -> A + Send + Sync + 'static,
    A: Future<Output = Result<bool, E>> + Send,
    E: Error + Send + Sync + 'static,
{
    type Error = E;

    fn is_revoked(&self, token: &TokenId<'_>) -> impl Future<Output = Result<bool, E>> + Send {
        (self.0)(token)
    }
}

impl<F> fmt::Debug for StoreFn<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreFn").finish_non_exhaustive()
    }
}

/// A [`RevocationStore`] whose type is not known until the program runs.
///
/// ```
/// use tower_jwt_auth::revocation::{BoxRevocationStore, NoRevocation};
///
/// let store = BoxRevocationStore::new(NoRevocation);
/// ```
#[derive(Clone)]
pub struct BoxRevocationStore(Arc<dyn Erased>);

/// The error of a [`BoxRevocationStore`]: that of the store inside.
pub struct BoxStoreError(Box<dyn Error + Send + Sync>);

impl BoxRevocationStore {
    /// Boxes a store.
    #[must_use]
    pub fn new(store: impl RevocationStore) -> Self {
        Self(Arc::new(store))
    }
}

impl RevocationStore for BoxRevocationStore {
    type Error = BoxStoreError;

    async fn is_revoked(&self, token: &TokenId<'_>) -> Result<bool, BoxStoreError> {
        self.0.is_revoked(token).await
    }

    fn peek(&self, token: &TokenId<'_>) -> Option<bool> {
        self.0.peek(token)
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Result<bool, BoxStoreError>> + Send + 'a>>;

trait Erased: Send + Sync {
    fn is_revoked<'a>(&'a self, token: &'a TokenId<'_>) -> Answer<'a>;
    fn peek(&self, token: &TokenId<'_>) -> Option<bool>;
}

impl<S: RevocationStore> Erased for S {
    fn is_revoked<'a>(&'a self, token: &'a TokenId<'_>) -> Answer<'a> {
        Box::pin(async move {
            RevocationStore::is_revoked(self, token)
                .await
                .map_err(|error| BoxStoreError(Box::new(error)))
        })
    }

    fn peek(&self, token: &TokenId<'_>) -> Option<bool> {
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
