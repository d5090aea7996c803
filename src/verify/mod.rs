//! Verifies a token: from bytes to a [`VerifiedToken`], without HTTP.
//!
//! Use it where [`JwtAuthLayer`](crate::JwtAuthLayer) does not fit: in a message consumer, a
//! command line tool, or a framework of your own.
//!
//! ```
//! use tower_jwt_auth::Verifier;
//! use tower_jwt_auth::keys::{SigningKey, VerifyingKey};
//!
//! let key = SigningKey::hs256([7; 32])?;
//! let claims = serde_json::json!({ "sub": "alice", "exp": 4_000_000_000_u64 });
//! let token = key.sign(&claims)?;
//!
//! let verifier = Verifier::new(key.verifying_key());
//! assert_eq!(verifier.verify(&token)?.subject(), Some("alice"));
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What is checked
//!
//! The checks run in the order below. Claims decide nothing until the signature is verified, with
//! one exception: `iss` chooses the keys among [`TrustedIssuer`]s. If you trust any, steps 5 and 6
//! come before step 2. A token that fails step 5 or 6 then causes no fetch of keys.
//!
//! 1. **Length**: at most 8 KiB by default. There are three segments, each strict base64url (RFC
//!    7515 §2). The signature is decoded in step 4, and the payload in step 5.
//! 2. **Header**: no member occurs twice; `crit`, `b64`, `zip` and `cty: JWT` are rejected. `typ`
//!    is absent, `JWT` or `at+jwt` (RFC 9068 §4), or what [`Verifier::typ`] requires. Case and the
//!    prefix `application/` do not matter. `jwk`, `jku`, `x5u` and `x5c` are ignored.
//! 3. **Key**: found by `kid` and `alg`, and never by trial, unless you enable that for [keys with
//!    the same `kid`](crate::keys::KeySet::try_keys_with_same_id). If the token has no `kid`, its
//!    thumbprint may choose the key: `x5t#S256` or `x5t` (see [`KeySet`](crate::keys::KeySet)). If
//!    an issuer has [several sources](TrustedIssuer::keys) of keys, `alg` chooses the source first.
//! 4. **Signature**.
//! 5. **Claims**: no registered claim occurs twice or has the wrong type, and nothing nests deeper
//!    than 127 levels.
//! 6. **Issuer**: required once configured, and compared byte for byte.
//! 7. **Tenant**: for [multi-tenant issuers](TrustedIssuer::tenants), `tid` is the tenant in `iss`.
//!    A key whose JWK has a member `issuer` verifies only tokens of that issuer.
//! 8. **Kind**: a token with `events` is a logout token, and is rejected. A token with `cnf` is
//!    sender-constrained. It is rejected, unless each member of `cnf` is accepted:
//!    - `jkt`, by a layer with [`TokenSource::dpop`](crate::TokenSource::dpop), which checks the
//!      key.
//!    - `x5t#S256`, by a layer with [`JwtAuthLayer::mtls`](crate::JwtAuthLayer::mtls), which checks
//!      the certificate.
//!    - Any member that you name with [`Verifier::allow_confirmation`], without a check.
//! 9. **Times**: `exp` is required, and `now < exp + leeway`. `nbf` and `iat` are not further in
//!    the future than the leeway. `exp` is not before `iat`.
//! 10. **Audience**: required once configured, and compared byte for byte. If none is configured, a
//!     token with an `aud` is rejected (RFC 7519 §4.1.3), and `"aud": []` is the same as no `aud`.
//!     [`Verifier::audience`] and [`TrustedIssuer::audience`] both configure one.
//!     If an issuer's keys are fetched, its tokens need an `aud`, unless you call
//!     [`Verifier::any_audience`] or [`TrustedIssuer::any_audience`].
//! 11. **Other required claims**: those of RFC 9068, if you call [`Verifier::rfc9068`].
//!
//! An opaque token has steps of its own: see the module `introspection` (feature `introspection`).
//!
//! # What may be relaxed
//!
//! Some issuers do not keep to RFC 7519 and RFC 7515. Each method below accepts one deviation. All
//! are off by default.
//!
//! | the issuer | call |
//! | --- | --- |
//! | writes `"sub": 42` | [`Verifier::allow_integer_subject`] |
//! | writes `null` for a claim that it does not set | [`Verifier::allow_null_claims`] |
//! | omits `exp` | [`Verifier::allow_missing_expiry`] |
//! | pads base64url with `=` | [`Verifier::allow_padding`] |
//! | writes another `typ` | [`Verifier::typ`], once for each |
//!
//! If you trust several issuers, call the method of the same name on the [`TrustedIssuer`] that
//! deviates. The rules for the others stay as they are.
//!
//! # The cache
//!
//! The [cache](Verifier::cache) keeps verified tokens of at most 4 KiB. A hit checks only what may
//! have changed: the times, and whether the issuer's keys are the same. For an opaque token, it
//! checks the age of the issuer's answer instead of the keys.

mod actor;
mod cached;
mod cause;
mod decoded_sizes;
mod error;
mod found_trust;
#[cfg(feature = "introspection")]
mod introspected;
mod keys_version;
mod mismatch;
mod names;
mod not_verified;
#[cfg(feature = "introspection")]
mod opaque;
#[cfg(feature = "jwks")]
mod remote;
#[cfg(feature = "jwks")]
mod resolved;
#[cfg(feature = "jwks")]
mod resolver;
mod rfc9068;
mod rules;
mod selector;
mod settings;
mod sources;
mod tenants;
mod text;
mod token;
mod trust;
mod trusted_issuer;
mod verifier;

pub use actor::Actor;
pub use error::{Stage, VerifyError, VerifyErrorKind};
#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
pub use resolver::{IssuerResolution, IssuerResolver, ResolutionError};
pub use sources::Keys;
pub use token::VerifiedToken;
pub use trust::{IntoTrust, Trust};
pub use trusted_issuer::TrustedIssuer;
pub use verifier::Verifier;

pub(crate) use not_verified::NotVerified;
