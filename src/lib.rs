//! JWT.
#![cfg_attr(docsrs, feature(doc_cfg))]
pub mod claims;
pub mod clock;
pub mod cookie;
#[cfg(feature = "axum")]
mod extract;
pub mod keys;
pub mod middleware;
mod token;
pub mod verify;

#[cfg(feature = "axum")]
pub use extract::Claims;
pub use middleware::{AuthError, AuthErrorKind, JwtAuthLayer, TokenSource, csrf};
pub use verify::{TrustedIssuer, VerifiedToken, Verifier, VerifyError, VerifyErrorKind};
