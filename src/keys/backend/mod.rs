//! The seam between keys and the library that does the cryptography.
//!
//! A back-end makes two things, ready-parsed: a verifier of signatures and a signer. It also holds RSA keys to
//! the bounds of [`rsa_bounds`], since only it can read their encodings.

#[cfg(feature = "aws_lc_rs")]
mod aws_lc;

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

#[cfg(not(feature = "aws_lc_rs"))]
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

#[cfg(not(feature = "aws_lc_rs"))]
pub(crate) use none::{generate, signer, verifier};

/// Modulus and exponent, big-endian without leading zeros, are within what is accepted.
#[cfg_attr(not(feature = "aws_lc_rs"), expect(dead_code, reason = "no back-end"))]
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
    if bits(n) > 8192 {
        return Err(KeyError::LargeRsa);
    }
    let odd = e.last().is_some_and(|last| last & 1 == 1);
    if !odd || bits(e) < 2 || bits(e) > 33 {
        return Err(KeyError::RsaExponent);
    }
    Ok(())
}
