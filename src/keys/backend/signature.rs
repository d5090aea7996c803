//! What a crypto back-end provides: verifiers and signers.

use std::sync::Arc;

use crate::keys::encoding::PublicKeyComponents;

/// Verifies signatures of one algorithm with one key.
pub(crate) trait VerifySignature: Send + Sync {
    fn verify(&self, message: &[u8], signature: &[u8]) -> bool;

    /// The MAC of `message`, to compare secrets. `None` for a public key.
    fn mac(&self, message: &[u8]) -> Option<Vec<u8>> {
        let _ = message;
        None
    }
}

/// Signs with one algorithm and one key.
pub(crate) trait Sign: Send + Sync {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SigningFailed>;
}

/// The library failed to sign, for lack of randomness or memory.
#[derive(Debug)]
pub(crate) struct SigningFailed;

/// A signer, and the verifier of its signatures.
pub(crate) struct Signer {
    pub(crate) sign: Arc<dyn Sign>,
    pub(crate) verify: Arc<dyn VerifySignature>,
    /// The public key, if it is not a secret.
    pub(crate) public: Option<PublicKeyComponents>,
}
