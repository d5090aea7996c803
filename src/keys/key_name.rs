//! What errors call a kind of key.

use super::algorithm::{Algorithm, Family};

pub(super) const SECRET: &str = "a secret";
pub(super) const RSA: &str = "an RSA key";
pub(super) const EC: &str = "an EC key";
pub(super) const ED25519: &str = "an Ed25519 key";
pub(super) const P256: &str = "an EC key on P-256";
pub(super) const P384: &str = "an EC key on P-384";
pub(super) const P521: &str = "an EC key on P-521";
pub(super) const SECP256K1: &str = "an EC key on secp256k1";

/// The key that an algorithm needs.
pub(super) fn needed(algorithm: Algorithm) -> &'static str {
    match (algorithm.family(), algorithm) {
        (Family::Hmac, _) => SECRET,
        (Family::Rsa, _) => RSA,
        (Family::Ed, _) => ED25519,
        (Family::Ec, Algorithm::ES384) => P384,
        (Family::Ec, Algorithm::ES512) => P521,
        (Family::Ec, Algorithm::ES256K) => SECP256K1,
        (Family::Ec, _) => P256,
    }
}
