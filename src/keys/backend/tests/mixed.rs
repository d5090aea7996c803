//! Keys of one type used as another, and where the back-ends differ.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair, RsaKeyPair};
use rsa::pkcs1::EncodeRsaPrivateKey;
use rsa::pkcs8::EncodePrivateKey;
use rsa::traits::PublicKeyParts;

use super::ec_keys::{EC, scalar, sec1};
use super::rsa_keys::{RSA, components};
use super::{MESSAGE, signer_error, signers, verifier_error, verifiers};
use crate::keys::algorithm::Algorithm;
use crate::keys::encoding::{EncodedSigningKey, EncodedVerifyingKey};
use crate::keys::error::KeyError;

/// The keys are valid, but their encodings name RSASSA-PSS (RFC 4055), P-192 and X25519.
#[test]
fn encodings_that_name_another_algorithm() {
    let renamed = |der: &[u8], name: &[u8], last: u8| {
        let at = memchr::memmem::find(der, name).unwrap() + name.len() - 1;
        let mut der = der.to_vec();
        der[at] = last;
        der
    };
    let pkcs8 = RSA.to_pkcs8_der().unwrap();
    let pair = RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let (es256, ec) = &EC[0];
    let of_rsa: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    let of_ec: PublicKeyX509Der<'_> = ec.public_key().as_der().unwrap();
    let of_ed25519: PublicKeyX509Der<'_> = ed25519.public_key().as_der().unwrap();
    const RSA_NAME: &[u8] = b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01";
    const EC_NAME: &[u8] = b"\x2a\x86\x48\xce\x3d\x03\x01\x07";
    const ED25519_NAME: &[u8] = b"\x2b\x65\x70";

    let unreadable = Some(KeyError::Unreadable);
    let der = renamed(of_rsa.as_ref(), RSA_NAME, 10);
    let error = verifier_error(Algorithm::RS256, &EncodedVerifyingKey::RsaDer(&der));
    assert_eq!(error, unreadable);
    let der = renamed(of_ec.as_ref(), EC_NAME, 1);
    let error = verifier_error(*es256, &EncodedVerifyingKey::EcPoint(&der));
    assert_eq!(error, unreadable);
    let der = renamed(of_ed25519.as_ref(), ED25519_NAME, 0x6e);
    let error = verifier_error(Algorithm::EdDSA, &EncodedVerifyingKey::Ed25519(&der));
    assert_eq!(error, unreadable);

    let der = renamed(pkcs8.as_bytes(), RSA_NAME, 10);
    let error = signer_error(Algorithm::RS256, &EncodedSigningKey::Der(&der));
    assert_eq!(error, unreadable);
    let der = renamed(ec.to_pkcs8v1().unwrap().as_ref(), EC_NAME, 1);
    assert_eq!(
        signer_error(*es256, &EncodedSigningKey::Der(&der)),
        unreadable
    );
    let der = renamed(ed25519.to_pkcs8v1().unwrap().as_ref(), ED25519_NAME, 0x6e);
    let error = signer_error(Algorithm::EdDSA, &EncodedSigningKey::Der(&der));
    assert_eq!(error, unreadable);
}

/// The back-ends differ in two cases, where aws-lc-rs accepts more. One is a key that is not a
/// point: then no signature is valid. The other is trailing bytes after a private key.
#[test]
fn what_only_aws_lc_rs_takes() {
    // This y does not have an x.
    let mut key = [0; 32];
    key[0] = 2;
    let [aws_lc, rust_crypto] = verifiers(Algorithm::EdDSA, &EncodedVerifyingKey::Ed25519(&key));
    let aws_lc = aws_lc.unwrap();
    for signature in [[0; 64], [1; 64]] {
        assert!(!aws_lc.verify(MESSAGE, &signature));
    }
    assert_eq!(rust_crypto.err(), Some(KeyError::Unreadable));

    let pkcs8 = RSA.to_pkcs8_der().unwrap();
    let pkcs1 = RSA.to_pkcs1_der().unwrap();
    let (algorithm, ec) = &EC[0];
    for (algorithm, der) in [
        (Algorithm::RS256, pkcs8.as_bytes()),
        (Algorithm::RS256, pkcs1.as_bytes()),
        (*algorithm, &sec1(ec)),
        (*algorithm, ec.to_pkcs8v1().unwrap().as_ref()),
    ] {
        let longer = [der, &[0]].concat();
        let [aws_lc, rust_crypto] = signers(algorithm, &EncodedSigningKey::Der(&longer));
        assert!(aws_lc.is_ok());
        assert_eq!(rust_crypto.err(), Some(KeyError::Unreadable));
    }
}

#[test]
fn keys_of_another_kind() {
    let (n, e) = (RSA.n().to_bytes_be(), RSA.e().to_bytes_be());
    let pkcs8 = RSA.to_pkcs8_der().unwrap();
    let pair = RsaKeyPair::from_pkcs8(pkcs8.as_bytes()).unwrap();
    let ed25519 = Ed25519KeyPair::generate().unwrap();
    let ec = &EC[0].1;
    let ed25519_der: Pkcs8V1Der<'_> = ed25519.as_der().unwrap();
    let ec_der = ec.to_pkcs8v1().unwrap();
    let public = [
        EncodedVerifyingKey::Secret(&[7; 64]),
        EncodedVerifyingKey::RsaDer(pair.public_key().as_ref()),
        EncodedVerifyingKey::RsaComponents { n: &n, e: &e },
        EncodedVerifyingKey::EcPoint(ec.public_key().as_ref()),
        EncodedVerifyingKey::Ed25519(ed25519.public_key().as_ref()),
    ];
    let private = [
        EncodedSigningKey::Secret(&[7; 64]),
        EncodedSigningKey::Der(pkcs8.as_bytes()),
        EncodedSigningKey::Der(ec_der.as_ref()),
        EncodedSigningKey::Der(ed25519_der.as_ref()),
        EncodedSigningKey::RsaComponents(Box::new(components(&RSA))),
        EncodedSigningKey::EcScalar {
            scalar: &scalar(ec),
            point: ec.public_key().as_ref(),
        },
        EncodedSigningKey::Ed25519Seed {
            seed: &[7; 32],
            public: ed25519.public_key().as_ref(),
        },
    ];
    for algorithm in Algorithm::ALL {
        for encoded in &public {
            verifier_error(algorithm, encoded);
        }
        for encoded in &private {
            signer_error(algorithm, encoded);
        }
    }
}
