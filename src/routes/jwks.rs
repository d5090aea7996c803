//! The JWK Set document of a service.

use std::time::Duration;

use axum_core::response::Response;
use bytes::Bytes;

use super::public_document::PublicDocument;
use crate::keys::KeySet;

/// Serves your public keys as a JWK Set document (RFC 7517 §5).
///
/// You need it if other services verify your tokens. Symmetric secrets are never in the document.
///
/// ```
/// use axum::{Router, routing::get};
/// use tower_jwt_auth::keys::{Algorithm, SigningKey, SigningKeySet};
/// use tower_jwt_auth::routes::JwksRoute;
///
/// let retired = SigningKey::generate(Algorithm::ES256)?.with_key_id("2025");
/// let current = SigningKey::generate(Algorithm::ES256)?.with_key_id("2026");
/// let keys = SigningKeySet::new(current, [retired.verifying_key()])?;
/// let jwks = JwksRoute::new(keys.verifying_keys());
/// let app: Router = Router::new().route("/.well-known/jwks.json", get(jwks.handler()));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
///
/// The document has `Content-Type: application/jwk-set+json` (§8.5.2).
#[derive(Clone, Debug)]
pub struct JwksRoute {
    document: Bytes,
    max_age: Duration,
}

impl JwksRoute {
    /// 10 minutes: verifiers fetch the document again within that time.
    ///
    /// Publish a new key at least that long before you sign with it.
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(600);

    /// Serves the public keys in `keys`.
    #[must_use]
    pub fn new(keys: &KeySet) -> Self {
        Self {
            document: keys.to_jwks().into(),
            max_age: Self::DEFAULT_MAX_AGE,
        }
    }

    /// Sets how long the document may be cached, in whole seconds: `max-age` of `Cache-Control`.
    /// [10 minutes](Self::DEFAULT_MAX_AGE) by default.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// The handler for `GET`.
    pub fn handler(
        &self,
    ) -> impl Fn() -> std::future::Ready<Response> + Clone + Send + Sync + 'static + use<> {
        let document = self.document.clone();
        let document = PublicDocument::new(document, "application/jwk-set+json", self.max_age);
        move || std::future::ready(document.response())
    }
}
