//! The seam between keys and the library that does the cryptography.
//!
//! A back-end makes two things, ready-parsed: a verifier of signatures and a signer. It also holds keys to the bounds
//! of [`rsa_bounds`], [`ec_bounds`] and [`ed25519_bounds`], since only it can read their encodings.
//!
//! Which back-end is used is settled here and when the crate is built: `aws_lc` where it is enabled, whatever else is.
//! Nothing is asked of `jsonwebtoken`'s provider for the whole process, which others may set, and which panics with two
//! back-ends.

#[cfg(feature = "aws_lc_rs")]
mod aws_lc;
// With both enabled only the tests look at this one.
#[cfg(all(feature = "rust_crypto", any(test, not(feature = "aws_lc_rs"))))]
mod rust_crypto;

#[cfg(all(test, feature = "aws_lc_rs", feature = "rust_crypto"))]
mod agreement;

use std::sync::Arc;

use super::KeyError;

/// Verifies signatures of one algorithm with one key.
pub(crate) trait VerifySignature: Send + Sync {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool;
}

/// Signs with one algorithm and one key.
pub(crate) trait Sign: Send + Sync {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed>;
}

/// The library could not sign: no randomness, no memory.
#[derive(Debug)]
pub(crate) struct SigningFailed;

/// A signer, and the verifier of what it signs.
pub(crate) struct Signer {
    pub(crate) sign: Arc<dyn Sign>,
    pub(crate) verify: Arc<dyn VerifySignature>,
}

#[cfg(feature = "aws_lc_rs")]
pub(crate) use aws_lc::{generate, signer, verifier};

#[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
pub(crate) use rust_crypto::{generate, signer, verifier};

#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
mod none {
    use super::{Arc, KeyError, Signer, VerifySignature};
    use crate::keys::Algorithm;
    use crate::keys::material::{PrivateMaterial, PublicMaterial};

    pub(crate) fn verifier(
        _: Algorithm,
        _: &PublicMaterial<'_>,
    ) -> Result<Arc<dyn VerifySignature>, KeyError> {
        Err(KeyError::NoBackend)
    }

    pub(crate) fn signer(_: Algorithm, _: &PrivateMaterial<'_>) -> Result<Signer, KeyError> {
        Err(KeyError::NoBackend)
    }

    pub(crate) fn generate(_: Algorithm) -> Result<Signer, KeyError> {
        Err(KeyError::NoBackend)
    }
}

#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
pub(crate) use none::{generate, signer, verifier};

/// The most bits that an RSA modulus may have.
#[cfg_attr(
    not(any(feature = "aws_lc_rs", feature = "rust_crypto")),
    expect(dead_code, reason = "no back-end")
)]
const LARGEST_RSA: usize = 8192;

/// Modulus and exponent, big-endian without leading zeros, are within what is accepted.
#[cfg_attr(
    not(any(feature = "aws_lc_rs", feature = "rust_crypto")),
    expect(dead_code, reason = "no back-end")
)]
fn rsa_bounds(n: &[u8], e: &[u8]) -> Result<(), KeyError> {
    let bits = |number: &[u8]| match number.first() {
        None => 0,
        Some(first) => number
            .len()
            .saturating_mul(8)
            .saturating_sub(usize::try_from(first.leading_zeros()).unwrap_or(0)),
    };
    if bits(n) < 2048 {
        return Err(KeyError::WeakRsa);
    }
    if bits(n) > LARGEST_RSA {
        return Err(KeyError::LargeRsa);
    }
    let odd = e.last().is_some_and(|last| last & 1 == 1);
    if !odd || bits(e) < 2 || bits(e) > 33 {
        return Err(KeyError::RsaExponent);
    }
    // The product of two odd primes.
    if n.last().is_some_and(|last| last & 1 == 0) {
        return Err(KeyError::Unreadable);
    }
    Ok(())
}

/// `point` is in none of the forms that RFC 5480 §2.2 leaves out, hybrid and compact, which some libraries read.
#[cfg_attr(
    not(any(feature = "aws_lc_rs", feature = "rust_crypto")),
    expect(dead_code, reason = "no back-end")
)]
fn ec_bounds(point: &[u8]) -> Result<(), KeyError> {
    match point.first() {
        Some(5..=7) => Err(KeyError::Unreadable),
        _ => Ok(()),
    }
}

#[cfg_attr(
    not(any(feature = "aws_lc_rs", feature = "rust_crypto")),
    expect(dead_code, reason = "no back-end")
)]
fn without_leading_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.get(zeros..).unwrap_or_default()
}

/// `key`, which ends with the 32 bytes of RFC 8032 §5.1.5, is no point of low order: for such a one anybody can make signatures.
#[cfg_attr(
    not(any(feature = "aws_lc_rs", feature = "rust_crypto")),
    expect(dead_code, reason = "no back-end")
)]
fn ed25519_bounds(key: &[u8]) -> Result<(), KeyError> {
    /// The y coordinates of the points whose order divides 8, canonical or not, without the sign bit.
    const LOW_ORDER: [[u8; 32]; 7] = [
        [0; 32],
        first_and_rest(0x01, 0x00, 0x00),
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef,
            0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88,
            0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10,
            0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77,
            0x92, 0xac, 0x03, 0x7a,
        ],
        first_and_rest(0xec, 0xff, 0x7f),
        first_and_rest(0xed, 0xff, 0x7f),
        first_and_rest(0xee, 0xff, 0x7f),
    ];

    let mut y = *key.last_chunk::<32>().ok_or(KeyError::Unreadable)?;
    if let Some(sign) = y.last_mut() {
        *sign &= 0x7f;
    }
    if LOW_ORDER.contains(&y) {
        return Err(KeyError::LowOrder);
    }
    Ok(())
}

/// `first`, then 30 times `middle`, then `last`.
const fn first_and_rest(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}
