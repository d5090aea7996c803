//! Secrets.

use super::check_agreement;
use crate::keys::algorithm::Algorithm;
use crate::keys::encoding::{EncodedSigningKey, EncodedVerifyingKey};

#[test]
fn hmac() {
    for algorithm in [Algorithm::HS256, Algorithm::HS384, Algorithm::HS512] {
        // HMAC hashes a secret that is longer than a block first.
        for length in [algorithm.secret_length(), 64, 65, 128, 129, 1000] {
            let secret = vec![0xa5; length];
            check_agreement(
                algorithm,
                &[EncodedSigningKey::Secret(&secret)],
                &[EncodedVerifyingKey::Secret(&secret)],
            );
        }
    }
}
