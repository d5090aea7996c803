//! Bytes to a [`VerifiedToken`], without any HTTP.
//!
//! Strict by default. What a token says counts for nothing until its signature is verified. Each part is looked at once
//! those before it are good, in this order:
//!
//! 1. The length is capped (8 KiB). There are exactly three segments; each, once it is read, is strict base64url (RFC 7515 §2).
//! 2. The header has no member twice, and none of `crit`, `b64`, `zip`. `typ` is absent, `JWT` or `at+jwt`
//!    (RFC 9068 §4), in any case, with or without `application/`; or exactly what [`Verifier::typ`] says.
//!    `jwk`, `jku`, `x5u` and `x5c` are never read.
//! 3. The key is found by `kid` and `alg`, never by trying out (see [`KeySet`](crate::keys::KeySet)).
//! 4. The signature is verified, before any claim is believed.
//! 5. The claims: no registered one twice or of the wrong type, and, as in the header, nothing
//!    nested deeper than 127 levels. `exp` is required, and counts while
//!    `now < exp + leeway`; `nbf` and `iat` do not lie in the future, and `exp` not before `iat`. Issuer and audience are
//!    required once configured, and compared whole. A token with an `aud` is refused where none is configured (RFC 7519 §4.1.3).
//!    `"aud": []` names nobody: it counts as absent where no audience is configured, and as a wrong
//!    one otherwise.
//!    Of several [`TrustedIssuer`]s, `iss` chooses the one whose keys count, so there the claims are read first.
//!    A logout token (`events`) is no access token, and a sender-constrained one (`cnf`) is no bearer token.
//!
//! A token that was verified before is [remembered](Verifier::cache), and only what may have changed is looked at again: its times,
//! and whether its issuer still has the same keys.

mod cached;
mod error;
#[cfg(feature = "jwks")]
mod remote;
mod rules;
mod selector;
mod settings;
mod token;
mod trust;
mod verifier;

pub use error::{Stage, VerifyError, VerifyErrorKind};
pub use token::VerifiedToken;
pub use trust::{Keys, Trust, TrustedIssuer};
pub use verifier::Verifier;

pub(crate) use verifier::NotVerified;
