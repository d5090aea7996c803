//! Replaces a back-end if neither feature is enabled: every operation fails.

use std::sync::Arc;

use super::signature::{Signer, VerifySignature};
use crate::keys::algorithm::Algorithm;
use crate::keys::encoding::{EncodedSigningKey, EncodedVerifyingKey};
use crate::keys::error::KeyError;

pub(crate) fn verifier(
    _: Algorithm,
    _: &EncodedVerifyingKey<'_>,
) -> Result<Arc<dyn VerifySignature>, KeyError> {
    Err(KeyError::NoBackend)
}

pub(crate) fn signer(_: Algorithm, _: &EncodedSigningKey<'_>) -> Result<Signer, KeyError> {
    Err(KeyError::NoBackend)
}

pub(crate) fn generate(_: Algorithm) -> Result<Signer, KeyError> {
    Err(KeyError::NoBackend)
}
