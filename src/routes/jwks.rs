//! The public keys of a service, for others to verify with.

use std::time::Duration;

use axum_core::body::Body;
use axum_core::response::Response;
use bytes::Bytes;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::keys::KeySet;

/// Serves the public keys of a service as a JWK Set document (RFC 7517 §5), so that others verify its tokens. Secrets are left out.
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
    /// 10 minutes. Whoever verifies asks again in that time, so a new key has to be in the document that long before it signs.
    pub const DEFAULT_MAX_AGE: Duration = Duration::from_secs(600);

    /// Serves the public ones of `keys`.
    #[must_use]
    pub fn new(keys: &KeySet) -> Self {
        Self {
            document: keys.to_jwks().into(),
            max_age: Self::DEFAULT_MAX_AGE,
        }
    }

    /// How long the document may be kept, in whole seconds: `max-age` of `Cache-Control`. 10 minutes by default.
    #[must_use]
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = max_age;
        self
    }

    /// A handler for `GET`.
    pub fn handler(
        &self,
    ) -> impl Fn() -> std::future::Ready<Response> + Clone + Send + Sync + 'static + use<> {
        let document = self.document.clone();
        let cache_control = format!("public, max-age={}", self.max_age.as_secs());
        // Digits and letters are a header's value.
        let cache_control = HeaderValue::try_from(cache_control).ok();
        move || {
            let mut response = Response::new(Body::from(document.clone()));
            let headers = response.headers_mut();
            headers.insert(
                CONTENT_TYPE,
                HeaderValue::from_static("application/jwk-set+json"),
            );
            headers.extend(cache_control.clone().map(|value| (CACHE_CONTROL, value)));
            std::future::ready(response)
        }
    }
}
