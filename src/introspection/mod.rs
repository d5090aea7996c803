//! Opaque tokens: the issuer is asked what a token means (RFC 7662).
//!
//! You need this module if your issuer's access tokens are not JWTs. Or if a token that is revoked
//! at the issuer must be rejected within seconds.
//!
//! ```no_run
//! use tower_jwt_auth::JwtAuthLayer;
//! use tower_jwt_auth::introspection::{ClientAuthentication, Introspection};
//!
//! # let secret = "of the client";
//! let client = ClientAuthentication::secret_basic("my-api", secret);
//! let introspection = Introspection::discover("https://id.example.com", client).build()?;
//! let layer = JwtAuthLayer::new(introspection).audience("https://api.example.com");
//! # Ok::<_, tower_jwt_auth::introspection::IntrospectionError>(())
//! ```
//!
//! The answer becomes a [`VerifiedToken`](crate::VerifiedToken). Typed claims, guards, extractors
//! and revocation work as for a JWT: the payload is the answer.
//!
//! # Which tokens
//!
//! If you trust no keys, every token is opaque. If you also trust keys, the shape of the token
//! decides before anything is verified. Three segments of base64url are a JWT. They may have
//! padding, digits of other base64, an empty signature, or dots at the end: an issuer may read such
//! a token. Any other token is opaque. No token is tried both ways.
//!
//! ```no_run
//! use tower_jwt_auth::JwtAuthLayer;
//! use tower_jwt_auth::introspection::{ClientAuthentication, Introspection};
//! use tower_jwt_auth::keys::remote::RemoteKeys;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let issuer = "https://id.example.com";
//! # let secret = "of the client";
//! let client = ClientAuthentication::secret_basic("my-api", secret);
//! let layer = JwtAuthLayer::new(RemoteKeys::discover(issuer).build()?)
//!     .introspection(Introspection::discover(issuer, client).build()?)
//!     .audience("https://api.example.com");
//! # Ok(())
//! # }
//! ```
//!
//! # What is checked
//!
//! In this order:
//!
//! 1. **Token**: its length, and that it is a `b64token` (RFC 6750 §2.1).
//! 2. **`active`**: JSON `true`. `false` is 401, and anything else is a malformed answer: 503. So
//!    is a registered claim of the wrong type.
//!    [`allow_null_claims`](crate::Verifier::allow_null_claims) accepts `null`.
//! 3. **Kind**: `token_type`, if present, is `Bearer` or `access_token`, or `DPoP` if the answer
//!    has `cnf`. Its case does not matter. `token_use`, which some issuers add, is `access_token`
//!    or `access`.
//! 4. **Issuer**: `iss`, if present, is the issuer that you configured.
//! 5. **The claims**, as those of a JWT: `exp`, `nbf`, `iat`, `aud`, `cnf`, and those of
//!    [`rfc9068`](crate::Verifier::rfc9068). `aud` is required, unless you call
//!    [`any_audience`](crate::Verifier::any_audience).
//!
//! - [`Verifier::typ`](crate::Verifier::typ) applies to JWTs only: an opaque token has no header
//!   with a `typ`.
//! - Without `exp`, the token expires when its remembered answer does. The `jti` of such a token
//!   counts as missing. So your store cannot revoke this single token, but its issuer can.
//!   [`allow_missing_expiry`](crate::Verifier::allow_missing_expiry) sets a fixed date, if `iat` is
//!   present.
//! - With `any_audience`, the answer must tell the kind of token. Otherwise a refresh token could
//!   pass: see [`allow_missing_token_type`](IntrospectionBuilder::allow_missing_token_type).
//! - A revocation store identifies a token by `jti`, and many answers have none: see
//!   [`token_id_optional`](crate::JwtAuthLayer::token_id_optional).
//!
//! # When the issuer is asked
//!
//! | a token | is remembered for |
//! | --- | --- |
//! | that is active | [30 seconds](IntrospectionBuilder::lifetime), but not beyond `exp` |
//! | that is not active | [5 seconds](IntrospectionBuilder::inactive_lifetime) |
//! | about which the question failed | 1 second |
//!
//! - A token in the [cache](crate::Verifier::cache) costs as little as a cached JWT.
//! - All requests with one token share one question. The question goes on even if these requests
//!   are cancelled.
//! - At most [32 questions](IntrospectionBuilder::max_questions) are on their way at once. Others
//!   wait for their turn. A quarter is reserved for known tokens: those whose last answer was
//!   active, and is still in the [memory](IntrospectionBuilder::memory). So known tokens keep
//!   working during a flood of random tokens. New tokens may get 503 then.
//! - Active tokens and other tokens have separate memories. A flood of random tokens evicts no
//!   active one.
//!
//! During an outage, a remembered answer counts for the time in the table. A token without one
//! gets 503 within the [deadline](IntrospectionBuilder::deadline), never 401. As for
//! [keys](crate::keys::remote#when-keys-are-fetched), two clocks measure the age of an answer.
//!
//! Questions are sent in a task of the request's tokio runtime, whose timer must be enabled.
//! [`Verifier::verify`](crate::Verifier::verify) does not ask:
//! [`fetch_and_verify`](crate::Verifier::fetch_and_verify) does.
//!
//! # Limits
//!
//! | limit | value |
//! | --- | --- |
//! | scheme | `https`, or `http` for loopback addresses and with [`allow_http`](IntrospectionBuilder::allow_http) |
//! | redirects | none |
//! | answer | 64 KiB, status 200, a JSON object without duplicate members |
//! | waiting for answers about known tokens | 4096 requests and 1024 questions |
//! | waiting for answers about other tokens | 4096 requests and 1024 questions |
//!
//! # What is logged
//!
//! With feature `tracing`: a failed question is one `WARN`, at most one a second, with `issuer`,
//! `url`, `reason` and `silent`, the number of failures that were not logged. Tokens and secrets
//! are never logged.

mod answer;
mod builder;
mod client_authentication;
mod endpoint;
mod events;
mod memory;
mod questions;
mod source;
mod standing;

pub use builder::{IntrospectionBuilder, IntrospectionError};
pub use client_authentication::ClientAuthentication;
pub use source::{Introspection, IntrospectionState};

pub(crate) use answer::{Answer, Lifespan, TokenKind, malformed_claims};
pub(crate) use questions::PAUSE;
pub(crate) use source::{Found, Question};
