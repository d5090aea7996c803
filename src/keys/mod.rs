//! Keys that verify and sign tokens.
//!
//! You need this module to configure a verifier, to issue tokens, or to publish your public keys.
//! For keys that an issuer publishes, see `keys::remote` (feature `jwks`).
//!
//! ```
//! use tower_jwt_auth::keys::{Algorithm, KeySet, SigningKey};
//! use tower_jwt_auth::{JwtAuthLayer, Verifier};
//!
//! let key = SigningKey::generate(Algorithm::ES256)?.with_key_id("2026");
//! let token = key.sign(&serde_json::json!({ "sub": "alice", "exp": 4_102_444_800_u64 }))?;
//!
//! let keys = KeySet::new([key.verifying_key()])?;
//! assert_eq!(Verifier::new(keys.clone()).verify(&token)?.subject(), Some("alice"));
//! let layer = JwtAuthLayer::new(keys);
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! A [`VerifyingKey`] or [`SigningKey`] has one [`Algorithm`] (RFC 8725 §3.1). A token whose `alg`
//! header differs is rejected. One option relaxes this, for the two names of one algorithm:
//! [`with_both_ed25519_names`](VerifyingKey::with_both_ed25519_names).
//!
//! Keys are parsed and checked once, when you create them:
//!
//! - A secret is at least as long as the hash (RFC 7518 §3.2). It is not all zero.
//! - A secret is not an encoded key. Otherwise a public key could be used as a secret.
//! - An RSA modulus has 2048 to 8192 bits (RFC 7518 §3.3). The exponent is odd and at least 3.
//! - An EC point lies on the curve of the algorithm. An Ed25519 key does not have a low order.
//!
//! | from | verifying | signing |
//! | --- | --- | --- |
//! | a secret | [`VerifyingKey::hs256`], [`from_secret`](VerifyingKey::from_secret) | [`SigningKey::hs256`], [`from_secret`](SigningKey::from_secret) |
//! | PEM | `PUBLIC KEY`, `RSA PUBLIC KEY`, `CERTIFICATE` | `PRIVATE KEY`, `RSA PRIVATE KEY`, `EC PRIVATE KEY` |
//! | DER | SubjectPublicKeyInfo, PKCS#1, certificate | PKCS#8, PKCS#1, SEC1 |
//! | JWK | [`VerifyingKey::from_jwk`], [`KeySet::from_jwks`] for a document | [`SigningKey::from_jwk`] |
//! | `jsonwebtoken` | [`VerifyingKey::from_decoding_key`] | [`SigningKey::from_encoding_key`] |

mod algorithm;
mod backend;
mod certificate;
mod der;
mod encoding;
mod error;
mod jwk;
mod jwks;
mod key_name;
mod key_type;
mod pem;
#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
pub mod remote;
mod secret;
mod set;
mod signing;
mod signing_set;
mod verifying;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use error::KeyError;
pub use jwks::{Jwks, JwksError, JwksOptions, SkipReason, SkippedKey};
pub use set::{KeySet, KeySetError};
pub use signing::{SignError, SigningKey, TokenHeader};
pub use signing_set::SigningKeySet;
pub use verifying::VerifyingKey;

pub(crate) use backend::sha256;
pub(crate) use set::KeyLookupError;
pub(crate) use verifying::TENANT_SLOT;
