//! Authorization: guards that check the scopes, roles and claims of a verified token.
//!
//! You need this module when a route behind a [`JwtAuthLayer`](crate::JwtAuthLayer) requires more
//! than a valid token. A [`Require`] describes what a token must contain. Use it as a layer to
//! guard routes. Use it as a `Permission` (feature `axum`) for a handler that must not run without
//! the check.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```text")]
//! use axum::{Router, routing::{get, post}};
//! use serde::Deserialize;
//! use tower_jwt_auth::{JwtAuthLayer, Require};
//! # let key = tower_jwt_auth::keys::VerifyingKey::hs256([7; 32]).unwrap();
//!
//! #[derive(Deserialize)]
//! struct Roles { roles: Vec<String> }
//!
//! let admin = Require::claims(|claims: &Roles| claims.roles.iter().any(|role| role == "admin"));
//!
//! let app: Router = Router::new()
//!     .route("/notes", get(|| async { "notes" }).layer(Require::scope("notes:read")))
//!     .route("/users", post(|| async { "done" }))
//!     .route_layer(Require::scope("users:write").or(admin))
//!     .layer(JwtAuthLayer::new(key));
//! ```
//!
//! `route_layer` guards every route added before it. Here `/notes` must pass both guards.
//!
//! | request | response |
//! | --- | --- |
//! | token meets the requirement | that of the inner service |
//! | token does not meet it | 403 `insufficient_scope` (RFC 6750 §3.1) with the required scopes |
//! | a newer login is required, or one at another authentication level | 401 `insufficient_user_authentication` (RFC 9470 §3) with `acr_values` and `max_age` |
//! | no token, and the layer is [`optional`](crate::JwtAuthLayer::optional) | the layer's 401 |
//! | a condition returns an error, or exceeds its deadline | 503 |
//! | no layer, or an invalid `Permission` | 500 |
//!
//! **With several issuers, a role alone proves nothing.** Each issuer writes its own roles and
//! scopes. Combine them with [`Require::issuer`].
//!
//! A role that you remove stays in an access token until the token expires. To take it away at
//! once, see [changed rights](crate::session#changed-rights-and-data-of-a-session).
//!
//! Rejections of guards use the layer's [`Respond`](crate::middleware::Respond) too. Guards only
//! read the token: its claims stay available to further guards and extractors. If a route has
//! several guards, all must pass.

mod authentication;
mod builder_error;
mod claim;
mod condition;
mod require;
mod requirement;
mod scopes;
mod service;

pub use condition::Outcome;
pub use require::Require;
pub use service::{Guard, GuardFuture};

#[cfg(feature = "axum")]
pub(crate) use builder_error::capture;
#[cfg(feature = "axum")]
pub(crate) use require::Decision;
