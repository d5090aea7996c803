//! Both back-ends accept the same keys and verify each other's signatures.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test that panics fails"
)]

mod ec_keys;
mod ed25519;
mod hmac;
mod mixed;
mod rsa_keys;

use std::sync::Arc;

use super::signature::{Signer, VerifySignature};
use super::{aws_lc, rust_crypto};
use crate::keys::algorithm::Algorithm;
use crate::keys::encoding::{EncodedSigningKey, EncodedVerifyingKey};
use crate::keys::error::KeyError;

const MESSAGE: &[u8] = b"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9";

fn verifiers(
    algorithm: Algorithm,
    encoded: &EncodedVerifyingKey<'_>,
) -> [Result<Arc<dyn VerifySignature>, KeyError>; 2] {
    [
        aws_lc::verifier(algorithm, encoded),
        rust_crypto::verifier(algorithm, encoded),
    ]
}

fn signers(algorithm: Algorithm, encoded: &EncodedSigningKey<'_>) -> [Result<Signer, KeyError>; 2] {
    [
        aws_lc::signer(algorithm, encoded),
        rust_crypto::signer(algorithm, encoded),
    ]
}

/// The error of both back-ends for a public key.
#[track_caller]
fn verifier_error(algorithm: Algorithm, encoded: &EncodedVerifyingKey<'_>) -> Option<KeyError> {
    let [one, other] = verifiers(algorithm, encoded).map(Result::err);
    assert_eq!(one, other, "{algorithm}");
    one
}

/// The error of both back-ends for a private key.
#[track_caller]
fn signer_error(algorithm: Algorithm, encoded: &EncodedSigningKey<'_>) -> Option<KeyError> {
    let [one, other] = signers(algorithm, encoded).map(Result::err);
    assert_eq!(one, other, "{algorithm}");
    one
}

/// Every verifier accepts the signature of every signer. Modified messages and signatures are
/// rejected.
fn check_agreement(
    algorithm: Algorithm,
    private: &[EncodedSigningKey<'_>],
    public: &[EncodedVerifyingKey<'_>],
) {
    let signers: Vec<Signer> = private
        .iter()
        .flat_map(|encoded| signers(algorithm, encoded))
        .map(|signer| signer.unwrap())
        .chain([aws_lc::generate, rust_crypto::generate].map(|new| new(algorithm).unwrap()))
        .collect();
    let (ours, new) = signers.split_at(signers.len() - 2);
    let verifiers: Vec<_> = public
        .iter()
        .flat_map(|encoded| verifiers(algorithm, encoded))
        .map(|verifier| verifier.unwrap())
        .chain(ours.iter().map(|signer| Arc::clone(&signer.verify)))
        .collect();
    for signer in ours {
        let signature = signer.sign.sign(MESSAGE).unwrap();
        for verifier in &verifiers {
            assert!(verifier.verify(MESSAGE, &signature), "{algorithm}");
        }
    }
    for (signer, verifier) in [(0, 1), (1, 0), (0, 0)] {
        let signature = ours[signer].sign.sign(MESSAGE).unwrap();
        check_rejections(algorithm, &*verifiers[verifier], &signature);
    }
    for signer in new {
        let signature = signer.sign.sign(MESSAGE).unwrap();
        assert!(signer.verify.verify(MESSAGE, &signature), "{algorithm}");
        assert!(!verifiers[0].verify(MESSAGE, &signature), "{algorithm}");
        assert!(!verifiers[1].verify(MESSAGE, &signature), "{algorithm}");
    }
}

fn check_rejections(algorithm: Algorithm, verifier: &dyn VerifySignature, signature: &[u8]) {
    for at in 0..signature.len() {
        let mut other = signature.to_vec();
        other[at] ^= 1 << (at % 8);
        assert!(!verifier.verify(MESSAGE, &other), "{algorithm}: {at}");
    }
    for at in 0..MESSAGE.len() {
        let mut other = MESSAGE.to_vec();
        other[at] ^= 1 << (at % 8);
        assert!(!verifier.verify(&other, signature), "{algorithm}: {at}");
    }
    let length = signature.len();
    for other in [
        &signature[1..],
        &signature[..length - 1],
        &signature[..length / 2],
        &[],
        &[&[0], signature].concat(),
        &[signature, &[0]].concat(),
        &vec![0; length],
        &vec![0xff; length],
    ] {
        assert!(!verifier.verify(MESSAGE, other), "{algorithm}");
    }
}
