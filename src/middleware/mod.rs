//! The tower layer: authenticates a request by its token, or rejects it.
//!
//! You need [`JwtAuthLayer`] on every router whose handlers need a caller's identity.
//!
//! 1. The [sources](TokenSource) are read in order. The first with a token decides.
//! 2. If browsers send that token on their own, from a cookie or [another
//!    source](TokenSource::custom_ambient), the request must come from an [origin that you
//!    trust](csrf).
//! 3. The token is [verified](crate::verify). A token with the scheme `DPoP` needs a
//!    [proof](crate::dpop). A token that is bound to a certificate needs [that
//!    certificate](crate::mtls).
//! 4. It is looked up in the [`RevocationStore`](crate::revocation::RevocationStore), if there is
//!    one.
//! 5. The proof is remembered, so that it is used once.
//! 6. The [`VerifiedToken`](crate::VerifiedToken) is inserted into the request's extensions, and
//!    the inner service is called.
//!
//! | request | status | `WWW-Authenticate` (RFC 6750 §3) |
//! | --- | --- | --- |
//! | without a token | 401 | `Bearer realm="api"` |
//! | with an invalid or revoked token | 401 | `realm`, `error="invalid_token"`, and a description: one for expiry, one for all other reasons |
//! | with malformed credentials (RFC 6750 §2.1), or several tokens in one source | 400 | `realm`, `error="invalid_request"`, and a description |
//! | with the scheme `DPoP`, and a missing, wrong or used proof | 401 | `DPoP` with `error="invalid_dpop_proof"`, and [other codes](crate::dpop#responses) (RFC 9449 §7.1) |
//! | with a cookie, from an [origin that you do not trust](csrf) | 403 | none |
//! | for a [guard](crate::guard) that requires a newer login, or one at another authentication level | 401 | `realm`, `error="insufficient_user_authentication"`, a description, `acr_values` and `max_age` (RFC 9470 §3) |
//! | with a token that does not satisfy a [guard](crate::guard) | 403 | `realm`, `error="insufficient_scope"`, a description, and the scopes |
//! | while the revocation store, the replay store, the issuer or the condition of a guard fails or does not answer | 503 | none, but `Retry-After` |
//! | for a handler or a guard without a layer, or with a misconfigured permission | 500 | none |
//!
//! With a [`ProtectedResource`], each challenge also has `resource_metadata` (RFC 9728 §5.1). Then
//! the first two rows have the `scope` that a client should ask for.
//!
//! The body is `application/problem+json` (RFC 9457) with the [code](AuthError::code) of the error,
//! unless your [`Respond`] makes another. No body or header contains a token, a claim, or an error
//! message of a dependency. The reason is an [`AuthError`] in the extensions of the response. With
//! feature `tracing` it is also an [event](crate#events).
//!
//! # Shared caches
//!
//! A shared cache stores the response to a request with `Authorization` only if the response allows
//! it (RFC 9111 §3.5). Caches do not know that cookies and other sources identify a user. The layer
//! tells them:
//!
//! | response to a request | what the layer adds |
//! | --- | --- |
//! | with a token from any source but `Authorization` | `private`, unless `Cache-Control` has `private`, `no-store`, `public` or `s-maxage` |
//! | without a token, if it is optional | `Vary`, with the header of each source except `Authorization` |
//! | with a token that [counts as missing](#public-pages) | `no-store` instead of the handler's `Cache-Control`, and `Vary: Cookie` |
//! | that gets a new [DPoP nonce](crate::dpop::Dpop::nonces) | `no-store` instead of the handler's `Cache-Control` |
//! | that is rejected | `no-store`, or `private` as above if your [`Respond`] sets `Cache-Control` |
//!
//! `private` is added even if there is `must-revalidate`, or `private` with a list of fields
//! (`private="…"`). Set `public` or `s-maxage` only if everybody may see the page.
//! `CDN-Cache-Control` is treated the same way. Product-specific headers, such as
//! `Surrogate-Control` and `X-Accel-Expires`, are not changed. In those products they override
//! `private`. If you use [`TokenSource::custom`], add what it reads to `Vary` yourself.
//!
//! nginx ignores the rule on `Authorization`. If nginx caches, set its `proxy_no_cache` and
//! `proxy_cache_bypass` to `$http_authorization`.
//!
//! # Public pages
//!
//! A browser keeps sending a cookie that has expired or was revoked. By default the layer rejects
//! it, even on a page that needs no token. [`anonymous_if`](JwtAuthLayer::anonymous_if) names the
//! faults with which a token counts as missing.
//!
//! ```
//! use tower_jwt_auth::middleware::TokenFault;
//! use tower_jwt_auth::{JwtAuthLayer, TokenSource};
//! # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
//!
//! let public_pages = JwtAuthLayer::new(key)
//!     .sources([TokenSource::bearer(), TokenSource::cookie("__Host-access")])
//!     .anonymous_if([TokenFault::Expired, TokenFault::Revoked]);
//! ```
//!
//! | what | with `anonymous_if` |
//! | --- | --- |
//! | a token that the browser sends on its own: in a cookie, or from [`custom_ambient`](TokenSource::custom_ambient) | anonymous, if its fault is named |
//! | a token from any other source, such as `Authorization` | rejected as always |
//! | a method other than `GET`, `HEAD` and `OPTIONS`; an upgrade; a header that overrides the method | rejected as always |
//! | several cookies, a cookie that is no token, any other fault | rejected as always: 400 or 401 |
//! | an outage of the revocation store or of the issuer's keys | 503 as always |
//!
//! A cookie may hold something that is no token. `anonymous_if` has no name for this fault, because
//! such a cookie was never valid. Either another program sets a cookie of this name, or somebody
//! attacks. The visitor sees the rejection until the cookie is deleted. A name with the prefix
//! `__Host-` prevents this: no other host of the domain can set such a cookie. Otherwise let your
//! [`Respond`] delete it with [`TokenCookie::clear`](crate::cookie::TokenCookie::clear).
//!
//! If a token counts as missing, no later source is read. Put [`bearer`](TokenSource::bearer)
//! first: then `Authorization` decides before the cookie does. The token's fault is an
//! [`AuthError`] in the request's extensions. `Option<Claims<T>>` is `None`, and `Claims<T>` still
//! rejects with 401.
//! The response gets `Cache-Control: no-store` and `Vary: Cookie`, whatever the handler sets.
//!
//! # Plain tower
//!
//! The layer wraps any service of `http::Request<B>`, with any request body. The [`Respond`] must
//! make the response body. [`ProblemJson`] makes bodies that are `From<Bytes>`, such as hyper's
//! `Full` and axum's `Body`. [`EmptyBody`] makes bodies that are `Default`. For any other body,
//! pass a closure.
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
//! # Unknown paths
//!
//! A `Router`'s `.layer` also covers paths and methods without a handler: they get 401 instead of
//! 404 or 405. `.route_layer` does not cover them.
//!
//! # CORS
//!
//! Put `CorsLayer` outside this layer: add it afterwards. Then it responds to preflights, which
//! have no token, and scripts of other origins can read the 401. For [DPoP](crate::dpop), allow the
//! headers `Authorization` and `DPoP`, and expose `WWW-Authenticate` and `DPoP-Nonce`.
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
mod client_certificate;
pub mod csrf;
mod error;
mod error_code;
mod error_kind;
mod future;
mod layer;
mod layer_handle;
#[cfg(feature = "introspection")]
mod opaque_tokens;
mod proof;
mod protected_resource;
mod resource_url;
mod respond;
mod responder;
mod revocation;
mod scheme;
mod service;
mod source;
mod token_fault;

pub use error::AuthError;
pub use error_kind::AuthErrorKind;
pub use future::ResponseFuture;
pub use layer::JwtAuthLayer;
pub use protected_resource::ProtectedResource;
pub use resource_url::{ResourceUrlError, ResourceUrlErrorKind};
pub use respond::{EmptyBody, ProblemJson, Respond};
pub use service::JwtAuth;
pub use source::{RequestHead, TokenSource};
pub use token_fault::TokenFault;

pub(crate) use authenticated::token_of;
#[cfg(feature = "axum")]
pub(crate) use caching::prevent_storing;
pub(crate) use challenge::is_scope_token;
#[cfg(feature = "axum")]
pub(crate) use csrf::rules::{CsrfRules, SEC_FETCH_SITE, has_effects, single};
pub(crate) use responder::reject_without_layer;
#[cfg(feature = "axum")]
pub(crate) use responder::{
    DPOP_NONCE, Responder, leave_to_layer, reject_with_or_without_layer, set_dpop_nonce,
};
#[cfg(feature = "axum")]
pub(crate) use source::{Found, cookies, token_in_cookie};
