//! The tower layer: a token out of the request, verified, and into its extensions; or an answer.
//!
//! 1. The [sources](TokenSource) are asked in order; the first that has a token decides.
//! 2. If that is a cookie, the request must not come from [another site](csrf).
//! 3. The token is [verified](crate::verify).
//! 4. It is looked up in the [`RevocationStore`](crate::revocation::RevocationStore), if there is one.
//! 5. The [`VerifiedToken`](crate::VerifiedToken) goes into the extensions, and the inner service is called.
//!
//! | what came | status | `WWW-Authenticate` (RFC 6750 §3) |
//! | --- | --- | --- |
//! | no token | 401 | `Bearer realm="api"` |
//! | a bad or revoked token | 401 | and `error="invalid_token"`, with one description for every cause but expiry |
//! | malformed credentials (RFC 6750 §2.1), or several tokens in one place | 400 | and `error="invalid_request"` |
//! | a cookie, from another site | 403 | |
//! | a token without what a [guard](crate::guard) requires | 403 | and `error="insufficient_scope"`, with the scopes |
//! | a good token, while the revocation store has no answers | 503 | none, but `Retry-After` |
//!
//! The body is `application/problem+json` (RFC 9457), or what one's own [`Respond`] says. Neither it nor any header holds
//! a token, a claim or a library's text. The typed reason is an [`AuthError`] in the response's extensions, and with
//! feature `tracing` an event: `DEBUG`, but `WARN` for claims that no handler expected, and `ERROR` for a missing layer.
//!
//! # Shared caches
//!
//! A shared cache stores no answer to `Authorization` unless the answer allows it (RFC 9111 §3.5).
//! No cache knows that a cookie, or another source, names one person. The layer tells them:
//!
//! | answer | what the layer adds |
//! | --- | --- |
//! | to a token from any source but `Authorization` | `private`, unless `Cache-Control` has `private`, `no-store`, `public` or `s-maxage` |
//! | without a token, where it is optional | `Vary`, with the header that each other source reads |
//! | a refusal | `no-store`, or `private` as above if your [`Respond`] sets `Cache-Control` |
//!
//! `must-revalidate` and `private="…"` do not stop `private`. Write `public` or `s-maxage` only if
//! everybody may see the page. `CDN-Cache-Control` is treated alike. Other headers for a single
//! product, such as `Surrogate-Control` and `X-Accel-Expires`, are left alone: they override
//! `private` there. Name what a [`TokenSource::custom`] reads in `Vary` yourself.
//!
//! nginx ignores the rule on `Authorization`. If it caches, set `proxy_no_cache` and
//! `proxy_cache_bypass` to `$http_authorization` there.
//!
//! # Plain tower
//!
//! Any service of `http::Request<B>` will do, with any body. A response's body must be one that the [`Respond`] in use
//! can make: [`ProblemJson`] one that is `From<Bytes>`, as hyper's `Full` and axum's `Body`; [`EmptyBody`] one that is
//! `Default`; a closure makes any other, `BoxBody` say.
//!
//! ```
//! use std::convert::Infallible;
//! use bytes::Bytes;
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//! use tower_jwt_auth::{JwtAuthLayer, VerifiedToken};
//! # use tower_jwt_auth::keys::SigningKey;
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let key = SigningKey::hs256([7; 32])?;
//! # let token = key.sign(&serde_json::json!({ "sub": "alice", "exp": 4_000_000_000_u64 }))?;
//! # let key = key.verifying_key();
//!
//! let service = JwtAuthLayer::new(key).layer(service_fn(async |request: Request<()>| {
//!     let subject = request.extensions().get().and_then(VerifiedToken::subject);
//!     let body = Bytes::copy_from_slice(subject.unwrap_or_default().as_bytes());
//!     Ok::<_, Infallible>(Response::new(Full::new(body)))
//! }));
//!
//! let request = Request::get("/").header("Authorization", format!("Bearer {token}")).body(())?;
//! let response = service.oneshot(request).await?;
//! assert_eq!(response.status(), 200);
//! # Ok(())
//! # }
//! ```
//!
//! # Every route
//!
//! As with any middleware, `.layer` of a `Router` also answers for paths that no route has, and for methods that a route
//! lacks: 401 before 404 and 405. `.route_layer` leaves those alone.
//!
//! # CORS
//!
//! Put `CorsLayer` outside this layer, that is, add it after it. Then preflights, which have no token, are answered, and a
//! script of another origin can read the 401.
//!
//! ```
//! use axum::{Router, routing::get};
//! use tower_http::cors::CorsLayer;
//! use tower_jwt_auth::JwtAuthLayer;
//! # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
//!
//! let app: Router = Router::new()
//!     .route("/me", get(|| async { "hello" }))
//!     .layer(JwtAuthLayer::new(key))
//!     .layer(CorsLayer::permissive());
//! ```

mod authenticated;
mod authenticator;
mod caching;
mod challenge;
pub mod csrf;
mod error;
mod future;
mod layer;
mod layer_handle;
mod respond;
mod responder;
mod revocation;
mod service;
mod source;

pub use error::{AuthError, AuthErrorKind};
pub use future::ResponseFuture;
pub use layer::JwtAuthLayer;
pub use respond::{EmptyBody, ProblemJson, Respond};
pub use service::JwtAuth;
pub use source::{RequestHead, TokenSource};

pub(crate) use authenticated::token_of;
#[cfg(feature = "axum")]
pub(crate) use csrf::rules::CsrfRules;
#[cfg(feature = "axum")]
pub(crate) use responder::leave_to_layer;
pub(crate) use responder::reject_without_layer;
#[cfg(feature = "axum")]
pub(crate) use source::{Found, cookies};
