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
//! | malformed credentials, or several tokens in one place | 400 | and `error="invalid_request"` |
//! | a cookie, from another site | 403 | |
//! | a token without what a [guard](crate::guard) requires | 403 | and `error="insufficient_scope"`, with the scopes |
//! | a good token, while the revocation store has no answers | 503 | none, but `Retry-After` |
//!
//! The body is `application/problem+json` (RFC 9457), or what one's own [`Respond`] says. Neither it nor any header holds
//! a token, a claim or a library's text. The typed reason is an [`AuthError`] in the response's extensions, and with
//! feature `tracing` an event: `DEBUG`, but `WARN` for claims that no handler expected, and `ERROR` for a missing layer.
//!
//! A response to a request that was authenticated by a cookie gets `Cache-Control: private` if it has none.
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

mod authenticator;
pub mod csrf;
mod future;
mod layer;
mod rejection;
mod revocation;
mod service;
mod source;

pub use future::ResponseFuture;
pub use layer::JwtAuthLayer;
pub use rejection::{AuthError, AuthErrorKind, EmptyBody, ProblemJson, Respond};
pub use service::JwtAuth;
pub use source::{RequestHead, TokenSource};

pub(crate) use authenticator::token_of;
#[cfg(feature = "axum")]
pub(crate) use rejection::leave_to_layer;
pub(crate) use rejection::turn_away;
