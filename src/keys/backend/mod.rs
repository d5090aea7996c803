//! The seam between keys and the library that does the cryptography.
//!
//! A back-end makes two things, ready-parsed: a verifier of signatures and a signer. It also holds keys to the `bounds`,
//! since only it can read their encodings.
//!
//! Which back-end is used is settled here and when the crate is built: `aws_lc` where it is enabled, whatever else is.
//! Nothing is asked of `jsonwebtoken`'s provider for the whole process, which others may set, and which panics with two
//! back-ends.

#[cfg(feature = "aws_lc_rs")]
mod aws_lc;
#[cfg(any(feature = "aws_lc_rs", feature = "rust_crypto"))]
mod bounds;
// With both enabled only the tests look at this one.
#[cfg(all(feature = "rust_crypto", any(test, not(feature = "aws_lc_rs"))))]
mod rust_crypto;

#[cfg(all(test, feature = "aws_lc_rs", feature = "rust_crypto"))]
mod agreement;

use std::sync::Arc;

use super::material::PublicParts;

/// Verifies signatures of one algorithm with one key.
pub(crate) trait VerifySignature: Send + Sync {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool;

    /// The MAC over `message`, by which equal secrets are known. None of a public key.
    fn mac(&self, message: &[u8]) -> Option<Vec<u8>> {
        let _ = message;
        None
    }
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
    /// The public half, if there is one.
    pub(crate) public: Option<PublicParts>,
}

#[cfg(feature = "aws_lc_rs")]
pub(crate) use aws_lc::{generate, signer, verifier};

#[cfg(all(feature = "rust_crypto", not(feature = "aws_lc_rs")))]
pub(crate) use rust_crypto::{generate, signer, verifier};

#[cfg(not(any(feature = "aws_lc_rs", feature = "rust_crypto")))]
mod none {
    use super::{Arc, Signer, VerifySignature};
    use crate::keys::material::{PrivateMaterial, PublicMaterial};
    use crate::keys::{Algorithm, KeyError};

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
