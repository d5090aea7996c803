//! Keys: what verifies a token, and what signs one.
//!
//! A [`VerifyingKey`] or [`SigningKey`] is bound to ONE [`Algorithm`] when it is made (RFC 8725 §3.1), so the `alg`
//! header of a token can only agree with the key or be refused. Keys are parsed and checked once:
//!
//! - a secret is no shorter than its hash (RFC 7518 §3.2), is not all zero, and is not the text of a
//!   key (that mistake makes a public key the secret);
//! - an RSA modulus has 2048 to 8192 bits (RFC 7518 §3.3), and its exponent is odd and at least 3;
//! - a point lies on the curve of the algorithm, and an Ed25519 key is not of low order.
//!
//! | from | verifying | signing |
//! | --- | --- | --- |
//! | a secret | [`VerifyingKey::hs256`], [`from_secret`](VerifyingKey::from_secret) | [`SigningKey::hs256`], [`from_secret`](SigningKey::from_secret) |
//! | PEM | `PUBLIC KEY`, `RSA PUBLIC KEY`, `CERTIFICATE` | `PRIVATE KEY`, `RSA PRIVATE KEY` |
//! | DER | SubjectPublicKeyInfo, PKCS#1 | PKCS#8, PKCS#1, SEC1 |
//! | JWK | [`VerifyingKey::from_jwk`], or a whole document: [`KeySet::from_jwks`] | [`SigningKey::from_jwk`] |
//! | `jsonwebtoken` | [`VerifyingKey::from_decoding_key`] | [`SigningKey::from_encoding_key`] |

mod algorithm;
mod backend;
mod der;
mod jwk;
mod jwks;
mod material;
#[cfg(feature = "jwks")]
#[cfg_attr(docsrs, doc(cfg(feature = "jwks")))]
pub mod remote;
mod secret;
mod set;
mod signing;
mod signing_set;
mod verifying;

pub use algorithm::{Algorithm, UnknownAlgorithm};
pub use jwks::{Jwks, JwksError, JwksOptions, SkipReason, SkippedKey};
pub use set::{KeySet, KeySetError};
pub use signing::{SignError, SigningKey, TokenHeader};
pub use signing_set::SigningKeySet;
pub use verifying::VerifyingKey;

pub(crate) use set::NoFit;

use std::fmt;

/// Why something is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The secret is empty, or nothing but white space.
    EmptySecret,
    /// Every byte of the secret is zero, as in a buffer that nobody filled.
    ZeroSecret,
    /// The secret is shorter than the hash of its algorithm (RFC 7518 §3.2).
    ShortSecret {
        /// The algorithm that the secret is for.
        algorithm: Algorithm,
        /// The least length, in bytes.
        needed: usize,
    },
    /// The secret is the text or the encoding of a key: PEM, DER, JWK, XML, an OpenSSH line or an
    /// uncompressed EC point, also in hexadecimal or base64.
    ///
    /// A bare RSA modulus, a compressed EC point and an Ed25519 public key look like random bytes:
    /// they are not detected.
    SecretIsKey,
    /// The key is of another kind than the algorithm takes.
    WrongKind(Algorithm),
    /// The key cannot be read in the format that it is said to have, or does not fit the curve of its algorithm. A JWK: it is
    /// no JSON object, lacks `kty`, or has a member twice or of the wrong type.
    Unreadable,
    /// The PEM text holds more than one key.
    SeveralKeys,
    /// The key is private where a public one belongs. `SigningKey::verifying_key` leads from the one to the other.
    Private,
    /// The RSA modulus has fewer than 2048 bits (RFC 7518 §3.3).
    WeakRsa,
    /// The RSA modulus has more than 8192 bits, which would make each signature costly to verify.
    LargeRsa,
    /// The RSA exponent is 1, even, or longer than 33 bits.
    RsaExponent,
    /// The Ed25519 key is a point of low order: anybody could sign for it.
    LowOrder,
    /// The JWK's `kty`, `crv` or `alg` is one that this crate does not know.
    Unknown,
    /// The JWK's `alg` does not agree with its `kty` or `crv`, or with the algorithm that the caller named.
    Disagreement,
    /// The JWK says neither by `alg` nor by `crv` which algorithm it is for, and the caller named none.
    NoAlgorithm,
    /// The JWK lacks a member that its kind of key needs, or one is no base64url, or of the wrong length.
    Member(&'static str),
    /// The JWK's `use` or `key_ops` allows no signatures.
    Use,
    /// No crypto back-end is enabled: the features `aws_lc_rs` and `rust_crypto` are off.
    NoBackend,
    /// The crypto back-end could not make a random key.
    Generation,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EmptySecret => f.write_str("the secret is empty"),
            Self::ZeroSecret => f.write_str("every byte of the secret is zero: use random bytes"),
            Self::ShortSecret { algorithm, needed } => {
                write!(f, "a secret for {algorithm} needs at least {needed} bytes")
            }
            Self::SecretIsKey => f.write_str(
                "the secret is a key (PEM, DER, JWK, XML, OpenSSH, EC point): use random bytes",
            ),
            Self::WrongKind(algorithm) => {
                write!(f, "the key is of another kind than {algorithm} takes")
            }
            Self::Unreadable => f.write_str(
                "the key cannot be read in this format, or does not fit its algorithm's curve",
            ),
            Self::SeveralKeys => f.write_str("the PEM text holds more than one key"),
            Self::Private => f.write_str("the key is private where a public one belongs"),
            Self::WeakRsa => f.write_str("the RSA key has fewer than 2048 bits"),
            Self::LargeRsa => f.write_str("the RSA key has more than 8192 bits"),
            Self::RsaExponent => f.write_str("the RSA exponent is 1, even, or longer than 33 bits"),
            Self::LowOrder => f.write_str("the Ed25519 key is a point of low order"),
            Self::Unknown => f.write_str("the JWK's kty, crv or alg is unknown"),
            Self::Disagreement => f.write_str("the JWK's alg contradicts its kty, crv or caller"),
            Self::NoAlgorithm => f.write_str("nothing says which algorithm the JWK is for"),
            Self::Member(name) => write!(f, "the JWK's member {name} is missing or malformed"),
            Self::Use => f.write_str("the JWK's use or key_ops allows no signatures"),
            Self::NoBackend => {
                f.write_str("no crypto back-end is enabled (feature aws_lc_rs or rust_crypto)")
            }
            Self::Generation => f.write_str("the crypto back-end could not make a random key"),
        }
    }
}

impl std::error::Error for KeyError {}
