//! Who may do what: guards for routes, behind a [`JwtAuthLayer`](crate::JwtAuthLayer).
//!
//! A [`Require`] says what a token must hold. As a layer it guards routes; as a `Permission` (feature `axum`) it is
//! an extractor, for handlers that should not compile without.
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
//! (`route_layer` guards every route added before it: here `/notes` needs both.)
//!
//! | what came | answer |
//! | --- | --- |
//! | a token that holds what is required | the inner service's |
//! | one that does not | 403 `insufficient_scope` (RFC 6750 §3.1), which names the scopes required |
//! | no token, where the layer lets such requests pass | 401, as the layer answers it |
//! | a condition that fails, or takes longer than its deadline | 503 |
//! | no layer around, or a `Permission` that is built wrongly | 500 |
//!
//! The layer's [`Respond`](crate::middleware::Respond) answers for guards too. Guards only look at the token: claims
//! stay available to every guard and extractor behind them, and two guards on one route both count.

mod condition;
mod misuse;
mod require;
mod scopes;
mod service;

pub use condition::Outcome;
pub use require::Require;
pub use service::{Guard, GuardFuture};

#[cfg(feature = "axum")]
pub(crate) use misuse::kept;
#[cfg(feature = "axum")]
pub(crate) use require::Decision;
