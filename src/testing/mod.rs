//! Test tools for services that use this crate: tokens, a clock and a store that fails on demand.
//!
//! You need this module to test your service without an identity provider and without waiting.
//! Issue tokens with a [`TestIssuer`], advance its clock, and make a [`FailingStore`] fail. Write
//! your service so that it takes the layer as an argument, generic over the store. If you write
//! your own store, run [`session_store_contract`] on it.
//!
#![cfg_attr(feature = "axum", doc = "```")]
#![cfg_attr(not(feature = "axum"), doc = "```text")]
//! use axum::{Router, body::Body, http::{Request, StatusCode}, routing::get};
//! use tower::ServiceExt;
//! use tower_jwt_auth::{JwtAuthLayer, Require, middleware::ProblemJson, store::MemoryStore};
//! use tower_jwt_auth::revocation::{Revocation, RevocationStore, TokenIdentity};
//! use tower_jwt_auth::testing::{FailingStore, TestIssuer};
//!
//! fn app<V: RevocationStore>(layer: JwtAuthLayer<ProblemJson, V>) -> Router {
//!     let read = get(async || "notes").layer(Require::scope("notes:read"));
//!     Router::new().route("/notes", read).layer(layer)
//! }
//!
//! # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
//! // In a test: #[tokio::test(start_paused = true)]
//! let issuer = TestIssuer::new();
//! let store = FailingStore::new(MemoryStore::with_clock(issuer.clock().clone()));
//! let app = app(issuer.layer().revocation(store.clone()));
//! let ask = async |token: &str| {
//!     let request = Request::get("/notes").header("Authorization", format!("Bearer {token}"));
//!     app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap().status()
//! };
//! let alice = || issuer.token("alice").claim("scope", "notes:read").sign();
//!
//! let old = alice();
//! assert_eq!(ask(&old).await, StatusCode::OK);
//! assert_eq!(ask(&issuer.token("bob").sign()).await, StatusCode::FORBIDDEN);
//! issuer.expire();
//! assert_eq!(ask(&old).await, StatusCode::UNAUTHORIZED);
//!
//! let (stolen, other) = (alice(), alice());
//! let token = issuer.verify(&stolen);
//! let revocation = Revocation::of_token(&TokenIdentity::from(&token)).unwrap();
//! store.store().revoke(&revocation).unwrap();
//! assert_eq!(ask(&stolen).await, StatusCode::UNAUTHORIZED);
//! assert_eq!(ask(&other).await, StatusCode::OK);
//!
//! store.fail();
//! assert_eq!(ask(&other).await, StatusCode::SERVICE_UNAVAILABLE);
//! store.hang(); // 250 milliseconds, which tokio skips while its clock is paused
//! assert_eq!(ask(&other).await, StatusCode::SERVICE_UNAVAILABLE);
//! # }
//! ```

#[expect(
    clippy::arithmetic_side_effects,
    clippy::panic,
    reason = "a failed test panics"
)]
mod session_store;

mod failing_store;
mod issuer;

pub use failing_store::{FailingStore, StoreFailure};
pub use issuer::{TestIssuer, TestToken};
pub use session_store::session_store_contract;
#[doc(hidden)]
pub use session_store::{SESSION_STORE_REQUIREMENTS, session_store_requirement};
